package apitest

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const document = `
openapi: 3.0.3
info: {title: test, version: "1"}
servers: [{url: https://elsewhere.example/base}]
paths:
  /things/{id}:
    get:
      parameters:
        - {name: id, in: path, required: true, schema: {type: string, maxLength: 5}}
        - {name: sort, in: query, schema: {type: string, enum: [asc, desc]}}
      responses:
        "200":
          description: ok
          headers: {X-Request-Id: {required: true, schema: {type: string, minLength: 1}}}
          content:
            application/json:
              schema: {type: object, additionalProperties: false, required: [id], properties: {id: {type: string}}}
        "404": {description: none}
  /upload:
    post:
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              required: [file]
              additionalProperties: false
              properties: {file: {type: string, format: binary}}
      responses:
        "200": {description: ok, content: {application/octet-stream: {schema: {type: string, format: binary}}}}
`

func answer(status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Header: header}
}

func TestValidation(t *testing.T) {
	t.Parallel()
	v := Validator(t, []byte(document))
	good := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "X-Request-Id": {"r"}}
	for _, c := range []struct {
		name, method, url string
		status            int
		header            http.Header
		body              string
		want              string // part of the error; empty: none
	}{
		{"good", "GET", "/things/a?sort=asc", 200, good, `{"id":"a"}`, ""},
		{"encoded slash", "GET", "/things/a%2Fb", 200, good, `{"id":"a"}`, ""},
		{"refused request", "GET", "/things/toolong?sort=no", 404, nil, "", ""},
		{"accepted though the path is wrong", "GET", "/things/toolong", 200, good, `{"id":"a"}`, "maximum string length"},
		{"accepted though the query is wrong", "GET", "/things/a?sort=no", 200, good, `{"id":"a"}`, "sort"},
		{"unknown path", "GET", "/none", 404, nil, "", "no matching operation"},
		{"unknown method", "PUT", "/things/a", 200, good, `{"id":"a"}`, "method not allowed"},
		{"unknown status", "GET", "/things/a", 418, nil, "", "status is not supported"},
		{"no header", "GET", "/things/a", 200, http.Header{"Content-Type": {"application/json"}}, `{"id":"a"}`, "X-Request-Id"},
		{"another content type", "GET", "/things/a", 200, http.Header{"Content-Type": {"text/html"}, "X-Request-Id": {"r"}}, `{"id":"a"}`, "text/html"},
		{"not JSON", "GET", "/things/a", 200, good, `{`, "decode"},
		{"wrong type", "GET", "/things/a", 200, good, `{"id":1}`, "must be a string"},
		{"missing field", "GET", "/things/a", 200, good, `{}`, `"id" is missing`},
		{"unknown field", "GET", "/things/a", 200, good, `{"id":"a","x":1}`, `"x" is unsupported`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := v.check(t, httptest.NewRequest(c.method, c.url, nil), nil, answer(c.status, c.header), []byte(c.body))
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}

func TestValidationOfUpload(t *testing.T) {
	t.Parallel()
	v := Validator(t, []byte(document))
	for name, ok := range map[string]bool{"file": true, "other": false} {
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		part, err := w.CreateFormFile(name, "a.zip")
		require.NoError(t, err)
		_, err = part.Write([]byte("PK\x03\x04 \xff\x00"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		r := httptest.NewRequest(http.MethodPost, "/upload", nil)
		r.Header.Set("Content-Type", w.FormDataContentType())
		err = v.check(t, r, form.Bytes(), answer(200, http.Header{"Content-Type": {"application/octet-stream"}}), []byte("\x00\xff"))
		if ok {
			require.NoError(t, err)
		} else {
			require.Error(t, err)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	resp := answer(200, http.Header{"A": {"1"}, "Twice": {"1", "2"}, "Empty": {""}})
	body := []byte(`{"a":[1,2]}`)
	require.NoError(t, Scenario{
		WantStatus: 200, WantHeaders: map[string]string{"a": "1", "A": "*", "None": ""},
		WantBody: []string{"a", "[1"}, WantNotBody: []string{"b"}, WantJSON: `{ "a": [1, 2] }`,
	}.compare(resp, body))
	for want, s := range map[string]Scenario{
		"status 200 instead of 201":     {WantStatus: 201},
		`header A is ["1"]`:             {WantHeaders: map[string]string{"A": "2"}},
		`header a is ["1"] instead`:     {WantHeaders: map[string]string{"a": ""}},
		`header None is []`:             {WantHeaders: map[string]string{"None": "*"}},
		`header Empty is [""]`:          {WantHeaders: map[string]string{"Empty": "*"}},
		`header Twice is ["1" "2"]`:     {WantHeaders: map[string]string{"Twice": "1"}},
		"the body does not contain b":   {WantBody: []string{"a", "b"}},
		"the body contains a":           {WantNotBody: []string{"a"}},
		"the body is not, as JSON, {}":  {WantJSON: "{}"},
		"the body is not, as JSON, {\"": {WantJSON: `{"a":[2,1]}`},
	} {
		if s.WantStatus == 0 {
			s.WantStatus = 200
		}
		require.ErrorContains(t, s.compare(resp, body), want)
	}
}

// What a scenario says is what arrives.
func TestRun(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Got", strings.Join([]string{r.Method, r.RequestURI, r.Host, r.Header.Get("X-A"), string(body)}, " "))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(http.StatusFound)
	})
	checked := false
	Run(t, h, nil, []Scenario{
		{
			Name: "all fields", Method: http.MethodPost, URL: "/a%2Fb?x=%20", Body: "hello",
			Headers: map[string]string{"Host": "h.example", "X-A": "1"}, WantStatus: http.StatusFound,
			WantHeaders: map[string]string{"X-Got": "POST /a%2Fb?x=%20 h.example 1 hello"},
		},
		{
			Name: "prepared", URL: "/", WantStatus: http.StatusFound,
			Prepare:     func(_ testing.TB, r *http.Request) { r.Host, r.Body = "h", io.NopCloser(strings.NewReader("later")) },
			WantHeaders: map[string]string{"X-Got": "GET / h  later"},
			Check:       func(testing.TB, *http.Response, []byte) { checked = true },
		},
	})
	require.True(t, checked)
}
