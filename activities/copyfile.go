package activities

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"assetflow/fault"
	"assetflow/replication"
	"assetflow/storage"
)

// partsAhead is how many ranges of one file are on their way at a time.
const partsAhead = 4

// copyFile fetches one file and stores it, unless a job that came to nothing has done so before.
func (a *Copy) copyFile(ctx context.Context, job CopyJob, f numbered, t *transfer) error {
	if t.worthAsking(f.Size) {
		has, err := a.Storage.HasBlob(ctx, f.SHA256)
		if err != nil {
			return fmt.Errorf("look for blob %s: %w", f.SHA256, err)
		}
		t.asked(has)
		if has {
			t.forget(f.SHA256)
			t.present(f.at, f.Size)
			return nil
		}
	}
	what := fmt.Sprintf("The file %q could not be copied", f.Name)
	if f.Size <= storage.PartSize {
		if err := a.copySmall(ctx, f); err != nil {
			return about(what, err)
		}
		t.fetched(f.at, f.Size, f.Size)
		return nil
	}
	if err := a.copyLarge(ctx, job, f, t); err != nil {
		return about(what, err)
	}
	t.fetched(f.at, f.Size, 0)
	return nil
}

// copySmall copies a file that is one part. An empty one is not asked for: nothing can come.
func (a *Copy) copySmall(ctx context.Context, f numbered) error {
	remote, err := a.Fetcher.Remote(f.URL, f.Size, "")
	if err != nil {
		return err
	}
	buf, err := a.Window.get(ctx, f.Size)
	if err != nil {
		return err
	}
	defer a.Window.put(buf)
	if err := remote.ReadRange(ctx, buf.data, 0); err != nil {
		return err
	}
	if sum := sha256.Sum256(buf.data); hex.EncodeToString(sum[:]) != f.SHA256 {
		return replication.SourceChanged()
	}
	return a.Storage.PutBlob(ctx, f.SHA256, f.Size, bytes.NewReader(buf.data))
}

// errStartOver says that an upload cannot be gone on with. The next try begins another one.
var errStartOver = errors.New("the upload must begin anew")

// copyLarge copies a file in parts: they are fetched at the same time, hashed in their order, and stored when they were.
// The blob is made of them only when all of them together have the digest.
func (a *Copy) copyLarge(ctx context.Context, job CopyJob, f numbered, t *transfer) error {
	count := int((f.Size + storage.PartSize - 1) / storage.PartSize)
	upload, log, err := a.continueUpload(ctx, job, f, t, count)
	if err != nil {
		return err
	}
	err = a.copyParts(ctx, f, t, upload, log)
	switch {
	case err != nil:
	case hex.EncodeToString(log.hash.Sum(nil)) != f.SHA256:
		err = replication.SourceChanged() // whoever cleans up aborts the upload
	default:
		err = upload.Complete(ctx, log.parts)
	}
	if code := fault.CodeOf(err); code == "storage.not_found" || code == "storage.changed" {
		// The upload was aborted, or somebody who was taken for dead has written to it.
		t.forget(f.SHA256)
		return fmt.Errorf("%w: %v", errStartOver, err) //nolint:errorlint // as an error it would end the job
	}
	if err != nil {
		return err
	}
	t.forget(f.SHA256)
	// It could stay: the end of the job takes it.
	return a.Storage.ForgetBlobUpload(ctx, job.ProjectID, job.JobID, upload)
}

// continueUpload goes on with the upload that an earlier try has noted, where its parts are as they were left, and begins
// one otherwise.
func (a *Copy) continueUpload(ctx context.Context, job CopyJob, f numbered, t *transfer, count int) (*storage.BlobUpload, *partLog, error) {
	if noted, ok := t.upload(f.SHA256); ok {
		upload, err := a.Storage.ContinueBlobUpload(f.SHA256, noted.ID)
		if err != nil {
			return nil, nil, err
		}
		var parts []storage.BlobPart
		for p, listErr := range upload.ListParts(ctx) {
			if err = listErr; err != nil || len(parts) == noted.Parts {
				break
			}
			parts = append(parts, p)
		}
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return nil, nil, err
		}
		log := newPartLog(noted.ID, count)
		if err == nil && log.resume(noted, parts) {
			t.note(f.SHA256, noted, min(int64(noted.Parts)*storage.PartSize, f.Size))
			return upload, log, nil
		}
		t.forget(f.SHA256)
		if err := upload.Abort(ctx); err != nil {
			return nil, nil, err
		}
	}
	upload, err := a.Storage.BeginBlobUpload(ctx, f.SHA256)
	if err != nil {
		return nil, nil, err
	}
	if err := a.Storage.NoteBlobUpload(ctx, job.ProjectID, job.JobID, upload); err != nil {
		return nil, nil, err
	}
	return upload, newPartLog(upload.ID(), count), nil
}

// copyParts copies the parts that are not stored yet.
func (a *Copy) copyParts(ctx context.Context, f numbered, t *transfer, upload *storage.BlobUpload, log *partLog) error {
	remote, err := a.Fetcher.Remote(f.URL, f.Size, "")
	if err != nil {
		return err
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAhead)
	turn := make(chan struct{}) // closed when the part before was hashed
	close(turn)
	for at := log.next; at < len(log.parts); at++ {
		off := int64(at) * storage.PartSize
		// In the parts' order, and before the part begins: a part that has a buffer waits only for parts that have one.
		buf, err := a.Window.get(gctx, min(storage.PartSize, f.Size-off))
		if err != nil {
			break // gctx has ended, and whoever ended it says why
		}
		mine, next := turn, make(chan struct{})
		turn = next
		group.Go(func() error {
			defer a.Window.put(buf)
			if err := remote.ReadRange(gctx, buf.data, off); err != nil {
				return err
			}
			select {
			case <-mine:
			case <-gctx.Done():
				return gctx.Err()
			}
			if err := log.hashed(at, buf.data); err != nil {
				return err
			}
			close(next)
			part, err := upload.PutPart(gctx, at+1, buf.data)
			if err != nil {
				return err
			}
			t.note(f.SHA256, log.stored(part), int64(len(buf.data)))
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
