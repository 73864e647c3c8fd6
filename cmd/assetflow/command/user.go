package command

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assetflow/catalog"
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
