package middleware

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/gin-gonic/gin"

	"assetflow/fault"
)

// Recovery answers a request whose handler panicked in its contract's own form. Where the answer had begun, the
// connection is cut, so that the client does not take the part for the whole.
func Recovery(logger *slog.Logger, forms *Forms) gin.HandlerFunc {
	return func(c *gin.Context) {
		defer func() {
			p := recover()
			switch p {
			case nil:
				return
			case http.ErrAbortHandler:
				panic(p)
			}
			logger.ErrorContext(c.Request.Context(), "a handler panicked",
				"panic", fmt.Sprint(p), "route", c.FullPath(), "stack", string(debug.Stack()))
			if c.Writer.Written() {
				panic(http.ErrAbortHandler)
			}
			forms.Write(c, fault.New(fault.Internal, CodePanic, "An internal error occurred."))
		}()
		c.Next()
	}
}
