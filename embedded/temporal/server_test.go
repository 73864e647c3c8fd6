package temporal_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"assetflow/embedded/temporal"
)

func start(t testing.TB, opts temporal.Options) *temporal.Server {
	t.Helper()
	begin := time.Now()
	s, err := temporal.Start(context.Background(), opts)
	require.NoError(t, err)
	t.Logf("started in %s", time.Since(begin))
	t.Cleanup(func() {
		begin := time.Now()
		s.Stop()
		t.Logf("stopped in %s", time.Since(begin))
	})
	return s
}

func noop(ctx context.Context) error { return nil }

func activities(ctx workflow.Context, n int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for range n {
		if err := workflow.ExecuteActivity(ctx, noop).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func TestSmoke(t *testing.T) {
	s := start(t, temporal.Options{DataDir: t.TempDir()})
	c, err := client.Dial(client.Options{HostPort: s.Addr()})
	require.NoError(t, err)
	defer c.Close()
	w := worker.New(c, "q", worker.Options{})
	w.RegisterWorkflow(activities)
	w.RegisterActivity(noop)
	require.NoError(t, w.Start())
	defer w.Stop()
	for range 3 {
		begin := time.Now()
		run, err := c.ExecuteWorkflow(context.Background(), client.StartWorkflowOptions{TaskQueue: "q", ID: "x"}, activities, 1)
		require.NoError(t, err)
		require.NoError(t, run.Get(context.Background(), nil))
		t.Log(time.Since(begin))
	}
}
