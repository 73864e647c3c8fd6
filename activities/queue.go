package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"assetflow/catalog"
	"assetflow/fault"
)

// QueuedStart says how the workflow of a job that waits is started.
type QueuedStart struct {
	JobID     string          `json:"job_id"`
	Kind      catalog.JobKind `json:"kind"`
	ProjectID string          `json:"project_id"`
	UserID    string          `json:"user_id"`
	Summary   string          `json:"summary"`            // what the Temporal UI calls it
	Workflow  string          `json:"workflow"`           // its type
	Input     json.RawMessage `json:"input"`              // of the workflow
	Replaces  bool            `json:"replaces,omitempty"` // the running job is cancelled for it
	// TraceParent is the span of the request that submitted it, for telemetry.WithTraceParent; empty: there is none.
	TraceParent string `json:"trace_parent,omitempty"`
}

// Queue holds the steps of the workflow that starts waiting jobs.
type Queue struct {
	Catalog *catalog.Catalog
	// Running tells the job that an open run of the workflow id belongs to; empty where none is open.
	Running func(ctx context.Context, workflowID string) (jobID string, err error)
}

// errNoRunning says that the worker was made without a way to look runs up.
var errNoRunning = errors.New("this worker cannot look up runs; another one must")

// FirstQueued gives the job whose turn is next among those of the workflow id; nil where none waits.
func (a *Queue) FirstQueued(ctx context.Context, workflowID string) (*QueuedStart, error) {
	queued, err := a.Catalog.FirstQueued(ctx, workflowID)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil //nolint:nilnil // nothing is an answer here
	}
	if err != nil {
		return nil, err
	}
	var start QueuedStart
	if err := json.Unmarshal(queued.Start, &start); err != nil {
		return nil, fmt.Errorf("read how job %s is started: %w", queued.ID, err)
	}
	start.Replaces = queued.Replaces
	return &start, nil
}

// DequeueJob writes down that the job waits no longer.
func (a *Queue) DequeueJob(ctx context.Context, jobID string) error {
	return a.Catalog.DequeueJob(ctx, jobID)
}

// RunningJob tells the job that an open run of the workflow id belongs to; empty where none is open.
func (a *Queue) RunningJob(ctx context.Context, workflowID string) (string, error) {
	if a.Running == nil {
		return "", errNoRunning
	}
	return a.Running(ctx, workflowID)
}
