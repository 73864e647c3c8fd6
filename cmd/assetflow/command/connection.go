package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assetflow/client"
)

const connectionHelp = `The client commands need to know where the service is and who is calling:

  flag           variable               meaning
  --endpoint     ASSETFLOW_ENDPOINT     base URL of the service
  --project      ASSETFLOW_PROJECT      the project's id
  --instance     ASSETFLOW_INSTANCE     the instance's id
                 ASSETFLOW_ACCESS_KEY   signs every request, together with
                 ASSETFLOW_SECRET_KEY
                 ASSETFLOW_TOKEN        used where there is no access key
  --profile      ASSETFLOW_PROFILE      what ` + "`assetflow login`" + ` stored under that name
  --credentials  ASSETFLOW_CREDENTIALS  a credentials.json, as the development stack writes it

A flag wins over its variable, and both over the profile or file. Where neither a profile, nor a file, nor an access key
or token is named, .assetflow/credentials.json is used when the working directory has one that leads to this machine, and
else the profile "default".`

// connectionFlags are the flags of every client command.
type connectionFlags struct {
	endpoint, project, instance, profile, credentials string
}

func (f *connectionFlags) add(cmd *cobra.Command) {
	f.endpointFlag(cmd)
	cmd.Flags().StringVar(&f.project, "project", "", "`id` of the project (or ASSETFLOW_PROJECT)")
	cmd.Flags().StringVar(&f.instance, "instance", "", "`id` of the instance (or ASSETFLOW_INSTANCE)")
	f.storedFlags(cmd)
	cmd.MarkFlagsMutuallyExclusive("profile", "credentials")
}

func (f *connectionFlags) endpointFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.endpoint, "endpoint", "", "base `URL` of the service (or ASSETFLOW_ENDPOINT)")
}

func (f *connectionFlags) storedFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.profile, "profile", "", "`name` of the profile that login stored (or ASSETFLOW_PROFILE)")
	cmd.Flags().StringVar(&f.credentials, "credentials", "", "credentials.json `file` to use (or ASSETFLOW_CREDENTIALS)")
}

// connection is where to call, and as whom.
type connection struct {
	profile           // what is used
	source     string // where endpoint and identity come from, for a person
	fromName   string // the profile's name, when it is one
	overridden bool   // the endpoint is not that of the source
}

// Parts of a connection that a command needs.
type part uint8

const (
	needProject part = 1 << iota
	needInstance
)

// connect finds out where to call and as whom, and makes the client.
func (a *app) connect(f *connectionFlags, needs part) (*client.Client, connection, error) {
	c, err := a.resolve(f)
	if err != nil {
		return nil, connection{}, err
	}
	if err := a.check(c, needs); err != nil {
		return nil, connection{}, err
	}
	if c.source == developmentCredentials && a.terminal(a.stderr) {
		// A person should know whom they talk to without having said so; a log need not repeat it.
		a.note("Using the development stack at %s (%s).", c.Endpoint, developmentCredentials)
	}
	return a.newClient(c.profile), c, nil
}

// resolve puts the connection together from flags, environment, and a profile or file.
func (a *app) resolve(f *connectionFlags) (connection, error) {
	c, err := a.base(f)
	if err != nil {
		return connection{}, err
	}
	stored := c.Endpoint
	override(&c.Endpoint, a.env("ASSETFLOW_ENDPOINT"), f.endpoint)
	override(&c.ProjectID, a.env("ASSETFLOW_PROJECT"), f.project)
	override(&c.InstanceID, a.env("ASSETFLOW_INSTANCE"), f.instance)
	c.overridden = stored != "" && !sameEndpoint(stored, c.Endpoint)

	accessKey, secretKey, token := a.env("ASSETFLOW_ACCESS_KEY"), a.env("ASSETFLOW_SECRET_KEY"), a.env("ASSETFLOW_TOKEN")
	switch {
	case accessKey != "" && secretKey == "":
		return connection{}, usagef("ASSETFLOW_ACCESS_KEY is set, but ASSETFLOW_SECRET_KEY is not")
	case accessKey == "" && secretKey != "":
		return connection{}, usagef("ASSETFLOW_SECRET_KEY is set, but ASSETFLOW_ACCESS_KEY is not")
	case accessKey != "":
		c.AccessKey, c.SecretKey, c.Token, c.ExpiresAt = accessKey, secretKey, "", time.Time{}
		c.source = "the environment"
	case token != "":
		c.AccessKey, c.SecretKey, c.Token, c.ExpiresAt = "", "", token, time.Time{}
		c.source = "the environment"
	}
	return c, nil
}

