package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"assetflow/catalog"
)

func (a *app) projectCommand() *cobra.Command {
	return group("project", "Administer projects", "A project holds instances; users have roles in it.\n\n"+adminHelp,
		a.projectAddCommand(), a.projectListCommand())
}

type projectView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Domain    string    `json:"domain"`
	CreatedAt time.Time `json:"created_at"`
}

func viewProject(p catalog.Project) projectView {
	return projectView{ID: p.ID, Name: p.Name, Domain: p.DomainName, CreatedAt: p.CreatedAt}
}

func (a *app) projectAddCommand() *cobra.Command {
	return withDomain(a.adminCommand(&cobra.Command{
		Use:     "add NAME",
		Short:   "Make a project",
		Long:    "Makes a project, and the domain where it does not exist.",
		Example: "  assetflow project add shop",
		Args:    arguments("NAME"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		p, err := d.catalog.CreateProject(ctx, d.domain, args[0])
		if err != nil {
			return err
		}
		return d.emit(viewProject(p), func(s *sheet) {
			s.line("Made project %s of domain %s, id %s.", p.Name, p.DomainName, p.ID)
		})
	}))
}

func (a *app) projectListCommand() *cobra.Command {
	return a.adminCommand(&cobra.Command{
		Use:     "list",
		Short:   "List all projects",
		Long:    "Lists the projects of all domains.",
		Example: "  assetflow project list",
		Args:    noArguments,
	}, 0, func(ctx context.Context, d *desk, _ []string) error {
		projects, err := d.catalog.ListProjects(ctx)
		if err != nil {
			return err
		}
		views := []projectView{}
		rows := [][]string{{"PROJECT", "DOMAIN", "NAME", "CREATED"}}
		for _, p := range projects {
			views = append(views, viewProject(p))
			rows = append(rows, []string{p.ID, p.DomainName, p.Name, d.time(p.CreatedAt)})
		}
		return d.emit(map[string]any{"projects": views}, func(s *sheet) {
			if len(views) == 0 {
				d.note("No projects.")
				return
			}
			s.table(rows)
		})
	})
}

func (a *app) instanceCommand() *cobra.Command {
	return group("instance", "Administer instances", "An instance holds assets; it belongs to a project.\n\n"+adminHelp,
		a.instanceAddCommand(), a.instanceListCommand())
}

type instanceView struct {
	ID        string    `json:"id"`
	ProjectID string    `json:"project_id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

func viewInstance(i catalog.Instance) instanceView {
	return instanceView{ID: i.ID, ProjectID: i.ProjectID, Name: i.Name, CreatedAt: i.CreatedAt}
}

func (a *app) instanceAddCommand() *cobra.Command {
	var project string
	cmd := withDomain(a.adminCommand(&cobra.Command{
		Use:     "add NAME",
		Short:   "Make an instance in a project",
		Long:    "Makes an instance in a project.",
		Example: "  assetflow instance add test --project shop",
		Args:    arguments("NAME"),
	}, 0, func(ctx context.Context, d *desk, args []string) error {
		if project == "" {
			return usagef("--project is needed: an instance belongs to a project")
		}
		p, err := d.project(ctx, project)
		if err != nil {
			return err
		}
		i, err := d.catalog.CreateInstance(ctx, p.ID, args[0])
		if err != nil {
			return err
		}
		return d.emit(viewInstance(i), func(s *sheet) {
			s.line("Made instance %s of project %s, id %s.", i.Name, p.Name, i.ID)
		})
	}))
	cmd.Flags().StringVar(&project, "project", "", "`name or id` of the project")
	return cmd
}

func (a *app) instanceListCommand() *cobra.Command {
	var project string
	cmd := withDomain(a.adminCommand(&cobra.Command{
		Use:     "list",
		Short:   "List instances",
		Long:    "Lists the instances of one project, or of all.",
		Example: "  assetflow instance list --project shop",
		Args:    noArguments,
	}, 0, func(ctx context.Context, d *desk, _ []string) error {
		projects, err := d.projects(ctx, project)
		if err != nil {
			return err
		}
		views := []instanceView{}
		rows := [][]string{{"INSTANCE", "PROJECT", "NAME", "CREATED"}}
		for _, p := range projects {
			instances, err := d.catalog.ListInstances(ctx, p.ID)
			if err != nil {
				return err
			}
			for _, i := range instances {
				views = append(views, viewInstance(i))
				rows = append(rows, []string{i.ID, p.Name, i.Name, d.time(i.CreatedAt)})
			}
		}
		return d.emit(map[string]any{"instances": views}, func(s *sheet) {
			if len(views) == 0 {
				d.note("No instances.")
				return
			}
			s.table(rows)
		})
	}))
	cmd.Flags().StringVar(&project, "project", "", "`name or id` of the project (default: all)")
	return cmd
}

// projects gives the one project that is named, or all.
func (d *desk) projects(ctx context.Context, ref string) ([]catalog.Project, error) {
	if ref == "" {
		return d.catalog.ListProjects(ctx)
	}
	p, err := d.project(ctx, ref)
	return []catalog.Project{p}, err
}
