package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"assetflow/telemetry"
	"assetflow/telemetry/collectortest"
)

const (
	callersTrace  = "0af7651916cd43dd8448eb211c80319c"
	callersSpan   = "b7ad6b7169203331"
	callersParent = "00-" + callersTrace + "-" + callersSpan + "-01"
)

func newTracing(t *testing.T, opts telemetry.TracingOptions) *telemetry.Tracing {
	t.Helper()
	tracing, err := telemetry.NewTracing(t.Context(), opts)
	require.NoError(t, err)
	return tracing
}

// record makes spans of the names, one after the other.
func record(tracing *telemetry.Tracing, ctx context.Context, names ...string) { //nolint:revive // the tracing is what it is about
	for _, name := range names {
		_, span := tracing.Provider().Tracer("test").Start(ctx, name)
		span.End()
	}
}

func TestSpansReachTheCollectorBeforeTheEnd(t *testing.T) {
	t.Parallel()
	collector := collectortest.Start(t)
	tracing := newTracing(t, telemetry.TracingOptions{
		Endpoint: collector.URL, Headers: map[string]string{"api-key": "k"}, SampleRatio: 1, Service: "assetflow-test", Version: "1.2.3",
	})
	record(tracing, t.Context(), "one", "two")
	require.NoError(t, tracing.Shutdown(t.Context()))

	spans := collector.Spans()
	require.Len(t, spans, 2)
	one := collectortest.Find(t, spans, "one")
	require.Equal(t, "assetflow-test", one.Resource["service.name"])
	require.Equal(t, "1.2.3", one.Resource["service.version"])
	require.NotEmpty(t, one.Resource["service.instance.id"])
	require.NotEqual(t, one.TraceID, collectortest.Find(t, spans, "two").TraceID)
	for _, key := range []string{"process.command_args", "process.command", "process.owner"} {
		require.NotContains(t, one.Resource, key)
	}
	for _, header := range collector.Headers() {
		require.Equal(t, "k", header.Get("Api-Key"))
	}
	record(tracing, t.Context(), "late")
	require.NoError(t, tracing.Shutdown(t.Context()), "twice is no harm")
	require.Len(t, collector.Spans(), 2)
}

// grpcCollector is a collector that is spoken to over gRPC.
type grpcCollector struct {
	coltracepb.UnimplementedTraceServiceServer
	mu    sync.Mutex
	spans []collectortest.Span
	keys  []string
}

func (c *grpcCollector) Export(ctx context.Context, request *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, collectortest.Spans(request)...)
	c.keys = append(c.keys, metadata.ValueFromIncomingContext(ctx, "api-key")...)
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func TestSpansReachACollectorOverGRPC(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server, collector := grpc.NewServer(), &grpcCollector{}
	coltracepb.RegisterTraceServiceServer(server, collector)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	tracing := newTracing(t, telemetry.TracingOptions{
		Endpoint: "http://" + listener.Addr().String(), Protocol: telemetry.ProtocolGRPC,
		Headers: map[string]string{"api-key": "k"}, SampleRatio: 1,
	})
	record(tracing, t.Context(), "one")
	require.Eventually(t, func() bool { // a connection may take longer than the end waits
		require.NoError(t, tracing.Provider().(*sdktrace.TracerProvider).ForceFlush(t.Context()))
		collector.mu.Lock()
		defer collector.mu.Unlock()
		return len(collector.spans) == 1
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, tracing.Shutdown(t.Context()))
	require.Equal(t, []string{"k"}, collector.keys)
}

func TestNothingIsTracedWithoutACollector(t *testing.T) {
	t.Parallel()
	tracing := newTracing(t, telemetry.TracingOptions{SampleRatio: 1})
	require.Nil(t, tracing)
	_, span := tracing.Provider().Tracer("test").Start(t.Context(), "x")
	require.False(t, span.IsRecording())
	require.NoError(t, tracing.Shutdown(t.Context()))
}

func TestWhatIsWrongAboutTracing(t *testing.T) {
	t.Parallel()
	for want, opts := range map[string]telemetry.TracingOptions{
		"its endpoint is no http or https URL":  {Endpoint: "collector:4318"},
		`there is no protocol "carrier pigeon"`: {Endpoint: "http://collector:4318", Protocol: "carrier pigeon"},
	} {
		_, err := telemetry.NewTracing(t.Context(), opts)
		require.EqualError(t, err, "send traces to the collector: "+want)
	}
}

// However many spans there are, nobody waits for a collector that takes requests and never answers.
func TestACollectorThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}), make(chan struct{})
	var once sync.Once
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() { close(asked) })
		select {
		case <-over:
		case <-r.Context().Done():
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		close(over)
		_ = server.Close()
	})
	tracing := newTracing(t, telemetry.TracingOptions{
		Endpoint: "http://" + listener.Addr().String(), SampleRatio: 1, Logger: slog.New(slog.DiscardHandler),
	})
	for range 10_000 { // many times what there is room for
		record(tracing, t.Context(), "x")
	}
	<-asked
	require.ErrorIs(t, tracing.Shutdown(t.Context()), context.DeadlineExceeded)
}

