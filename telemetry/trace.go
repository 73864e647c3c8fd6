package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// The protocols that a collector is spoken to with, by the names of OpenTelemetry itself.
const (
	ProtocolHTTP = "http/protobuf"
	ProtocolGRPC = "grpc"
)

// tracesPath is where a collector takes traces over HTTP, unless its URL has a path of its own.
const tracesPath = "/v1/traces"

// flushTimeout bounds how long a process that ends waits for the collector to take the last spans.
const flushTimeout = 2 * time.Second

// TracingOptions say where traces go and how many of them.
type TracingOptions struct {
	// Endpoint is the URL of the collector, http or https; empty: nothing is traced.
	Endpoint string
	// Protocol is ProtocolHTTP or ProtocolGRPC; empty stands for HTTP.
	Protocol string
	// Headers go with everything that is sent to the collector. They are secrets.
	Headers map[string]string
	// SampleRatio is which part of the requests and jobs that begin here is traced, from 0 to 1. What a caller traces is.
	SampleRatio float64
	// Service and Version are what the process calls itself.
	Service, Version string
	// Logger hears, now and then, that the collector does not take what it is sent.
	Logger *slog.Logger
	// Exporter takes the spans instead of a collector: for tests.
	Exporter sdktrace.SpanExporter
}

// Tracing records what requests and jobs do as spans, and sends them to a collector in the background. Neither a slow nor
// a dead collector is ever waited for: what there is no room for is dropped. A nil one records nothing.
type Tracing struct {
	provider *sdktrace.TracerProvider
	exporter sdktrace.SpanExporter
}

// NewTracing makes a Tracing; nil where no endpoint is named. It connects to nothing. It fails for an endpoint that is no
// URL and a protocol that does not exist.
func NewTracing(ctx context.Context, opts TracingOptions) (*Tracing, error) {
	if opts.Endpoint == "" && opts.Exporter == nil {
		return nil, nil //nolint:nilnil // nil is the Tracing that records nothing
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	exporter := opts.Exporter
	if exporter == nil {
		var err error
		if exporter, err = newExporter(ctx, opts); err != nil {
			return nil, fmt.Errorf("send traces to the collector: %w", err)
		}
	}
	about, err := describeProcess(ctx, opts)
	if err != nil {
		return nil, fmt.Errorf("describe this process for traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithResource(about),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(opts.SampleRatio))),
		sdktrace.WithIDGenerator(spanIDs{}),
		sdktrace.WithBatcher(&quietExporter{SpanExporter: exporter, logger: opts.Logger}),
	)
	return &Tracing{provider: provider, exporter: exporter}, nil
}

func newExporter(ctx context.Context, opts TracingOptions) (*otlptrace.Exporter, error) {
	endpoint, err := url.Parse(opts.Endpoint)
	if err != nil || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "" {
		return nil, errors.New("its endpoint is no http or https URL")
	}
	switch opts.Protocol {
	case ProtocolHTTP, "":
		if endpoint.Path == "" || endpoint.Path == "/" {
			endpoint.Path = tracesPath
		}
		return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint.String()), otlptracehttp.WithHeaders(opts.Headers))
	case ProtocolGRPC:
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint.String()), otlptracegrpc.WithHeaders(opts.Headers))
	}
	return nil, fmt.Errorf("there is no protocol %q", opts.Protocol)
}

// describeProcess says nothing of the command line or the environment, which may hold secrets, but what
// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say, which are there for that.
func describeProcess(ctx context.Context, opts TracingOptions) (*resource.Resource, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	return resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			semconv.ServiceName(opts.Service), semconv.ServiceVersion(opts.Version),
			semconv.ServiceInstanceID(uuid.NewString()), semconv.HostName(host),
		),
		resource.WithFromEnv(), // last, so that it wins
	)
}

// Provider makes the tracers of whoever records spans. It is never nil.
func (t *Tracing) Provider() trace.TracerProvider {
	if t == nil {
		return noop.NewTracerProvider()
	}
	return t.provider
}

// Shutdown sends what has not been sent yet, for up to 2 s, and ends the recording. Spans that end later are lost. The error
// says that others are, too.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err := t.provider.Shutdown(limited)
	if err == nil {
		return nil
	}
	// The provider waits no longer, but a request may be under way still: this ends it.
	return fmt.Errorf("send the last spans to the collector: %w", errors.Join(err, t.exporter.Shutdown(context.WithoutCancel(ctx))))
}

// callers takes a caller's traceparent.
var callers propagation.TraceContext

// WithCaller returns a context in which spans belong to the trace of the caller whose headers these are, where they name one.
// The caller's tracestate and baggage are let go: nobody here needs them, and they would stand in the history of each job.
func WithCaller(ctx context.Context, headers propagation.TextMapCarrier) context.Context {
	caller := trace.SpanContextFromContext(callers.Extract(context.Background(), headers))
	if !caller.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, caller.WithTraceState(trace.TraceState{}))
}

// TraceParent gives the span of ctx in the form of the header traceparent; empty where there is none.
func TraceParent(ctx context.Context) string {
	header := propagation.MapCarrier{}
	callers.Inject(ctx, header)
	return header.Get("traceparent")
}
