package catalog

import (
	"context"
	"time"
)

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
	EnvironmentID, AddonID   string
	Name, TargetID, CSEID    string // of the add-on
}

// CheckDelivery says what stands in the way of a delivery now: what BeginDelivery would. It only reads.
func (c *Catalog) CheckDelivery(ctx context.Context, d Delivery) error {
	panic("to be written")
}

// BeginDelivery shows the add-on as one that the job works on: an install makes it, as INITIALIZING; the others set it to
// UPGRADING or DELETING. Where the job has begun already, it changes nothing. It gives the add-on, with the last good
// version, and for install and redeploy the chart to deliver, which is the newest of the name in the library and which from
// then on is kept until the job has ended; again it gives the same chart. For a restart the chart is the one the add-on
// consists of, and for an uninstall the zero value.
//
// NotFound "catalog.environment_not_found", "catalog.addon_not_found" (but for install), "catalog.chart_not_found";
// Conflict "catalog.addon_exists" for an install of a name that is taken on the target in the environment (Details is the
// id of the other add-on), "catalog.addon_busy" when another job that has not ended works on the add-on (Details is its
// id), "catalog.addon_not_delivered" for a restart of an add-on that was never delivered, "catalog.job_ended" when the job
// has ended.
func (c *Catalog) BeginDelivery(ctx context.Context, d Delivery) (Addon, Chart, error) {
	panic("to be written")
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

// CommitDelivery writes down, exactly once, that the delivery has succeeded: the add-on is SUCCEEDED with the chart that
// BeginDelivery gave and the target's revision, or gone after an uninstall; the job ends as succeeded. A second call gives
// the first one's result. Conflict "catalog.job_ended" when the job has ended otherwise; NotFound "catalog.job_not_found",
// "catalog.addon_not_found".
func (c *Catalog) CommitDelivery(ctx context.Context, d Delivery, revision string) (DeliveryResult, error) {
	panic("to be written")
}

// RecordRevision writes down what a job that will not succeed has left on the target: after a roll-back the revision
// that stands for the last good version now; with left, where a cancelled job leaves things as they are, the job's own
// chart and its revision. It changes nothing where the job is not the add-on's last, or has ended. An empty revision says
// that the target holds nothing.
func (c *Catalog) RecordRevision(ctx context.Context, d Delivery, revision string, left bool) error {
	panic("to be written")
}

// ListAddons gives the add-ons of an environment by creation. NotFound "catalog.environment_not_found".
func (c *Catalog) ListAddons(ctx context.Context, projectID, environmentID string) ([]Addon, error) {
	panic("to be written")
}

// Addon finds an add-on. NotFound "catalog.environment_not_found", "catalog.addon_not_found".
func (c *Catalog) Addon(ctx context.Context, projectID, environmentID, id string) (Addon, error) {
	panic("to be written")
}
