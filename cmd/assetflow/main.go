// Command assetflow is the service (api, worker, migrate), its administration, and its command line client.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"assetflow/cmd/assetflow/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(command.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
