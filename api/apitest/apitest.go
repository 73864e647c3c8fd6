// Package apitest is what the tests of the contract packages share: a validator that checks requests and responses
// against an OpenAPI document, and a table of scenarios that are played against a handler.
package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Scenario is one request and what is expected of its answer.
type Scenario struct {
	Name    string
	Method  string            // GET where empty
	URL     string            // path and query, as sent
	Headers map[string]string // "Host" sets the request's host; an empty value of User-Agent sends none
	Body    string
	Prepare func(t testing.TB, r *http.Request) // optional: a last change of the request, such as signing it

	WantStatus      int
	WantHeaders     map[string]string                                    // exact value; "*" any non-empty value; "" absent
	WantBody        []string                                             // each a substring of the body
	WantNotBody     []string                                             // each not a substring of the body
	WantJSON        string                                               // optional: the whole body, compared as JSON
	Check           func(t testing.TB, resp *http.Response, body []byte) // optional: further checks; resp.Body is read already
	OutsideDocument bool                                                 // the document does not describe this on purpose: do not validate
}

// Run plays the scenarios against h over real connections, one after the other, each as a subtest, and validates every
// answer with v (nil: no validation). Redirects are answers, they are not followed.
func Run(t *testing.T, h http.Handler, v *Validation, scenarios []Scenario) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) { s.play(t, server, v) })
	}
}

func (s Scenario) play(t *testing.T, server *httptest.Server, v *Validation) {
	t.Helper()
	require.NotZero(t, s.WantStatus, "the scenario says nothing of the status it wants")
	r, err := http.NewRequestWithContext(t.Context(), s.Method, server.URL+s.URL, strings.NewReader(s.Body))
	require.NoError(t, err)
	for name, value := range s.Headers {
		if strings.EqualFold(name, "Host") {
			r.Host = value
			continue
		}
		r.Header.Set(name, value)
	}
	if s.Prepare != nil {
		s.Prepare(t, r)
	}
	sent := requestBody(t, r)
	client := *server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	require.NoError(t, s.compare(resp, body))
	if v != nil && !s.OutsideDocument {
		v.Check(t, r, sent, resp, body)
	}
	if s.Check != nil {
		s.Check(t, resp, body)
	}
}

// compare says what of the answer is not as wanted.
func (s Scenario) compare(resp *http.Response, body []byte) error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if resp.StatusCode != s.WantStatus {
		problem("status %d instead of %d", resp.StatusCode, s.WantStatus)
	}
	for name, want := range s.WantHeaders {
		switch got := resp.Header.Values(name); {
		case want == "" && len(got) == 0:
		case want == "*" && len(got) == 1 && got[0] != "":
		case want != "" && len(got) == 1 && got[0] == want:
		default:
			problem("header %s is %q instead of %q", name, got, want)
		}
	}
	for _, want := range s.WantBody {
		if !strings.Contains(string(body), want) {
			problem("the body does not contain %s", want)
		}
	}
	for _, unwanted := range s.WantNotBody {
		if strings.Contains(string(body), unwanted) {
			problem("the body contains %s", unwanted)
		}
	}
	if s.WantJSON != "" && !equalJSON(s.WantJSON, string(body)) {
		problem("the body is not, as JSON, %s", s.WantJSON)
	}
	if len(problems) > 0 {
		problem("the answer: %s\n%s", resp.Status, body)
	}
	return errors.Join(problems...)
}

func equalJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// requestBody gives the bytes that r will send, and leaves them in place.
func requestBody(t *testing.T, r *http.Request) []byte {
	t.Helper()
	if r.GetBody == nil {
		if r.Body == nil || r.Body == http.NoBody {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return body
	}
	copied, err := r.GetBody()
	require.NoError(t, err)
	defer func() { _ = copied.Close() }()
	body, err := io.ReadAll(copied)
	require.NoError(t, err)
	return body
}
