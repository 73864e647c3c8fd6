package command

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/config"
)

func (a *app) userCommand() *cobra.Command {
	return group("user", "Administer users, their access keys and roles",
		`Users sign in with a password or with an access key, and may do in a project what their roles there permit:

  Admin    everything
  Develop  imports, exports and deletes assets, and cancels jobs
  Modify   reads and exports assets
  Submit   reads assets and jobs

A USER is given by name, of the domain that --domain says, or by id.

`+adminHelp,
		a.userAddCommand(), a.userListCommand(), a.userPasswdCommand(),
		group("key", "Administer access keys", "An access key signs requests in the place of a password, with a secret key that is shown once.",
			a.keyAddCommand(), a.keyListCommand(), a.keyRevokeCommand()),
		group("role", "Give and take roles in projects", "What a user may do in a project is what the user's roles there permit.",
			a.roleGrantCommand(), a.roleRevokeCommand()))
}

// userView is a user for scripts.
type userView struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Domain     string     `json:"domain"`
	CreatedAt  time.Time  `json:"created_at"`
	DisabledAt *time.Time `json:"disabled_at,omitempty"`
	Roles      []roleView `json:"roles,omitempty"`
}

type roleView struct {
	ProjectID string `json:"project_id"`
	Project   string `json:"project"`
	Role      string `json:"role"`
}

func viewUser(u catalog.User) userView {
	return userView{ID: u.ID, Name: u.Name, Domain: u.DomainName, CreatedAt: u.CreatedAt, DisabledAt: u.DisabledAt}
}

