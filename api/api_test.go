package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api"
	"assetflow/api/apitest"
	"assetflow/api/openapi"
	"assetflow/auth"
	"assetflow/catalog/catalogtest"
	"assetflow/jobs"
	"assetflow/storage"
)

// newAPI is the whole handler, over a real catalog and over a Temporal and a store that nobody may ask.
func newAPI(t *testing.T, change func(*api.Options)) http.Handler {
	t.Helper()
	cat := catalogtest.New(t)
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	opts := api.Options{
		Auth: auth.New(cat, keys), Jobs: jobs.NewService(nil, cat, nil, logger), Catalog: cat, Storage: &storage.Store{},
		Logger: logger, Region: "north", Version: "1.2.3",
	}
	if change != nil {
		change(&opts)
	}
	return api.New(opts)
}

func TestAlive(t *testing.T) {
	t.Parallel()
	h := newAPI(t, func(o *api.Options) {
		o.Ready = map[string]func(context.Context) error{"s3": func(context.Context) error { return errors.New("away") }}
	})
	apitest.Run(t, h, nil, []apitest.Scenario{
		{Name: "GET", URL: "/healthz", WantStatus: 200, WantHeaders: map[string]string{"X-Request-Id": "*"}, WantJSON: `{"status": "ok"}`},
		{Name: "HEAD", Method: http.MethodHead, URL: "/healthz", WantStatus: 200},
	})
}

