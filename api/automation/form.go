package automation

import (
	"context"
	_ "embed"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
)

//go:embed form.html
var form []byte

// ShowImportForm answers a page for people.
func (s *server) ShowImportForm(ctx context.Context, _ ShowImportFormRequestObject) (ShowImportFormResponseObject, error) {
	header := ctx.(*gin.Context).Writer.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	return page(form), nil
}

// page is the answer with the form.
type page []byte

// VisitShowImportFormResponse sends it.
func (p page) VisitShowImportFormResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(p)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(p)
	return err
}

// accepts reports whether a type is among those that headers Accept name, with a quality above 0; the most exact of the
// ranges that match decides. Without a header every type is.
func accepts(headers []string, media string) bool {
	if strings.TrimSpace(strings.Join(headers, "")) == "" {
		return true
	}
	family, _, _ := strings.Cut(media, "/")
	exactness, accepted := 0, false
	for item := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		exact := map[string]int{media: 3, family + "/*": 2, "*/*": 1}[name]
		if exact <= exactness {
			continue
		}
		quality, err := strconv.ParseFloat(params["q"], 64)
		exactness, accepted = exact, params["q"] == "" || err == nil && quality > 0
	}
	return accepted
}
