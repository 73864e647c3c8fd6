package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type environmentRow struct {
	bun.BaseModel `bun:"table:environments,alias:en"`

	ID          string `bun:"id,pk"`
	ProjectID   string `bun:"project_id"`
	Name        string `bun:"name"`
	Description string `bun:"description"`
	DeployMode  string `bun:"deploy_mode"`
	VPCID       string `bun:"vpc_id"`
	Labels      string `bun:"labels"` // JSON
	CreatorID   string `bun:"creator_id"`
	CreatorName string `bun:"creator_name,scanonly"`
	CreatedAt   stamp  `bun:"created_at"`
	UpdatedAt   stamp  `bun:"updated_at"`
}

func (r environmentRow) environment() (Environment, error) {
	e := Environment{
		ID: r.ID, ProjectID: r.ProjectID, Name: r.Name, Description: r.Description, DeployMode: DeployMode(r.DeployMode), VPCID: r.VPCID,
		CreatorID: r.CreatorID, CreatorName: r.CreatorName, CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at,
	}
	if err := json.Unmarshal([]byte(r.Labels), &e.Labels); err != nil {
		return Environment{}, fmt.Errorf("read the labels of environment %s: %w", r.ID, err)
	}
	return e, nil
}

func noEnvironment() error {
	return fault.New(fault.NotFound, "catalog.environment_not_found", "the project has no such environment")
}

func environmentExists(name string) error {
	return fault.New(fault.Conflict, "catalog.environment_exists", "the project has another environment named %q", name)
}

func badEnvironment(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_environment", format, args...)
}

// checkEnvironment checks what the schema and the contract rely on.
func checkEnvironment(e Environment) error {
	switch {
	case e.Name == "" || utf8.RuneCountInString(e.Name) > MaxEnvironmentName:
		return badEnvironment("the name of an environment has 1 to %d characters", MaxEnvironmentName)
	case utf8.RuneCountInString(e.Description) > MaxEnvironmentDescription:
		return badEnvironment("the description of an environment has at most %d characters", MaxEnvironmentDescription)
	case len(e.Labels) > MaxEnvironmentLabels:
		return badEnvironment("an environment has at most %d labels", MaxEnvironmentLabels)
	}
	switch e.DeployMode {
	case "", DeployContainer, DeployVirtualMachine, DeployMixed:
	default:
		return badEnvironment("the deploy mode of an environment is %s, %s or %s", DeployContainer, DeployVirtualMachine, DeployMixed)
	}
	texts := []string{e.Name, e.Description, e.VPCID}
	for _, l := range e.Labels {
		if l.Key == "" {
			return badEnvironment("a label of an environment has a key")
		}
		texts = append(texts, l.Key, l.Value)
	}
	for _, text := range texts {
		if len(text) > maxName || !isText(text) {
			return badEnvironment("what an environment says is valid text of at most %d bytes each", maxName)
		}
	}
	return nil
}

// labelsJSON gives labels as they are kept.
func labelsJSON(labels []EnvironmentLabel) string {
	return string(canonical(append([]EnvironmentLabel{}, labels...)))
}

// environmentEntry stands in the trail of an environment.
func environmentEntry(action AuditAction, userID string, row environmentRow) AuditEntry {
	return AuditEntry{
		ActorID: userID, Action: action, ProjectID: row.ProjectID, ResourceKind: "environment", ResourceID: row.ID,
		Details: auditDetails(map[string]string{"name": row.Name}),
	}
}

// CreateEnvironment makes an environment. ID, CreatedAt and UpdatedAt are made, the creator is userID. NotFound
// "catalog.project_not_found"; Conflict "catalog.environment_exists" for a name in use in the project; Invalid
// "catalog.bad_environment" for a text that is too long or not valid, an unknown deploy mode (none is fine), too many
// labels.
func (c *Catalog) CreateEnvironment(ctx context.Context, userID string, e Environment) (Environment, error) {
	if err := checkEnvironment(e); err != nil {
		return Environment{}, err
	}
	row := environmentRow{
		ID: NewID(), ProjectID: e.ProjectID, Name: e.Name, Description: e.Description, DeployMode: string(e.DeployMode), VPCID: e.VPCID,
		Labels: labelsJSON(e.Labels), CreatorID: userID, CreatedAt: now(),
	}
	row.UpdatedAt = row.CreatedAt
	var made Environment
	err := c.write(ctx, "create the environment", func(tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&row).Exec(ctx)
		switch {
		case isDuplicate(err):
			return environmentExists(e.Name)
		case isDangling(err):
			return noProject()
		case err != nil:
			return err
		}
		if err := writeAudit(ctx, tx, environmentEntry(EnvironmentAdded, userID, row)); err != nil {
			return err
		}
		made, err = readEnvironment(ctx, tx, row.ProjectID, row.ID)
		return err
	})
	if err != nil {
		return Environment{}, err
	}
	return made, nil
}

// selectEnvironments selects environments of a project with the names of their creators.
func selectEnvironments(db bun.IDB, rows any, projectID string) *bun.SelectQuery {
	return db.NewSelect().Model(rows).ColumnExpr("?TableColumns, u.name AS creator_name").
		Join("LEFT JOIN users AS u ON u.id = en.creator_id").Where("en.project_id = ?", projectID)
}

const maxEnvironmentPage = 100

