package serve

import (
	"context"
	"log/slog"

	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"

	"assetflow/config"
	"assetflow/fault"
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

// withTemporal gives a client of Temporal that encrypts nothing, for what has no payloads.
func withTemporal(cfg config.Temporal, do func(client.Client) error) error {
	options, err := connect(cfg, client.Options{Logger: tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return err
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return fault.New(fault.Internal, "temporal.client", "No client for Temporal can be made.").Wrap(err)
	}
	defer c.Close()
	return do(c)
}
