package serve

import (
	"context"
	"time"
)

// ReachTemporal is what the start asks of Temporal.
func (b *Backends) ReachTemporal(ctx context.Context) error { return b.reachTemporal(ctx) }

// CheckPollersAt is what the readiness of a worker asks of Temporal.
func (b *Backends) CheckPollersAt(ctx context.Context, now time.Time) error {
	return b.checkPollersAt(ctx, now)
}
