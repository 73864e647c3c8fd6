package storage

import (
	"context"
	"io"
	"iter"
)

// BlobKey gives the key of the blob with the digest (64 lower-case hex digits).
func BlobKey(sha256 string) string {
	return "blobs/sha256/" + sha256[:2] + "/" + sha256[2:4] + "/" + sha256
}

// PutBlob stores a blob once its size and digest are verified.
func (s *Store) PutBlob(ctx context.Context, sha256 string, size int64, r io.Reader) error {
	panic("not built yet")
}

// HasBlob tells whether the blob exists.
func (s *Store) HasBlob(ctx context.Context, sha256 string) (bool, error) { panic("not built yet") }

// OpenBlob streams a blob.
func (s *Store) OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error) {
	panic("not built yet")
}

// DeleteBlob removes a blob; idempotent.
func (s *Store) DeleteBlob(ctx context.Context, sha256 string) error { panic("not built yet") }

// ListBlobs lists all blobs.
func (s *Store) ListBlobs(ctx context.Context) iter.Seq2[ObjectInfo, error] { panic("not built yet") }
