package middleware

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"assetflow/telemetry"
)

// noRoute is the name of the spans of requests that no operation has, whatever their path.
const noRoute = "no route"

// Trace makes a span of every request, in the caller's trace where there is one, named by method and route. It says
// nothing of a caller's making but the method: a path, a query and a header may hold what is a secret. Routes in quiet make none.
//
// The middleware of OpenTelemetry for gin would put the path into the span, and call every refusal a failure.
func Trace(provider trace.TracerProvider, quiet ...string) gin.HandlerFunc {
	tracer := provider.Tracer("assetflow/api")
	return func(c *gin.Context) {
		route := c.FullPath()
		if slices.Contains(quiet, route) {
			return
		}
		name, method := route, knownMethod(c.Request.Method)
		if route == "" {
			name = noRoute
		}
		ctx, span := tracer.Start(telemetry.WithCaller(c.Request.Context(), propagation.HeaderCarrier(c.Request.Header)), method+" "+name,
			trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route)))
		c.Request = c.Request.WithContext(ctx)
		// Also when a panic ends the connection.
		defer func() {
			status := c.Writer.Status()
			span.SetAttributes(semconv.HTTPResponseStatusCode(status))
			if status >= http.StatusInternalServerError {
				span.SetStatus(codes.Error, "")
			}
			if last := c.Errors.Last(); last != nil {
				span.SetAttributes(semconv.ErrorTypeKey.String(FaultOf(last.Err).Code))
			}
			span.End()
		}()
		c.Next()
	}
}

// knownMethod gives the method, or what OpenTelemetry calls one that is made up.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}
