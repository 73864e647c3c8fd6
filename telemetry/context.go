package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

type contextKey uint8

const (
	requestIDKey contextKey = iota
	jobIDKey
	userIDKey
)

// name is how log records and spans call it.
func (k contextKey) name() string {
	return [...]string{requestIDKey: "request_id", jobIDKey: "job_id", userIDKey: "user_id"}[k]
}

// WithRequestID returns a context whose log records carry request_id, and notes it on the span.
func WithRequestID(ctx context.Context, id string) context.Context {
	return with(ctx, requestIDKey, id)
}

// WithJobID returns a context whose log records carry job_id, and notes it on the span.
func WithJobID(ctx context.Context, id string) context.Context {
	return with(ctx, jobIDKey, id)
}

// WithUserID returns a context whose log records carry user_id, and notes it on the span: the opaque id, never a name.
func WithUserID(ctx context.Context, id string) context.Context {
	return with(ctx, userIDKey, id)
}

// RequestID gives the request id in ctx; empty where there is none.
func RequestID(ctx context.Context) string { return text(ctx, requestIDKey) }

// JobID gives the job id in ctx; empty where there is none.
func JobID(ctx context.Context) string { return text(ctx, jobIDKey) }

// UserID gives the user id in ctx; empty where there is none.
func UserID(ctx context.Context) string { return text(ctx, userIDKey) }

// NoteJob notes on the span which job the request is about.
func NoteJob(ctx context.Context, id string) {
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("assetflow."+jobIDKey.name(), id))
}

func with(ctx context.Context, key contextKey, id string) context.Context {
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("assetflow."+key.name(), id))
	return context.WithValue(ctx, key, id)
}

func text(ctx context.Context, key contextKey) string {
	s, _ := ctx.Value(key).(string)
	return s
}
