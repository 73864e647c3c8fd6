package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"assetflow/workflows"
)

// ScheduleID is the id of the Schedule that starts the sweep. Trigger it to sweep at once; pause it to keep the sweep
// from running.
const ScheduleID = "assetflow-sweep"

// catchUp is how late a sweep is still started after the server was away: the next one does as well.
const catchUp = time.Minute

// EnsureSchedule makes the Schedule of the sweep, or brings the one that is there to the given interval. Whether it is
// paused stays as it is. It may be run any number of times and by several processes at once.
func EnsureSchedule(ctx context.Context, c client.Client, every time.Duration) error {
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every}}}
	action := &client.ScheduleWorkflowAction{
		ID: ScheduleID, Workflow: workflows.SweepAll, TaskQueue: workflows.DataQueue, StaticSummary: "Tidy up what jobs leave behind",
	}
	_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: ScheduleID, Spec: spec, Action: action, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp,
	})
	if err == nil {
		return nil
	}
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return fmt.Errorf("make the schedule %s: %w", ScheduleID, err)
	}
	err = c.ScheduleClient().GetHandle(ctx, ScheduleID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(was client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			return &client.ScheduleUpdate{Schedule: &client.Schedule{
				Spec: &spec, Action: action, State: was.Description.Schedule.State,
				Policy: &client.SchedulePolicies{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, CatchupWindow: catchUp},
			}}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("bring the schedule %s up to date: %w", ScheduleID, err)
	}
	return nil
}