func TestReady(t *testing.T) {
	t.Parallel()
	fine := func(context.Context) error { return nil }
	meet := make(chan struct{})
	for _, tc := range []struct {
		name   string
		checks map[string]func(context.Context) error
		status int
		want   string
	}{
		{"no dependency", nil, 200, `{"status": "ok", "checks": {}}`},
		{
			"all there", map[string]func(context.Context) error{"temporal": fine, "s3": fine, "database": fine},
			200, `{"status": "ok", "checks": {"temporal": "ok", "s3": "ok", "database": "ok"}}`,
		},
		{
			"one away", map[string]func(context.Context) error{
				"temporal": fine, "s3": func(context.Context) error { return errors.New("dial tcp 10.0.0.1: secret") }, "database": fine,
			},
			503, `{"status": "unavailable", "checks": {"temporal": "ok", "s3": "error", "database": "ok"}}`,
		},
		{
			"two that wait for each other: all are asked at the same time", map[string]func(context.Context) error{
				"temporal": func(ctx context.Context) error {
					select {
					case meet <- struct{}{}:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				},
				"s3": func(ctx context.Context) error {
					select {
					case <-meet:
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				},
			},
			200, `{"status": "ok", "checks": {"temporal": "ok", "s3": "ok"}}`,
		},
		{
			"two that do not answer, one that panics", map[string]func(context.Context) error{
				"temporal": func(ctx context.Context) error {
					deadline, ok := ctx.Deadline()
					require.True(t, ok && time.Until(deadline) <= 2*time.Second, "it is not waited for longer than 2 s")
					<-ctx.Done()
					return ctx.Err()
				},
				"s3":       func(context.Context) error { select {} },
				"database": func(context.Context) error { panic("no database") },
			},
			503, `{"status": "unavailable", "checks": {"temporal": "error", "s3": "error", "database": "error"}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newAPI(t, func(o *api.Options) { o.Ready = tc.checks })
			apitest.Run(t, h, nil, []apitest.Scenario{
				{Name: "GET", URL: "/readyz", WantStatus: tc.status, WantHeaders: map[string]string{"X-Request-Id": "*"}, WantJSON: tc.want},
			})
		})
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	h := newAPI(t, nil)
	var index openapi.Index
	apitest.Run(t, h, nil, []apitest.Scenario{{
		Name: "index", URL: "/openapi", WantStatus: 200, WantHeaders: map[string]string{"X-Request-Id": "*"},
		Check: func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			require.NoError(t, json.Unmarshal(body, &index))
		},
	}})
	require.Equal(t, "1.2.3", index.Version)
	require.Equal(t, "north", index.Region)
	require.Len(t, index.Documents, 7)
	for _, d := range index.Documents {
		apitest.Run(t, h, nil, []apitest.Scenario{{
			Name: d.Name, URL: d.URL, WantStatus: 200,
			WantHeaders: map[string]string{"Content-Type": "application/yaml; charset=utf-8"},
			Check: func(t testing.TB, _ *http.Response, body []byte) {
				t.Helper()
				apitest.Validator(t, body) // a valid OpenAPI document
			},
		}})
	}
}

// Every path is answered in the form of the contract it belongs to, also where no operation has it.
func TestForms(t *testing.T) {
	t.Parallel()
	roma := []string{`"error_code":"ROMA.1007"`, `"request_id":"mine"`}
	metastudio := []string{`{"error_code":"MSS.00000003","error_msg":`}
	iam := []string{`{"error":{"code":404`}
	servicestage := []string{`{"error_code":"SVCSTG.00100404","error_msg":`}
	automation := []string{`"messageID":"KNAE02102-E"`, `"application":"Automation"`}
	problem := []string{`"code":"api.no_route"`, `"request_id":"mine"`}
	scenario := func(method, url string, status int, want []string) apitest.Scenario {
		return apitest.Scenario{
			Name: method + " " + url, Method: method, URL: url, WantStatus: status, WantBody: want,
			Headers: map[string]string{"X-Request-Id": "mine"}, WantHeaders: map[string]string{"X-Request-Id": "mine"},
		}
	}
	apitest.Run(t, newAPI(t, nil), nil, []apitest.Scenario{
		scenario("GET", "/v2/nothing", 404, roma),
		scenario("DELETE", "/v2/p/instances/i/assets/import", 405, roma),
		scenario("GET", "/v1/nothing", 404, metastudio),
		scenario("DELETE", "/v1/p/digital-assets", 405, metastudio),
		scenario("GET", "/v1/p/digital-assets", 401, []string{`{"error_code":"MSS.00000001","error_msg":"Incorrect IAM`}),
		scenario("GET", "/v3/nothing", 404, iam),
		scenario("GET", "/v3/auth/tokens", 405, []string{`{"error":{"code":405`}),
		scenario("GET", "/v3/p/cas/nothing", 404, servicestage),
		scenario("GET", "/v3/a%2Fb/cas/nothing", 404, servicestage),
		scenario("PATCH", "/v3/p/cas/environments", 405, []string{`{"error_code":"SVCSTG.00100400","error_msg":`}),
		scenario("GET", "/v3/p/cas/jobs/JOBj", 401, []string{`{"error_code":"SVCSTG.00100401","error_msg":"Incorrect IAM`}),
		scenario("GET", "/v3/p/cas", 404, iam),
		scenario("GET", "/v3//cas/nothing", 404, servicestage),
		scenario("GET", "/v3/a/b/cas/environments", 404, iam),
		scenario("GET", "/Automation/v1/nothing", 404, automation),
		scenario("PUT", "/Automation/v1/objects/ServiceTemplates", 405, []string{`"messageID":"KNAE90026-E"`}),
		scenario("GET", "/Automation/v1/objects/ServiceTemplates", 401, []string{`"messageID":"KNAE90020-E"`}),
		scenario("GET", "/api/v1/nothing", 404, problem),
		scenario("POST", "/api/v1/codec/decode", 404, problem), // nothing is encrypted
		scenario("GET", "/nothing", 404, problem),
		scenario("GET", "/openapi/nothing.yaml", 404, problem),
		scenario("POST", "/healthz", 405, []string{`"code":"api.method_not_allowed"`}),
		scenario("GET", "/v2/p/instances/i/assets/jobs/j", 401, []string{`"error_code":"APIGW.0301"`}),
		scenario("GET", "/api/v1/me", 401, []string{`"code":"auth.missing"`}),
	})
}
