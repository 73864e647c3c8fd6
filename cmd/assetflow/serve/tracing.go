package serve

import (
	"context"
	"log/slog"

	"assetflow/config"
	"assetflow/fault"
	"assetflow/telemetry"
)

// Option says more about the process that opens the backends.
type Option func(*Backends)

// process is what a process calls itself in traces.
type process struct{ service, version string }

// As says what the process calls itself in traces, such as "assetflow-api", and which version it is.
func As(service, version string) Option {
	return func(b *Backends) { b.process = process{service, version} }
}

// NewTracing makes what traces a process of that name and version; nil where the configuration names no collector. Errors:
// Invalid for settings that do not go together.
func NewTracing(ctx context.Context, cfg config.Traces, service, version string, logger *slog.Logger) (*telemetry.Tracing, error) {
	headers := make(map[string]string, len(cfg.Headers))
	for name, value := range cfg.Headers {
		headers[name] = string(value)
	}
	tracing, err := telemetry.NewTracing(ctx, telemetry.TracingOptions{
		Endpoint: cfg.Endpoint, Protocol: cfg.Protocol, Headers: headers, SampleRatio: cfg.SampleRatio,
		Service: service, Version: version, Logger: logger,
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, "config.traces", "telemetry.traces is not right: %s.", err)
	}
	return tracing, nil
}

// flush sends the last spans. That they are lost is no failure of the process.
func (b *Backends) flush() {
	if err := b.Tracing.Shutdown(context.Background()); err != nil {
		b.Logger.Warn("the last spans of traces are lost", "error", err)
	}
}
