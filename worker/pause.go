package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"assetflow/fault"
	"assetflow/temporalrpc"
)

// pausePoll is how often it is asked whether sweeps have come to rest.
const pausePoll = 100 * time.Millisecond

// SweepState is what the Schedule of the sweep does.
type SweepState struct {
	Paused bool
	Note   string    // why, in the words of whoever paused or resumed it
	Next   time.Time // when the next sweep begins; zero while it is paused
	// Running are the ids of the workflows of sweeps that run.
	Running []string
}

// PauseSweep keeps the Schedule from starting sweeps, cancels the one that runs, and returns when none does any more: from
// then on nothing takes an object from the bucket but the end of its own job, or its download. Again is no error. NotFound
// "sweep.no_schedule" where no worker has made the Schedule yet; Unavailable "temporal.unavailable".
func PauseSweep(ctx context.Context, c client.Client, namespace, note string) error {
	if err := c.ScheduleClient().GetHandle(ctx, ScheduleID).Pause(ctx, client.SchedulePauseOptions{Note: note}); err != nil {
		return scheduleError("pause the sweep", err)
	}
	poll := time.NewTicker(pausePoll)
	defer poll.Stop()
	cancelled := map[string]bool{}
	for {
		// The Schedule acts on what it was told after it has answered.
		state, err := Sweeping(ctx, c, namespace)
		if err != nil {
			return err
		}
		if state.Paused && len(state.Running) == 0 {
			return nil
		}
		for _, id := range state.Running {
			if cancelled[id] || !state.Paused {
				continue
			}
			if err := c.CancelWorkflow(ctx, id, ""); err != nil && !isGone(err) {
				return scheduleError("end the sweep that runs", err)
			}
			cancelled[id] = true
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ResumeSweep lets the Schedule start sweeps again, and returns when it will. Errors as with PauseSweep.
func ResumeSweep(ctx context.Context, c client.Client, namespace, note string) error {
	if err := c.ScheduleClient().GetHandle(ctx, ScheduleID).Unpause(ctx, client.ScheduleUnpauseOptions{Note: note}); err != nil {
		return scheduleError("resume the sweep", err)
	}
	poll := time.NewTicker(pausePoll)
	defer poll.Stop()
	for {
		state, err := Sweeping(ctx, c, namespace)
		if err != nil || !state.Paused {
			return err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sweeping tells what the Schedule does. Errors as with PauseSweep.
func Sweeping(ctx context.Context, c client.Client, namespace string) (SweepState, error) {
	// Not by the client's own Describe, which would have to decrypt what the Schedule starts.
	d, err := temporalrpc.Retry(ctx, c.WorkflowService().DescribeSchedule,
		&workflowservice.DescribeScheduleRequest{Namespace: namespace, ScheduleId: ScheduleID})
	if err != nil {
		return SweepState{}, scheduleError("look at the sweep", err)
	}
	state := SweepState{Paused: d.GetSchedule().GetState().GetPaused(), Note: d.GetSchedule().GetState().GetNotes()}
	if next := d.GetInfo().GetFutureActionTimes(); len(next) > 0 && !state.Paused {
		state.Next = next[0].AsTime()
	}
	for _, run := range d.GetInfo().GetRunningWorkflows() {
		// What the Schedule knows of its workflows may be late.
		seen, err := c.DescribeWorkflowExecution(ctx, run.GetWorkflowId(), run.GetRunId())
		switch {
		case isGone(err):
		case err != nil:
			return SweepState{}, scheduleError("look at the sweep that runs", err)
		case seen.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING:
			state.Running = append(state.Running, run.GetWorkflowId())
		}
	}
	return state, nil
}

func scheduleError(doing string, err error) error {
	var invalid *serviceerror.InvalidArgument
	switch {
	case isGone(err):
		return fault.New(fault.NotFound, "sweep.no_schedule", "There is no sweep yet: the first worker that starts schedules it.").Wrap(err)
	case errors.As(err, &invalid):
		return fmt.Errorf("%s: %w", doing, err)
	default:
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal does not answer.").Wrap(fmt.Errorf("%s: %w", doing, err))
	}
}

func isGone(err error) bool {
	var gone *serviceerror.NotFound
	return errors.As(err, &gone)
}
