package temporal_test

import (
	"context"
	"database/sql"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdk "go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"assetflow/embedded/temporal"
)

const (
	taskQueue = "test"
	patience  = time.Minute
)

var activityOptions = activity.RegisterOptions{Name: "Step"}

func TestWorkflowRuns(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"in memory": "", "in a folder": filepath.Join(t.TempDir(), "a folder? 100%#new")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, temporal.Options{DataDir: dir, Namespace: "ours", SearchAttributes: []string{"AssetflowJob"}})
			host, _, err := net.SplitHostPort(s.Addr())
			require.NoError(t, err)
			require.Equal(t, "127.0.0.1", host)
			c := dial(t, s, "ours")
			startWorker(t, c)

			job := sdk.NewSearchAttributeKeyKeyword("AssetflowJob")
			for _, id := range []string{"one", "two"} {
				run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
					ID: id, TaskQueue: taskQueue,
					TypedSearchAttributes: sdk.NewSearchAttributes(job.ValueSet("job-" + id)),
				}, runActivities, 2)
				require.NoError(t, err)
				require.NoError(t, run.Get(t.Context(), nil))
			}
			require.EventuallyWithT(t, func(t2 *assert.CollectT) {
				list, err := c.ListWorkflow(context.Background(), &workflowservice.ListWorkflowExecutionsRequest{
					Query: "AssetflowJob = 'job-two'",
				})
				require.NoError(t2, err)
				require.Len(t2, list.GetExecutions(), 1)
				require.Equal(t2, "two", list.GetExecutions()[0].GetExecution().GetWorkflowId())
			}, patience, 20*time.Millisecond)
			select {
			case <-s.Failed():
				require.NoError(t, s.Err())
			default:
			}
		})
	}
}

// A workflow id is free again the moment its run has ended.
func TestSameWorkflowIDAgainAtOnce(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t, temporal.Options{}), "")
	startWorker(t, c)
	for range 20 {
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
			ID: "again", TaskQueue: taskQueue, WorkflowExecutionErrorWhenAlreadyStarted: true,
			WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		}, runActivities, 0)
		require.NoError(t, err)
		require.NoError(t, run.Get(t.Context(), nil))
	}
}

func TestRestartFinishesRunningWorkflows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, temporal.Options{DataDir: dir})
	c := dial(t, first, "")
	started := make(chan struct{}, 1)
	w := newWorker(c, func(ctx context.Context) error {
		started <- struct{}{}
		<-ctx.Done() // its worker stops before it is done
		return ctx.Err()
	})
	require.NoError(t, w.Start())
	for id, fn := range map[string]any{"activity": runLost, "timer": runTimer} {
		_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: taskQueue}, fn)
		require.NoError(t, err)
	}
	<-started
	require.Eventually(t, func() bool { // the timer runs too
		d, err := c.DescribeWorkflow(context.Background(), "timer", "")
		return err == nil && d.HistoryLength >= 5
	}, patience, 20*time.Millisecond)
	first.Stop()
	w.Stop()

	second := start(t, temporal.Options{DataDir: dir})
	c = dial(t, second, "")
	w = newWorker(c, func(context.Context) error { return nil })
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	for _, id := range []string{"activity", "timer"} {
		require.NoError(t, c.GetWorkflow(t.Context(), id, "").Get(t.Context(), nil))
	}
}

// What Stop leaves: a complete file, an empty log, no worker that goes on polling, and after the connection's lifetime
// nobody who holds the file. It is not parallel, because it looks at everything that runs in the process.
func TestStopLeavesNothingRunning(t *testing.T) {
	dir := t.TempDir()
	s, err := temporal.Start(t.Context(), temporal.Options{DataDir: dir})
	require.NoError(t, err)
	begin := time.Now()
	s.Stop()
	s.Stop() // does nothing
	require.Less(t, time.Since(begin), 8*time.Second, "it has given up")
	require.NoError(t, s.Err(), "closed listeners are no failure")
	if log, err := os.Stat(filepath.Join(dir, "temporal.db-wal")); err == nil {
		require.Zero(t, log.Size())
	}
	require.NotContains(t, stacks(), "go.temporal.io/sdk/internal.(*baseWorker)")
	if _, err := os.Stat("/proc/self/fd"); err == nil {
		require.Eventually(t, func() bool { return !holdsFileIn(dir) }, patience, 100*time.Millisecond)
	}
}

