package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"assetflow/e2e/chaos"
)

// benchChaos is no comparison: it kills processes, so often that what happens once in a hundred times happens, and fails
// when something was lost, left behind or done twice. It starts its own stack.
func benchChaos(ctx context.Context, _ *stack, z sizes, out io.Writer) error {
	_, err := chaos.Run(ctx, chaos.Options{
		Rounds: z.kills, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Out: out,
	})
	return err
}
