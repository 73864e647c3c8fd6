package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	// partsInFlight is how many parts of one object are on their way at a time, while one more is being filled.
	partsInFlight = 3

	// cleanUpTime bounds the clean-up after a failure.
	cleanUpTime = 30 * time.Second
)

// grace is how long requests in flight may go on after their context has ended. Most are done by then, and the server has
// nothing left that could arrive after the clean-up. It is a variable for tests, whose machine may be a slow one.
var grace = 2 * time.Second

// write stores what src reads under key. Before the object becomes visible accept is asked; its error, like any
// other, leaves nothing of the multipart upload behind. touched tells whether a request was made that may have made
// something, for callers that clean up further. size is what the body is expected to have, 0 if unknown.
//
// The SDK's transfermanager is not used: it reads the first 16 MiB into memory that grows and is not pooled, knows
// no limit across uploads, makes the object visible before anybody can compare a digest, and cancels parts in
// flight at the moment it aborts.
func (s *Store) write(ctx context.Context, key string, src *source, size int64, accept func() error) (touched bool, err error) {
	defer func() {
		if err == nil {
			s.wrote(key, src.size)
		}
	}()
	head, err := src.head(ctx, s.buffers, classFor(size))
	switch {
	case err != nil && ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, err
	}
	if !src.ended() {
		return true, s.putParts(ctx, key, src, head, accept)
	}
	defer s.buffers.put(head)
	if err := accept(); err != nil {
		return false, err
	}
	requests, cancel := outlive(ctx, grace)
	defer cancel()
	_, err = s.client.PutObject(requests, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(head.data[:head.n]),
	}, s.writing)
	return true, failure(ctx, "put object", err)
}

// putParts writes a body of more than one buffer as a multipart upload. It gives head back.
func (s *Store) putParts(ctx context.Context, key string, src *source, head *buffer, accept func() error) error {
	requests, cancel := outlive(ctx, grace)
	defer cancel()
	u := &upload{store: s, key: key, checksum: s.partChecksum()}
	created, err := s.client.CreateMultipartUpload(requests, &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: &key, ChecksumAlgorithm: u.checksum,
	})
	if err == nil && value(created.UploadId) == "" {
		err = errors.New("the answer names no upload")
	}
	if err != nil {
		s.buffers.put(head)
		return failure(ctx, "begin a multipart upload", err)
	}
	u.id = created.UploadId

	err = u.send(ctx, requests, src, head)
	if err == nil {
		err = accept()
	}
	if err == nil {
		err = u.complete(ctx, requests)
	}
	if err != nil {
		return s.cleanUp(ctx, err, func(ctx context.Context) error {
			return s.AbortUnfinishedUpload(ctx, UnfinishedUpload{Key: key, UploadID: *u.id})
		})
	}
	return nil
}

// cleanUp does what a failed write needs on a context of its own, and gives back the write's error.
func (s *Store) cleanUp(ctx context.Context, cause error, undo func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	if err := undo(ctx); err != nil {
		return fmt.Errorf("%w (and the clean-up failed: %w)", cause, err)
	}
	return cause
}

// upload is one multipart upload.
type upload struct {
	store    *Store
	key      string
	id       *string
	checksum types.ChecksumAlgorithm
	parts    []*types.CompletedPart // by number; what is in each is written by the request that sends it
}

// send sends head and the rest of src as parts and returns when no request is in flight any more. It gives head
// back. The first part that fails ends the reading; the other parts go on to their end.
func (u *upload) send(ctx, requests context.Context, src *source, head *buffer) error {
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var sending errgroup.Group
	sending.SetLimit(partsInFlight)

	var readErr error
	for next := head; next != nil; {
		buf, part := next, &types.CompletedPart{PartNumber: aws.Int32(int32(len(u.parts) + 1))} //nolint:gosec // there are at most 10,000 parts
		u.parts = append(u.parts, part)
		sending.Go(func() error { // waits while as many parts as may be are in flight
			defer u.store.buffers.put(buf)
			err := u.sendPart(requests, part, buf.data[:buf.n])
			if err != nil {
				stop(err)
			}
			return err
		})
		next, readErr = u.next(reading, src)
	}
	sendErr := sending.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case sendErr != nil:
		return failure(ctx, "send a part", sendErr)
	default:
		return readErr
	}
}

// next reads one more part; nil where the body has ended.
func (u *upload) next(ctx context.Context, src *source) (*buffer, error) {
	if src.ended() {
		return nil, nil
	}
	buf, err := u.store.buffers.get(ctx, partClass)
	if err != nil {
		return nil, err
	}
	if err = src.fill(ctx, buf); err != nil {
		u.store.buffers.put(buf)
		return nil, err
	}
	return buf, nil
}

// sendPart sends one part and notes what the completion needs of it. When it returns, nobody reads data any more:
// the SDK closes the request's body, which the HTTP transport may still hold, before it hands out the result.
func (u *upload) sendPart(ctx context.Context, part *types.CompletedPart, data []byte) error {
	sent, err := u.store.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.store.bucket, Key: &u.key, UploadId: u.id, PartNumber: part.PartNumber,
		ChecksumAlgorithm: u.checksum, Body: bytes.NewReader(data),
	}, u.store.writing)
	if err != nil {
		return err
	}
	part.ETag, part.ChecksumCRC32 = sent.ETag, sent.ChecksumCRC32
	return nil
}

// complete makes the object visible.
func (u *upload) complete(ctx, requests context.Context) error {
	done := &types.CompletedMultipartUpload{}
	for _, part := range u.parts {
		done.Parts = append(done.Parts, *part)
	}
	_, err := u.store.client.CompleteMultipartUpload(requests, &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.bucket, Key: &u.key, UploadId: u.id, MultipartUpload: done,
	}, u.store.writing)
	return failure(ctx, "complete a multipart upload", err)
}

// outlive gives a context that ends the time d after ctx does, or with its cancel function.
func outlive(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(d, cancel)
		context.AfterFunc(late, func() { timer.Stop() })
	})
	return late, func() {
		stop()
		cancel()
	}
}
