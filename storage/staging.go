package storage

import (
	"context"
	"io"
	"iter"
	"time"
)

// Staged is what Stage has written.
type Staged struct {
	Key    string
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// ObjectInfo is one listed object.
type ObjectInfo struct {
	Key          string
	Size         int64
	LastModified time.Time
}

// UnfinishedUpload is a multipart upload that was neither completed nor aborted.
type UnfinishedUpload struct {
	Key       string
	UploadID  string
	Initiated time.Time
}

// StagingKey gives the key of a job's uploaded package.
func StagingKey(projectID, jobID string) string {
	return "staging/" + projectID + "/" + jobID + "/package"
}

// Stage streams r to key.
func (s *Store) Stage(ctx context.Context, key string, r io.Reader, limit int64) (Staged, error) {
	panic("not built yet")
}

// OpenStaged gives random access to a staged object; no request is made yet.
func (s *Store) OpenStaged(ctx context.Context, key string, size int64) *Object {
	panic("not built yet")
}

// DeleteStaged removes the object and aborts unfinished uploads of the key.
func (s *Store) DeleteStaged(ctx context.Context, key string) error { panic("not built yet") }

// ListStaged lists objects under prefix.
func (s *Store) ListStaged(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	panic("not built yet")
}

// ListUnfinishedUploads lists multipart uploads under prefix.
func (s *Store) ListUnfinishedUploads(ctx context.Context, prefix string) iter.Seq2[UnfinishedUpload, error] {
	panic("not built yet")
}

// AbortUnfinishedUpload aborts one.
func (s *Store) AbortUnfinishedUpload(ctx context.Context, u UnfinishedUpload) error {
	panic("not built yet")
}
