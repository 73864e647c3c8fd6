// Package workertest holds the steps of a worker where a test says.
package workertest

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

// When is where in a step its jobs are held.
type When string

// Before a step begins, and After it has had its effect.
const (
	Before When = "before"
	After  When = "after"
)

// Holds lets a test hold steps of a project's jobs. It is an http.Handler for workers in processes of their own, whose
// Interceptor is that of RemoteInterceptor.
type Holds struct {
	mu sync.Mutex
	at map[string]*Hold
}

// Hold is one of them.
type Hold struct {
	reached, released chan struct{}
	arrive, leave     sync.Once
}

// NewHolds holds nothing yet.
func NewHolds() *Holds { return &Holds{at: make(map[string]*Hold)} }

// Hold makes the step wait in jobs of the project until it is released or cancelled, or the test ends.
func (h *Holds) Hold(t *testing.T, projectID, step string, when When) *Hold {
	t.Helper()
	held := &Hold{reached: make(chan struct{}), released: make(chan struct{})}
	key := keyOf(projectID, step, when)
	h.mu.Lock()
	h.at[key] = held
	h.mu.Unlock()
	t.Cleanup(func() {
		h.mu.Lock()
		delete(h.at, key)
		h.mu.Unlock()
		held.Release()
	})
	return held
}

func keyOf(projectID, step string, when When) string {
	return projectID + "/" + step + "/" + string(when)
}

// Release lets the step go on. Again does nothing.
func (h *Hold) Release() { h.leave.Do(func() { close(h.released) }) }

// Wait returns when a job has come to the held step.
func (h *Hold) Wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.reached:
	case <-time.After(time.Minute):
		require.FailNow(t, "no job came to the held step")
	}
}

// reach tells that a job has come to a step, and gives what is closed when it may go on; nil where nothing holds it.
func (h *Holds) reach(_ context.Context, key string) (<-chan struct{}, error) {
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
func (h *Holds) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	answer, err := http.DefaultClient.Do(r) //nolint:bodyclose // closed where it has been read to its end
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusNoContent {
		return nil, answer.Body.Close()
	}
	released := make(chan struct{})
	go func() {
		defer close(released)
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}()
	return released, nil
}

// Interceptor has the steps of a worker come to the holds.
func (h *Holds) Interceptor() interceptor.WorkerInterceptor { return &holding{holds: h} }

// RemoteInterceptor does that in another process; the holds answer at the URL.
func RemoteInterceptor(url string) interceptor.WorkerInterceptor {
	return &holding{holds: remoteHolds{url}}
}

type reacher interface {
	reach(ctx context.Context, key string) (<-chan struct{}, error)
}

type holding struct {
	interceptor.WorkerInterceptorBase
	holds reacher
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
	if err := a.stop(ctx, in, Before); err != nil {
		return nil, err
	}
	result, err := a.Next.ExecuteActivity(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := a.stop(ctx, in, After); err != nil {
		return nil, err
	}
	return result, nil
}

func (a *holdActivity) stop(ctx context.Context, in *interceptor.ExecuteActivityInput, when When) error {
	released, err := a.holds.reach(ctx, keyOf(projectOf(in.Args), activity.GetInfo(ctx).ActivityType.Name, when))
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
	if len(args) == 0 {
		return ""
	}
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
