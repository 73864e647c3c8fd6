package storage

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// UnfinishedUpload is a multipart upload that was neither completed nor aborted. Its parts take room, and no
// listing of objects shows them.
type UnfinishedUpload struct {
	Key       string
	UploadID  string
	Initiated time.Time
}

// ListUnfinishedUploads lists the multipart uploads of keys that begin with prefix; empty stands for all. Those in
// progress are among them, so a sweep looks at Initiated. The sequence ends after its first error.
func (s *Store) ListUnfinishedUploads(ctx context.Context, prefix string) iter.Seq2[UnfinishedUpload, error] {
	return func(yield func(UnfinishedUpload, error) bool) {
		// Asked for the whole bucket, because MinIO takes a prefix for an exact key.
		for u, err := range s.uploads(ctx, "") {
			if err == nil && !strings.HasPrefix(u.Key, prefix) {
				continue
			}
			if !yield(u, err) {
				return
			}
		}
	}
}

// uploads lists unfinished uploads as the server understands the prefix: an exact key or nothing.
func (s *Store) uploads(ctx context.Context, prefix string) iter.Seq2[UnfinishedUpload, error] {
	return func(yield func(UnfinishedUpload, error) bool) {
		input := &s3.ListMultipartUploadsInput{Bucket: &s.bucket}
		if prefix != "" {
			input.Prefix = &prefix
		}
		for more := true; more; {
			page, err := s.client.ListMultipartUploads(ctx, input)
			if input.UploadIdMarker != nil && hasCode(err, "InvalidArgument") {
				// versitygw refuses the marker it gave out itself. Without it the page begins with the next key,
				// and further uploads of the last one are left to the next listing.
				input.UploadIdMarker = nil
				page, err = s.client.ListMultipartUploads(ctx, input)
			}
			if err != nil {
				yield(UnfinishedUpload{}, failure(ctx, "list unfinished uploads", err))
				return
			}
			for _, u := range page.Uploads {
				upload := UnfinishedUpload{Key: value(u.Key), UploadID: value(u.UploadId), Initiated: value(u.Initiated)}
				if !yield(upload, nil) {
					return
				}
			}
			input.KeyMarker, input.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
			// A server that does not say where to go on would give the same page for ever.
			more = value(page.IsTruncated) && value(page.NextKeyMarker) != ""
		}
	}
}

// AbortUnfinishedUpload removes an unfinished upload and its parts. Where it has ended already it does nothing.
func (s *Store) AbortUnfinishedUpload(ctx context.Context, u UnfinishedUpload) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
		Bucket: &s.bucket, Key: &u.Key, UploadId: &u.UploadID,
	})
	if isNotFound(err) && !hasCode(err, "NoSuchBucket") {
		return nil
	}
	return failure(ctx, "abort an unfinished upload of "+u.Key, err)
}
