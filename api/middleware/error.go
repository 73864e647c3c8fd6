package middleware

import (
	"github.com/gin-gonic/gin"

	"assetflow/fault"
)

// BeginError notes the error for the access log, and says whether it can still be answered: where the answer has begun
// already, the handling ends.
func BeginError(c *gin.Context, err error) bool {
	_ = c.Error(err)
	if c.Writer.Written() {
		c.Abort()
		return false
	}
	return true
}

// FaultOf gives the fault that a caller may be shown. The text of an error that is none never leaves the service.
func FaultOf(err error) *fault.Error {
	if f, ok := fault.As(err); ok {
		return f
	}
	return fault.New(fault.Internal, "internal", "An internal error occurred. The request id finds it in the service's log.")
}
