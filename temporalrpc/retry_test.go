package temporalrpc_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc"

	"assetflow/temporalrpc"
)

func TestRetry(t *testing.T) {
	busy := serviceerror.NewResourceExhausted(enumspb.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW, "consistent query buffer is full")
	away := serviceerror.NewUnavailable("no connection")
	early := serviceerror.NewFailedPrecondition("no poller seen for task queue recently, worker may be down")
	missing := serviceerror.NewNotFound("none")
	given := errors.New("the caller has gone")
	for name, tc := range map[string]struct {
		errs  []error // one for each call; after the last of them it answers
		bound time.Duration
		err   error
		calls int
		tried time.Duration // for no less
	}{
		"at once":                  {calls: 1},
		"busy, then away":          {errs: []error{busy, away}, calls: 3},
		"just started":             {errs: []error{early}, calls: 2},
		"not there is an answer":   {errs: []error{missing}, err: missing, calls: 1},
		"not there after it was":   {errs: []error{busy, missing}, err: missing, calls: 2},
		"never":                    {errs: slices.Repeat([]error{busy}, 1000), err: busy, tried: 8 * time.Second},
		"as long as the caller is": {errs: slices.Repeat([]error{busy}, 1000), bound: time.Second, err: given, tried: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tc.bound > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, tc.bound, given)
					defer cancel()
				}
				calls, begun := 0, time.Now()
				answer, err := temporalrpc.Retry(ctx, func(_ context.Context, request string, _ ...grpc.CallOption) (string, error) {
					calls++
					if calls <= len(tc.errs) {
						return "", tc.errs[calls-1]
					}
					return request + "!", nil
				}, "here")
				require.Equal(t, tc.err, err)
				if err == nil {
					require.Equal(t, "here!", answer)
				}
				if tc.calls > 0 {
					require.Equal(t, tc.calls, calls)
				}
				require.GreaterOrEqual(t, time.Since(begun), tc.tried)
				require.LessOrEqual(t, time.Since(begun), 10*time.Second)
			})
		})
	}
}
