package middleware

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"assetflow/fault"
)

// CheckQuery refuses a query that generated code would silently read in part: one that is not properly encoded, or that
// gives a parameter more than once which is not among the repeatable ones. Invalid CodeParameter.
func CheckQuery(r *http.Request, repeatable ...string) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Invalid, CodeParameter, "The query is not properly encoded.").Wrap(err)
	}
	for name, values := range query {
		if len(values) > 1 && !slices.Contains(repeatable, name) {
			return fault.New(fault.Invalid, CodeParameter, "The parameter %.64q is given more than once.", name)
		}
	}
	return nil
}

// ReadBody reads the whole body, which is where a signature over it is verified, and puts it back. Where an object is
// wanted it must be one JSON object. Invalid CodeBody; what is too large, too slow or not what was signed stays what it is.
func ReadBody(r *http.Request, object bool) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := fault.As(err); !ok {
			err = fault.New(fault.Invalid, CodeBody, "The request's body could not be read to its end.").Wrap(err)
		}
		return err
	}
	if object && (!json.Valid(body) || !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{"))) {
		return BadBody()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// BadBody is the refusal of a body that is no JSON object of the right form.
func BadBody() *fault.Error {
	return fault.New(fault.Invalid, CodeBody, "The request's body must be a JSON object with the documented fields.")
}

// IsLine reports whether text has from least to most characters and is one line.
func IsLine(text string, least, most int) bool {
	n := utf8.RuneCountInString(text)
	return n >= least && n <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp)
	})
}

// IsStorable reports whether a database keeps the text as it is.
func IsStorable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }
