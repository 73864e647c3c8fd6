package metastudio

import (
	"net/http"
	"strings"
	"unicode"

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
		WriteError(c, fault.New(fault.Invalid, middleware.CodeParameter,
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
	return middleware.IsLine(id, 0, maxAppUserID) && !strings.ContainsFunc(id, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// checkQuery refuses a query that generated code would silently read in part.
func checkQuery(c *gin.Context) {
	if err := middleware.CheckQuery(c.Request, "asset_id"); err != nil {
		WriteError(c, err)
	}
}

// checkBody reads the body.
func checkBody(c *gin.Context) {
	if err := middleware.ReadBody(c.Request, takesBody(c)); err != nil {
		WriteError(c, err)
	}
}

func takesBody(c *gin.Context) bool {
	return c.Request.Method == http.MethodPut || c.Request.Method == http.MethodPost && c.FullPath() != routeRestore
}

func badParameter(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, middleware.CodeParameter, format, args...)
}
