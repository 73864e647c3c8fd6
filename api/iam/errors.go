package iam

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/fault"
)

// WriteError answers with an error in the identity service's form, and leaves the cause to the access log.
func WriteError(c *gin.Context, err error) {
	_ = c.Error(err)
	status := statusOf(err)
	message := "The service failed. Try again later."
	if f, ok := fault.As(err); ok && f.Kind != fault.Internal {
		message = f.Message
	}
	c.AbortWithStatusJSON(status, Error{Error: ErrorBody{Code: status, Message: message, Title: http.StatusText(status)}})
}

// statusOf is this contract's table of errors. It documents 400 and 401 only: what is too large is a bad request.
func statusOf(err error) int {
	if fault.CodeOf(err) == middleware.CodeMethodNotAllowed {
		return http.StatusMethodNotAllowed
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.TooLarge, fault.Conflict:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
	}
	return http.StatusInternalServerError
}
