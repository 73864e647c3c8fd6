package catalog

import (
	"context"
	"time"
)

// Environment is where add-ons run: a part of a project.
type Environment struct {
	ID          string // UUIDv7
	ProjectID   string
	Name        string // unique in the project
	Description string
	DeployMode  DeployMode
	VPCID       string
	Labels      []EnvironmentLabel
	CreatorID   string
	CreatorName string // filled in when read
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// EnvironmentLabel is a label of an environment, of which a key may stand for several.
type EnvironmentLabel struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// DeployMode says what an environment is made of. We keep it and do nothing with it.
type DeployMode string

// The deploy modes.
const (
	DeployContainer      DeployMode = "container"
	DeployVirtualMachine DeployMode = "virtualmachine"
	DeployMixed          DeployMode = "mixed"
)

// Limits of an environment.
const (
	MaxEnvironmentName        = 64  // characters
	MaxEnvironmentDescription = 256 // characters
	MaxEnvironmentLabels      = 20
)

// CreateEnvironment makes an environment. ID, CreatedAt and UpdatedAt are made, the creator is userID. NotFound
// "catalog.project_not_found"; Conflict "catalog.environment_exists" for a name in use in the project; Invalid
// "catalog.bad_environment" for a text that is too long or not valid, an unknown deploy mode, too many labels.
func (c *Catalog) CreateEnvironment(ctx context.Context, userID string, e Environment) (Environment, error) {
	panic("to be written")
}

// ListEnvironments gives the environments of a project by creation, and how many there are in all. limit is 1 to 100, 0
// means 100; offset is how many are left out before.
func (c *Catalog) ListEnvironments(ctx context.Context, projectID string, limit, offset int) ([]Environment, int, error) {
	panic("to be written")
}

// Environment finds an environment of a project. NotFound "catalog.environment_not_found", also for one of another project.
func (c *Catalog) Environment(ctx context.Context, projectID, id string) (Environment, error) {
	panic("to be written")
}

// UpdateEnvironment changes an environment: change is given it as it is, and what it makes of name, description and labels
// is kept. Errors as with CreateEnvironment and Environment, and that of change.
func (c *Catalog) UpdateEnvironment(ctx context.Context, userID, projectID, id string, change func(*Environment) error) (Environment, error) {
	panic("to be written")
}

// DeleteEnvironment removes an environment without add-ons. NotFound "catalog.environment_not_found"; Conflict
// "catalog.environment_in_use" with the names of its add-ons as details.
func (c *Catalog) DeleteEnvironment(ctx context.Context, userID, projectID, id string) error {
	panic("to be written")
}
