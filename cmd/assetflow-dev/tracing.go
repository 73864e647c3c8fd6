package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/telemetry"
)

// tracesKey begins the keys of the settings that are the same for the stack as for api and worker.
const tracesKey = "telemetry.traces."

// newTracing makes what traces the stack, as those settings say: their flags, their variables, and those of
// OpenTelemetry's own tools. Nothing else of the service's configuration is read.
func newTracing(ctx context.Context, flags *pflag.FlagSet, logger *slog.Logger) (*telemetry.Tracing, error) {
	var environ []string
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, config.EnvPrefix+"TELEMETRY_TRACES_") || strings.HasPrefix(v, "OTEL_") {
			environ = append(environ, v)
		}
	}
	cfg, err := config.Load(config.Source{Environ: environ, Flags: flags}, 0)
	if err != nil {
		return nil, err
	}
	return serve.NewTracing(ctx, cfg.Telemetry.Traces, "assetflow-dev", version(), logger)
}

// endTracing sends the last spans. That they are lost is no failure of the stack.
func endTracing(tracing *telemetry.Tracing, logger *slog.Logger) {
	if err := tracing.Shutdown(context.Background()); err != nil {
		logger.Warn("the last spans of traces are lost", "error", err)
	}
}
