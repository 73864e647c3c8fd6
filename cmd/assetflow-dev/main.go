// Command assetflow-dev runs Assetflow with everything it needs in one process, for development: Temporal with its UI,
// an S3 server, a SQLite catalog, the API and a worker.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := newCommand(run).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "assetflow-dev:", explain(err))
		if errors.Is(err, context.Canceled) {
			os.Exit(130) // interrupted before it was ready
		}
		os.Exit(1)
	}
}
