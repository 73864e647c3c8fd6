package worker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	sdk "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	embedded "assetflow/embedded/temporal"
	"assetflow/fault"
	"assetflow/worker"
	"assetflow/workflows"
)

// A paused sweep does not run: none begins, and the one that runs has ended when it is said to be paused.
func TestPauseSweep(t *testing.T) {
	t.Parallel()
	quiet := slog.New(slog.DiscardHandler)
	server, err := embedded.Start(t.Context(), embedded.Options{Addr: "127.0.0.1:0", Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	c, err := client.Dial(client.Options{HostPort: server.Addr(), Logger: log.NewStructuredLogger(quiet)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	const namespace = client.DefaultNamespace
	for _, change := range []func(context.Context, client.Client, string, string) error{worker.PauseSweep, worker.ResumeSweep} {
		require.Equal(t, "sweep.no_schedule", fault.CodeOf(change(t.Context(), c, namespace, "too early")))
	}

	// A sweep that ends when it is told to, and takes its time.
	w := sdk.New(c, workflows.DataQueue, sdk.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		_ = workflow.Sleep(ctx, time.Hour)
		last, cancel := workflow.NewDisconnectedContext(ctx)
		defer cancel()
		_ = workflow.Sleep(last, 500*time.Millisecond)
		return ctx.Err()
	}, workflow.RegisterOptions{Name: "SweepAll"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	require.NoError(t, worker.EnsureSchedule(t.Context(), c, time.Second))
	var running string
	require.Eventually(t, func() bool {
		state, err := worker.Sweeping(t.Context(), c, namespace)
		require.NoError(t, err)
		require.False(t, state.Paused)
		if len(state.Running) == 1 {
			running = state.Running[0]
		}
		return running != ""
	}, time.Minute, 20*time.Millisecond)

	for range 2 { // again is no error
		require.NoError(t, worker.PauseSweep(t.Context(), c, namespace, "backup"))
	}
	seen, err := c.DescribeWorkflowExecution(t.Context(), running, "")
	require.NoError(t, err)
	require.NotNil(t, seen.GetWorkflowExecutionInfo().GetCloseTime(), "it has closed")
	require.NoError(t, worker.EnsureSchedule(t.Context(), c, time.Second), "as a worker that starts")
	state, err := worker.Sweeping(t.Context(), c, namespace)
	require.NoError(t, err)
	require.Equal(t, worker.SweepState{Paused: true, Note: "backup"}, state)
	require.Never(t, func() bool {
		state, err := worker.Sweeping(t.Context(), c, namespace)
		return err != nil || len(state.Running) > 0
	}, 3*time.Second, 100*time.Millisecond, "three sweeps were due")

	require.NoError(t, worker.ResumeSweep(t.Context(), c, namespace, "backed up"))
	require.Eventually(t, func() bool {
		state, err := worker.Sweeping(t.Context(), c, namespace)
		require.NoError(t, err)
		require.Equal(t, "backed up", state.Note)
		return len(state.Running) == 1
	}, time.Minute, 20*time.Millisecond)

	away, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(quiet)})
	require.NoError(t, err)
	t.Cleanup(away.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	require.Equal(t, fault.Unavailable, fault.KindOf(worker.PauseSweep(ctx, away, namespace, "backup")))
}