// base gives the profile or file that everything else is laid over.
func (a *app) base(f *connectionFlags) (connection, error) {
	profileName, credentials := f.profile, f.credentials
	if profileName == "" && credentials == "" {
		profileName, credentials = a.env("ASSETFLOW_PROFILE"), a.env("ASSETFLOW_CREDENTIALS")
		if profileName != "" && credentials != "" {
			return connection{}, usagef("ASSETFLOW_PROFILE and ASSETFLOW_CREDENTIALS are both set: unset one of them")
		}
	}
	switch {
	case credentials != "":
		p, err := readCredentials(credentials)
		return connection{profile: p, source: credentials}, err
	case profileName != "":
		return a.storedConnection(profileName, true)
	case a.env("ASSETFLOW_ACCESS_KEY") != "" || a.env("ASSETFLOW_TOKEN") != "":
		return connection{}, nil
	}
	c, ok, err := a.developmentConnection()
	if err == nil && !ok {
		c, err = a.storedConnection(defaultProfile, false)
	}
	if err == nil && f.differs(a, c.Endpoint) {
		// What is only there by default is not used with an endpoint that it does not belong to.
		return connection{}, nil
	}
	return c, err
}

// differs tells whether another endpoint is asked for than the given one.
func (f *connectionFlags) differs(a *app, endpoint string) bool {
	var wanted string
	override(&wanted, a.env("ASSETFLOW_ENDPOINT"), f.endpoint)
	return wanted != "" && !sameEndpoint(wanted, endpoint)
}

func sameEndpoint(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

func (a *app) storedConnection(name string, must bool) (connection, error) {
	stored, path, err := a.loadProfiles()
	if err != nil {
		return connection{}, err
	}
	p, ok := stored.Profiles[name]
	if !ok && must {
		return connection{}, &hintError{
			err:  fmt.Errorf("there is no profile %q in %s", name, path),
			hint: fmt.Sprintf("Make it with `assetflow login --profile %s`.", name), code: ExitForbidden,
		}
	}
	return connection{profile: p, source: fmt.Sprintf("profile %q", name), fromName: name}, nil
}

// check makes sure that all that a command needs is there.
func (a *app) check(c connection, needs part) error {
	if err := checkEndpoint(c.Endpoint); err != nil {
		return err
	}
	switch {
	case c.AccessKey == "" && c.Token == "":
		return &hintError{
			err:  errors.New("not signed in to " + c.Endpoint),
			hint: "Sign in with `assetflow login`, or set ASSETFLOW_ACCESS_KEY and ASSETFLOW_SECRET_KEY, or ASSETFLOW_TOKEN.",
			code: ExitForbidden,
		}
	case c.AccessKey == "" && !c.ExpiresAt.IsZero() && !a.now().Before(c.ExpiresAt):
		return &hintError{
			err:  fmt.Errorf("the token of profile %q expired at %s", c.fromName, a.time(c.ExpiresAt)),
			hint: fmt.Sprintf("Sign in again with `%s`.", loginAgain(c.fromName)), code: ExitForbidden,
		}
	case needs&needProject != 0 && c.ProjectID == "":
		return &usageError{text: "which project?", hint: "Name it with --project or ASSETFLOW_PROJECT; `assetflow project list` shows the ids."}
	case needs&needInstance != 0 && c.InstanceID == "":
		return &usageError{text: "which instance?", hint: "Name it with --instance or ASSETFLOW_INSTANCE; `assetflow instance list` shows the ids."}
	}
	return nil
}

func checkEndpoint(endpoint string) error {
	switch {
	case endpoint == "":
		return &usageError{
			text: "where is the service?",
			hint: "Name it with --endpoint or ASSETFLOW_ENDPOINT, or use a profile (`assetflow login`) or --credentials.",
		}
	case !strings.HasPrefix(endpoint, "http://") && !strings.HasPrefix(endpoint, "https://"):
		return usagef("the endpoint %q is not a URL: did you mean http://%s?", endpoint, endpoint)
	}
	return nil
}

// blame adds to a refusal where the identity that was refused comes from.
func (c connection) blame(err error) error {
	var refusal *client.Error
	if !errors.As(err, &refusal) || refusal.Status != 401 || strings.HasPrefix(refusal.Message, "signature expired") {
		return err
	}
	hint := fmt.Sprintf("The identity came from %s.", c.source)
	switch {
	case c.source == developmentCredentials:
		hint += " Does it belong to the stack that runs?"
	case c.fromName != "":
		hint += fmt.Sprintf(" Sign in again with `%s`.", loginAgain(c.fromName))
	}
	if c.overridden {
		hint += " It belongs to another endpoint."
	}
	return &hintError{err: err, hint: hint}
}

func loginAgain(profile string) string {
	if profile == defaultProfile {
		return "assetflow login"
	}
	return "assetflow login --profile " + profile
}

// override sets *value to the last of the texts that is not empty.
func override(value *string, texts ...string) {
	for _, t := range texts {
		if t != "" {
			*value = t
		}
	}
}

// env gives a variable of the environment.
func (a *app) env(name string) string {
	value := ""
	for _, v := range a.environ {
		if n, text, ok := strings.Cut(v, "="); ok && n == name {
			value = text
		}
	}
	return value
}
