package serve

import "context"

// ReachTemporal is what the start asks of Temporal.
func (b *Backends) ReachTemporal(ctx context.Context) error { return b.reachTemporal(ctx) }
