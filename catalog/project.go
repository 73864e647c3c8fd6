package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type projectRow struct {
	bun.BaseModel `bun:"table:projects,alias:p"`

	ID         string `bun:"id,pk"`
	DomainID   string `bun:"domain_id"`
	DomainName string `bun:"domain_name,scanonly"`
	Name       string `bun:"name"`
	CreatedAt  stamp  `bun:"created_at"`
}

func (r projectRow) project() Project {
	return Project{ID: r.ID, DomainID: r.DomainID, DomainName: r.DomainName, Name: r.Name, CreatedAt: r.CreatedAt.at}
}

func noProject() error {
	return fault.New(fault.NotFound, "catalog.project_not_found", "there is no such project")
}

// CreateProject makes a project, and its domain when missing. Conflict "catalog.project_exists", Invalid
// "catalog.bad_name".
func (c *Catalog) CreateProject(ctx context.Context, domainName, name string) (Project, error) {
	if err := checkNames(domainName, name); err != nil {
		return Project{}, err
	}
	row := projectRow{ID: newHexID(), Name: name, CreatedAt: now()}
	err := c.write(ctx, "create the project", func(tx bun.Tx) error {
		d, err := c.domain(ctx, tx, domainName)
		if err != nil {
			return err
		}
		row.DomainID, row.DomainName = d.ID, d.Name
		_, err = tx.NewInsert().Model(&row).Exec(ctx)
		if isDuplicate(err) {
			return fault.New(fault.Conflict, "catalog.project_exists", "the domain %q already has a project named %q", domainName, name)
		}
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEntry{
			Action: ProjectAdded, ProjectID: row.ID, ResourceKind: "project", ResourceID: row.ID,
			Details: auditDetails(map[string]string{"domain": domainName, "name": name}),
		})
	})
	if err != nil {
		return Project{}, err
	}
	return row.project(), nil
}

func (c *Catalog) selectProjects(rows any) *bun.SelectQuery {
	return c.reader.NewSelect().Model(rows).ColumnExpr("?TableColumns, d.name AS domain_name").Join("JOIN domains AS d ON d.id = p.domain_id")
}

// Project finds a project by id. NotFound "catalog.project_not_found".
func (c *Catalog) Project(ctx context.Context, id string) (Project, error) {
	var row projectRow
	err := c.selectProjects(&row).Where("p.id = ?", id).Scan(ctx)
	return row.project(), failed(ctx, "read the project", orAbsent(err, noProject()))
}

// ProjectByName finds a project by the names of its domain and its own. NotFound "catalog.project_not_found".
func (c *Catalog) ProjectByName(ctx context.Context, domainName, name string) (Project, error) {
	var row projectRow
	err := c.selectProjects(&row).Where("d.name = ?", domainName).Where("p.name = ?", name).Scan(ctx)
	return row.project(), failed(ctx, "read the project", orAbsent(err, noProject()))
}

// ListProjects gives all projects by domain and name.
func (c *Catalog) ListProjects(ctx context.Context) ([]Project, error) {
	var rows []projectRow
	if err := c.selectProjects(&rows).Order("d.name", "p.name").Scan(ctx); err != nil {
		return nil, failed(ctx, "list the projects", err)
	}
	projects := make([]Project, len(rows))
	for i, r := range rows {
		projects[i] = r.project()
	}
	return projects, nil
}

type instanceRow struct {
	bun.BaseModel `bun:"table:instances,alias:i"`

	ID        string `bun:"id,pk"`
	ProjectID string `bun:"project_id"`
	Name      string `bun:"name"`
	CreatedAt stamp  `bun:"created_at"`
}

func (r instanceRow) instance() Instance {
	return Instance{ID: r.ID, ProjectID: r.ProjectID, Name: r.Name, CreatedAt: r.CreatedAt.at}
}

func noInstance() error {
	return fault.New(fault.NotFound, "catalog.instance_not_found", "the project has no such instance")
}

// CreateInstance makes an instance. NotFound "catalog.project_not_found", Conflict "catalog.instance_exists", Invalid
// "catalog.bad_name".
func (c *Catalog) CreateInstance(ctx context.Context, projectID, name string) (Instance, error) {
	if err := checkNames(name); err != nil {
		return Instance{}, err
	}
	row := instanceRow{ID: NewID(), ProjectID: projectID, Name: name, CreatedAt: now()}
	err := c.write(ctx, "create the instance", func(tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&row).Exec(ctx)
		switch {
		case isDuplicate(err):
			return fault.New(fault.Conflict, "catalog.instance_exists", "the project already has an instance named %q", name)
		case isDangling(err):
			return noProject()
		case err != nil:
			return err
		}
		return writeAudit(ctx, tx, AuditEntry{
			Action: InstanceAdded, ProjectID: projectID, InstanceID: row.ID, ResourceKind: "instance", ResourceID: row.ID,
			Details: auditDetails(map[string]string{"name": name}),
		})
	})
	if err != nil {
		return Instance{}, err
	}
	return row.instance(), nil
}

// Instance finds an instance of a project. NotFound "catalog.instance_not_found".
func (c *Catalog) Instance(ctx context.Context, projectID, id string) (Instance, error) {
	var row instanceRow
	err := c.reader.NewSelect().Model(&row).Where("i.id = ?", id).Where("i.project_id = ?", projectID).Scan(ctx)
	return row.instance(), failed(ctx, "read the instance", orAbsent(err, noInstance()))
}

// requireInstance is an error where the project has no such instance.
func requireInstance(ctx context.Context, db bun.IDB, projectID, id string) error {
	known, err := db.NewSelect().Model((*instanceRow)(nil)).Where("i.id = ?", id).Where("i.project_id = ?", projectID).Exists(ctx)
	if err == nil && !known {
		return noInstance()
	}
	return err
}

// ListInstances gives a project's instances by name.
func (c *Catalog) ListInstances(ctx context.Context, projectID string) ([]Instance, error) {
	var rows []instanceRow
	if err := c.reader.NewSelect().Model(&rows).Where("i.project_id = ?", projectID).Order("i.name").Scan(ctx); err != nil {
		return nil, failed(ctx, "list the instances", err)
	}
	instances := make([]Instance, len(rows))
	for i, r := range rows {
		instances[i] = r.instance()
	}
	return instances, nil
}