func (a *app) userAddCommand() *cobra.Command {
	var fromStdin bool
	cmd := withDomain(a.adminCommand(&cobra.Command{
		Use:   "add NAME",
		Short: "Make a user",
		Long:  "Makes a user, and the domain where it does not exist. The password is asked for twice.",
		Example: `  assetflow user add ada
  assetflow user add ci --domain acme --password-stdin < password`,
		Args: arguments("NAME"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		password, err := d.newPassword(ctx, fromStdin)
		if err != nil {
			return err
		}
		u, err := d.auth.AddUser(ctx, d.domain, args[0], password)
		if err != nil {
			return err
		}
		return d.emit(viewUser(u), func(s *sheet) {
			s.line("Made user %s of domain %s, id %s.\nGive a role with `assetflow user role grant %s ROLE --project PROJECT`.",
				u.Name, u.DomainName, u.ID, u.Name)
		})
	}))
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from stdin")
	return cmd
}

func (a *app) userListCommand() *cobra.Command {
	return a.adminCommand(&cobra.Command{
		Use:     "list",
		Short:   "List all users with their roles",
		Long:    "Lists the users of all domains with the roles they have.",
		Example: "  assetflow user list",
		Args:    noArguments,
	}, 0, func(ctx context.Context, d *desk, _ []string) error {
		users, err := d.usersWithRoles(ctx)
		if err != nil {
			return err
		}
		return d.emit(map[string]any{"users": users}, func(s *sheet) {
			if len(users) == 0 {
				d.note("No users.")
				return
			}
			rows := [][]string{{"USER", "DOMAIN", "NAME", "ROLES", "CREATED"}}
			for _, u := range users {
				roles := []string{}
				for _, r := range u.Roles {
					roles = append(roles, r.Role+" in "+r.Project)
				}
				name := u.Name
				if u.DisabledAt != nil {
					name += " (disabled)"
				}
				rows = append(rows, []string{u.ID, u.Domain, name, strings.Join(roles, ", "), d.time(u.CreatedAt)})
			}
			s.table(rows)
		})
	})
}

func (d *desk) usersWithRoles(ctx context.Context) ([]userView, error) {
	users, err := d.catalog.ListUsers(ctx)
	if err != nil {
		return nil, err
	}
	projects, err := d.catalog.ListProjects(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, p := range projects {
		names[p.ID] = p.Name
	}
	views := []userView{}
	for _, u := range users {
		v := viewUser(u)
		roles, err := d.catalog.ListRoles(ctx, u.ID)
		if err != nil {
			return nil, err
		}
		for _, r := range roles {
			v.Roles = append(v.Roles, roleView{ProjectID: r.ProjectID, Project: names[r.ProjectID], Role: r.Role})
		}
		views = append(views, v)
	}
	return views, nil
}

func (a *app) userPasswdCommand() *cobra.Command {
	var fromStdin bool
	cmd := withDomain(a.adminCommand(&cobra.Command{
		Use:   "passwd USER",
		Short: "Set a user's password",
		Long:  "Sets a user's password. Every token that the user has becomes useless; access keys stay.",
		Example: `  assetflow user passwd ada
  assetflow user passwd ada --password-stdin < password`,
		Args: arguments("USER"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		u, err := d.user(ctx, args[0])
		if err != nil {
			return err
		}
		password, err := d.newPassword(ctx, fromStdin)
		if err != nil {
			return err
		}
		if err := d.auth.SetPassword(ctx, u.ID, password); err != nil {
			return err
		}
		return d.emit(viewUser(u), func(s *sheet) {
			s.line("Set the password of %s.", u.Name)
		})
	}))
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from stdin")
	return cmd
}

func (a *app) keyAddCommand() *cobra.Command {
	return withDomain(a.adminCommand(&cobra.Command{
		Use:   "add USER",
		Short: "Make an access key for a user",
		Long:  "Makes an access key. Its secret key is shown this once: it is stored sealed, for the service alone to open.",
		Example: `  assetflow user key add ci
  assetflow user key add ci -o json > key.json`,
		Args: arguments("USER"),
	}, config.NeedMasterKey, func(ctx context.Context, d *desk, args []string) error {
		u, err := d.user(ctx, args[0])
		if err != nil {
			return err
		}
		accessKey, secretKey, err := d.auth.AddAccessKey(ctx, u.ID)
		if err != nil {
			return err
		}
		return d.emit(map[string]string{"user_id": u.ID, "access_key": accessKey, "secret_key": secretKey}, func(s *sheet) {
			s.fields([2]string{"Access key", accessKey}, [2]string{"Secret key", secretKey})
			d.note("The secret key is not shown again.")
		})
	}))
}

func (a *app) keyListCommand() *cobra.Command {
	return withDomain(a.adminCommand(&cobra.Command{
		Use:     "list USER",
		Short:   "List a user's access keys",
		Long:    "Lists a user's access keys, revoked ones too, without their secret keys.",
		Example: "  assetflow user key list ci",
		Args:    arguments("USER"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		u, err := d.user(ctx, args[0])
		if err != nil {
			return err
		}
		keys, err := d.catalog.ListAccessKeys(ctx, u.ID)
		if err != nil {
			return err
		}
		type keyView struct {
			AccessKey   string     `json:"access_key"`
			CreatedAt   time.Time  `json:"created_at"`
			RevokedAt   *time.Time `json:"revoked_at,omitempty"`
			LockedUntil *time.Time `json:"locked_until,omitempty"`
		}
		views := []keyView{}
		rows := [][]string{{"ACCESS KEY", "STATE", "CREATED"}}
		for _, k := range keys {
			state := "valid"
			v := keyView{AccessKey: k.ID, CreatedAt: k.CreatedAt, RevokedAt: k.RevokedAt}
			if k.LockedUntil != nil && d.now().Before(*k.LockedUntil) {
				state, v.LockedUntil = "locked until "+d.time(*k.LockedUntil), k.LockedUntil
			}
			if k.RevokedAt != nil {
				state = "revoked " + d.time(*k.RevokedAt)
			}
			views = append(views, v)
			rows = append(rows, []string{k.ID, state, d.time(k.CreatedAt)})
		}
		return d.emit(map[string]any{"access_keys": views}, func(s *sheet) {
			if len(views) == 0 {
				d.note("No access keys.")
				return
			}
			s.table(rows)
		})
	}))
}

func (a *app) keyRevokeCommand() *cobra.Command {
	return a.adminCommand(&cobra.Command{
		Use:     "revoke ACCESS-KEY",
		Short:   "Make an access key useless for ever",
		Long:    "Revokes an access key: from now on nothing signed with it is accepted. This cannot be undone.",
		Example: "  assetflow user key revoke AKIDEXAMPLE",
		Args:    arguments("ACCESS-KEY"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		if err := d.auth.RevokeAccessKey(ctx, args[0]); err != nil {
			return missing(err, "there is no access key %q", args[0])
		}
		return d.emit(map[string]string{"access_key": args[0]}, func(s *sheet) {
			s.line("Revoked %s.", args[0])
		})
	})
}

func (a *app) roleGrantCommand() *cobra.Command {
	return a.roleCommand(&cobra.Command{
		Use:     "grant USER ROLE",
		Short:   "Give a user a role in a project",
		Long:    "Gives a user a role in a project. To give it again is no error.",
		Example: "  assetflow user role grant ada Develop --project shop",
	}, "Gave %s the role %s in %s.", func(ctx context.Context, d *desk, userID, projectID, role string) error {
		return d.auth.GrantRole(ctx, userID, projectID, role)
	})
}

func (a *app) roleRevokeCommand() *cobra.Command {
	return a.roleCommand(&cobra.Command{
		Use:     "revoke USER ROLE",
		Short:   "Take a role in a project from a user",
		Long:    "Takes a role in a project from a user, at once: tokens and access keys lose it too.",
		Example: "  assetflow user role revoke ada Develop --project shop",
	}, "Took from %s the role %s in %s.", func(ctx context.Context, d *desk, userID, projectID, role string) error {
		return d.auth.RevokeRole(ctx, userID, projectID, role)
	})
}

func (a *app) roleCommand(cmd *cobra.Command, done string, change func(ctx context.Context, d *desk, userID, projectID, role string) error) *cobra.Command {
	var project string
	cmd.Args = arguments("USER", "ROLE")
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 1 {
			return auth.Roles(), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	cmd = withDomain(a.adminCommand(cmd, 0, func(ctx context.Context, d *desk, args []string) error {
		if project == "" {
			return usagef("--project is needed: roles are held in projects")
		}
		u, err := d.user(ctx, args[0])
		if err != nil {
			return err
		}
		p, err := d.project(ctx, project)
		if err != nil {
			return err
		}
		if err := change(ctx, d, u.ID, p.ID, args[1]); err != nil {
			return missing(err, "%s does not have the role %s in %s", u.Name, args[1], p.Name)
		}
		return d.emit(map[string]string{"user_id": u.ID, "project_id": p.ID, "role": args[1]}, func(s *sheet) {
			s.line(done, u.Name, args[1], p.Name)
		})
	}))
	cmd.Flags().StringVar(&project, "project", "", "`name or id` of the project")
	return cmd
}
