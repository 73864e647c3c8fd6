// Command assetflow-production runs Assetflow as in production, as processes on this machine, for a person or for a command
// that tests against its servers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once, and the others with it.
	context.AfterFunc(ctx, stop)
	syscall.Umask(0o077) // what is in the data folder is nobody else's business
	err := newCommand().ExecuteContext(ctx)
	var ended *exec.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "assetflow-production: stopped before it was ready")
		os.Exit(130)
	case errors.As(err, &ended) && ended.Exited(): // the command has said why
		os.Exit(ended.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "assetflow-production:", err)
		os.Exit(1)
	}
}
