package middleware

import (
	"log/slog"

	"github.com/gin-gonic/gin"

	"assetflow/telemetry"
)

// NewEngine makes the router that contracts register on, with what every request passes first. Paths that no contract
// has are answered by forms; the access log is at debug level for the routes in quiet. nil metrics count nothing.
func NewEngine(logger *slog.Logger, metrics *telemetry.Metrics, forms *Forms, quiet ...string) *gin.Engine {
	return NewEngineBehind(nil, logger, metrics, forms, quiet...)
}

// NewEngineBehind is NewEngine with what a request passes even before that, the access log included.
func NewEngineBehind(first gin.HandlersChain, logger *slog.Logger, metrics *telemetry.Metrics, forms *Forms, quiet ...string) *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false // a redirected POST loses its signature, if not its body
	r.UseEscapedPath = true         // see UnescapeParams
	r.UnescapePathValues = false
	r.ContextWithFallback = true
	r.Use(first...)
	r.Use(Count(metrics, forms), RequestID, AccessLog(logger, quiet...), Recovery(logger, forms), LimitHeaders(forms), UnescapeParams)
	r.NoRoute(forms.NoRoute)
	r.NoMethod(forms.NoMethod)
	return r
}
