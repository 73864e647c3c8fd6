package worker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/worker"
)

// holding holds a step of the first job that comes to it, until it is released or interrupted.
type holding struct {
	interceptor.WorkerInterceptorBase
	step              string
	job               string // its workflow id
	reached, released chan struct{}
	once, release     sync.Once
}

func hold(step string) *holding {
	return &holding{step: step, reached: make(chan struct{}), released: make(chan struct{})}
}

func (h *holding) free() { h.release.Do(func() { close(h.released) }) }

func (h *holding) wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.reached:
	case <-time.After(time.Minute):
		require.FailNow(t, "no job came to the held step")
	}
}

func (h *holding) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &heldActivity{holding: h}
	i.Next = next
	return i
}

type heldActivity struct {
	interceptor.ActivityInboundInterceptorBase
	holding *holding
}

func (a *heldActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	h := a.holding
	info := activity.GetInfo(ctx)
	if info.ActivityType.Name != h.step {
		return a.Next.ExecuteActivity(ctx, in)
	}
	h.once.Do(func() {
		h.job = info.WorkflowExecution.ID
		close(h.reached)
	})
	if info.WorkflowExecution.ID != h.job {
		return a.Next.ExecuteActivity(ctx, in)
	}
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case <-h.released:
			return a.Next.ExecuteActivity(ctx, in)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-beat.C:
			activity.RecordHeartbeat(ctx)
		}
	}
}

// A step that does not end in time is ended, and another worker goes on at once: it need not wait for a heartbeat that
// does not come, nor for the pause between two tries.
func TestAStoppedWorkerHandsItsStepsOver(t *testing.T) {
	s := newScene(t)
	s.push("1.0.0")
	step := hold("ApplyChart")
	old := s.workAs(worker.Options{StopTimeout: time.Millisecond, Interceptors: []interceptor.WorkerInterceptor{step}})
	sub := s.submission("gitops")
	s.start(sub)
	step.wait(t)

	old.Stop()
	job, err := s.jobs.Get(t.Context(), sub.ProjectID, sub.JobID)
	require.NoError(t, err)
	require.Equal(t, "The worker that performed the step was stopped; another one goes on.", job.LastFailure, "the server knows when Stop returns")

	defer s.work().Stop()
	job = s.until(sub, ended)
	require.Equal(t, catalog.JobSucceeded, job.State, "%+v", job.Reasons)
	tries := 0
	for _, event := range s.history(job.WorkflowID) {
		require.NotEqual(t, enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, event.GetEventType())
		if started := event.GetActivityTaskStartedEventAttributes(); started.GetAttempt() > 1 {
			tries++
			require.Equal(t, activities.WorkerStopped, started.GetLastFailure().GetApplicationFailureInfo().GetType())
		}
	}
	require.Equal(t, 1, tries, "one step was tried again")
}

// A step that ends in time is left alone.
func TestAStoppedWorkerLetsItsStepsEnd(t *testing.T) {
	s := newScene(t)
	s.push("1.0.0")
	step := hold("ApplyChart")
	old := s.workAs(worker.Options{StopTimeout: 5 * time.Minute, Interceptors: []interceptor.WorkerInterceptor{step}})
	sub := s.submission("gitops")
	s.start(sub)
	step.wait(t)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		old.Stop()
	}()
	step.free()
	<-stopped
	defer s.work().Stop()
	require.Equal(t, catalog.JobSucceeded, s.until(sub, ended).State)
	for _, event := range s.history(s.until(sub, ended).WorkflowID) {
		require.LessOrEqual(t, event.GetActivityTaskStartedEventAttributes().GetAttempt(), int32(1))
	}
}

// workAs starts a worker that differs from others.
func (s *scene) workAs(opts worker.Options) *worker.Worker {
	s.t.Helper()
	opts.Catalog, opts.Storage, opts.Logger, opts.Targets, opts.Jobs = s.Catalog, s.store, quiet, s.targets, s.jobs
	w := worker.New(s.client, opts)
	require.NoError(s.t, w.Start())
	return w
}

// history gives the events of the newest run.
func (s *scene) history(workflowID string) (events []*historypb.HistoryEvent) {
	s.t.Helper()
	all := s.client.GetWorkflowHistory(s.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for all.HasNext() {
		event, err := all.Next()
		require.NoError(s.t, err)
		events = append(events, event)
	}
	return events
}
