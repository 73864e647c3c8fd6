package apitest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/require"
)

// Pages and archives are checked like files: as text.
func init() {
	for _, contentType := range []string{"text/html", "application/gzip"} {
		openapi3filter.RegisterBodyDecoder(contentType, openapi3filter.FileBodyDecoder)
	}
}

// Validation checks requests and responses against one OpenAPI document.
type Validation struct{ router routers.Router }

// Validator reads and checks an OpenAPI 3 document (YAML or JSON); a bad document fails the test. Paths are found
// whatever the host.
func Validator(t testing.TB, document []byte) *Validation {
	t.Helper()
	loader := openapi3.NewLoader()
	loader.Context = t.Context()
	doc, err := loader.LoadFromData(document)
	require.NoError(t, err, "read the OpenAPI document")
	require.NoError(t, doc.Validate(t.Context()), "check the OpenAPI document")
	doc.Servers = nil
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err, "route by the OpenAPI document")
	return &Validation{router: router}
}

// Check fails the test when the response does not follow the document: an operation, status, header or body that it
// does not describe. The request's parameters and body are checked as well when the response is a success; a body that
// is neither JSON nor a form only by its Content-Type. It reads neither r.Body nor resp.Body.
func (v *Validation) Check(t testing.TB, r *http.Request, requestBody []byte, resp *http.Response, responseBody []byte) {
	t.Helper()
	require.NoError(t, v.check(t, r, requestBody, resp, responseBody), "%s %s does not follow the OpenAPI document", r.Method, r.URL.Path)
}

func (v *Validation) check(t testing.TB, r *http.Request, requestBody []byte, resp *http.Response, responseBody []byte) error {
	t.Helper()
	request := r.Clone(t.Context())
	request.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(requestBody)), int64(len(requestBody))
	route, params, err := v.router.FindRoute(request)
	if err != nil {
		return err
	}
	options := &openapi3filter.Options{
		IncludeResponseStatus: true,
		MultiError:            true,
		AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route, Options: options,
	}
	if resp.StatusCode < 300 {
		if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(responseBody)), Options: options,
	})
}
