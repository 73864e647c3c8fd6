package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// login is one sign-in.
type login struct {
	*app
	flags                         connectionFlags
	domain, user, accessKey       string
	passwordStdin, secretKeyStdin bool
}

func (a *app) loginCommand() *cobra.Command {
	l := &login{app: a}
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in and store it as a profile",
		Long: `Signs in to a service and stores endpoint, project, instance and identity as a profile, in a file that only you can
read (in your configuration folder, such as ~/.config/assetflow/profiles.json).

With a user's password a token is stored, which is valid 24 hours; the password is not stored. With --access-key the key
is stored, which is valid until it is revoked. What is not given is taken from the profile as it stands, so signing in
again takes no more than the password.`,
		Example: `  assetflow login --endpoint https://assetflow.example.com --user ada --project shop --instance "$INSTANCE"
  assetflow login --profile ci --endpoint https://assetflow.example.com --access-key AKID --secret-key-stdin < secret-key
  assetflow login --credentials .assetflow/credentials.json --profile dev
  assetflow login`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd.Context()) },
	}
	l.flags.endpointFlag(cmd)
	l.flags.storedFlags(cmd)
	cmd.Flags().StringVar(&l.flags.project, "project", "", "`id or name` of the project (or ASSETFLOW_PROJECT)")
	cmd.Flags().StringVar(&l.flags.instance, "instance", "", "`id` of the instance (or ASSETFLOW_INSTANCE)")
	cmd.Flags().StringVar(&l.domain, "domain", "", "the user's `domain` (default \""+defaultDomain+"\")")
	cmd.Flags().StringVar(&l.user, "user", "", "the user's `name`; the password is asked for")
	cmd.Flags().BoolVar(&l.passwordStdin, "password-stdin", false, "read the password from stdin")
	cmd.Flags().StringVar(&l.accessKey, "access-key", "", "sign in with this access `key` instead; the secret key is asked for")
	cmd.Flags().BoolVar(&l.secretKeyStdin, "secret-key-stdin", false, "read the secret key from stdin")
	cmd.MarkFlagsMutuallyExclusive("user", "access-key")
	cmd.MarkFlagsMutuallyExclusive("password-stdin", "secret-key-stdin")
	return cmd
}

func (l *login) run(ctx context.Context) error {
	name, p, err := l.start()
	if err != nil {
		return err
	}
	if err := checkEndpoint(p.Endpoint); err != nil {
		return err
	}
	if p.AccessKey != "" {
		err = l.withKey(ctx, &p)
	} else {
		err = l.withPassword(ctx, &p)
	}
	if err != nil {
		return err
	}
	path, err := l.changeProfiles(func(all map[string]profile) error { all[name] = p; return nil })
	if err != nil {
		return err
	}
	return l.emit(struct {
		Profile   string     `json:"profile"`
		Path      string     `json:"path"`
		Endpoint  string     `json:"endpoint"`
		User      string     `json:"user"`
		Domain    string     `json:"domain"`
		ProjectID string     `json:"project_id,omitempty"`
		ExpiresAt *time.Time `json:"expires_at,omitempty"`
	}{name, path, p.Endpoint, p.User, p.Domain, p.ProjectID, orNil(p.ExpiresAt)}, func(s *sheet) {
		s.line("Signed in to %s as %s of domain %s.", p.Endpoint, p.User, p.Domain)
		if !p.ExpiresAt.IsZero() {
			s.line("The token is valid until %s.", l.time(p.ExpiresAt))
		}
		s.line("Stored as profile %q in %s.", name, path)
		switch {
		case p.ProjectID == "":
			s.line("Name project and instance with each command, or sign in again with --project and --instance.")
		case p.InstanceID == "":
			s.line("Name the instance with each command, or sign in again with --instance.")
		}
	})
}

// start gives the name of the profile to store, and what it starts from: the profile as it stands or a credentials
// file, with what is given in its place.
func (l *login) start() (string, profile, error) {
	name := defaultProfile
	override(&name, l.env("ASSETFLOW_PROFILE"), l.flags.profile)
	stored, _, err := l.loadProfiles()
	if err != nil {
		return "", profile{}, err
	}
	p := stored.Profiles[name]
	if l.flags.credentials != "" {
		if p, err = readCredentials(l.flags.credentials); err != nil {
			return "", profile{}, err
		}
	}
	before := p.Endpoint
	override(&p.Endpoint, l.env("ASSETFLOW_ENDPOINT"), l.flags.endpoint)
	if before != "" && !sameEndpoint(before, p.Endpoint) {
		p = profile{Endpoint: p.Endpoint} // another service: nothing else holds there
	}
	p.Token, p.ExpiresAt = "", time.Time{}
	switch {
	case l.user != "":
		p.User, p.AccessKey, p.SecretKey = l.user, "", ""
	case l.accessKey != "":
		p.AccessKey, p.SecretKey = l.accessKey, ""
	case l.passwordStdin:
		p.AccessKey, p.SecretKey = "", ""
	}
	override(&p.Domain, l.domain)
	override(&p.ProjectID, l.env("ASSETFLOW_PROJECT"), l.flags.project)
	override(&p.InstanceID, l.env("ASSETFLOW_INSTANCE"), l.flags.instance)
	if p.Domain == "" {
		p.Domain = defaultDomain
	}
	return name, p, nil
}

