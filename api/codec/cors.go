package codec

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// allowOrigin tells browsers that pages of the Temporal UI may read the answer, errors included.
func (s *server) allowOrigin(c *gin.Context) {
	c.Writer.Header().Add("Vary", "Origin")
	origin := c.GetHeader("Origin")
	if !slices.Contains(s.Payloads.Origins, origin) {
		return
	}
	c.Header("Access-Control-Allow-Origin", origin)
	c.Header("Access-Control-Allow-Credentials", "true")
	c.Header("Access-Control-Expose-Headers", "X-Request-Id")
}

// preflight answers what a browser asks before it sends a request of a page from another origin.
func preflight(c *gin.Context) {
	if c.Writer.Header().Get("Access-Control-Allow-Origin") != "" {
		c.Header("Access-Control-Allow-Methods", "GET, POST")
		// Those that the Temporal UI sends, and ours.
		c.Header("Access-Control-Allow-Headers", "Authorization, Authorization-Extras, Content-Type, X-Auth-Token, X-Namespace")
		c.Header("Access-Control-Max-Age", "600")
	}
	c.Status(http.StatusNoContent)
}
