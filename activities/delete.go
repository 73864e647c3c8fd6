package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"assetflow/catalog"
)

// Delete holds the steps of the deletion of assets.
type Delete struct {
	Catalog *catalog.Catalog
	Logger  *slog.Logger
}

// CommitDeletion moves the chosen assets to the trash in one transaction, exactly once, and ends the job as succeeded.
//
// An unknown asset, or one that others still use, ends in a PackageRejected error with one reason each and nothing
// deleted; a job that was ended meanwhile in a JobEnded error.
func (a *Delete) CommitDeletion(ctx context.Context, job SelectionJob) (catalog.DeletionResult, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	result, err := a.Catalog.CommitDeletion(ctx, catalog.Deletion{
		JobID: job.JobID, ProjectID: job.ProjectID, InstanceID: job.InstanceID, UserID: job.UserID,
		Applications: job.Applications, Tasks: job.Tasks,
	})
	if err != nil {
		return catalog.DeletionResult{}, commitError(ctx, a.Logger, job.JobID, fmt.Errorf("commit the deletion: %w", err))
	}
	result.Assets = nil // the names and ids stand in the catalog's job result
	return result, nil
}

// commitError turns an error of a commit into what Temporal should do about it.
func commitError(ctx context.Context, logger *slog.Logger, jobID string, err error) error {
	var conflicts *catalog.ConflictsError
	if errors.As(err, &conflicts) {
		return rejected(conflicts.Reasons)
	}
	logger.WarnContext(ctx, "step failed", "job_id", jobID, "error", err)
	return stepError(ctx, err)
}
