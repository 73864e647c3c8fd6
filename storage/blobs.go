package storage

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"assetflow/fault"
)

const blobPrefix = "blobs/sha256/"

// BlobKey gives the key of the blob with the SHA-256 digest, 64 lower-case hex digits. Anything else is a mistake
// in the program and panics; digests from outside are checked by the methods that take one.
func BlobKey(sha256 string) string {
	if !isDigest(sha256) {
		panic(fmt.Sprintf("storage: %q is not a SHA-256 digest", sha256))
	}
	return blobPrefix + sha256[:2] + "/" + sha256[2:4] + "/" + sha256
}

func isDigest(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// PutBlob stores the blob with the digest, reading r to its end. The blob becomes visible only when exactly size
// bytes of that digest were read: otherwise it is Invalid "storage.digest_mismatch" and nothing is left. Writing a
// blob that exists, also at the same time, is harmless. Memory is bounded as in Stage; errors of r and ctx are as
// there. A malformed digest is Invalid "storage.bad_digest", a size of over 78 GiB TooLarge "storage.too_large".
func (s *Store) PutBlob(ctx context.Context, sha256 string, size int64, r io.Reader) error {
	if !isDigest(sha256) {
		return errDigest
	}
	if size > maxObject {
		return fault.New(fault.TooLarge, "storage.too_large", "a file is larger than %d bytes", maxObject)
	}
	src := newSource(r, size, errMismatch)
	_, err := s.write(ctx, BlobKey(sha256), src, size, func() error {
		if src.size != size || src.digest() != sha256 {
			return errMismatch
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put blob %s: %w", sha256, err)
	}
	return nil
}

// HasBlob tells whether the blob exists.
func (s *Store) HasBlob(ctx context.Context, sha256 string) (bool, error) {
	_, found, err := s.StatBlob(ctx, sha256)
	return found, err
}

// StatBlob tells whether the blob exists, and its size in bytes.
func (s *Store) StatBlob(ctx context.Context, sha256 string) (size int64, found bool, err error) {
	if !isDigest(sha256) {
		return 0, false, errDigest
	}
	size, found, err = s.stat(ctx, BlobKey(sha256))
	return size, found, failure(ctx, "look for blob "+sha256, err)
}

// stat tells whether there is an object at key, and its size.
func (s *Store) stat(ctx context.Context, key string) (size int64, found bool, err error) {
	head, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	switch {
	case isNotFound(err): // the answer to a HEAD has no body to tell a missing bucket from a missing object
		return 0, false, nil
	case err != nil:
		return 0, false, err
	default:
		return value(head.ContentLength), true, nil
	}
}

// OpenBlob streams the blob and gives its size; NotFound "storage.not_found" where there is none. A connection that
// breaks is resumed, as in [Object.OpenRange].
func (s *Store) OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error) {
	if !isDigest(sha256) {
		return nil, 0, errDigest
	}
	r := &rangeReader{ctx: ctx, store: s, key: BlobKey(sha256), size: unknownSize, end: unknownSize}
	if err := r.start(); err != nil {
		return nil, 0, fmt.Errorf("open blob %s: %w", sha256, err)
	}
	return r, r.size, nil
}

// DeleteBlob removes the blob; where there is none it does nothing.
func (s *Store) DeleteBlob(ctx context.Context, sha256 string) error {
	if !isDigest(sha256) {
		return errDigest
	}
	return s.deleteObject(ctx, BlobKey(sha256))
}

// ListBlobs lists every blob in the order of their digests; the last element of a key is the digest. The sequence
// ends after its first error.
func (s *Store) ListBlobs(ctx context.Context) iter.Seq2[ObjectInfo, error] {
	return s.objects(ctx, blobPrefix)
}
