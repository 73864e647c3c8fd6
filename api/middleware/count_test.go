package middleware_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
	"assetflow/telemetry"
)

func TestCount(t *testing.T) {
	t.Parallel()
	metrics, err := telemetry.NewMetrics(telemetry.MetricsOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, metrics.Close(context.Background())) })
	running := func(want string) {
		t.Helper()
		require.NoError(t, testutil.GatherAndCompare(metrics.Registry(), strings.NewReader(
			"# HELP assetflow_http_requests_in_flight Requests that are being answered.\n# TYPE assetflow_http_requests_in_flight gauge\n"+want),
			"assetflow_http_requests_in_flight"))
	}
	engine := middleware.NewEngine(slog.New(slog.DiscardHandler), metrics, middleware.NewForms("test", plainForm("test")))
	engine.POST("/echo", func(c *gin.Context) {
		running(`assetflow_http_requests_in_flight{contract="test"} 1` + "\n")
		body, _ := io.ReadAll(c.Request.Body)
		c.String(http.StatusOK, "%s%s", body, body)
	})
	engine.GET("/half", func(c *gin.Context) {
		c.String(http.StatusOK, "half")
		c.Writer.Flush()
		panic("the other half")
	})
	engine.GET("/panic", func(*gin.Context) { panic("at once") })
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)

	resp, err := http.Post(server.URL+"/echo", "text/plain", strings.NewReader("twelve bytes"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	resp, err = http.Get(server.URL + "/half")
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.Error(t, err)
	resp, err = http.Get(server.URL + "/panic")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	server.Close() // it waits for the requests
	require.NoError(t, testutil.GatherAndCompare(metrics.Registry(), strings.NewReader(`
# HELP assetflow_http_requests_total Requests that were answered, by the class of the status; "aborted" where the connection was cut within the answer.
# TYPE assetflow_http_requests_total counter
assetflow_http_requests_total{contract="test",method="GET",route="/half",status="aborted"} 1
assetflow_http_requests_total{contract="test",method="GET",route="/panic",status="5xx"} 1
assetflow_http_requests_total{contract="test",method="POST",route="/echo",status="2xx"} 1
# HELP assetflow_http_request_bytes_total Bytes of bodies of requests that were read. Presigned uploads go past the service.
# TYPE assetflow_http_request_bytes_total counter
assetflow_http_request_bytes_total{contract="test",route="/echo"} 12
assetflow_http_request_bytes_total{contract="test",route="/half"} 0
assetflow_http_request_bytes_total{contract="test",route="/panic"} 0
`), "assetflow_http_requests_total", "assetflow_http_request_bytes_total"))
	running(`assetflow_http_requests_in_flight{contract="test"} 0` + "\n")
}
