package metastudio

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/fault"
)

// headerAppUserID names the user of the caller's own application.
const headerAppUserID = "X-App-UserId"

const maxAppUserID = 256 // characters

// checkHeaders refuses malformed headers.
func checkHeaders(c *gin.Context) {
	if values := c.Request.Header.Values(headerAppUserID); len(values) > 1 || len(values) == 1 && !saneAppUserID(values[0]) {
		WriteError(c, fault.New(fault.Invalid, codeParameter,
			"The header %s must be given once, with at most %d characters, none of them Chinese.", headerAppUserID, maxAppUserID))
		return
	}
	if c.FullPath() == routeCopy {
		if err := middleware.CheckSubmission(c.Request); err != nil {
			WriteError(c, err)
		}
	}
}

func saneAppUserID(id string) bool {
	return isText(id, 0, maxAppUserID) && !strings.ContainsFunc(id, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// isText reports whether text has from least to most characters and is one line.
func isText(text string, least, most int) bool {
	n := utf8.RuneCountInString(text)
	return n >= least && n <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp)
	})
}

// checkQuery refuses a query that generated code would silently read in part.
func checkQuery(c *gin.Context) {
	query, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		WriteError(c, fault.New(fault.Invalid, codeParameter, "The query is not properly encoded.").Wrap(err))
		return
	}
	for name, values := range query {
		if len(values) > 1 && name != "asset_id" {
			WriteError(c, fault.New(fault.Invalid, codeParameter, "The parameter %.64q is given more than once.", name))
			return
		}
	}
}

// checkBody reads the whole body, which is where a signature over it is verified. Where an operation takes one, it must be
// one JSON object.
func checkBody(c *gin.Context) {
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		if _, ok := fault.As(err); !ok { // too large, too slow, not what was signed: it stays what it is
			err = fault.New(fault.Invalid, codeBody, "The request's body could not be read to its end.").Wrap(err)
		}
		WriteError(c, err)
		return
	}
	if takesBody(c) && (!json.Valid(body) || !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))) {
		WriteError(c, badBody())
		return
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
}

func takesBody(c *gin.Context) bool {
	return c.Request.Method == http.MethodPut || c.Request.Method == http.MethodPost && c.FullPath() != routeRestore
}

func badBody() *fault.Error {
	return fault.New(fault.Invalid, codeBody, "The request's body must be a JSON object with the documented fields.")
}

func badParameter(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, codeParameter, format, args...)
}
