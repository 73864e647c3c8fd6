package middleware

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/auth"
	"assetflow/telemetry"
)

// Auth says who is calling and what they may do: *auth.Service, or a stand-in in tests.
type Auth interface {
	Authenticate(ctx context.Context, r *http.Request) (auth.Principal, error)
	Authorize(ctx context.Context, p auth.Principal, projectID string, perm auth.Permission) error
}

// Authenticate lets only callers pass that are known. Their principal is then in the request's context
// (auth.PrincipalFrom), and their user id in its log records.
func Authenticate(a Auth, form ErrorForm) gin.HandlerFunc {
	return func(c *gin.Context) {
		p, err := a.Authenticate(c.Request.Context(), c.Request)
		if err != nil {
			form(c, err)
			return
		}
		ctx := telemetry.WithUserID(auth.WithPrincipal(c.Request.Context(), p), p.UserID)
		c.Request = c.Request.WithContext(ctx)
	}
}
