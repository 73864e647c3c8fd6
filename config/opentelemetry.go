package config

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
)

// The variables of OpenTelemetry's own tools that say where traces go, those for traces alone first: they win.
const (
	otelTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" // the whole URL
	otelEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"        // over HTTP, that which the signal's own path comes behind
	otelTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	otelProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	otelTracesHeaders  = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
	otelHeaders        = "OTEL_EXPORTER_OTLP_HEADERS"
)

// openTelemetry reads what OpenTelemetry's own tools read.
func (src Source) openTelemetry() (layer, error) {
	env := lookup(src.Environ)
	protocol := cmp.Or(env[otelTracesProtocol], env[otelProtocol])
	endpoint := env[otelTracesEndpoint]
	if endpoint == "" {
		endpoint = env[otelEndpoint]
		if endpoint != "" && protocol != "grpc" {
			endpoint = strings.TrimRight(endpoint, "/") + "/v1/traces"
		}
	}
	values, origins := map[string]any{}, map[string]string{}
	for _, v := range []struct{ key, value, first, second string }{
		{"telemetry.traces.endpoint", endpoint, otelTracesEndpoint, otelEndpoint},
		{"telemetry.traces.protocol", protocol, otelTracesProtocol, otelProtocol},
		{"telemetry.traces.headers", cmp.Or(env[otelTracesHeaders], env[otelHeaders]), otelTracesHeaders, otelHeaders},
	} {
		if v.value == "" {
			continue
		}
		values[v.key], origins[v.key] = v.value, v.first
		if env[v.first] == "" {
			origins[v.key] = v.second
		}
	}
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(values, "."), nil); err != nil {
		return layer{}, fmt.Errorf("take over OpenTelemetry's own settings: %w", err)
	}
	return layer{k, func(key string) string { return origins[key] }}, nil
}
