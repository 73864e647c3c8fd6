package upload

import (
	"context"

	"assetflow/fault"
	"assetflow/storage"
)

// StagingReader is Staging that gives back what was staged.
type StagingReader interface {
	Staging
	OpenStaged(ctx context.Context, key string, size int64) *storage.Object
}

// Jobs knows which jobs were written down, and of which project: *jobs.Service.
type Jobs interface {
	ProjectOf(ctx context.Context, jobID string) (string, error)
}

// HandOver brings a staged package to where the job of an earlier request of the same idempotency key expects it. Where
// that request got as far as the job's row, its own package is there, with the same bytes.
func HandOver(ctx context.Context, staging StagingReader, jobs Jobs, projectID, jobID string, staged storage.Staged) (storage.Staged, error) {
	key := storage.StagingKey(projectID, jobID)
	switch _, err := jobs.ProjectOf(ctx, jobID); {
	case err == nil:
		return storage.Staged{Key: key, Size: staged.Size, SHA256: staged.SHA256}, nil
	case fault.KindOf(err) != fault.NotFound:
		return storage.Staged{}, err
	}
	content, err := staging.OpenStaged(ctx, staged.Key, staged.Size).OpenRange(ctx, 0, staged.Size)
	if err != nil {
		return storage.Staged{}, err
	}
	defer func() { _ = content.Close() }() // read only: a failed close loses nothing
	return staging.Stage(ctx, key, content, staged.Size)
}
