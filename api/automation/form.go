package automation

import (
	"bytes"
	"context"
	_ "embed"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
)

// formPage names where it posts to by a relative path, so that it works behind a proxy that puts a prefix in front.
//
//go:embed form.html
var formPage []byte

// formPolicy lets the page do nothing but send its form, to this server.
const formPolicy = "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ShowImportForm gives a page that imports.
func (s *server) ShowImportForm(ctx context.Context, _ ShowImportFormRequestObject) (ShowImportFormResponseObject, error) {
	c := ctx.(*gin.Context)
	if err := checkAccept(c.Request, "text/html"); err != nil {
		return nil, err
	}
	c.Header("X-Frame-Options", "DENY")
	// Not no-referrer, with which a browser names no origin when it posts the form.
	c.Header("Referrer-Policy", "same-origin")
	return ShowImportForm200TextHTMLResponse{
		Headers: ShowImportForm200ResponseHeaders{
			ContentSecurityPolicy: new(formPolicy), WWWAuthenticate: hssoOf(ctx), XRequestID: middleware.RequestIDOf(ctx),
		},
		Body: bytes.NewReader(formPage), ContentLength: int64(len(formPage)),
	}, nil
}
