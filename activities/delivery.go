package activities

import (
	"context"
	"log/slog"
	"time"

	"assetflow/addons"
	"assetflow/catalog"
	"assetflow/storage"
)

// DeliveryJob is what every step of a delivery is told.
type DeliveryJob struct {
	JobID           string              `json:"job_id"`
	ProjectID       string              `json:"project_id"`
	UserID          string              `json:"user_id"`
	Action          catalog.AddonAction `json:"action"`
	EnvironmentID   string              `json:"environment_id"`
	EnvironmentName string              `json:"environment_name"`
	AddonID         string              `json:"addon_id"`
	Name            string              `json:"name"`   // of the add-on and its chart
	TargetID        string              `json:"cce_id"` // as the contract calls it
	CSEID           string              `json:"cse_id,omitempty"`
	// CreatedAt is when the job was made: the same in every try.
	CreatedAt time.Time `json:"created_at"`
	// Deadline is how long the job is tried while its target is away, and HealthTimeout how long its workloads have to
	// become ready; in nanoseconds.
	Deadline      time.Duration `json:"deadline"`
	HealthTimeout time.Duration `json:"health_timeout"`
}

// DeliveryProgress is what the heartbeat of a step tells that waits for a target: workloads that are ready of all, or
// objects that are gone.
type DeliveryProgress struct {
	Progress
	Workloads []addons.Workload `json:"workloads,omitempty"`
	// Attempt is the try in which the target has answered last: what an earlier one failed of has passed.
	Attempt int32 `json:"attempt,omitempty"`
}

// Targets finds the targets of deliveries.
type Targets interface {
	// For finds a target that is open to the project. NotFound "addons.no_target".
	For(projectID, id string) (addons.Target, error)
}

// Delivery holds the steps of the delivery of an add-on.
type Delivery struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Targets Targets
	Logger  *slog.Logger
	// Poll is how often a target is looked at that takes its time; 0 stands for a second.
	Poll time.Duration
}

// LoadChart is the first step.
func (a *Delivery) LoadChart(_ context.Context, _ DeliveryJob) error { return nil }
