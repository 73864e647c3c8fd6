package telemetry

import "context"

type contextKey uint8

const (
	requestIDKey contextKey = iota
	jobIDKey
	userIDKey
)

// WithRequestID returns a context whose log records carry request_id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey, id)
}

// WithJobID returns a context whose log records carry job_id.
func WithJobID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, jobIDKey, id)
}

// WithUserID returns a context whose log records carry user_id: the opaque id, never a name.
func WithUserID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, userIDKey, id)
}

// RequestID gives the request id in ctx; empty where there is none.
func RequestID(ctx context.Context) string { return text(ctx, requestIDKey) }

// JobID gives the job id in ctx; empty where there is none.
func JobID(ctx context.Context) string { return text(ctx, jobIDKey) }

// UserID gives the user id in ctx; empty where there is none.
func UserID(ctx context.Context) string { return text(ctx, userIDKey) }

func text(ctx context.Context, key contextKey) string {
	s, _ := ctx.Value(key).(string)
	return s
}
