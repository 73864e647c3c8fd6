package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"assetflow/fault"
)

const stagingPrefix = "staging/"

// Staged is what Stage has written.
type Staged struct {
	Key    string
	Size   int64  // bytes
	SHA256 string // of the bytes, lower-case hex
}

// StagingKey gives the key of the package a job was given.
func StagingKey(projectID, jobID string) string {
	return stagingFolder(projectID, jobID) + "package"
}

// StagedManifestKey gives the key of what a copy has to fetch, which its first step stages for the others.
func StagedManifestKey(projectID, jobID string) string {
	return stagingFolder(projectID, jobID) + "manifest"
}

// stagingFolder is what the keys of all that is staged for a job begin with. The job's id is the last but one element of
// each: the sweep relies on it.
func stagingFolder(projectID, jobID string) string {
	return stagingPrefix + projectID + "/" + jobID + "/"
}

// Stage streams r to key and gives its size and SHA-256. It holds only a few buffers of the body (see the package
// comment) and takes at most limit bytes: more is TooLarge "storage.too_large", as is a body of over 78 GiB
// whatever the limit. limit 0 or less stands for no limit but that.
//
// When r fails, ctx ends or the server fails, nothing is left of the key, neither object nor multipart upload; an
// object that was there before is gone too, so a key is for one writer. Stage cannot interrupt a Read of r, so r
// should itself end with ctx, as the body of a request does.
func (s *Store) Stage(ctx context.Context, key string, r io.Reader, limit int64) (Staged, error) {
	if limit <= 0 || limit > maxObject {
		limit = maxObject
	}
	src := newSource(r, limit, fault.New(fault.TooLarge, "storage.too_large",
		"the upload is larger than the limit of %d bytes", limit))
	touched, err := s.write(ctx, key, src, 0, func() error { return nil })
	if err == nil {
		// An answer that came while ctx ended: the caller is gone, so nobody would remove the object.
		err = ctx.Err()
	}
	if err != nil {
		if touched {
			err = s.cleanUp(ctx, err, func(ctx context.Context) error { return s.DeleteStaged(ctx, key) })
		}
		return Staged{}, fmt.Errorf("stage %s: %w", key, err)
	}
	return Staged{Key: key, Size: src.size, SHA256: src.digest()}, nil
}

// OpenStaged gives random access to the object at key, of which the size is known. It makes no request; reading an
// object that is not there is NotFound "storage.not_found". ctx bounds what ReadAt does, which takes none itself.
func (s *Store) OpenStaged(ctx context.Context, key string, size int64) *Object {
	return newObject(ctx, s, key, size)
}

// DeleteStaged removes the object at key and aborts unfinished multipart uploads of it. Where there is nothing it
// does nothing.
func (s *Store) DeleteStaged(ctx context.Context, key string) error {
	// The uploads first: none of them can then become the object after it was deleted.
	var errs []error
	for u, err := range s.uploads(ctx, key) {
		if err == nil && u.Key == key {
			err = s.AbortUnfinishedUpload(ctx, u)
		}
		errs = append(errs, err)
	}
	errs = append(errs, s.deleteObject(ctx, key))
	return errors.Join(errs...)
}

// Unstage removes a package that was staged whole: Stage left no unfinished upload of it, so none is looked for. It is
// idempotent.
func (s *Store) Unstage(ctx context.Context, key string) error { return s.deleteObject(ctx, key) }

// deleteObject removes the object at key, if there is one.
func (s *Store) deleteObject(ctx context.Context, key string) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	if isNotFound(err) && !hasCode(err, "NoSuchBucket") {
		return nil
	}
	return failure(ctx, "delete "+key, err)
}

// ObjectInfo is one listed object.
type ObjectInfo struct {
	Key          string
	Size         int64 // bytes
	LastModified time.Time
}

// ListStaged lists the objects whose key begins with prefix, which is a whole key prefix such as
// "staging/<project>/"; empty stands for everything staged. The sequence ends after its first error.
func (s *Store) ListStaged(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	if prefix == "" {
		prefix = stagingPrefix
	}
	return s.objects(ctx, prefix)
}

// objects lists by prefix, page by page.
func (s *Store) objects(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(ObjectInfo{}, failure(ctx, "list objects under "+prefix, err))
				return
			}
			for _, o := range page.Contents {
				info := ObjectInfo{Key: value(o.Key), Size: value(o.Size), LastModified: value(o.LastModified)}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// value gives what p points to, the zero value for nil.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
