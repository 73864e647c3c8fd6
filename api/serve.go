package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"assetflow/api/middleware"
)

// The timeouts of a connection. Those of a request's body and answer move with its progress: middleware.SlowClients.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	// maxHeaderBytes stands above middleware.LimitHeaders, which answers in a contract's form.
	maxHeaderBytes = 128 << 10
)

// Once the context ends, requests get drainTime to finish. What still runs then is cut off, and its handlers get
// abortTime to tidy up: 10 s together.
const (
	drainTime = 8 * time.Second
	abortTime = 2 * time.Second
)

// Serve answers requests on ln with h until ctx ends. Then it takes no more connections, lets running requests
// finish for 8 s, cuts off the others, and waits 2 s for their handlers to tidy up. It closes ln and returns nil
// unless the listener failed.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, logger *slog.Logger) error {
	return serve(ctx, ln, h, logger, drainTime, abortTime)
}

func serve(ctx context.Context, ln net.Listener, h http.Handler, logger *slog.Logger, drain, abort time.Duration) error {
	if logger == nil {
		logger = slog.Default()
	}
	// Close does not wait for handlers, and one that was cut off still has a staged upload to remove. It is no WaitGroup,
	// because a handler may begin while the others are waited for.
	var handlers sync.RWMutex
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.RLock()
			defer handlers.RUnlock()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		// Requests outlive ctx: they are drained.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ConnContext: middleware.WithConnection,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(draining); err != nil {
		if !errors.Is(err, context.DeadlineExceeded) {
			logger.WarnContext(ctx, "the listener did not close", "error", err)
		}
		logger.WarnContext(ctx, "requests are cut off: they did not finish in time", "after", drain)
		_ = srv.Close()
		tidy := make(chan struct{})
		go func() {
			handlers.Lock()
			defer handlers.Unlock()
			close(tidy)
		}()
		select {
		case <-tidy:
		case <-time.After(abort):
			logger.WarnContext(ctx, "handlers that were cut off are still tidying up", "after", abort)
		}
	}
	return nil
}
