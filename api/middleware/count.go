package middleware

import (
	"io"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/fault"
	"assetflow/telemetry"
)

// Count counts and measures every request, by the contract its path belongs to and by the route's pattern. It goes
// before everything else. nil metrics count nothing.
func Count(metrics *telemetry.Metrics, forms *Forms) gin.HandlerFunc {
	if metrics == nil {
		return func(*gin.Context) {}
	}
	return func(c *gin.Context) {
		start, contract := time.Now(), forms.Contract(c.Request)
		done := metrics.RequestBegan(contract)
		body := &countedBody{ReadCloser: c.Request.Body}
		if hasBody(c.Request) {
			c.Request.Body = body
		}
		request := telemetry.Request{Contract: contract, Route: c.FullPath(), Method: c.Request.Method}
		// Also when a panic ends the connection.
		defer func() {
			done()
			request.Took, request.Received, request.Sent = time.Since(start), body.read, int64(max(0, c.Writer.Size()))
			metrics.RequestEnded(request)
		}()
		c.Next()
		request.Status = c.Writer.Status()
		if reason, ok := refusal(c); ok {
			metrics.Refused(reason)
		}
	}
}

// refusal gives the reason for which a caller was refused: the code of the fault, which is a word of ours.
func refusal(c *gin.Context) (reason string, ok bool) {
	last := c.Errors.Last()
	if last == nil {
		return "", false
	}
	f, ok := fault.As(last.Err)
	if !ok || f.Kind != fault.Unauthenticated && f.Kind != fault.Forbidden {
		return "", false
	}
	reason, ok = strings.CutPrefix(f.Code, "auth.")
	return reason, ok
}

// countedBody counts what is read of a body.
type countedBody struct {
	io.ReadCloser
	read int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	return n, err
}
