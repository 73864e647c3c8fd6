package activities

import (
	"context"
	"fmt"
	"log/slog"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// Ending says which job ends and how.
type Ending struct {
	JobID string `json:"job_id"`
	// StagedKey is the staged object to remove; empty where the job has none.
	StagedKey string `json:"staged_key,omitempty"`
	// ArchiveKey is the archive to remove unless the job succeeded; empty where the job writes none.
	ArchiveKey string `json:"archive_key,omitempty"`
	// State is what the workflow believes the job ended as; the catalog knows better where the commit was made.
	State   catalog.JobState `json:"state"`
	Reasons []catalog.Reason `json:"reasons,omitempty"`
}

// Ended is how the job really ended.
type Ended struct {
	State catalog.JobState `json:"state"`
}

// End holds the last step of every kind of job.
type End struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Logger  *slog.Logger
	// Wake tells the queue that waits for a job's workflow id that its turn is near; nil: it looks by itself.
	Wake func(ctx context.Context, job catalog.Job) error
}

// EndJob writes the job's end into the catalog and removes what the job leaves behind. Both may be done twice: the
// first end written is the one that stays, and removing what is gone succeeds. A job whose commit was made has
// succeeded, whatever the workflow heard of it. A copy may leave more than a staged object: uploads it had begun.
func (a *End) EndJob(ctx context.Context, e Ending) (Ended, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	job, err := a.Catalog.EndJob(ctx, e.JobID, catalog.JobOutcome{State: e.State, Reasons: e.Reasons})
	if err != nil {
		return Ended{}, stepError(ctx, fmt.Errorf("end the job: %w", err))
	}
	// Nobody sees the job ended before this step is done: its workflow is still open.
	if job.Kind == catalog.AssetCopy {
		if err := a.Storage.ClearStaging(ctx, job.ProjectID, job.ID); err != nil {
			return Ended{}, stepError(ctx, fmt.Errorf("clear the job's staging: %w", err))
		}
	}
	if e.StagedKey != "" {
		if err := a.Storage.Unstage(ctx, e.StagedKey); err != nil {
			return Ended{}, stepError(ctx, fmt.Errorf("remove the staged package: %w", err))
		}
	}
	if e.ArchiveKey != "" && job.State != catalog.JobSucceeded {
		if err := a.Storage.DeleteArchive(ctx, e.ArchiveKey); err != nil {
			return Ended{}, stepError(ctx, fmt.Errorf("remove the archive: %w", err))
		}
	}
	a.wakeQueue(ctx, job)
	a.Logger.InfoContext(ctx, "job ended", "job_id", e.JobID, "state", job.State, "reasons", len(job.Reasons))
	return Ended{State: job.State}, nil
}

// wakeQueue spares the next job a wait. A queue that is not reached looks by itself, so a failure is only logged.
func (a *End) wakeQueue(ctx context.Context, job catalog.Job) {
	if a.Wake == nil {
		return
	}
	_, err := a.Catalog.FirstQueued(ctx, job.WorkflowID)
	if err == nil {
		err = a.Wake(ctx, job)
	} else if fault.KindOf(err) == fault.NotFound {
		return
	}
	if err != nil {
		a.Logger.WarnContext(ctx, "the waiting jobs were not told", "job_id", job.ID, "error", err)
	}
}
