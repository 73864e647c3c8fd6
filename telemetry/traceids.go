package telemetry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"

	"go.opentelemetry.io/otel/trace"
)

// spanIDs makes the ids of spans: random ones, but always the same for a span whose context carries a seed.
type spanIDs struct{}

type seedKey struct{}

// withSeed returns a context in which the next span has ids that follow from the text.
func withSeed(ctx context.Context, text string) context.Context {
	return context.WithValue(ctx, seedKey{}, sha256.Sum256([]byte(text)))
}

// NewIDs makes the ids of a span that begins a trace.
func (spanIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	bytes := idBytes(ctx)
	return trace.TraceID(bytes[8:24]), trace.SpanID(bytes[:8])
}

// NewSpanID makes the id of a span in a trace that there is.
func (spanIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	bytes := idBytes(ctx)
	return trace.SpanID(bytes[:8])
}

func idBytes(ctx context.Context) (bytes [sha256.Size]byte) {
	if seed, ok := ctx.Value(seedKey{}).([sha256.Size]byte); ok {
		return seed
	}
	_, _ = rand.Read(bytes[:]) // never fails: crypto/rand ends the program instead
	return bytes
}
