package activities

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"assetflow/catalog"
	"assetflow/replication"
)

// touchAtOnce is how many files' blobs are reserved with one transaction.
const touchAtOnce = 500

// CopyFiles fetches the files that the content store does not have straight from the source region's bucket and stores
// them under their digests, several files at once, large ones in several ranges at once.
//
// Nobody sees a file whose bytes do not have its digest, and storing one twice is harmless. Every heartbeat says which
// files are stored, and of the large ones under way how much, so that the next try goes on from there. The blobs are
// touched before, so that a sweep leaves them alone until the commit refers to them.
//
// A source that is away is waited for, for a few seconds here and by further tries for as long as the step's deadline
// allows. A link that has expired, a redirect, a place that is not to be trusted, and content that is not what was
// announced end the job, with the file's name in the reason.
func (a *Copy) CopyFiles(ctx context.Context, job CopyJob, found CopyManifest) (CopiedFiles, error) {
	t := newTransfer(found.Bytes)
	if activity.HasHeartbeatDetails(ctx) {
		var last transferState
		if err := activity.GetHeartbeatDetails(ctx, &last); err == nil { // of another version: from the beginning
			t.goOnFrom(last)
		}
	}
	beat := startHeartbeatOf(ctx, t.details)
	defer beat.stop()

	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.eachMissing(gctx, job, found, t, group) })
	if err := group.Wait(); err != nil {
		activity.RecordHeartbeat(ctx, t.details()) // for the next try
		return CopiedFiles{}, a.failure(ctx, job, err)
	}
	return t.copied(), nil
}

// numbered is a file and its place in the manifest.
type numbered struct {
	replication.ManifestFile
	at int
}

// eachMissing reads the manifest and has every file copied that is not stored.
func (a *Copy) eachMissing(ctx context.Context, job CopyJob, found CopyManifest, t *transfer, group *errgroup.Group) error {
	m, err := a.openManifest(ctx, job, found)
	if err != nil {
		return err
	}
	defer m.close()
	places := make(chan struct{}, max(1, a.ParallelFiles))
	begun := make(map[string]struct{}) // digests, so that none is fetched twice
	var batch []numbered
	copyBatch := func() error {
		missing, err := a.missing(ctx, batch)
		if err != nil {
			return err
		}
		for _, f := range batch {
			_, twice := begun[f.SHA256]
			if twice || !missing[f.SHA256] {
				t.present(f.at, f.Size)
				continue
			}
			begun[f.SHA256] = struct{}{}
			select {
			case places <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			group.Go(func() error {
				defer func() { <-places }()
				return a.copyFile(ctx, job, f, t)
			})
		}
		batch = batch[:0]
		return nil
	}
	at := 0
	for f, err := range m.files() {
		if err != nil {
			return err
		}
		if t.has(at) { // an earlier try has stored it
			t.present(at, f.Size)
		} else {
			batch = append(batch, numbered{f, at})
		}
		at++
		if len(batch) == touchAtOnce {
			if err := copyBatch(); err != nil {
				return err
			}
		}
	}
	return copyBatch()
}

// missing reserves the blobs of files and tells which of them are not stored.
func (a *Copy) missing(ctx context.Context, files []numbered) (map[string]bool, error) {
	distinct := make(map[string]int64, len(files))
	blobs := make([]catalog.Blob, 0, len(files))
	for _, f := range files {
		size, known := distinct[f.SHA256]
		if known && size != f.Size {
			return nil, about(fmt.Sprintf("The file %q cannot be copied", f.Name), replication.SourceChanged())
		}
		if !known {
			distinct[f.SHA256] = f.Size
			blobs = append(blobs, catalog.Blob{SHA256: f.SHA256, Size: f.Size})
		}
	}
	if len(blobs) == 0 {
		return nil, nil
	}
	absent, err := a.Catalog.TouchBlobs(ctx, blobs)
	if err != nil {
		return nil, fmt.Errorf("reserve the blobs: %w", err)
	}
	missing := make(map[string]bool, len(absent))
	for _, b := range absent {
		missing[b.SHA256] = true
	}
	return missing, nil
}
