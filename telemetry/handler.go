package telemetry

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// The names of the ids of a span in log records.
const (
	traceIDName = "trace_id"
	spanIDName  = "span_id"
)

// WithContextAttributes returns a handler that adds request_id, job_id and user_id from the context to every record, and
// trace_id and span_id where there is a span, at the top level also for a logger with an open group.
func WithContextAttributes(h slog.Handler) slog.Handler { return &contextHandler{base: h} }

// contextHandler stands in front of another handler. What was opened or added after the first group is kept back in
// later and applied per record, because an attribute given to a handler with an open group would end up inside it.
type contextHandler struct {
	base  slog.Handler
	later []func(slog.Handler) slog.Handler
}

func (h *contextHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

func (h *contextHandler) Handle(ctx context.Context, r slog.Record) error {
	target := h.base
	if ids := contextAttributes(ctx); len(ids) > 0 {
		target = target.WithAttrs(ids)
	}
	for _, apply := range h.later {
		target = apply(target)
	}
	return target.Handle(ctx, r)
}

func (h *contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.later) == 0 {
		return &contextHandler{base: h.base.WithAttrs(attrs)}
	}
	return h.keep(func(t slog.Handler) slog.Handler { return t.WithAttrs(attrs) })
}

func (h *contextHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.keep(func(t slog.Handler) slog.Handler { return t.WithGroup(name) })
}

func (h *contextHandler) keep(apply func(slog.Handler) slog.Handler) slog.Handler {
	return &contextHandler{base: h.base, later: append(slices.Clip(h.later), apply)}
}

func contextAttributes(ctx context.Context) []slog.Attr {
	var attrs []slog.Attr
	for _, key := range [...]contextKey{requestIDKey, jobIDKey, userIDKey} {
		if id := text(ctx, key); id != "" {
			attrs = append(attrs, slog.String(key.name(), id))
		}
	}
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		attrs = append(attrs, slog.String(traceIDName, span.TraceID().String()), slog.String(spanIDName, span.SpanID().String()))
	}
	return attrs
}
