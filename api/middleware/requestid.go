package middleware

import (
	"context"
	"crypto/rand"
	"encoding/hex"

	"github.com/gin-gonic/gin"

	"assetflow/telemetry"
)

// HeaderRequestID carries the id of a request, in both directions.
const HeaderRequestID = "X-Request-Id"

const maxRequestID = 64

// RequestID gives every request an id: the caller's own where it is sane (at most 64 letters, digits, "-" and "_"),
// else a new one. It stands in the answer's header, in error bodies and in every log record of the request.
func RequestID(c *gin.Context) {
	id := c.GetHeader(HeaderRequestID)
	if !saneRequestID(id) {
		var random [16]byte
		_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
		id = hex.EncodeToString(random[:])
	}
	c.Header(HeaderRequestID, id)
	c.Request = c.Request.WithContext(telemetry.WithRequestID(c.Request.Context(), id))
}

// RequestIDOf gives the id of the request that ctx belongs to.
func RequestIDOf(ctx context.Context) string { return telemetry.RequestID(Context(ctx)) }

func saneRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch b := id[i]; {
		case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '-', b == '_':
		default:
			return false
		}
	}
	return true
}
