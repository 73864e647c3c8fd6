package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"assetflow/fault"
)

// What follows is for small objects under keys that their owner chooses, outside the layout of this package.

var (
	errCondition = fault.New(fault.Conflict, "storage.condition_failed", "somebody else has written the object meanwhile")
	errLarge     = fault.New(fault.TooLarge, "storage.too_large", "an object is larger than it may be")
)

// Reserved tells whether keys under prefix would lie among those of this package, or around them.
func Reserved(prefix string) bool {
	for _, own := range []string{stagingPrefix, archivePrefix, uploadPrefix, manifestPrefix, blobPrefix} {
		top, _, _ := strings.Cut(own, "/")
		if top += "/"; strings.HasPrefix(prefix, top) || strings.HasPrefix(top, prefix) {
			return true
		}
	}
	return false
}

// Get gives an object and its ETag. NotFound "storage.not_found"; TooLarge "storage.too_large" when it has more than
// limit bytes.
func (s *Store) Get(ctx context.Context, key string, limit int64) (data []byte, etag string, err error) {
	object, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return nil, "", failure(ctx, "get "+key, err)
	}
	defer object.Body.Close() //nolint:errcheck // it was only read
	data, err = io.ReadAll(io.LimitReader(object.Body, limit+1))
	switch {
	case err != nil:
		return nil, "", failure(ctx, "get "+key, err)
	case int64(len(data)) > limit:
		return nil, "", fmt.Errorf("get %s: %w", key, errLarge)
	}
	return data, value(object.ETag), nil
}

// Put writes an object with one request, whatever was there.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(data),
	}, s.writing)
	return failure(ctx, "put "+key, err)
}

// Replace writes an object with one request where the one that is there has the ETag; an empty one says that there is
// none. Otherwise it is Conflict "storage.condition_failed", as it may also be when an answer was lost and the request
// repeated: then the object is the one that was to be written. A server that knows no conditional requests writes it
// whatever was there.
func (s *Store) Replace(ctx context.Context, key string, data []byte, etag string) error {
	input := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(data)}
	if etag == "" {
		whatever := "*"
		input.IfNoneMatch = &whatever
	} else {
		input.IfMatch = &etag
	}
	_, err := s.client.PutObject(ctx, input, s.writing)
	switch {
	case err == nil || ctx.Err() != nil:
	case statusOf(err) == http.StatusPreconditionFailed, statusOf(err) == http.StatusConflict, isNotFound(err) && !hasCode(err, "NoSuchBucket"):
		return fmt.Errorf("put %s: %w", key, errCondition.Wrap(err))
	}
	return failure(ctx, "put "+key, err)
}

// Delete removes an object; where there is none it does nothing.
func (s *Store) Delete(ctx context.Context, key string) error { return s.deleteObject(ctx, key) }

// List lists the objects under prefix in the order of their keys. The sequence ends after its first error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	return s.objects(ctx, prefix)
}
