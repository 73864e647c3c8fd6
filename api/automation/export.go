package automation

import (
	"context"
	"fmt"
	"mime"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/catalog"
	"assetflow/fault"
)

// ExportServiceTemplate streams a template's file as it was imported.
func (s *server) ExportServiceTemplate(ctx context.Context, request ExportServiceTemplateRequestObject) (ExportServiceTemplateResponseObject, error) {
	if err := checkAccept(ctx.(*gin.Context).Request, "application/octet-stream"); err != nil {
		return nil, err
	}
	t, err := s.find(ctx, request.ID)
	if err != nil {
		return nil, err
	}
	content, size, err := s.Blobs.OpenBlob(middleware.Context(ctx), t.SHA256)
	if err != nil {
		return nil, lost(t, err)
	}
	return ExportServiceTemplate200ApplicationOctetStreamResponse{
		Headers: ExportServiceTemplate200ResponseHeaders{
			ContentDisposition: disposition(fileName(t)), ETag: new(`"` + t.SHA256 + `"`),
			WWWAuthenticate: hssoOf(ctx), XRequestID: middleware.RequestIDOf(ctx),
		},
		Body: content, ContentLength: size,
	}, nil
}

// lost makes a failure of ours of a file that is not there although the catalog has its template: the caller's "not found" is
// another one.
func lost(t catalog.ServiceTemplate, err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return fmt.Errorf("open the file of service template %d: %s", t.Number, err.Error())
	}
	return fmt.Errorf("open the file of service template %d: %w", t.Number, err)
}

func fileName(t catalog.ServiceTemplate) string {
	return servicetemplate.Manifest{VendorID: t.VendorID, KeyName: t.KeyName, Version: t.Version, ReleaseState: t.ReleaseState}.FileName()
}

// disposition quotes the name as the contract does, also where it needs no quotes.
func disposition(name string) string {
	for _, r := range name {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return mime.FormatMediaType("attachment", map[string]string{"filename": name})
		}
	}
	return `attachment; filename="` + name + `"`
}
