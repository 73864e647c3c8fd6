package middleware

import "context"

type (
	stopBegunKey struct{}
	stopLastKey  struct{}
)

// WithStop lets requests know of the end of their server: begun ends when it wants no more requests, last when those
// that still run must come to an end.
func WithStop(ctx, begun, last context.Context) context.Context {
	return context.WithValue(context.WithValue(ctx, stopBegunKey{}, begun), stopLastKey{}, last)
}

// Stopping reports whether the server of a request is about to end.
func Stopping(ctx context.Context) bool {
	select {
	case <-stopBegun(ctx):
		return true
	default:
		return false
	}
}

// stopBegun gives a channel that is closed when the server wants no more requests; nil where nobody says so.
func stopBegun(ctx context.Context) <-chan struct{} {
	if begun, ok := ctx.Value(stopBegunKey{}).(context.Context); ok {
		return begun.Done()
	}
	return nil
}

// UntilLast gives a context that ends also when the request must come to an end because its server does: for what merely
// waits, and has an answer without.
func UntilLast(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := onLast(ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// onLast calls f when the request must come to an end, unless stop was called before.
func onLast(ctx context.Context, f func()) (stop func() bool) {
	last, ok := ctx.Value(stopLastKey{}).(context.Context)
	if !ok {
		return func() bool { return true }
	}
	return context.AfterFunc(last, f) //nolint:contextcheck // the server's end is not the request's
}
