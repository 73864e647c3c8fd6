package replication

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"assetflow/fault"
)

// traced begins the span of one request to a source region, where the step that it is made for is traced, and gives what ends
// it. The trace's ids stay in this region, and the URL, which is a secret, out of the span.
func (f *Fetcher) traced(ctx context.Context) (_ context.Context, end func(bytes int, err error)) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, func(int, error) {}
	}
	ctx, span := f.tracer.Start(ctx, "GET from source region", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(http.MethodGet)))
	return ctx, func(bytes int, err error) {
		defer span.End()
		span.SetAttributes(semconv.HTTPResponseBodySize(bytes))
		if err != nil {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(semconv.ErrorTypeKey.String(fault.CodeOf(err)))
		}
	}
}
