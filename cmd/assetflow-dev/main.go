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
	syscall.Umask(0o077) // what is in the data folder is nobody else's business
	err := newCommand(run).ExecuteContext(ctx)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "assetflow-dev: stopped before it was ready")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "assetflow-dev:", explain(err))
		os.Exit(1)
	}
}
