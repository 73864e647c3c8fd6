package activities

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// heartbeatEvery is how often a step says that it lives. The server hears less of it: the SDK throttles.
const heartbeatEvery = time.Second

// Progress is what a heartbeat tells: bytes done of bytes in all. A Total of 0 means "not known yet".
type Progress struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// heartbeat beats in the background while a step works, so that a killed worker is noticed and a cancellation
// arrives even while the step waits for a slow store.
type heartbeat struct {
	done, total atomic.Int64
	end         chan struct{}
	ended       chan struct{}
}

func startHeartbeat(ctx context.Context) *heartbeat {
	h := newHeartbeat()
	h.start(ctx, func() any { return Progress{Done: h.done.Load(), Total: h.total.Load()} })
	return h
}

// startHeartbeatOf beats with details of the step's own, for its next try.
func startHeartbeatOf(ctx context.Context, details func() any) *heartbeat {
	h := newHeartbeat()
	h.start(ctx, details)
	return h
}

func newHeartbeat() *heartbeat {
	return &heartbeat{end: make(chan struct{}), ended: make(chan struct{})}
}

func (h *heartbeat) start(ctx context.Context, details func() any) {
	go func() {
		defer close(h.ended)
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx, details())
			case <-h.end:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
}

// report notes the progress for the next beat.
func (h *heartbeat) report(done, total int64) {
	h.done.Store(done)
	h.total.Store(total)
}

// stop ends the beating and waits until it has ended.
func (h *heartbeat) stop() {
	close(h.end)
	<-h.ended
}
