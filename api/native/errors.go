package native

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/fault"
)

// statusByCode are the exact cases; what is not here goes by its kind.
var statusByCode = map[string]int{
	middleware.CodeMethodNotAllowed: http.StatusMethodNotAllowed,
	middleware.CodeHeadersTooLarge:  http.StatusRequestHeaderFieldsTooLarge,
}

var statusByKind = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.Unavailable:     http.StatusServiceUnavailable,
}

// WriteError answers a request with a problem (RFC 9457). It is the one place that turns our faults into this
// contract's statuses; the text of an error that is no fault never leaves the service.
func WriteError(c *gin.Context, err error) {
	if !middleware.BeginError(c, err) {
		return
	}
	f := middleware.FaultOf(err)
	status, ok := statusByCode[f.Code]
	if !ok {
		status = statusByKind[f.Kind]
	}
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: f.Message, Code: f.Code, Details: optional(f.Details), RequestID: middleware.RequestIDOf(c),
	})
}
