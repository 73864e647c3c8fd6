package storage

import (
	"context"
	"fmt"
	"io"
	"iter"

	"assetflow/fault"
)

const archivePrefix = "archives/"

// ArchiveKey gives the key of the package an export has written.
func ArchiveKey(projectID, jobID string) string {
	return archivePrefix + projectID + "/" + jobID + "/package.zip"
}

// PutArchive streams r to key and gives its size in bytes and its SHA-256 in lower-case hex. Memory is bounded as in
// Stage, the size by what S3 takes in parts of 8 MiB: over 78 GiB is TooLarge "storage.too_large". Errors of r and ctx
// come back wrapped.
//
// The object becomes visible as a whole, when r has ended without an error. A write that fails leaves what was there
// before, and removes only the upload it began itself: two tries of one job, of which the first is late, do not take
// each other's archive away. A failure of the very last request may leave the whole object all the same; the next try
// writes over it, and DeleteArchive removes it.
func (s *Store) PutArchive(ctx context.Context, key string, r io.Reader) (size int64, sha256 string, err error) {
	src := newSource(r, maxObject, fault.New(fault.TooLarge, "storage.too_large", "an archive is larger than %d bytes", maxObject))
	if _, err := s.write(ctx, key, src, 0, ctx.Err); err != nil {
		return 0, "", fmt.Errorf("put archive %s: %w", key, err)
	}
	return src.size, src.digest(), nil
}

// OpenArchive gives random access to the archive at key, of which the size is known. It makes no request; reading an
// archive that is not there is NotFound "storage.not_found", one of another size Conflict "storage.changed". ctx bounds
// what ReadAt does, which takes none itself.
func (s *Store) OpenArchive(ctx context.Context, key string, size int64) *Object {
	return newObject(ctx, s, key, size)
}

// StatArchive tells whether there is an archive at key, and its size in bytes.
func (s *Store) StatArchive(ctx context.Context, key string) (size int64, found bool, err error) {
	size, found, err = s.stat(ctx, key)
	return size, found, failure(ctx, "look for archive "+key, err)
}

// DeleteArchive removes the archive at key and aborts unfinished uploads of it. Where there is nothing it does nothing.
func (s *Store) DeleteArchive(ctx context.Context, key string) error { return s.DeleteStaged(ctx, key) }

// ListArchives lists the archives whose key begins with prefix, which is a whole key prefix such as
// "archives/<project>/"; empty stands for all. The sequence ends after its first error.
func (s *Store) ListArchives(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	if prefix == "" {
		prefix = archivePrefix
	}
	return s.objects(ctx, prefix)
}
