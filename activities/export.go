package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/storage"
)

// Export holds the steps of the export of assets.
type Export struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Logger  *slog.Logger
	// Keep is how long an archive waits for its download.
	Keep time.Duration
}

// WrittenArchive is an archive that is whole in the store and that nobody knows yet.
type WrittenArchive struct {
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
	Applications int    `json:"applications"`
	Tasks        int    `json:"tasks"`
	Files        int    `json:"files"`
}

// Archived is the result of an export.
type Archived struct {
	ArchiveID string `json:"archive_id"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
}

// WriteArchive reads the chosen assets at one moment and streams them as a package into the job's archive object. A
// second run writes the object anew, as a whole: until the commit nobody reads it.
//
// An unknown asset, or assets that cannot stand in one package, end in a PackageRejected error with the reasons; a job that
// has ended in a JobEnded error, because its archive is known, or nobody's.
func (a *Export) WriteArchive(ctx context.Context, job SelectionJob) (WrittenArchive, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	if err := requireRunning(ctx, a.Catalog, job.JobID); err != nil {
		return WrittenArchive{}, commitError(ctx, a.Logger, job.JobID, err)
	}
	content, reasons, err := a.Catalog.ReadForExport(ctx, job.ProjectID, job.InstanceID, job.Applications, job.Tasks)
	if err != nil {
		return WrittenArchive{}, commitError(ctx, a.Logger, job.JobID, fmt.Errorf("read the assets: %w", err))
	}
	if len(reasons) > 0 {
		return WrittenArchive{}, rejected(reasons)
	}
	pack := newExportPackage(content)
	// A purge at this moment could take the last reference to a blob; touched, it stays until long after this export.
	if _, err := a.Catalog.TouchBlobs(ctx, pack.blobs()); err != nil {
		return WrittenArchive{}, commitError(ctx, a.Logger, job.JobID, fmt.Errorf("reserve the blobs: %w", err))
	}
	written := WrittenArchive{Applications: len(content.Applications), Tasks: len(content.Tasks), Files: len(pack.digests)}
	written.Size, written.SHA256, err = a.write(ctx, job, pack, beat)
	var unfit *assetpackage.ProblemsError
	if errors.As(err, &unfit) && !pack.relocated {
		// Assets of different packages may have files of the same path. Then every asset gets a folder of its own.
		pack.relocate()
		written.Size, written.SHA256, err = a.write(ctx, job, pack, beat)
	}
	if errors.As(err, &unfit) {
		return WrittenArchive{}, rejected(reasonsFromProblems(unfit.Problems, job.Subject()))
	}
	if err != nil {
		return WrittenArchive{}, commitError(ctx, a.Logger, job.JobID, fmt.Errorf("write the archive: %w", err))
	}
	return written, nil
}

func (a *Export) write(ctx context.Context, job SelectionJob, pack *exportPackage, beat *heartbeat) (int64, string, error) {
	var done int64
	open := func(ctx context.Context, path string) (io.ReadCloser, error) {
		blob, size, err := a.Storage.OpenBlob(ctx, pack.digests[path])
		done += size
		beat.report(done, pack.bytes)
		return blob, err
	}
	r, w := io.Pipe()
	writeErr := make(chan error, 1)
	go func() {
		err := assetpackage.Write(ctx, w, &pack.manifest, open)
		w.CloseWithError(err)
		writeErr <- err
	}()
	size, sha256, err := a.Storage.PutArchive(ctx, job.ArchiveKey, r)
	_ = r.CloseWithError(err) // lets the writer end where the store failed first
	if cause := <-writeErr; cause != nil && !errors.Is(cause, io.ErrClosedPipe) && !errors.Is(cause, err) {
		err = cause
	}
	return size, sha256, err
}

// CommitExport makes the archive known for one download, in one transaction, exactly once, and ends the job as
// succeeded. The archive's id is the job's, so a second run names the same one.
func (a *Export) CommitExport(ctx context.Context, job SelectionJob, written WrittenArchive) (Archived, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	now := time.Now().UTC()
	archive, err := a.Catalog.CommitExport(ctx, catalog.ExportCommit{
		JobID: job.JobID, ProjectID: job.ProjectID, Applications: written.Applications, Tasks: written.Tasks,
		Archive: catalog.Archive{
			ID: job.JobID, ProjectID: job.ProjectID, InstanceID: job.InstanceID, JobID: job.JobID, UserID: job.UserID,
			FileName: "assets-" + job.JobID + ".zip", SHA256: written.SHA256, Size: written.Size,
			CreatedAt: now, ExpiresAt: now.Add(a.Keep),
		},
	})
	if err != nil {
		return Archived{}, commitError(ctx, a.Logger, job.JobID, fmt.Errorf("commit the export: %w", err))
	}
	return Archived{ArchiveID: archive.ID, Size: archive.Size, SHA256: archive.SHA256}, nil
}
