package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"

	"assetflow/fault"
)

// An unfinished upload of a blob does not name the job that it is made for, and several jobs may upload one blob. A note
// in the job's staging does, so that whoever ends the job can abort what it has left.

// notedUpload begins the last element of a note's key, which goes on with the blob's digest and one of the upload's id:
// a job that lost its way may have begun several. The note is the upload's id.
const notedUpload = "upload-"

func (s *Store) noteKey(projectID, jobID string, u *BlobUpload) string {
	sum := sha256.Sum256([]byte(u.id))
	return stagingFolder(projectID, jobID) + notedUpload + u.digest + "-" + hex.EncodeToString(sum[:8])
}

// maxUploadID is the longest id of an upload that is read, in bytes.
const maxUploadID = 4 << 10

// NoteBlobUpload writes down that the upload is made for the job.
func (s *Store) NoteBlobUpload(ctx context.Context, projectID, jobID string, u *BlobUpload) error {
	_, _, err := s.PutArchive(ctx, s.noteKey(projectID, jobID, u), strings.NewReader(u.id)) // as a whole, and a late try takes nothing away
	return err
}

// ForgetBlobUpload removes the note of an upload that has ended.
func (s *Store) ForgetBlobUpload(ctx context.Context, projectID, jobID string, u *BlobUpload) error {
	return s.deleteObject(ctx, s.noteKey(projectID, jobID, u))
}

// ClearStaging aborts the noted uploads of a job and removes everything that is staged for it. It can be done again.
func (s *Store) ClearStaging(ctx context.Context, projectID, jobID string) error {
	for o, err := range s.objects(ctx, stagingFolder(projectID, jobID)) {
		if err != nil {
			return err
		}
		name, noted := strings.CutPrefix(path.Base(o.Key), notedUpload)
		if digest, _, _ := strings.Cut(name, "-"); noted && isDigest(digest) {
			if err := s.abortNoted(ctx, o.Key, digest); err != nil {
				return err
			}
		}
		if err := s.deleteObject(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) abortNoted(ctx context.Context, key, digest string) error {
	r := &rangeReader{ctx: ctx, store: s, key: key, size: unknownSize, end: unknownSize}
	defer func() { _ = r.Close() }() // it has been read
	id, err := io.ReadAll(io.LimitReader(r, maxUploadID))
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the note of an upload: %w", err)
	}
	if len(id) == 0 {
		return nil
	}
	return s.AbortUnfinishedUpload(ctx, UnfinishedUpload{Key: BlobKey(digest), UploadID: string(id)})
}
