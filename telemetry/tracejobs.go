package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/fault"
)

// runWorkflow begins the name of the span of a workflow, before its type.
const runWorkflow = "RunWorkflow:"

// workflowSpanKey is where the span of a workflow stands in its context.
type workflowSpanKey struct{}

// JobInterceptor carries the trace of a request through the workflow that it starts, and that workflow's steps: for the
// options of a Temporal client, whose workers then have it too. Only the ids of the trace stand in the headers of a
// history, in clear. Workflows of the types in roots begin a trace of their own, with a link to the one they were
// started from: those that serve many requests.
//
// A history replays the same with and without it.
func JobInterceptor(provider trace.TracerProvider, roots ...string) (interceptor.Interceptor, error) {
	tracer, err := jobTracerOf(provider.Tracer("assetflow/telemetry"), roots)
	if err != nil {
		return nil, fmt.Errorf("trace jobs: %w", err)
	}
	return interceptor.NewTracingInterceptor(tracer), nil
}

func jobTracerOf(tracer trace.Tracer, roots []string) (interceptor.Tracer, error) {
	t, err := opentelemetry.NewTracer(opentelemetry.TracerOptions{
		Tracer:            tracer,
		TextMapPropagator: callers,
		DisableBaggage:    true,
		SpanContextKey:    workflowSpanKey{},
		// What stands in a header must never fail a job.
		AllowInvalidParentSpans: true,
		SpanStarter: func(ctx context.Context, tracer trace.Tracer, name string, opts ...trace.SpanStartOption) trace.Span {
			return startJobSpan(ctx, tracer, name, roots, opts)
		},
	})
	return jobTracer{t}, err
}

func startJobSpan(ctx context.Context, tracer trace.Tracer, name string, roots []string, opts []trace.SpanStartOption) trace.Span {
	config, parent := trace.NewSpanStartConfig(opts...), trace.SpanContextFromContext(ctx)
	if !parent.IsValid() && config.SpanKind() == trace.SpanKindClient {
		// Nobody asked for this: it is the service's own housekeeping. What it starts begins a trace of its own, so that not
		// all runs of a schedule belong to the trace of the process that made it.
		return trace.SpanFromContext(context.Background()) //nolint:contextcheck // none of ctx
	}
	if kind, ok := strings.CutPrefix(name, runWorkflow); ok {
		// A workflow is replayed after a restart, and its steps already know the id of its span.
		ctx = withSeed(ctx, fmt.Sprint(parent.TraceID(), parent.SpanID(), name, config.Timestamp().UnixNano()))
		if parent.IsValid() && slices.Contains(roots, kind) {
			opts = append(opts, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: parent}))
		}
	}
	_, span := tracer.Start(ctx, name, opts...)
	return &jobSpan{Span: span}
}

// jobSpan says of an error of which sort it is. Its text is in the log.
type jobSpan struct {
	trace.Span
	goesOn bool // the error says that the workflow goes on in another run
}

// RecordError notes the sort of the error.
func (s *jobSpan) RecordError(err error, _ ...trace.EventOption) {
	if s.goesOn = workflow.IsContinueAsNewError(err); err != nil && !s.goesOn {
		s.SetAttributes(semconv.ErrorTypeKey.String(sortOf(err)))
	}
}

// SetStatus leaves the text out.
func (s *jobSpan) SetStatus(code codes.Code, _ string) {
	if !s.goesOn {
		s.Span.SetStatus(code, "")
	}
}

// sortOf gives the code of a fault, or the type of a step's failure.
func sortOf(err error) string {
	var failure *temporal.ApplicationError
	switch {
	case fault.CodeOf(err) != "":
		return fault.CodeOf(err)
	case temporal.IsCanceledError(err) || errors.Is(err, context.Canceled):
		return "cancelled"
	case temporal.IsTimeoutError(err) || errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.As(err, &failure) && failure.Type() != "":
		return failure.Type()
	}
	return semconv.ErrorTypeOther.Value.AsString()
}

// jobTracer names the ids in the log records of workflows as all others do.
type jobTracer struct{ interceptor.Tracer }

// GetLogger adds the ids of the span to a workflow's logger.
func (jobTracer) GetLogger(logger tlog.Logger, ref interceptor.TracerSpanRef) tlog.Logger {
	span, ok := ref.(interface{ SpanContext() trace.SpanContext })
	if !ok || !span.SpanContext().IsValid() {
		return logger
	}
	return tlog.With(logger, traceIDName, span.SpanContext().TraceID().String(), spanIDName, span.SpanContext().SpanID().String())
}

// parents makes spans of what TraceParent gave, in the form that the interceptor takes.
var parents = func() interceptor.Tracer {
	tracer, err := jobTracerOf(noop.NewTracerProvider().Tracer(""), nil)
	if err != nil {
		panic(err) // the options are right
	}
	return tracer
}()

// WithTraceParent returns a context in which what a workflow starts belongs to the trace that TraceParent gave, whatever
// trace the workflow belongs to itself. Without one, or with one that cannot be read, it belongs to the workflow's.
func WithTraceParent(ctx workflow.Context, parent string) workflow.Context {
	span := parents.SpanFromContext(callers.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent}))
	if span == nil {
		return ctx
	}
	return workflow.WithValue(ctx, workflowSpanKey{}, span)
}
