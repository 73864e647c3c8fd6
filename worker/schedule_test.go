package worker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"assetflow/embedded/temporal/temporaltest"
	"assetflow/worker"
)

// The schedule is made once by many workers at once, follows the settings, and stays paused where an operator paused it.
func TestEnsureSchedule(t *testing.T) {
	t.Parallel()
	c, err := client.Dial(temporaltest.Server(t))
	require.NoError(t, err)
	t.Cleanup(c.Close)

	handle := c.ScheduleClient().GetHandle(t.Context(), worker.ScheduleID)
	for _, every := range []time.Duration{time.Hour, time.Hour, 7 * time.Minute} {
		var workers errgroup.Group
		for range 4 {
			workers.Go(func() error { return worker.EnsureSchedule(t.Context(), c, every) })
		}
		require.NoError(t, workers.Wait())
		var desc *client.ScheduleDescription
		require.Eventually(t, func() bool { // an update is carried out after it was answered
			desc, err = handle.Describe(t.Context())
			require.NoError(t, err)
			intervals := desc.Schedule.Spec.Intervals
			return len(intervals) == 1 && intervals[0].Every == every
		}, time.Minute, 20*time.Millisecond)
		require.Equal(t, enumspb.SCHEDULE_OVERLAP_POLICY_SKIP, desc.Schedule.Policy.Overlap)
		require.Equal(t, time.Minute, desc.Schedule.Policy.CatchupWindow)
		require.Equal(t, "SweepAll", desc.Schedule.Action.(*client.ScheduleWorkflowAction).Workflow)
	}

	require.NoError(t, handle.Pause(t.Context(), client.SchedulePauseOptions{Note: "moving house"}))
	require.NoError(t, worker.EnsureSchedule(t.Context(), c, time.Hour))
	require.Eventually(t, func() bool {
		desc, err := handle.Describe(t.Context())
		require.NoError(t, err)
		return desc.Schedule.State.Paused && desc.Schedule.Spec.Intervals[0].Every == time.Hour
	}, time.Minute, 20*time.Millisecond)
}
