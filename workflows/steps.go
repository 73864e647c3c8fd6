package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// Step is one step of a job as a caller sees it: the activity that performs it, what to call it, and which part of
// the whole job's progress (0..1) it covers.
type Step struct {
	Activity string
	Title    string
	From, To float64
}

const (
	// heartbeatTimeout is after which silence a step's worker counts as dead and the step starts elsewhere.
	heartbeatTimeout = 10 * time.Second
	// stepDeadline is how long a step is tried, retries included, before the job gives up with a reason: long
	// enough to outlive an outage of a dependency over a night.
	stepDeadline = 24 * time.Hour
	// endDeadline is the same for the clean-up, which must not be given up: the job's place stays taken until then.
	endDeadline = 30 * 24 * time.Hour
)

// stepRetries tries for as long as the step's deadline allows: quickly at first, then twice a minute.
var stepRetries = temporal.RetryPolicy{
	InitialInterval:    500 * time.Millisecond,
	BackoffCoefficient: 2,
	MaximumInterval:    30 * time.Second,
}

// stepOptions are the options of a step that may take long on one try.
func stepOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: stepDeadline,
		HeartbeatTimeout:       heartbeatTimeout,
		WaitForCancellation:    true, // the clean-up must not start while a step still writes
		RetryPolicy:            &stepRetries,
		Summary:                summary,
	}
}

// subject names what a job is about, in its reasons.
type subject struct {
	kind catalog.AssetKind
	name string
}

// endJob runs the last step of every job on a context of its own, because it must run although the job has been
// cancelled or has failed. What it answers is how the job really ended.
func endJob(ctx workflow.Context, ending activities.Ending, cause error, about subject) error {
	if temporal.IsTimeoutError(cause) && ctx.Err() != nil {
		cause = ctx.Err() // the step's worker died before it heard of the cancellation
	}
	ending.State, ending.Reasons = outcomeOf(cause, about)
	return endJobAs(ctx, ending, cause)
}

// endJobAs is endJob for a job that has its outcome already.
func endJobAs(ctx workflow.Context, ending activities.Ending, cause error) error {
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	dctx = workflow.WithActivityOptions(dctx, endOptions("Clean up and end the job"))
	var end *activities.End
	var ended activities.Ended
	if err := workflow.ExecuteActivity(dctx, end.EndJob, ending).Get(dctx, &ended); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	if ended.State == catalog.JobSucceeded {
		return nil
	}
	return cause
}

// endOptions are the options of a step of the clean-up.
func endOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		ScheduleToCloseTimeout: endDeadline,
		HeartbeatTimeout:       heartbeatTimeout,
		RetryPolicy:            &stepRetries,
		Summary:                summary,
	}
}

// outcomeOf says how a job ends whose steps ended with cause.
func outcomeOf(cause error, about subject) (catalog.JobState, []catalog.Reason) {
	switch {
	case cause == nil:
		return catalog.JobSucceeded, nil
	case temporal.IsCanceledError(cause):
		return catalog.JobCancelled, []catalog.Reason{{
			ResourceType: string(about.kind), ResourceName: about.name,
			Code: "cancelled", Message: "The job was cancelled before it had changed anything.",
		}}
	default:
		return catalog.JobFailed, reasonsOf(cause, about)
	}
}

// reasonsOf gives the reasons a person needs for a failure: those the step itself named, or one for the job.
func reasonsOf(cause error, about subject) []catalog.Reason {
	var app *temporal.ApplicationError
	if errors.As(cause, &app) && app.Type() == activities.PackageRejected {
		var reasons []catalog.Reason
		if app.Details(&reasons) == nil && len(reasons) > 0 {
			return reasons
		}
	}
	reason := catalog.Reason{
		ResourceType: string(about.kind), ResourceName: about.name, Code: "internal",
		Message: "The job could not be completed because of an internal error; nothing was changed. Submit it again, and tell the operator the job's id if it fails again.",
	}
	switch {
	case app != nil && (app.Type() == activities.Refused || app.Type() == activities.JobEnded):
		reason.Code, reason.Message = "refused", app.Message()
	case temporal.IsTimeoutError(cause):
		reason.Code = "timeout"
		reason.Message = "The job was given up because a step could not be completed in time; nothing was changed. Submit it again when the service is healthy."
	}
	return []catalog.Reason{reason}
}