func (l *login) withPassword(ctx context.Context, p *profile) error {
	if p.User == "" {
		return &usageError{text: "who are you?", hint: "Name the user with --user, or an access key with --access-key."}
	}
	if strings.HasPrefix(p.Endpoint, "http://") && !isLoopback(p.Endpoint) {
		l.note("Careful: the password travels to %s without encryption.", p.Endpoint)
	}
	var password string
	var err error
	if l.passwordStdin {
		password, err = l.secretFromStdin("password")
	} else {
		password, err = l.askSecret(ctx, "Password of "+p.User, "password", "--password-stdin")
	}
	if err != nil {
		return err
	}
	p.Token, p.ExpiresAt, err = l.newClient(*p).Login(ctx, p.Domain, p.User, password, p.ProjectID)
	if err != nil {
		return refusedLogin(err, "Check user, domain, project and password.")
	}
	return l.complete(ctx, p)
}

func (l *login) withKey(ctx context.Context, p *profile) (err error) {
	switch {
	case l.secretKeyStdin:
		p.SecretKey, err = l.secretFromStdin("secret key")
	case p.SecretKey == "":
		p.SecretKey, err = l.askSecret(ctx, "Secret key of "+p.AccessKey, "secret key", "--secret-key-stdin")
	}
	if err != nil {
		return err
	}
	if err := l.complete(ctx, p); err != nil {
		return refusedLogin(err, "Check access key and secret key.")
	}
	return nil
}

// complete asks the service who the caller is: it proves the identity, and turns the name of a project into its id.
func (l *login) complete(ctx context.Context, p *profile) error {
	me, err := l.newClient(*p).Me(ctx)
	if err != nil {
		return err
	}
	p.User, p.Domain = me.UserName, me.DomainName
	if me.ProjectID != "" {
		p.ProjectID = me.ProjectID
	}
	return nil
}

func refusedLogin(err error, hint string) error {
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Status == 401 && !strings.HasPrefix(refusal.Message, "signature expired") {
		return &hintError{err: err, hint: hint}
	}
	return err
}

func (a *app) newClient(p profile) *client.Client {
	return client.New(client.Config{
		Endpoint: p.Endpoint, ProjectID: p.ProjectID, InstanceID: p.InstanceID,
		Token: p.Token, AccessKey: p.AccessKey, SecretKey: p.SecretKey, UserAgent: "assetflow/" + Version, Now: a.now,
		Retrying: func(err error, _ time.Duration) { a.note("Trying again: %v", err) },
	})
}

func (a *app) logoutCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Remove a stored profile",
		Long: `Removes the profile that login stored. A token stays valid until it expires and an access key until it is revoked,
but they are not on this machine any more.`,
		Example: `  assetflow logout
  assetflow logout --profile ci`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			chosen := defaultProfile
			override(&chosen, a.env("ASSETFLOW_PROFILE"), name)
			path, err := a.changeProfiles(func(all map[string]profile) error {
				if _, ok := all[chosen]; !ok {
					return &hintError{err: fmt.Errorf("there is no profile %q", chosen), code: ExitNotFound}
				}
				delete(all, chosen)
				return nil
			})
			if err != nil {
				return err
			}
			return a.emit(map[string]string{"profile": chosen, "path": path}, func(s *sheet) {
				s.line("Removed profile %q from %s.", chosen, path)
			})
		},
	}
	cmd.Flags().StringVar(&name, "profile", "", "`name` of the profile (or ASSETFLOW_PROFILE; default \""+defaultProfile+"\")")
	return cmd
}

// changeProfiles changes the stored profiles and gives the path of their file.
func (a *app) changeProfiles(change func(all map[string]profile) error) (string, error) {
	stored, path, err := a.loadProfiles()
	if err != nil {
		return path, err
	}
	if err := change(stored.Profiles); err != nil {
		return path, err
	}
	return path, saveProfiles(path, stored)
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
