package command

import (
	"context"

	"github.com/spf13/cobra"

	"assetflow/auth"
)

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
