package backup

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"assetflow/activities"
)

// gates keep steps of users' jobs from beginning until they are opened, so that a backup catches the jobs right there.
type gates struct {
	interceptor.WorkerInterceptorBase
	mu sync.Mutex
	at map[string]*gate
}

type gate struct {
	reached, opened chan struct{}
	reach, open     sync.Once
}

// shut keeps the step of the user's jobs from beginning.
func (g *gates) shut(userID, step string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := &gate{reached: make(chan struct{}), opened: make(chan struct{})}
	if g.at == nil {
		g.at = map[string]*gate{}
	}
	g.at[userID+"/"+step] = at
	return at
}

// pass opens the gate.
func (g *gate) pass() { g.open.Do(func() { close(g.opened) }) }

// wait returns when a job has come to the gate.
func (g *gate) wait(t *testing.T) {
	t.Helper()
	select {
	case <-g.reached:
	case <-time.After(time.Minute):
		require.FailNow(t, "no job came to the gate")
	}
}

func (g *gates) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &gated{gates: g}
	i.Next = next
	return i
}

type gated struct {
	interceptor.ActivityInboundInterceptorBase
	gates *gates
}

func (a *gated) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	a.gates.mu.Lock()
	at := a.gates.at[userOf(in.Args)+"/"+activity.GetInfo(ctx).ActivityType.Name]
	a.gates.mu.Unlock()
	if at == nil {
		return a.Next.ExecuteActivity(ctx, in)
	}
	at.reach.Do(func() { close(at.reached) })
	beat := time.NewTicker(200 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-at.opened:
			return a.Next.ExecuteActivity(ctx, in)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-beat.C:
			activity.RecordHeartbeat(ctx)
		}
	}
}

// userOf names the user of a step's job; empty where its input does not say.
func userOf(args []any) string {
	if len(args) == 0 {
		return ""
	}
	switch in := args[0].(type) {
	case activities.ImportJob:
		return in.UserID
	case activities.SelectionJob:
		return in.UserID
	case activities.DeliveryJob:
		return in.UserID
	default:
		return ""
	}
}
