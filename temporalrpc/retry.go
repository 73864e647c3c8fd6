// Package temporalrpc asks Temporal what its client has no method for.
package temporalrpc

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc"
)

// patience is how long the client's own methods go on.
const patience = 10 * time.Second

// Retry makes a call of the workflow service, and makes it again while the server is away, busy or limits its callers, or
// has only just started and nobody of its own looks after Schedules yet, for up to 10 s or as long as ctx lasts. The client
// does that for its own methods only: what is called through its WorkflowService is tried once. The error is that of the
// last call, or of ctx.
func Retry[Request, Response any](
	ctx context.Context, call func(context.Context, Request, ...grpc.CallOption) (Response, error), request Request,
) (Response, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = 50*time.Millisecond, time.Second
	return backoff.Retry(ctx, func() (Response, error) {
		response, err := call(ctx, request)
		if err != nil && !passes(err) {
			err = backoff.Permanent(err)
		}
		return response, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(patience))
}

func passes(err error) bool {
	var (
		away    *serviceerror.Unavailable
		limited *serviceerror.ResourceExhausted
		early   *serviceerror.FailedPrecondition
	)
	return errors.As(err, &away) || errors.As(err, &limited) || errors.As(err, &early)
}
