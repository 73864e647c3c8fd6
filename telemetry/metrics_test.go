package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"assetflow/telemetry"
)

func newMetrics(t *testing.T, logger *slog.Logger) *telemetry.Metrics {
	t.Helper()
	m, err := telemetry.NewMetrics(telemetry.MetricsOptions{JobKinds: []string{"asset-import", "asset-copy"}, Logger: logger})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	return m
}

// useAll has a series of everything there is.
func useAll(m *telemetry.Metrics) {
	m.Built("1.2.3")
	m.RequestBegan("roma")()
	m.RequestEnded(telemetry.Request{Contract: "roma", Route: "/v2/:id", Method: "GET", Status: 200, Took: time.Second, Received: 1, Sent: 2})
	m.Refused("missing")
	m.LockedOut(telemetry.LockedKey)
	m.JobSubmitted("asset-import")
	m.JobTurn("asset-import", time.Second)
	m.JobTaken("asset-import", time.Second)
	m.JobEnded("asset-import", telemetry.JobSucceeded, time.Second)
	m.StepEnded(telemetry.Step{Kind: "asset-import", Name: "StoreFiles", Outcome: telemetry.StepFailed, Attempt: 1, Took: time.Second})
	m.StepEnded(telemetry.Step{Kind: "asset-import", Name: "StoreFiles", Outcome: telemetry.StepSucceeded, Attempt: 2, Took: time.Second})
	m.Swept("RemoveBlobs", 3, 1)
	m.ObjectWritten("blobs", 10)
	m.ObjectRead("blobs", 20)
	m.Copied(30)
	sdk := m.Temporal().WithTags(map[string]string{"operation": "StartWorkflowExecution"})
	sdk.Counter("temporal_request").Inc(2)
	sdk.Gauge("temporal_num_pollers").Update(8)
	sdk.Timer("temporal_request_latency").Record(50 * time.Millisecond)
}

func TestMetricsKeepTheNamingGuide(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, nil)
	useAll(m)
	require.NoError(t, m.WatchJobs(func(context.Context) ([]telemetry.OpenJobs, error) {
		return []telemetry.OpenJobs{{Kind: "asset-import", Running: 1}}, nil
	}))
	require.NoError(t, m.WatchDependencies(map[string]func(context.Context) error{"s3": func(context.Context) error { return nil }}))
	problems, err := testutil.GatherAndLint(m.Registry())
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestMetricsOfTheTemporalSDK(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, nil)
	useAll(m)
	body := scrape(t, m)
	for _, line := range []string{
		`temporal_request_total{operation="StartWorkflowExecution"} 2`, `temporal_num_pollers{operation="StartWorkflowExecution"} 8`,
		`temporal_request_latency_seconds_bucket{operation="StartWorkflowExecution",le="0.025"} 0`,
		`temporal_request_latency_seconds_bucket{operation="StartWorkflowExecution",le="0.05"} 1`,
		`temporal_request_latency_seconds_count{operation="StartWorkflowExecution"} 1`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.NotContains(t, body, "otel_scope")
	require.NotContains(t, body, "target_info")
}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

func TestStepsAndTheirRetries(t *testing.T) {
	t.Parallel()
	m := newMetrics(t, nil)
	useAll(m)
	require.NoError(t, testutil.GatherAndCompare(m.Registry(), strings.NewReader(`
# HELP assetflow_step_retries_total Tries of steps that were not the first, those after the death of a worker included.
# TYPE assetflow_step_retries_total counter
assetflow_step_retries_total{kind="asset-import",step="StoreFiles"} 1
# HELP assetflow_swept_total Things that the steps of the sweep dealt with ("done") or could not ("failed"), counted when a step succeeds.
# TYPE assetflow_swept_total counter
assetflow_swept_total{result="done",step="RemoveBlobs"} 3
assetflow_swept_total{result="failed",step="RemoveBlobs"} 1
`), "assetflow_step_retries_total", "assetflow_swept_total"))
}

// What asks others may fail, and hang: the rest is answered all the same.
func TestMetricsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	var logs bytes.Buffer
	m := newMetrics(t, slog.New(slog.NewTextHandler(&logs, nil)))
	require.NoError(t, m.WatchJobs(func(ctx context.Context) ([]telemetry.OpenJobs, error) {
		<-ctx.Done()
		return nil, errors.New("the database is away")
	}))
	require.Error(t, m.WatchJobs(nil), "twice")
	require.NoError(t, m.WatchDependencies(map[string]func(context.Context) error{
		"database": func(context.Context) error { return errors.New("away") }, "s3": func(context.Context) error { select {} },
		"temporal": func(context.Context) error { return nil },
	}))
	body := scrape(t, m)
	require.NotContains(t, body, "assetflow_jobs{")
	for _, line := range []string{
		`assetflow_dependency_up{dependency="database"} 0`, `assetflow_dependency_up{dependency="s3"} 0`,
		`assetflow_dependency_up{dependency="temporal"} 1`, `assetflow_jobs_submitted_total{kind="asset-copy"} 0`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.Contains(t, logs.String(), "the database is away")
}

func TestNilMetricsCountNothing(t *testing.T) {
	t.Parallel()
	var m *telemetry.Metrics
	useAll(m)
	require.NoError(t, m.WatchDatabase("catalog", nil))
	require.NoError(t, m.WatchJobs(nil))
	require.NoError(t, m.WatchDependencies(nil))
	require.NoError(t, m.Close(t.Context()))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := telemetry.Check(ctx, map[string]func(context.Context) error{
		"fine": func(context.Context) error { return nil }, "panics": func(context.Context) error { panic("no") },
		"hangs": func(context.Context) error { select {} },
	})
	require.Equal(t, []string{"fine", "hangs", "panics"}, slices.Sorted(maps.Keys(got)))
	require.NoError(t, got["fine"])
	require.ErrorIs(t, got["hangs"], context.DeadlineExceeded)
	require.EqualError(t, got["panics"], "the check panicked: no")
}
