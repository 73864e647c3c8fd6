package serve

import (
	"context"

	"go.temporal.io/sdk/client"

	"assetflow/config"
	"assetflow/worker"
)

// PauseSweep keeps the sweep from running, and returns when none runs. Errors: as with worker.PauseSweep.
func PauseSweep(ctx context.Context, cfg config.Temporal, note string) error {
	return withTemporal(cfg, func(c client.Client) error { return worker.PauseSweep(ctx, c, cfg.Namespace, note) })
}

// ResumeSweep lets the sweep run again. Errors: as with worker.PauseSweep.
func ResumeSweep(ctx context.Context, cfg config.Temporal, note string) error {
	return withTemporal(cfg, func(c client.Client) error { return worker.ResumeSweep(ctx, c, cfg.Namespace, note) })
}

// Sweeping tells what the sweep does. Errors: as with worker.PauseSweep.
func Sweeping(ctx context.Context, cfg config.Temporal) (state worker.SweepState, err error) {
	err = withTemporal(cfg, func(c client.Client) error {
		state, err = worker.Sweeping(ctx, c, cfg.Namespace)
		return err
	})
	return state, err
}
