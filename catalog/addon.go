package catalog

import "time"

// AddonState is where an add-on stands.
type AddonState string

// The states of an add-on.
const (
	AddonInitializing AddonState = "INITIALIZING" // being installed for the first time
	AddonUpgrading    AddonState = "UPGRADING"    // being redeployed or restarted
	AddonFailed       AddonState = "FAILED"       // the last job did not succeed
	AddonSucceeded    AddonState = "SUCCEEDED"
	AddonDeleting     AddonState = "DELETING"
)

// AddonAction is what a delivery does.
type AddonAction string

// The actions.
const (
	AddonInstall   AddonAction = "install"
	AddonRedeploy  AddonAction = "redeploy"
	AddonRestart   AddonAction = "restart"
	AddonUninstall AddonAction = "uninstall"
)

// Addon is a chart that is delivered to a target in an environment. Its name is the chart's, and unique on the target in
// the environment.
type Addon struct {
	ID            string // UUIDv7
	ProjectID     string
	EnvironmentID string
	Name          string
	TargetID      string // the contract's cce_id
	CSEID         string // kept and shown, without effect
	// Version, SHA256 and Revision are the chart version that the target is known to hold, its archive's digest, and the
	// target's own name of that state: the last good one. Empty until a delivery has succeeded.
	Version, SHA256, Revision string
	State                     AddonState
	JobID                     string // the last job
	CreatedAt, UpdatedAt      time.Time
}

// Delivery says which job does what to an add-on.
type Delivery struct {
	JobID, ProjectID, UserID string
	Action                   AddonAction
	EnvironmentID, AddonID   string // an install may give the id that the add-on gets
	Name, TargetID, CSEID    string // of the add-on that an install makes; the others know it by its id
}

// DeliveryResult is what a delivery came to; the job keeps it.
type DeliveryResult struct {
	Action   AddonAction `json:"action"`
	AddonID  string      `json:"addon_id"`
	Name     string      `json:"name"`
	TargetID string      `json:"cce_id"`
	Version  string      `json:"version,omitempty"`  // of the chart that the target holds now; empty after an uninstall
	Revision string      `json:"revision,omitempty"` // the target's own name of that state
}