// stacks tells what all goroutines of the process do.
func stacks() string {
	text := make([]byte, 16<<20)
	return string(text[:runtime.Stack(text, true)])
}

func holdsFileIn(dir string) bool {
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, dir) {
			return true
		}
	}
	return false
}

func TestLaterStartChangesTheNamespace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := temporal.Start(t.Context(), temporal.Options{DataDir: dir, SearchAttributes: []string{"One"}})
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, retention(t, first))
	first.Stop()

	s := start(t, temporal.Options{DataDir: dir, SearchAttributes: []string{"One", "Two"}, Retention: 48 * time.Hour})
	require.Equal(t, 48*time.Hour, retention(t, s))
	list, err := dial(t, s, "").OperatorService().ListSearchAttributes(t.Context(),
		&operatorservice.ListSearchAttributesRequest{Namespace: "default"})
	require.NoError(t, err)
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, list.GetCustomAttributes()["One"])
	require.Equal(t, enumspb.INDEXED_VALUE_TYPE_KEYWORD, list.GetCustomAttributes()["Two"])
	require.Len(t, list.GetCustomAttributes(), 2)
}

func retention(t *testing.T, s *temporal.Server) time.Duration {
	t.Helper()
	namespace, err := dial(t, s, "").WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: "default"})
	require.NoError(t, err)
	return namespace.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	t.Run("a taken address", func(t *testing.T) {
		t.Parallel()
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = taken.Close() })
		_, err = temporal.Start(t.Context(), temporal.Options{Addr: taken.Addr().String()})
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	})
	t.Run("more search attributes than there is room for", func(t *testing.T) {
		t.Parallel()
		_, err := temporal.Start(t.Context(), temporal.Options{SearchAttributes: strings.Split("ABCDEFGHIJK", "")})
		require.ErrorContains(t, err, `no room for search attribute "K"`)
	})
	t.Run("when its context has ended", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := temporal.Start(ctx, temporal.Options{DataDir: t.TempDir()})
		require.ErrorIs(t, err, context.Canceled)
	})
	for name, change := range map[string]string{
		"a file of an older version":   `UPDATE schema_version SET curr_version = '0.10/0.1/00000000'`,
		"a file without a version":     `DROP TABLE schema_version`,
		"a file with an empty version": `DELETE FROM schema_version`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s, err := temporal.Start(t.Context(), temporal.Options{DataDir: dir})
			require.NoError(t, err)
			s.Stop()
			db, err := sql.Open("sqlite", filepath.Join(dir, "temporal.db"))
			require.NoError(t, err)
			_, err = db.Exec(change)
			require.NoError(t, err)
			require.NoError(t, db.Close())

			_, err = temporal.Start(t.Context(), temporal.Options{DataDir: dir})
			var schema *temporal.SchemaError
			require.ErrorAs(t, err, &schema)
			require.NotEmpty(t, schema.Want)
			require.ErrorContains(t, err, "move the file away")
			require.ErrorContains(t, err, dir)
		})
	}
}

func start(t testing.TB, opts temporal.Options) *temporal.Server {
	t.Helper()
	s, err := temporal.Start(context.Background(), opts)
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	return s
}

func dial(t testing.TB, s *temporal.Server, namespace string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.Addr(), Namespace: namespace, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func startWorker(t testing.TB, c client.Client) {
	t.Helper()
	w := newWorker(c, func(context.Context) error { return nil })
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
}

// newWorker makes a worker whose activities do step.
func newWorker(c client.Client, step func(context.Context) error) worker.Worker {
	w := worker.New(c, taskQueue, worker.Options{})
	w.RegisterWorkflow(runActivities)
	w.RegisterWorkflow(runLost)
	w.RegisterWorkflow(runTimer)
	w.RegisterActivityWithOptions(step, activityOptions)
	return w
}

// runActivities runs n activities, one after the other.
func runActivities(ctx workflow.Context, n int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for range n {
		if err := workflow.ExecuteActivity(ctx, activityOptions.Name).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// runLost runs an activity that is tried again soon after its worker is gone.
func runLost(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2 * time.Second,
		RetryPolicy:         &sdk.RetryPolicy{InitialInterval: time.Millisecond},
	})
	return workflow.ExecuteActivity(ctx, activityOptions.Name).Get(ctx, nil)
}

func runTimer(ctx workflow.Context) error { return workflow.Sleep(ctx, 2*time.Second) }
