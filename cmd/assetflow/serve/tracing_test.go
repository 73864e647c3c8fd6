package serve_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"assetflow/client"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/fault"
	"assetflow/telemetry/collectortest"
)

// An api and a worker send what they know of one trace before they end. Where nobody takes it, everything goes on as it would.
func TestServiceIsTraced(t *testing.T) {
	cfg := machines(t)
	require.NoError(t, open(t, cfg).Prepare(t.Context()))
	collector := collectortest.Start(t)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	for name, endpoint := range map[string]string{"to a collector": collector.URL, "to nobody": "http://" + gone.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			cfg := cfg
			cfg.Telemetry.Traces.Endpoint = endpoint
			importTraced(t, cfg)
		})
	}
	services := map[string]string{}
	for _, span := range collector.Spans() {
		if span.TraceID == callersTrace.String() {
			services[span.Name] = span.Resource["service.name"] + " " + span.Resource["service.version"]
		}
	}
	require.Equal(t, "assetflow-api 1.2.3", services["POST /v2/:project_id/instances/:instance_id/assets/import"])
	require.Equal(t, "assetflow-api 1.2.3", services["StartWorkflow:ImportAssets"])
	require.Equal(t, "assetflow-worker 1.2.3", services["RunWorkflow:ImportAssets"])
	require.Equal(t, "assetflow-worker 1.2.3", services["RunActivity:EndJob"])
	require.Equal(t, "assetflow-worker 1.2.3", services["INSERT assets"])
}

var callersTrace = trace.TraceID{1, 2, 3}

// importTraced runs an api and a worker for as long as an import takes.
func importTraced(t *testing.T, cfg config.Config) {
	t.Helper()
	opened := func(service string) *serve.Backends {
		b, err := serve.Open(t.Context(), cfg, slog.New(slog.DiscardHandler), serve.As(service, "1.2.3"))
		require.NoError(t, err)
		return b
	}
	api, worker := opened("assetflow-api"), opened("assetflow-worker")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- api.API(ctx, ln, "1.2.3") }()
	go func() { ended <- worker.Worker(ctx) }()

	c := caller(t, api, cfg, "http://"+ln.Addr().String())
	pkg := samplePackage(t)
	traced := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: callersTrace, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled,
	}))
	id, err := c.Import(traced, "shop.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	require.NoError(t, err)
	job, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)

	stop()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.NoError(t, worker.Close())
	require.NoError(t, api.Close())
}

func TestWhatIsWrongAboutTraces(t *testing.T) {
	t.Parallel()
	_, err := serve.Open(t.Context(), config.Config{
		Telemetry: config.Telemetry{Traces: config.Traces{Endpoint: "http://collector", Protocol: "carrier pigeon"}},
	}, slog.New(slog.DiscardHandler))
	require.Equal(t, "config.traces", fault.CodeOf(err))
}