// failing is an exporter that no collector answers.
type failing struct{ sdktrace.SpanExporter }

func (failing) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error {
	return errors.New("connection refused " + strings.Repeat("x", 1000))
}

func TestTheLogHearsOfADeadCollectorNowAndThen(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	tracing := newTracing(t, telemetry.TracingOptions{
		Exporter: failing{tracetest.NewNoopExporter()}, SampleRatio: 1, Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	for range 5 {
		record(tracing, t.Context(), "a", "b")
		require.NoError(t, tracing.Provider().(*sdktrace.TracerProvider).ForceFlush(t.Context()))
	}
	require.NoError(t, tracing.Shutdown(t.Context()), "that nobody hears is no failure of ours")
	records := lines(t, &log)
	require.Len(t, records, 1)
	require.Equal(t, "the collector does not take traces", records[0]["msg"])
	require.EqualValues(t, 2, records[0]["spans_lost"])
	require.Less(t, len(records[0]["error"].(string)), 400)
}

func TestWhatIsTraced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ratio  float64
		parent string
		want   int
	}{
		"what begins here, always":             {1, "", 1},
		"what begins here, never":              {0, "", 0},
		"what a caller traces":                 {0, callersParent, 1},
		"not what a caller does not":           {1, strings.TrimSuffix(callersParent, "01") + "00", 0},
		"a caller that makes no sense is none": {1, "00-0-0-01", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := tracetest.NewInMemoryExporter()
			tracing := newTracing(t, telemetry.TracingOptions{Exporter: keeping{spans}, SampleRatio: c.ratio})
			ctx := telemetry.WithCaller(t.Context(), propagation.MapCarrier{"traceparent": c.parent})
			record(tracing, ctx, "x")
			require.NoError(t, tracing.Shutdown(t.Context()))
			require.Len(t, spans.GetSpans(), c.want)
		})
	}
}

// keeping keeps spans beyond the end.
type keeping struct{ *tracetest.InMemoryExporter }

func (keeping) Shutdown(context.Context) error { return nil }

func TestOnlyIDsAreTakenFromACaller(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]string{
		callersParent:                  callersParent,
		"01" + callersParent[2:]:       callersParent, // a later version of the header
		"":                             "",
		"secret":                       "",
		strings.ToUpper(callersParent): "",
		callersParent + "-secret":      "",
		"ff" + callersParent[2:]:       "",
		"00-" + strings.Repeat("0", 32) + "-" + callersSpan + "-01":  "",
		"00-" + callersTrace + "-" + strings.Repeat("0", 16) + "-01": "",
	} {
		ctx := telemetry.WithCaller(t.Context(), propagation.MapCarrier{
			"traceparent": parent, "tracestate": "vendor=secret", "baggage": "key=secret",
		})
		require.Equal(t, want, telemetry.TraceParent(ctx), parent)
		require.Zero(t, trace.SpanContextFromContext(ctx).TraceState().Len())
		all := propagation.MapCarrier{}
		propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}).Inject(ctx, all)
		for name, value := range all {
			require.NotContains(t, value, "secret", name)
		}
	}
}

func TestLogRecordsCarryTheSpan(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, telemetry.Options{Format: telemetry.FormatJSON})
	require.NoError(t, err)
	ctx := telemetry.WithRequestID(telemetry.WithCaller(t.Context(), propagation.MapCarrier{"traceparent": callersParent}), "r1")
	logger.WithGroup("g").InfoContext(ctx, "done", "a", 1)
	got := lines(t, &out)[0]
	delete(got, "time")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "done", "request_id": "r1", "trace_id": callersTrace, "span_id": callersSpan, "g": map[string]any{"a": 1.0},
	}, got)
}

func TestIDsStandOnTheSpan(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	tracing := newTracing(t, telemetry.TracingOptions{Exporter: keeping{spans}, SampleRatio: 1})
	ctx, span := tracing.Provider().Tracer("test").Start(t.Context(), "x")
	ctx = telemetry.WithUserID(telemetry.WithRequestID(ctx, "r1"), "u1")
	telemetry.NoteJob(ctx, "j1")
	span.End()
	require.NoError(t, tracing.Shutdown(t.Context()))
	got := map[string]string{}
	for _, a := range spans.GetSpans()[0].Attributes {
		got[string(a.Key)] = a.Value.AsString()
	}
	require.Equal(t, map[string]string{"assetflow.request_id": "r1", "assetflow.user_id": "u1", "assetflow.job_id": "j1"}, got)
}
