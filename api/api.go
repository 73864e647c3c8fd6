// Package api is the HTTP edge: it puts the contract packages together to one handler and serves it.
package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
)

// New assembles the handler of all contracts.
func New(opts Options) http.Handler { panic("not built yet") }

// Serve answers requests on ln until ctx ends, then drains.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, logger *slog.Logger) error {
	panic("not built yet")
}
