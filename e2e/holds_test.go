package e2e

import (
	"context"
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
	interceptor.WorkerInterceptorBase
	mu sync.Mutex
	at map[string]*hold
}

type hold struct {
	reached, released chan struct{}
	once              sync.Once
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

func (h *hold) release() { h.once.Do(func() { close(h.released) }) }

// wait returns when a job has come to the hold.
func (h *hold) wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.reached:
	case <-time.After(time.Minute):
		require.FailNow(t, "no job came to the held step")
	}
}

func (h *holds) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &holdActivity{holds: h}
	i.Next = next
	return i
}

type holdActivity struct {
	interceptor.ActivityInboundInterceptorBase
	holds *holds
}

func (a *holdActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if err := a.holds.stop(ctx, in, "before"); err != nil {
		return nil, err
	}
	result, err := a.Next.ExecuteActivity(ctx, in)
	if err != nil {
		return nil, err
	}
	if err := a.holds.stop(ctx, in, "after"); err != nil {
		return nil, err
	}
	return result, nil
}

func (h *holds) stop(ctx context.Context, in *interceptor.ExecuteActivityInput, when string) error {
	key := projectOf(in.Args) + "/" + activity.GetInfo(ctx).ActivityType.Name + "/" + when
	h.mu.Lock()
	held := h.at[key]
	h.mu.Unlock()
	if held == nil {
		return nil
	}
	select {
	case <-held.reached: // a retry comes here again
	default:
		close(held.reached)
	}
	for beat := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case <-held.released:
			beat.Stop()
			return nil
		case <-ctx.Done():
			beat.Stop()
			return ctx.Err()
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
