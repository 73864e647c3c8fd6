package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"assetflow/fault"
)

var (
	errNotFound    = fault.New(fault.NotFound, "storage.not_found", "the object does not exist")
	errUnavailable = fault.New(fault.Unavailable, "storage.unavailable", "the object store does not answer, try again later")
	errRefused     = fault.New(fault.Internal, "storage.refused", "the object store refused a request")
	errMismatch    = fault.New(fault.Invalid, "storage.digest_mismatch", "the content does not match its digest")
	errSize        = fault.New(fault.Invalid, "storage.size_mismatch", "the content has another size than was said")
	errDigest      = fault.New(fault.Invalid, "storage.bad_digest", "a digest is 64 lower-case hex digits")
	errChanged     = fault.New(fault.Conflict, "storage.changed", "the object changed while it was read")
)

// failure turns an error of a request into ours, saying what was being done. A context that ended comes before
// whatever the request made of it.
func failure(ctx context.Context, doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	case isNotFound(err) && !hasCode(err, "NoSuchBucket"):
		return fmt.Errorf("%s: %w", doing, errNotFound.Wrap(err))
	}
	status := statusOf(err)
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError &&
		status != http.StatusTooManyRequests && !hasCode(err, "RequestTimeout", "SlowDown") {
		return fmt.Errorf("%s: %w", doing, errRefused.Wrap(err))
	}
	return fmt.Errorf("%s: %w", doing, errUnavailable.Wrap(err))
}

// statusOf gives the HTTP status the server answered with, 0 where it did not.
func statusOf(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// hasCode tells whether the server answered with one of the S3 error codes.
func hasCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// isNotFound tells whether the server says that the bucket, object or upload does not exist.
func isNotFound(err error) bool { return err != nil && statusOf(err) == http.StatusNotFound }
