package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/config"
)

func TestOpenTelemetrysOwnNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		yaml    string
		want    map[string]string
	}{
		"nothing": {environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_TRACES_SAMPLER_ARG=0.5"}, want: map[string]string{}},
		"one endpoint for all signals": {
			environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/otlp/", "OTEL_EXPORTER_OTLP_HEADERS=a=hidden"},
			want: map[string]string{
				"endpoint": "http://c:4318/otlp/v1/traces from OTEL_EXPORTER_OTLP_ENDPOINT", "headers": "[redacted] from OTEL_EXPORTER_OTLP_HEADERS",
			},
		},
		"over gRPC it has no path": {
			environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
			want: map[string]string{
				"endpoint": "http://c:4317 from OTEL_EXPORTER_OTLP_ENDPOINT", "protocol": "grpc from OTEL_EXPORTER_OTLP_PROTOCOL",
			},
		},
		"those for traces win, and ours over them": {
			environ: []string{
				"OTEL_EXPORTER_OTLP_ENDPOINT=http://all:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://traces:4318/mine",
				"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
				"OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=2",
			},
			yaml: "telemetry: {traces: {headers: a=3}}",
			want: map[string]string{
				"endpoint": "http://traces:4318/mine from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
				"protocol": "http/protobuf from OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "headers": "[redacted] from ours",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, c.yaml, c.environ, nil, 0)
			require.NoError(t, err)
			set := map[string]string{}
			for _, s := range got.Settings() {
				if key, ok := strings.CutPrefix(s.Key, "telemetry.traces."); ok && s.Origin != "default" {
					if strings.HasSuffix(s.Origin, "assetflow.yaml") {
						s.Origin = "ours"
					}
					set[key] = s.Value + " from " + s.Origin
				}
			}
			require.Equal(t, c.want, set)
		})
	}
}

func TestWhatIsWrongAboutOpenTelemetrysOwnNames(t *testing.T) {
	t.Parallel()
	_, err := load(t, "", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_HEADERS=hidden"}, nil, 0)
	var wrong *config.Error
	require.ErrorAs(t, err, &wrong)
	require.Len(t, wrong.Problems, 2)
	require.ErrorContains(t, err, `telemetry.traces.protocol = "http/json" (from OTEL_EXPORTER_OTLP_PROTOCOL)`)
	require.ErrorContains(t, err, "telemetry.traces.headers")
	require.NotContains(t, err.Error(), "hidden")
}
