// Package apitest is what the tests of the contract packages share: a validator that checks requests and responses
// against an OpenAPI document, and a table of scenarios that are played against a handler.
package apitest

import (
	"net/http"
	"testing"
)

// Validation checks requests and responses against one OpenAPI document.
type Validation struct{}

// Validator reads and checks an OpenAPI 3 document (YAML or JSON); a bad document fails the test.
func Validator(t testing.TB, document []byte) *Validation { panic("not built yet") }

// Check fails the test when the response does not follow the document: an operation, status, header or body that it
// does not describe. The request's parameters and body are checked as well when the response is a success.
func (v *Validation) Check(t testing.TB, r *http.Request, requestBody []byte, resp *http.Response, responseBody []byte) {
	t.Helper()
	panic("not built yet")
}

// Scenario is one request and what is expected of its answer.
type Scenario struct {
	Name    string
	Method  string
	URL     string            // path and query, as sent
	Headers map[string]string // "Host" sets the request's host
	Body    string
	Prepare func(t testing.TB, r *http.Request) // optional: a last change of the request, such as signing it

	WantStatus      int
	WantHeaders     map[string]string                                    // exact value; "*" any non-empty value; "" absent
	WantBody        []string                                             // each a substring of the body
	WantNotBody     []string                                             // each not a substring of the body
	WantJSON        string                                               // optional: the whole body, compared as JSON
	Check           func(t testing.TB, resp *http.Response, body []byte) // optional: further checks
	OutsideDocument bool                                                 // the request is meant not to be described by the document: do not validate
}

// Run plays the scenarios against h, each as a subtest, and validates every answer with v (nil: no validation).
func Run(t *testing.T, h http.Handler, v *Validation, scenarios []Scenario) {
	t.Helper()
	panic("not built yet")
}
