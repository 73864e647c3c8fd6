package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// complainEvery is from one complaint about the collector to the next.
const complainEvery = 10 * time.Minute

// maxComplaint is how much of an error is logged, in bytes: what a collector answers goes into it.
const maxComplaint = 300

// quietExporter keeps to itself that spans cannot be sent, but for a log record now and then: it is the collector's
// trouble and not the service's.
type quietExporter struct {
	sdktrace.SpanExporter
	logger *slog.Logger

	mu         sync.Mutex
	complained time.Time // zero: never
	lost       int       // spans since the last complaint
}

// ExportSpans sends spans, and never fails.
func (e *quietExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		return nil
	}
	e.lost += len(spans)
	if !e.complained.IsZero() && time.Since(e.complained) < complainEvery {
		return nil
	}
	text := err.Error()
	e.logger.WarnContext(ctx, "the collector does not take traces", "spans_lost", e.lost, "error", text[:min(len(text), maxComplaint)])
	e.complained, e.lost = time.Now(), 0
	return nil
}
