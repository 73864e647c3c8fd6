package workflows

import (
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/telemetry"
)

const (
	// WakeSignal tells a queue that something has changed: a job waits, or the running one is about to end. It carries
	// nothing, because the catalog says what there is to do.
	WakeSignal = "wake"
	// QueueKind is what SearchKind says of a queue.
	QueueKind = "job-queue"

	// firstWait and longestWait bound how long a queue waits between two looks whether the running job has ended. That
	// job's last step wakes the queue; this is for when it could not.
	firstWait   = 50 * time.Millisecond
	longestWait = 10 * time.Second
)

// Queue names the jobs that come one after the other.
type Queue struct {
	WorkflowID string `json:"workflow_id"` // of the jobs
}

// QueueWorkflowID is the workflow id of the queue for jobs of a workflow id.
func QueueWorkflowID(jobs string) string { return "queue:" + jobs }

// ServeQueue starts the jobs that wait for the same workflow id, one after the other in their order, each when its
// predecessor's workflow has closed. It ends when none waits.
//
//  1. Look which job is the first in the queue. The catalog keeps the order; jobs may come and go at any time.
//  2. Start its workflow. Where another job holds the workflow id, cancel that if the waiting one replaces it, wait, and
//     begin anew.
//  3. Take it out of the queue.
//  4. Wait until it has closed; cancel it when a job arrives that replaces it.
//
// A signal that arrives while the last look is answered is not lost: the server then refuses to close the run.
func ServeQueue(ctx workflow.Context, queue Queue) error {
	wake := workflow.GetSignalChannel(ctx, WakeSignal)
	// Ending the queue by hand does not end the job that it has started.
	jobs, _ := workflow.NewDisconnectedContext(ctx)
	wait := firstWait
	for !workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		next, err := firstQueued(ctx, queue)
		if err != nil {
			return err
		}
		if next == nil {
			if drain(wake) {
				continue
			}
			return nil
		}
		workflow.SetCurrentDetails(ctx, describeQueued(*next))
		job, run, err := startQueued(jobs, queue, *next)
		if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			if err := makeWay(ctx, queue, *next); err != nil {
				return err
			}
			if wait, err = waitForPlace(ctx, wake, wait); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("start job %s: %w", next.JobID, err)
		}
		wait = firstWait
		if err := dequeue(ctx, next.JobID); err != nil {
			return err
		}
		if err := awaitEnd(ctx, queue, job, run, wake); err != nil {
			return err
		}
	}
	drain(wake) // the next run looks first
	return workflow.NewContinueAsNewError(ctx, ServeQueue, queue)
}

// queueStep are the options of the short steps of a queue. They are tried for ever: the queue must not be given up.
func queueStep(ctx workflow.Context, summary string) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		ScheduleToCloseTimeout: endDeadline,
		StartToCloseTimeout:    time.Minute,
		RetryPolicy:            &stepRetries,
		Summary:                summary,
	})
}

func firstQueued(ctx workflow.Context, queue Queue) (next *activities.QueuedStart, err error) {
	var steps *activities.Queue
	step := queueStep(ctx, "Look which job is next")
	err = workflow.ExecuteActivity(step, steps.FirstQueued, queue.WorkflowID).Get(step, &next)
	return next, err
}

func dequeue(ctx workflow.Context, jobID string) error {
	var steps *activities.Queue
	step := queueStep(ctx, "Take the job out of the queue")
	return workflow.ExecuteActivity(step, steps.DequeueJob, jobID).Get(step, nil)
}

// startQueued starts the job's workflow as any other start does, and waits until it has begun.
func startQueued(ctx workflow.Context, queue Queue, start activities.QueuedStart) (workflow.ChildWorkflowFuture, workflow.Execution, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID:            queue.WorkflowID,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:         start.Summary,
		Memo:                  map[string]any{"job_id": start.JobID},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			SearchProject.ValueSet(start.ProjectID),
			SearchUser.ValueSet(start.UserID),
			SearchJob.ValueSet(start.JobID),
			SearchKind.ValueSet(string(start.Kind)),
		),
	})
	job := workflow.ExecuteChildWorkflow(telemetry.WithTraceParent(ctx, start.TraceParent), start.Workflow, start.Input)
	var run workflow.Execution
	err := job.GetChildWorkflowExecution().Get(ctx, &run)
	return job, run, err
}

// makeWay looks whose run holds the workflow id: that of the waiting job itself, where an earlier run of the queue got no
// further than its start, or another's, which is cancelled if the waiting one replaces it.
func makeWay(ctx workflow.Context, queue Queue, next activities.QueuedStart) error {
	var steps *activities.Queue
	var running string
	step := queueStep(ctx, "Look which job runs")
	if err := workflow.ExecuteActivity(step, steps.RunningJob, queue.WorkflowID).Get(step, &running); err != nil {
		return err
	}
	switch {
	case running == next.JobID:
		return dequeue(ctx, next.JobID)
	case running != "" && next.Replaces:
		cancelRun(ctx, workflow.Execution{ID: queue.WorkflowID})
	}
	return nil
}

// cancelRun asks a run to stop. It may have closed already, which serves as well.
func cancelRun(ctx workflow.Context, run workflow.Execution) {
	if err := workflow.RequestCancelExternalWorkflow(ctx, run.ID, run.RunID).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Info("the run was not cancelled", "run_id", run.RunID, "error", err)
	}
}

// waitForPlace waits until something may have changed, and says how long to wait the next time.
func waitForPlace(ctx workflow.Context, wake workflow.ReceiveChannel, wait time.Duration) (time.Duration, error) {
	timer, stop := workflow.WithCancel(ctx)
	defer stop()
	next := min(2*wait, longestWait)
	var err error
	workflow.NewSelector(ctx).
		AddFuture(workflow.NewTimer(timer, wait), func(f workflow.Future) { err = f.Get(ctx, nil) }).
		AddReceive(wake, func(c workflow.ReceiveChannel, _ bool) {
			c.Receive(ctx, nil)
			next = firstWait
		}).
		Select(ctx)
	return next, err
}

// awaitEnd waits until the job's workflow has closed. How it ended is the job's own business.
func awaitEnd(ctx workflow.Context, queue Queue, job workflow.Future, run workflow.Execution, wake workflow.ReceiveChannel) error {
	for {
		ended := false
		workflow.NewSelector(ctx).
			AddFuture(job, func(workflow.Future) { ended = true }).
			AddReceive(wake, func(c workflow.ReceiveChannel, _ bool) { c.Receive(ctx, nil) }).
			Select(ctx)
		if ended {
			return nil
		}
		next, err := firstQueued(ctx, queue)
		if err != nil {
			return err
		}
		if next != nil && next.Replaces {
			cancelRun(ctx, run)
		}
	}
}

// drain takes all signals that have arrived, and says whether there were any.
func drain(wake workflow.ReceiveChannel) bool {
	var any bool
	for wake.ReceiveAsync(nil) {
		any = true
	}
	return any
}

// describeQueued is what the Temporal UI shows of a queue, in Markdown.
func describeQueued(next activities.QueuedStart) string {
	return fmt.Sprintf("**Next: %s**\n\n- Job `%s`\n- Project `%s`\n", next.Summary, next.JobID, next.ProjectID)
}
