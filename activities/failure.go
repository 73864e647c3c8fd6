package activities

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"

	"assetflow/catalog"
	"assetflow/fault"
)

// Types of the errors that end a job: what a person sees in the Temporal UI, and what the workflows tell apart.
const (
	// PackageRejected ends a job whose package can never be imported; its details are the reasons.
	PackageRejected = "PackageRejected"
	// JobEnded ends a step that came after its job had been ended by somebody else.
	JobEnded = "JobEnded"
	// Refused ends a step that another try cannot help, for a cause named in the message.
	Refused = "Refused"
	// WorkerStopped ends the try of a step whose worker stops; another one goes on at once.
	WorkerStopped = "WorkerStopped"
	// Unhealthy ends a delivery whose workloads do not become ready.
	Unhealthy = "Unhealthy"
	// Unfinished ends a delivery whose target takes too long.
	Unfinished = "Unfinished"
)

// Types of the errors after which a step of a delivery is tried again. Their messages are for whoever looks at the job
// meanwhile.
const (
	TargetAway  = "TargetAway"  // the target cannot be reached at the moment
	Unavailable = "Unavailable" // something else cannot
	Internal    = "Internal"    // whatever nobody has thought of
)

// maxReasons is how many reasons a job keeps: the contracts show at most 10.
const maxReasons = 10

func rejected(reasons []catalog.Reason) error {
	message := reasons[0].Message
	if len(reasons) > 1 {
		message = fmt.Sprintf("%s (and %d more)", message, len(reasons)-1)
	}
	if len(reasons) > maxReasons {
		reasons = reasons[:maxReasons]
	}
	return temporal.NewApplicationErrorWithOptions(message, PackageRejected, temporal.ApplicationErrorOptions{
		NonRetryable: true,
		Details:      []any{reasons},
		// The caller's mistake, not ours: nothing to alarm an operator with.
		Category: temporal.ApplicationErrorCategoryBenign,
	})
}

// requireRunning refuses a step whose effect is outside of the catalog when its job has ended: Conflict "catalog.job_ended".
// Where Temporal was restored from a backup older than the catalog's, a job that has ended runs once more; its commit finds
// its effect, but what it would do before that may be somebody else's by now.
func requireRunning(ctx context.Context, c *catalog.Catalog, jobID string) error {
	job, err := c.Job(ctx, jobID)
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	if job.State.Ended() {
		return fault.New(fault.Conflict, "catalog.job_ended", "the job has ended already, in state %s", job.State)
	}
	return nil
}

// stepError decides whether a step that failed with err is tried again. A cancelled step says so; a fault of the
// request's own making ends the job; everything else (a dependency that is away, a bug that a new release mends)
// is tried again until the step's deadline.
func stepError(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); errors.Is(ctxErr, context.Canceled) {
		return ctxErr
	}
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	switch f.Kind {
	case fault.Conflict:
		return temporal.NewNonRetryableApplicationError(f.Message, JobEnded, nil)
	case fault.Invalid, fault.NotFound, fault.Forbidden, fault.TooLarge, fault.Unauthenticated:
		return temporal.NewNonRetryableApplicationError(f.Message, Refused, nil)
	case fault.Internal, fault.Unavailable:
	}
	return err
}
