package workflows_test

import (
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"assetflow/payload"
	"assetflow/telemetry"
	assetworker "assetflow/worker"
	"assetflow/workflows"
)

// How many histories stand in testdata, and of those with encrypted payloads. One that goes missing must not go unnoticed.
const (
	recorded          = 62
	recordedEncrypted = 3
)

// Every history that a server recorded must replay on today's workflows, or running jobs would break on an upgrade.
func TestReplayRecordedHistories(t *testing.T) {
	t.Parallel()
	histories, err := filepath.Glob("testdata/*/*.json")
	require.NoError(t, err)
	require.Len(t, histories, recorded)
	for _, history := range histories {
		t.Run(history, func(t *testing.T) {
			t.Parallel()
			// A workflow's turn may take longer than a second where the machine is busy.
			replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
			require.NoError(t, err)
			assetworker.RegisterWorkflows(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, history))
		})
	}
}

// The same with what traces jobs. A replayed workflow makes no span but its own, which has the same ids each time, so that
// those of its steps keep their parent when a workflow moves to another worker.
func TestReplayWithTraces(t *testing.T) {
	t.Parallel()
	histories, err := filepath.Glob("testdata/*/*.json")
	require.NoError(t, err)
	replay := func(t *testing.T, history string) sdktrace.ReadOnlySpan {
		t.Helper()
		ended := tracetest.NewSpanRecorder()
		tracing, err := telemetry.NewTracing(t.Context(), telemetry.TracingOptions{Exporter: tracetest.NewNoopExporter(), SampleRatio: 1})
		require.NoError(t, err)
		tracing.Provider().(*sdktrace.TracerProvider).RegisterSpanProcessor(ended)
		tracer, err := telemetry.JobInterceptor(tracing.Provider(), workflows.TracedAlone()...)
		require.NoError(t, err)
		replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
			DisableDeadlockDetection: true, Interceptors: []interceptor.WorkerInterceptor{tracer},
		})
		require.NoError(t, err)
		assetworker.RegisterWorkflows(replayer)
		require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, history))
		require.NoError(t, tracing.Shutdown(t.Context()))
		require.Len(t, ended.Ended(), 1)
		return ended.Ended()[0]
	}
	for _, history := range histories {
		t.Run(history, func(t *testing.T) {
			t.Parallel()
			first, second := replay(t, history), replay(t, history)
			require.Regexp(t, "^RunWorkflow:", first.Name())
			require.Equal(t, first.SpanContext().TraceID(), second.SpanContext().TraceID())
			require.Equal(t, first.SpanContext().SpanID(), second.SpanContext().SpanID())
		})
	}
}

// The same as the first for payloads that were encrypted. Without the key nothing replays, so it is really in use.
func TestReplayEncryptedHistories(t *testing.T) {
	t.Parallel()
	histories, err := filepath.Glob("testdata/encrypted/*/*.json")
	require.NoError(t, err)
	require.Len(t, histories, recordedEncrypted)
	text, err := os.ReadFile("testdata/encrypted/payload-keys")
	require.NoError(t, err)
	replay := func(t *testing.T, history, ring string) error {
		t.Helper()
		keys, err := payload.ParseKeys(ring)
		require.NoError(t, err)
		data, failures := payload.Converters(payload.NewCodec(keys, true))
		replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
			DataConverter: data, FailureConverter: failures, DisableDeadlockDetection: true,
		})
		require.NoError(t, err)
		assetworker.RegisterWorkflows(replayer)
		return replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), history)
	}
	for _, history := range histories {
		t.Run(history, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replay(t, history, string(text)))
			require.Error(t, replay(t, history, payload.GenerateKeys("another")))
			kept, err := os.ReadFile(history)
			require.NoError(t, err)
			for _, clear := range []string{base64.StdEncoding.EncodeToString([]byte("json/plain")), "The name is taken"} {
				require.False(t, strings.Contains(string(kept), clear), clear)
			}
		})
	}
}
