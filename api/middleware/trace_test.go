package middleware_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"assetflow/api/middleware"
	"assetflow/fault"
	"assetflow/telemetry"
)

func TestTrace(t *testing.T) {
	t.Parallel()
	const callersTrace, callersSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for name, c := range map[string]struct {
		method, path string
		want         string // name, status and error of the span; empty: none
		failed       bool
	}{
		"a route by its pattern": {"GET", "/things/secret-id?signature=secret", "GET /things/:id 200", false},
		"a refusal":              {"PUT", "/things/secret-id", "PUT /things/:id 404 thing.absent", false},
		"a failure":              {"POST", "/things/secret-id", "POST /things/:id 500 internal", true},
		"a panic":                {"DELETE", "/things/secret-id", "DELETE /things/:id 500 api.panic", true},
		"no route":               {"GET", "/secret-path", "GET no route 404 api.no_route", false},
		"a method that is none":  {"SECRET", "/things/secret-id", "_OTHER no route 400 api.method_not_allowed", false},
		"a quiet route":          {"GET", "/healthz", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
			var log bytes.Buffer
			logger, err := telemetry.NewLogger(&log, telemetry.Options{Level: "debug", Format: telemetry.FormatJSON})
			require.NoError(t, err)
			form := plainForm("form")
			engine := middleware.NewEngineBehind(gin.HandlersChain{middleware.Trace(provider, "/healthz")},
				logger, nil, middleware.NewForms("form", form), "/healthz")
			recording := false
			ok := func(c *gin.Context) {
				recording = trace.SpanFromContext(c).IsRecording()
				c.Status(http.StatusOK)
			}
			engine.GET("/things/:id", ok)
			engine.GET("/healthz", ok)
			engine.PUT("/things/:id", func(c *gin.Context) { form(c, fault.New(fault.NotFound, "thing.absent", "secret")) })
			engine.POST("/things/:id", func(c *gin.Context) { form(c, http.ErrBodyNotAllowed) })
			engine.DELETE("/things/:id", func(*gin.Context) { panic("secret") })

			r := httptest.NewRequest(c.method, c.path, strings.NewReader("secret"))
			r.Header.Set("Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
			r.Header.Set("Tracestate", "vendor=secret")
			r.Header.Set("X-Auth-Token", "secret")
			r.Header.Set("User-Agent", "secret")
			r.Header.Set("X-Request-Id", "r1")
			serve(engine, r)

			record := log.String()
			if c.want == "" {
				require.Empty(t, ended.Ended())
				require.False(t, recording)
				require.NotContains(t, record, "trace_id")
				return
			}
			require.Len(t, ended.Ended(), 1)
			span := ended.Ended()[0]
			require.Equal(t, callersTrace, span.SpanContext().TraceID().String())
			require.Equal(t, callersSpan, span.Parent().SpanID().String())
			set := attribute.NewSet(span.Attributes()...)
			status, _ := set.Value("http.response.status_code")
			sort, _ := set.Value("error.type")
			require.Equal(t, c.want, strings.TrimSpace(span.Name()+" "+status.String()+" "+sort.AsString()))
			require.Equal(t, c.failed, span.Status().Code == codes.Error)
			id, _ := set.Value("assetflow.request_id")
			require.Equal(t, "r1", id.AsString())
			require.Empty(t, span.Events())
			for _, a := range span.Attributes() {
				require.NotContains(t, a.Value.String(), "secret", a.Key)
			}
			require.Contains(t, record, `"trace_id":"`+callersTrace+`"`)
			require.Contains(t, record, `"span_id":"`+span.SpanContext().SpanID().String()+`"`)
		})
	}
}

func TestTraceOfAConnectionThatIsCut(t *testing.T) {
	t.Parallel()
	ended := tracetest.NewSpanRecorder()
	engine := middleware.NewEngineBehind(
		gin.HandlersChain{middleware.Trace(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)))},
		slog.New(slog.DiscardHandler), nil, middleware.NewForms("form", plainForm("form")))
	engine.GET("/", func(*gin.Context) { panic(http.ErrAbortHandler) })
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { serve(engine, httptest.NewRequest(http.MethodGet, "/", nil)) })
	require.Len(t, ended.Ended(), 1)
}
