package activities

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/storage"
)

const (
	// storeParallel is how many files one job moves at once: enough to hide the store's latency on small files. The
	// buffers of large ones are bounded by the store itself.
	storeParallel = 8
	// probeSize is from which size on a second run asks whether the content store has a file before it moves the
	// file again: below it the question costs as much as the move.
	probeSize = 1 << 20
)

// StoreFiles moves the files of the staged package into the content store, each under its SHA-256, as streams.
//
// A file is visible only when its bytes match its digest, and writing it twice is harmless; a second run skips
// the large files that the first one finished. The catalog's blob rows are touched first, so that a sweep of
// unreferenced blobs leaves these alone until the commit refers to them.
func (a *Import) StoreFiles(ctx context.Context, job ImportJob) (Stored, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	pkg, err := a.open(ctx, job)
	if err != nil {
		return Stored{}, a.failure(ctx, job, err)
	}
	paths, blobs := blobsOf(pkg.Manifest())
	stored, err := storeMissing(ctx, a.Catalog, a.Storage, beat, blobs, func(ctx context.Context, b catalog.Blob) (string, io.ReadCloser, error) {
		path := paths[b.SHA256]
		file, err := pkg.OpenFile(ctx, path)
		if err != nil {
			return "", nil, fmt.Errorf("open %s in the package: %w", path, err)
		}
		return path, file, nil
	})
	if err != nil {
		return Stored{}, a.failure(ctx, job, err)
	}
	return stored, nil
}

// openContent opens what becomes a blob, and names it for errors.
type openContent func(ctx context.Context, b catalog.Blob) (name string, content io.ReadCloser, err error)

// storeMissing reserves the blobs and stores those that are not there, several at once, from what open gives. It reports
// the bytes that are done.
func storeMissing(ctx context.Context, cat *catalog.Catalog, store *storage.Store, beat *heartbeat, blobs []catalog.Blob, open openContent) (Stored, error) {
	missing, err := cat.TouchBlobs(ctx, blobs)
	if err != nil {
		return Stored{}, fmt.Errorf("reserve the blobs: %w", err)
	}
	var total int64
	for _, b := range missing {
		total += b.Size
	}
	var done atomic.Int64
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(storeParallel)
	for _, b := range missing {
		group.Go(func() error {
			if err := storeBlob(gctx, store, b, open); err != nil {
				return err
			}
			beat.report(done.Add(b.Size), total)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Stored{}, err
	}
	return Stored{Files: len(missing), Bytes: total, Present: len(blobs) - len(missing)}, nil
}

func storeBlob(ctx context.Context, store *storage.Store, b catalog.Blob, open openContent) error {
	if b.Size >= probeSize && activity.GetInfo(ctx).Attempt > 1 {
		has, err := store.HasBlob(ctx, b.SHA256)
		if err != nil {
			return fmt.Errorf("look for blob %s: %w", b.SHA256, err)
		}
		if has {
			return nil
		}
	}
	name, content, err := open(ctx, b)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // read only: a failed close loses nothing
	if err := store.PutBlob(ctx, b.SHA256, b.Size, content); err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return nil
}

// blobsOf gives the distinct contents of a package's files, in manifest order, and a path for each digest.
func blobsOf(m *assetpackage.Manifest) (paths map[string]string, blobs []catalog.Blob) {
	paths = make(map[string]string)
	for _, assets := range [][]assetpackage.Asset{m.Applications, m.Tasks} {
		for _, asset := range assets {
			for _, f := range asset.Files {
				if _, seen := paths[f.SHA256]; seen {
					continue
				}
				paths[f.SHA256] = f.Path
				blobs = append(blobs, catalog.Blob{SHA256: f.SHA256, Size: f.Size})
			}
		}
	}
	return paths, blobs
}
