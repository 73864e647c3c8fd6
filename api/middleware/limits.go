package middleware

import (
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/fault"
)

// Bounds on what a request brings beside an upload.
const (
	MaxHeaderBytes = 32 << 10 // names and values together; a token of the identity service may have several KiB
	MaxHeaders     = 100
	MaxJSONBytes   = 1 << 20
)

// LimitHeaders refuses a request with too many or too large headers. It goes before anything that copies them. What
// is far beyond these limits is cut off by the server itself, without a contract's form.
func LimitHeaders(forms *Forms) gin.HandlerFunc {
	return func(c *gin.Context) {
		count, size := 0, 0
		for name, values := range c.Request.Header {
			for _, value := range values {
				count++
				size += len(name) + len(value)
			}
		}
		if count > MaxHeaders || size > MaxHeaderBytes {
			forms.Write(c, fault.New(fault.TooLarge, CodeHeadersTooLarge,
				"The request's headers are too large: at most %d of them, %d bytes together.", MaxHeaders, MaxHeaderBytes))
		}
	}
}

// LimitBody refuses a body of more than limit bytes: at once where its length is declared, else when reading passes
// the limit, with the same fault (TooLarge, CodeBodyTooLarge) as the read error.
func LimitBody(limit int64, form ErrorForm) gin.HandlerFunc {
	return func(c *gin.Context) {
		if c.Request.ContentLength > limit {
			form(c, BodyTooLarge(limit))
			return
		}
		CapBody(c.Request, limit)
	}
}

// CapBody makes reading r's body fail with BodyTooLarge once it passes limit bytes.
func CapBody(r *http.Request, limit int64) {
	if hasBody(r) {
		r.Body = &limitedBody{ReadCloser: r.Body, left: limit, tooLarge: BodyTooLarge(limit)}
	}
}

// BodyTooLarge is the refusal of a body of more than limit bytes.
func BodyTooLarge(limit int64) *fault.Error {
	return fault.New(fault.TooLarge, CodeBodyTooLarge, "The request's body is larger than %d bytes.", limit)
}

// limitedBody differs from http.MaxBytesReader in its error only: a fault that says how a contract answers it.
type limitedBody struct {
	io.ReadCloser
	left     int64
	tooLarge error
	err      error
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// One byte more than is left tells a body that ends at the limit from one that goes on.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), b.tooLarge
	}
	b.left -= int64(n)
	b.err = err
	return n, err
}
