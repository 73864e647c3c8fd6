package temporal

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/log/tag"
)

// logAdapter lets the server log to slog.
type logAdapter struct {
	logger *slog.Logger
	level  slog.Level
	*logState
}

// logState is shared by an adapter and those made from it with With.
type logState struct {
	fatal fatalError
	// stopping is set when Stop begins. From then on the services complain about each other's absence, which tells
	// nobody anything: such lines are logged as debug.
	stopping atomic.Bool
}

var _ interface {
	log.Logger
	log.WithLogger
} = (*logAdapter)(nil)

func newLogAdapter(logger *slog.Logger, verbose bool) *logAdapter {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return &logAdapter{
		logger:   logger.With("component", "temporal"),
		level:    level,
		logState: &logState{fatal: fatalError{done: make(chan struct{})}},
	}
}

func (a *logAdapter) Debug(msg string, tags ...tag.Tag) { a.log(slog.LevelDebug, msg, tags) }
func (a *logAdapter) Info(msg string, tags ...tag.Tag)  { a.log(slog.LevelInfo, msg, tags) }

// Warn leaves out advice that does not apply here.
func (a *logAdapter) Warn(msg string, tags ...tag.Tag) {
	if strings.HasPrefix(msg, "HTTP API port has not been set") {
		return // the SDK and the UI speak gRPC
	}
	a.log(slog.LevelWarn, msg, tags)
}

// Error reports what the server met and goes on from.
func (a *logAdapter) Error(msg string, tags ...tag.Tag) { a.log(slog.LevelError, msg, tags) }

// DPanic reports a defect of the server that it survives.
func (a *logAdapter) DPanic(msg string, tags ...tag.Tag) { a.log(slog.LevelError, msg, tags) }

// Panic must not return.
func (a *logAdapter) Panic(msg string, tags ...tag.Tag) {
	a.log(slog.LevelError, msg, tags)
	panic(describe(msg, tags))
}

// Fatal must not return. Ending the process is not for a library to decide, so the error is kept for Server.Err and only
// the calling goroutine ends.
func (a *logAdapter) Fatal(msg string, tags ...tag.Tag) {
	if a.stopping.Load() {
		runtime.Goexit() // a listener that was closed under a Serve
	}
	a.log(slog.LevelError, msg, tags)
	a.fatal.set(fmt.Errorf("%s", describe(msg, tags)))
	runtime.Goexit()
}

// With returns an adapter that adds the tags to each line.
func (a *logAdapter) With(tags ...tag.Tag) log.Logger {
	return &logAdapter{logger: slog.New(a.logger.Handler().WithAttrs(attributes(tags))), level: a.level, logState: a.logState}
}

func (a *logAdapter) log(level slog.Level, msg string, tags []tag.Tag) {
	if a.stopping.Load() {
		level = slog.LevelDebug
	}
	ctx := context.Background()
	if level < a.level || !a.logger.Enabled(ctx, level) {
		return
	}
	a.logger.LogAttrs(ctx, level, msg, attributes(tags)...)
}

func attributes(tags []tag.Tag) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(tags))
	for _, t := range tags {
		attrs = append(attrs, slog.Any(t.Key(), t.Value()))
	}
	return attrs
}

func describe(msg string, tags []tag.Tag) string {
	for _, t := range tags {
		msg += fmt.Sprintf(", %s: %v", t.Key(), t.Value())
	}
	return msg
}

// fatalError is the first error after which the server cannot go on.
type fatalError struct {
	once  sync.Once
	done  chan struct{}
	cause error
}

func (f *fatalError) set(err error) {
	f.once.Do(func() {
		f.cause = err
		close(f.done)
	})
}

func (f *fatalError) err() error {
	select {
	case <-f.done:
		return f.cause
	default:
		return nil
	}
}
