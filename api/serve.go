package api

import (
	"cmp"
	"context"
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

// Shutdown is how a server ends. While requests are cut off, 5 s come on top.
type Shutdown struct {
	// Delay is how long requests are still taken as before, once the end was announced: longer than whoever spreads them
	// takes to notice that /readyz fails.
	Delay time.Duration
	// Drain is how long requests under way may go on after that; 8 s where 0.
	Drain time.Duration
	// answer and abort are how long those that were told to end have for their answers, and their handlers to tidy up;
	// answerTime and abortTime where 0.
	answer, abort time.Duration
}

const (
	drainTime  = 8 * time.Second
	answerTime = 3 * time.Second
	abortTime  = 2 * time.Second
)

// Serve answers requests on ln with h until ctx ends. Then it goes on for the shutdown's delay, while /readyz fails and
// every answer ends its connection; takes no more connections and lets running requests finish for as long as it drains;
// tells those that are left to come to an end, which is an answer of 503 to an upload; and 3 s later cuts off the others,
// and waits 2 s for their handlers to tidy up. It closes ln and returns nil unless the listener failed.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, logger *slog.Logger, end Shutdown) error {
	end.Drain, end.answer, end.abort = cmp.Or(end.Drain, drainTime), cmp.Or(end.answer, answerTime), cmp.Or(end.abort, abortTime)
	if logger == nil {
		logger = slog.Default()
	}
	// ctx itself is what says that the end has begun; last ends with the drain.
	last, hurry := context.WithCancel(context.WithoutCancel(ctx))
	defer hurry()
	base := middleware.WithStop(context.WithoutCancel(ctx), ctx, last)
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
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: middleware.WithConnection,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	if end.Delay > 0 {
		logger.InfoContext(ctx, "the end is announced: requests are still taken", "for", end.Delay)
		select {
		case err := <-failed:
			return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
		case <-time.After(end.Delay):
		}
	}
	ctx = context.WithoutCancel(ctx)
	logger.InfoContext(ctx, "requests under way are let finish", "for", end.Drain)
	if drained(ctx, srv, end.Drain, logger) {
		return nil
	}
	logger.WarnContext(ctx, "requests must come to an end: they did not finish in time", "after", end.Drain)
	hurry()
	if drained(ctx, srv, end.answer, logger) {
		return nil
	}
	logger.WarnContext(ctx, "requests are cut off: they did not come to an end", "after", end.answer)
	_ = srv.Close()
	tidy := make(chan struct{})
	go func() {
		handlers.Lock()
		defer handlers.Unlock()
		close(tidy)
	}()
	select {
	case <-tidy:
	case <-time.After(end.abort):
		logger.WarnContext(ctx, "handlers that were cut off are still tidying up", "after", end.abort)
	}
	return nil
}

// drained closes the listener and idle connections, and waits for the others. It reports whether all of them ended in time.
func drained(ctx context.Context, srv *http.Server, within time.Duration, logger *slog.Logger) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := srv.Shutdown(ctx)
	if err != nil && ctx.Err() == nil { // of the listener; the connections have ended
		logger.WarnContext(ctx, "the listener did not close", "error", err)
	}
	return ctx.Err() == nil
}