// ListEnvironments gives the environments of a project by creation, and how many there are in all. limit is 1 to 100, 0
// means 100; offset is how many are left out before.
func (c *Catalog) ListEnvironments(ctx context.Context, projectID string, limit, offset int) ([]Environment, int, error) {
	if limit <= 0 || limit > maxEnvironmentPage {
		limit = maxEnvironmentPage
	}
	var total int
	var rows []environmentRow
	err := c.read(ctx, "list the environments", func(tx bun.Tx) error {
		var err error
		total, err = tx.NewSelect().Model((*environmentRow)(nil)).Where("en.project_id = ?", projectID).Count(ctx)
		if err != nil {
			return err
		}
		return selectEnvironments(tx, &rows, projectID).Order("en.created_at", "en.id").Limit(limit).Offset(max(0, offset)).Scan(ctx)
	})
	if err != nil {
		return nil, 0, err
	}
	environments := make([]Environment, len(rows))
	for i, r := range rows {
		if environments[i], err = r.environment(); err != nil {
			return nil, 0, err
		}
	}
	return environments, total, nil
}

// Environment finds an environment of a project. NotFound "catalog.environment_not_found", also for one of another project.
func (c *Catalog) Environment(ctx context.Context, projectID, id string) (Environment, error) {
	e, err := readEnvironment(ctx, c.reader, projectID, id)
	return e, failed(ctx, "read the environment", err)
}

func readEnvironment(ctx context.Context, db bun.IDB, projectID, id string) (Environment, error) {
	var row environmentRow
	if !isDigitalID(id) {
		return Environment{}, noEnvironment()
	}
	if err := selectEnvironments(db, &row, projectID).Where("en.id = ?", id).Scan(ctx); err != nil {
		return Environment{}, orAbsent(err, noEnvironment())
	}
	return row.environment()
}

// requireEnvironment is an error where the project has no such environment.
func requireEnvironment(ctx context.Context, db bun.IDB, projectID, id string) error {
	if !isDigitalID(id) {
		return noEnvironment()
	}
	known, err := db.NewSelect().Model((*environmentRow)(nil)).Where("en.id = ?", id).Where("en.project_id = ?", projectID).Exists(ctx)
	if err == nil && !known {
		return noEnvironment()
	}
	return err
}

// UpdateEnvironment changes an environment: change is given it as it is, and what it makes of name, description and labels
// is kept. Where nothing differs, nothing changes. change may be called again, and an error of it comes back. Errors as
// with CreateEnvironment and Environment.
func (c *Catalog) UpdateEnvironment(ctx context.Context, userID, projectID, id string, change func(*Environment) error) (Environment, error) {
	var after Environment
	err := c.write(ctx, "update the environment", func(tx bun.Tx) error {
		row, err := c.lockEnvironment(ctx, tx, projectID, id)
		if err != nil {
			return err
		}
		if after, err = row.environment(); err != nil {
			return err
		}
		wanted := after
		wanted.Labels = slices.Clone(after.Labels)
		if err := change(&wanted); err != nil {
			return err
		}
		after.Name, after.Description, after.Labels = wanted.Name, wanted.Description, wanted.Labels
		if err := checkEnvironment(after); err != nil {
			return err
		}
		labels := labelsJSON(after.Labels)
		if row.Name == after.Name && row.Description == after.Description && row.Labels == labels {
			return nil
		}
		row.Name, row.Description, row.Labels, row.UpdatedAt = after.Name, after.Description, labels, now()
		_, err = tx.NewUpdate().Model(&row).Column("name", "description", "labels", "updated_at").WherePK().Exec(ctx)
		if isDuplicate(err) {
			return environmentExists(row.Name)
		}
		if err != nil {
			return err
		}
		if after, err = row.environment(); err != nil {
			return err
		}
		return writeAudit(ctx, tx, environmentEntry(EnvironmentChanged, userID, row))
	})
	if err != nil {
		return Environment{}, err
	}
	return after, nil
}

// lockEnvironment holds the environment until the transaction ends, and reads it.
func (c *Catalog) lockEnvironment(ctx context.Context, tx bun.Tx, projectID, id string) (environmentRow, error) {
	var row environmentRow
	if !isDigitalID(id) {
		return row, noEnvironment()
	}
	err := selectEnvironments(tx, &row, projectID).Where("en.id = ?", id).Apply(c.lock("en")).Scan(ctx)
	return row, orAbsent(err, noEnvironment())
}

// DeleteEnvironment removes an environment without add-ons. NotFound "catalog.environment_not_found"; Conflict
// "catalog.environment_in_use" with the names of its add-ons as details.
func (c *Catalog) DeleteEnvironment(ctx context.Context, userID, projectID, id string) error {
	return c.write(ctx, "delete the environment", func(tx bun.Tx) error {
		// So that no delivery begins meanwhile.
		if err := c.lockProjectOr(ctx, tx, projectID, noEnvironment()); err != nil {
			return err
		}
		row, err := c.lockEnvironment(ctx, tx, projectID, id)
		if err != nil {
			return err
		}
		var names []string
		err = tx.NewSelect().Model((*addonRow)(nil)).Column("name").Where("ad.environment_id = ?", id).Order("ad.name", "ad.id").Scan(ctx, &names)
		if err != nil {
			return fmt.Errorf("look for add-ons: %w", err)
		}
		if len(names) > 0 {
			return fault.New(fault.Conflict, "catalog.environment_in_use", "the environment has add-ons: delete them first").
				WithDetails(strings.Join(names, ", "))
		}
		if _, err := tx.NewDelete().Model(&row).WherePK().Exec(ctx); err != nil {
			return err
		}
		return writeAudit(ctx, tx, environmentEntry(EnvironmentRemoved, userID, row))
	})
}
