package e2e

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"assetflow/activities"
)

// holds lets a test hold a step of a project's jobs, before it begins or after it has had its effect.
type holds struct {
	mu sync.Mutex
	at map[string]*hold
}

type hold struct {
	reached, released chan struct{}
	arrive, leave     sync.Once
}

func newHolds() *holds { return &holds{at: make(map[string]*hold)} }

// hold makes the step wait in jobs of the project, "before" or "after" its work, until release or a cancellation.
func (h *holds) hold(t *testing.T, projectID, step, when string) *hold {
	t.Helper()
	held := &hold{reached: make(chan struct{}), released: make(chan struct{})}
	key := projectID + "/" + step + "/" + when
	h.mu.Lock()
	h.at[key] = held
	h.mu.Unlock()
	t.Cleanup(func() {
		h.mu.Lock()
		delete(h.at, key)
		h.mu.Unlock()
		held.release()
	})
	return held
}

func (h *hold) release() { h.leave.Do(func() { close(h.released) }) }

// wait returns when a job has come to the hold.
func (h *hold) wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.reached:
	case <-time.After(time.Minute):
		require.FailNow(t, "no job came to the held step")
	}
}

// reach tells that a job has come to a step, and gives what is closed when it may go on; nil where nothing holds it.
func (h *holds) reach(_ context.Context, key string) (<-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.at[key]
	if held == nil {
		return nil, nil //nolint:nilnil // nil is the answer
	}
	held.arrive.Do(func() { close(held.reached) }) // a retry comes here again
	return held.released, nil
}

// ServeHTTP is reach for workers in processes of their own: the answer ends when the job may go on.
func (h *holds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	released, _ := h.reach(r.Context(), r.FormValue("key"))
	if released == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	select {
	case <-released:
	case <-r.Context().Done():
	}
}

// remoteHolds is the way of such a worker to the holds, which answer at the URL.
type remoteHolds struct{ url string }

func (h remoteHolds) reach(ctx context.Context, key string) (<-chan struct{}, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"?"+url.Values{"key": {key}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusNoContent {
		return nil, answer.Body.Close()
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
	}()
	return released, nil
}

// holding has the steps of a worker come to the holds.
type holding struct {
	interceptor.WorkerInterceptorBase
	holds interface {
		reach(ctx context.Context, key string) (<-chan struct{}, error)
	}
}

func (h *holding) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &holdActivity{holding: h}
	i.Next = next
	return i
}

type holdActivity struct {
	interceptor.ActivityInboundInterceptorBase
	*holding
}

func (a *holdActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if err := a.stop(ctx, in, "before"); err != nil {
		return nil, err
	}
	result, err := a.Next.ExecuteActivity(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := a.stop(ctx, in, "after"); err != nil {
		return nil, err
	}
	return result, nil
}

func (a *holdActivity) stop(ctx context.Context, in *interceptor.ExecuteActivityInput, when string) error {
	released, err := a.holds.reach(ctx, projectOf(in.Args)+"/"+activity.GetInfo(ctx).ActivityType.Name+"/"+when)
	if err != nil || released == nil {
		return err
	}
	beat := time.NewTicker(200 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done(): // before released: the way to it may have ended with ctx
			return ctx.Err()
		default:
		}
		select {
		case <-released:
			return ctx.Err()
		case <-ctx.Done():
		case <-beat.C:
			activity.RecordHeartbeat(ctx, activities.Progress{Done: 1, Total: 2})
		}
	}
}

// projectOf names the project of a step's job; empty where its input does not say.
func projectOf(args []any) string {
	var key string
	switch in := args[0].(type) {
	case activities.ImportJob:
		return in.ProjectID
	case activities.SelectionJob:
		return in.ProjectID
	case activities.TemplateJob:
		return in.ProjectID
	case activities.DeliveryJob:
		return in.ProjectID
	case string: // the workflow id of a queue's jobs
		key = strings.ReplaceAll(in, ":", "/")
	case activities.Ending:
		key = in.StagedKey + in.ArchiveKey
	}
	if parts := strings.Split(key, "/"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}
