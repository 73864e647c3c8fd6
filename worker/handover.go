package worker

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"assetflow/activities"
)

const (
	// handoverTime is how long steps that were interrupted have to come to their end and be told to the server. One that
	// takes longer is found out by its missing heartbeat.
	handoverTime = 5 * time.Second
	// handoverDelay is how soon another worker goes on, whatever the step's retries say: nothing is wrong with it.
	handoverDelay = time.Millisecond
)

var errWorkerStops = errors.New("the worker stops")

// handover ends the tries of running steps when their worker stops, in such a way that another worker goes on at once:
// the SDK would only cancel them, and not stay until the server has heard of it.
type handover struct {
	interceptor.WorkerInterceptorBase
	stopped chan struct{}
	once    sync.Once
}

func newHandover() *handover { return &handover{stopped: make(chan struct{})} }

// interrupt ends the tries that run, and those that begin from now on.
func (h *handover) interrupt() { h.once.Do(func() { close(h.stopped) }) }

// InterceptActivity is called for each try of a step.
func (h *handover) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	t := &handedOver{handover: h}
	t.Next = next
	return t
}

// handedOver is a try of a step.
type handedOver struct {
	interceptor.ActivityInboundInterceptorBase
	handover *handover
}

// ExecuteActivity runs the step. What it comes to counts also when it comes after the interruption.
func (t *handedOver) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-t.handover.stopped:
			cancel(errWorkerStops)
		case <-done:
		}
	}()
	result, err := t.Next.ExecuteActivity(ctx, in)
	// A cancellation by the server came first where the cause is another.
	if err == nil || !errors.Is(context.Cause(ctx), errWorkerStops) || isFinal(err) {
		return result, err
	}
	activity.GetLogger(ctx).Info("the step is handed over to another worker")
	return nil, temporal.NewApplicationErrorWithOptions("The worker that performed the step was stopped; another one goes on.",
		activities.WorkerStopped, temporal.ApplicationErrorOptions{
			NextRetryDelay: handoverDelay, Cause: err, Category: temporal.ApplicationErrorCategoryBenign,
		})
}

// isFinal reports whether a step failed of something that another try cannot help.
func isFinal(err error) bool {
	var failure *temporal.ApplicationError
	return errors.As(err, &failure) && failure.NonRetryable()
}
