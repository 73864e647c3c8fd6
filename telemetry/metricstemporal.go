package telemetry

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// temporalBuckets reach from an answer of the server to a step of an hour, in seconds.
var temporalBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600}

// temporalMetrics is how the metrics of the Temporal SDK come into the registry. Its labels are names of operations,
// workflows, steps and queues: no ids.
type temporalMetrics struct {
	provider *sdkmetric.MeterProvider
	handler  client.MetricsHandler
}

func newTemporalMetrics(registry *prometheus.Registry) (temporalMetrics, error) {
	reader, err := exporter.New(exporter.WithRegisterer(registry), exporter.WithoutScopeInfo(), exporter.WithoutTargetInfo())
	if err != nil {
		return temporalMetrics{}, fmt.Errorf("take in the Temporal SDK's metrics: %w", err)
	}
	t := temporalMetrics{provider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: temporalBuckets, NoMinMax: true}},
	)))}
	t.handler = opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: t.provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
		// A metric that cannot be made is missing, and nothing else.
		OnError: func(error) {},
	})
	return t, nil
}

// Temporal is what the Temporal client and its workers count with.
func (m *Metrics) Temporal() client.MetricsHandler {
	if m == nil {
		return client.MetricsNopHandler
	}
	return m.temporal.handler
}

// Close ends the metrics: nothing new is taken in.
func (m *Metrics) Close(ctx context.Context) error {
	if m == nil {
		return nil
	}
	return m.temporal.provider.Shutdown(ctx)
}
