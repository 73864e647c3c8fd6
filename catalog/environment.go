package catalog

import "time"

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
