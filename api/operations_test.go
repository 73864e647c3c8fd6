package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"assetflow/api"
	"assetflow/api/apitest"
	"assetflow/telemetry"
)

func newMetrics(t *testing.T) *telemetry.Metrics {
	t.Helper()
	m, err := telemetry.NewMetrics(telemetry.MetricsOptions{JobKinds: []string{"asset-import"}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
	return m
}

func TestOperations(t *testing.T) {
	t.Parallel()
	away := map[string]func(context.Context) error{
		"s3": func(context.Context) error { return errors.New("dial tcp 10.0.0.1: secret") }, "database": func(context.Context) error { return nil },
	}
	stopping := false
	handler := func(profiles bool) http.Handler {
		return api.NewOperations(api.OperationsOptions{
			Stopping: func() bool { return stopping },
			Metrics:  newMetrics(t), Ready: away, Logger: slog.New(slog.DiscardHandler), Profiles: profiles,
		})
	}
	profiles := []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/trace?seconds=0.01"}
	for _, path := range profiles {
		apitest.Run(t, handler(false), nil, []apitest.Scenario{{Name: "no " + path, URL: path, WantStatus: 404}})
		apitest.Run(t, handler(true), nil, []apitest.Scenario{{Name: path, URL: path, WantStatus: 200}})
	}
	apitest.Run(t, handler(false), nil, []apitest.Scenario{
		{Name: "alive", URL: "/healthz", WantStatus: 200, WantJSON: `{"status": "ok"}`},
		{Name: "ready", URL: "/readyz", WantStatus: 503, WantJSON: `{"status": "unavailable", "checks": {"s3": "error", "database": "ok"}}`},
		{Name: "metrics", URL: "/metrics", WantStatus: 200, WantBody: []string{
			"# TYPE assetflow_jobs_ended_total counter\n", `assetflow_jobs_ended_total{kind="asset-import",outcome="succeeded"} 0`, "go_goroutines ",
		}},
		{Name: "metrics are not posted", Method: http.MethodPost, URL: "/metrics", WantStatus: 405},
		{Name: "nothing else", URL: "/openapi", WantStatus: 404},
	})
	stopping = true
	apitest.Run(t, handler(false), nil, []apitest.Scenario{
		{Name: "alive to the end", URL: "/healthz", WantStatus: 200, WantJSON: `{"status": "ok"}`},
		{Name: "ready no more", URL: "/readyz", WantStatus: 503, WantJSON: `{"status": "stopping", "checks": {}}`},
	})
}

// Whatever callers send, the labels are of our own making, and as many as there are routes.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	metrics := newMetrics(t)
	h := newAPI(t, func(o *api.Options) { o.Metrics = metrics })
	for _, r := range []struct{ method, url string }{
		{"GET", "/healthz"}, {"GET", "/healthz"}, {"GET", "/v2/p1/instances/i1/assets/jobs/j1"}, {"GET", "/v2/p2/instances/i2/assets/jobs/j2"},
		{"GET", "/v2/p1"}, {"GET", "/v2/%2e%2e/x?token=secret"}, {"BREW", "/v1/tea"}, {"TRACE", "/v3/tea"}, {"GET", "/v3/p/cas/tea"}, {"GET", "/tea"},
		{"GET", "/Automation/v1/tea"},
	} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), r.method, r.url, http.NoBody))
	}
	require.NoError(t, testutil.GatherAndCompare(metrics.Registry(), strings.NewReader(`
# HELP assetflow_http_requests_total Requests that were answered, by the class of the status; "aborted" where the connection was cut within the answer.
# TYPE assetflow_http_requests_total counter
assetflow_http_requests_total{contract="automation",method="GET",route="other",status="4xx"} 1
assetflow_http_requests_total{contract="iam",method="other",route="other",status="4xx"} 1
assetflow_http_requests_total{contract="metastudio",method="other",route="other",status="4xx"} 1
assetflow_http_requests_total{contract="native",method="GET",route="/healthz",status="2xx"} 2
assetflow_http_requests_total{contract="native",method="GET",route="other",status="4xx"} 1
assetflow_http_requests_total{contract="roma",method="GET",route="/v2/:project_id/instances/:instance_id/assets/jobs/:job_id",status="4xx"} 2
assetflow_http_requests_total{contract="roma",method="GET",route="other",status="4xx"} 2
assetflow_http_requests_total{contract="servicestage",method="GET",route="other",status="4xx"} 1
# HELP assetflow_auth_failures_total Requests that were refused because of who called or what the caller may do, by the reason.
# TYPE assetflow_auth_failures_total counter
assetflow_auth_failures_total{reason="missing"} 2
`), "assetflow_http_requests_total", "assetflow_auth_failures_total"))
}
