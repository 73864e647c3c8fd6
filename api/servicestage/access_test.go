package servicestage_test

import (
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/middleware"
	"assetflow/api/servicestage"
	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/fault"
)

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	d := newFullDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	created := d.installed(e, "redis")
	require.NoError(t, d.auth.GrantRole(t.Context(), d.submitter.user.ID, d.other.ID, "Submit"))
	all := append(operations(e.ID, created.ID),
		operation{"POST", "/environments", `{"name": "more", "vpc_id": "v"}`}, operation{"GET", "/environments", ""}, operation{"GET", "/jobs/" + created.JobID, ""})
	v := apitest.Validator(t, servicestage.Document())
	for _, o := range all {
		t.Run(o.method+" "+o.path, func(t *testing.T) {
			scenario := func(who string, c caller, status int, code, message string) apitest.Scenario {
				s := d.as(c, who, o.method, o.path, o.body, status)
				s.Check = refusal(code, message)
				return s
			}
			anonymous := scenario("nobody", caller{}, 401, "SVCSTG.00100401", "Incorrect IAM authentication information: x-auth-token not found")
			delete(anonymous.Headers, "X-Auth-Token")
			elsewhere := scenario("no role in this project", d.developer, 404, "SVCSTG.00100404", "")
			elsewhere.URL = strings.Replace(elsewhere.URL, d.project.ID, d.other.ID, 1)
			nowhere := scenario("no such project", d.admin, 404, "SVCSTG.00100404", "")
			nowhere.URL = strings.Replace(nowhere.URL, d.project.ID, "nowhere%00", 1)
			scenarios := []apitest.Scenario{
				anonymous, elsewhere, nowhere,
				scenario("no role", d.stranger, 404, "SVCSTG.00100404", ""),
				scenario("a false token", caller{token: "x"}, 401, "SVCSTG.00100401", "decrypt token fail"),
			}
			if o.method != http.MethodGet {
				scenarios = append(scenarios,
					scenario("only to look", d.submitter, 403, "SVCSTG.00100401", "permits"),
					scenario("only to take out", d.modifier, 403, "SVCSTG.00100401", "permits"))
			} else {
				scenarios = append(scenarios,
					d.as(d.submitter, "may look", o.method, o.path, o.body, 200), d.as(d.modifier, "may look, too", o.method, o.path, o.body, 200))
			}
			apitest.Run(t, d.handler, v, scenarios)
		})
	}
	token, err := d.auth.IssueToken(t.Context(), auth.PasswordLogin{
		Domain: "acme", User: "sub", Password: "correct horse battery", ProjectID: d.other.ID,
	})
	require.NoError(t, err)
	bound := d.as(caller{token: token.Value}, "a token for another project", "GET", "/environments", "", 403)
	bound.Check = refusal("SVCSTG.00100401", "another project")
	d.run(bound)

	// A project sees nothing of another one, whoever may see both.
	require.NoError(t, d.auth.GrantRole(t.Context(), d.developer.user.ID, d.other.ID, "Admin"))
	for _, o := range operations(e.ID, created.ID) {
		s := d.missing("from another project: "+o.method+" "+o.path, o.method, o.path, o.body, "SVCSTG.00100411")
		s.URL = strings.Replace(s.URL, d.project.ID, d.other.ID, 1)
		d.run(s)
	}
	require.Len(t, d.jobs.started, 1)
	require.Equal(t, servicestage.AddonStatusSUCCEEDED, d.show(e, created.ID).Status)
	require.Equal(t, "prod", e.Name)
}

// The vendor's SDK signs user agent, project and date, and sends JSON that ends in a line feed.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	created := d.installed(e, "redis")
	for _, o := range slices.Concat(operations(e.ID, created.ID)[3:], []operation{
		{"POST", "/environments", `{"name": "more", "vpc_id": "v"}`}, {"GET", "/environments?limit=10&offset=0", ""},
		{"GET", "/jobs/" + created.JobID + "?desc=true&limit=1", ""},
	}) {
		if o.path == "/environments/"+e.ID+"/addons" && o.method == http.MethodPost {
			o.body = `{"name": "redis", "cce_id": "second"}`
		}
		if o.body != "" {
			o.body += "\n"
		}
		s := d.as(d.developer, o.method+" "+o.path, o.method, o.path, o.body, 200)
		delete(s.Headers, "X-Auth-Token")
		s.Headers["Content-Type"] = "application/json"
		s.Headers["User-Agent"] = "huaweicloud-usdk-go/3.0"
		s.Headers["X-Project-Id"] = d.project.ID
		s.Prepare = func(t testing.TB, r *http.Request) {
			t.Helper()
			require.NoError(t, signature.Sign(r, d.developer.accessKey, d.developer.secretKey, time.Now()))
			require.Contains(t, r.Header.Get("Authorization"), "SDK-HMAC-SHA256 Access="+d.developer.accessKey)
		}
		d.run(s)
		if o.method == http.MethodPost && strings.HasSuffix(o.path, "/action") {
			d.commit("2")
		}
	}
}

// What the document does not describe is answered in the contract's form all the same.
func TestOutsideTheDocument(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	scenario := func(name, method, path string, status int, code string) apitest.Scenario {
		s := d.as(d.developer, name, method, path, "", status)
		s.Check = refusal(code, "")
		return s
	}
	headers := scenario("large headers", "GET", "/environments", 431, "SVCSTG.00100400")
	headers.Headers["X-Large"] = strings.Repeat("x", 40<<10)
	body := scenario("a large body where none is wanted", "GET", "/environments", 413, "SVCSTG.00100400")
	body.Body = strings.Repeat("x", 2<<20)
	apitest.Run(t, d.handler, nil, []apitest.Scenario{
		headers, body,
		scenario("unknown path", "GET", "/applications", 404, "SVCSTG.00100404"),
		scenario("another method", "PATCH", "/environments", 405, "SVCSTG.00100400"),
		scenario("a trailing slash", "GET", "/environments/", 404, "SVCSTG.00100404"),
	})
}

// The form of a refusal that is seen only after a long wait.
func TestPendingForm(t *testing.T) {
	t.Parallel()
	engine := middleware.NewEngine(slog.New(slog.DiscardHandler), nil, middleware.NewForms("servicestage", servicestage.WriteError))
	engine.POST("/v3/x", func(c *gin.Context) {
		servicestage.WriteError(c, fault.New(fault.Conflict, middleware.CodePending, "Try again.").WithDetails("7"))
	})
	apitest.Run(t, engine, nil, []apitest.Scenario{{
		Name: "pending", Method: http.MethodPost, URL: "/v3/x", WantStatus: 409,
		WantHeaders: map[string]string{"Retry-After": "7", "Content-Type": contentType}, Check: refusal("SVCSTG.00100400", "Try again"),
	}})
}

// Every code that a refusal can carry stands in the document.
func TestErrorCodesAreDocumented(t *testing.T) {
	t.Parallel()
	codes := regexp.MustCompile(`SVCSTG\.\d+`).FindAllString(string(servicestage.Document()), -1)
	slices.Sort(codes)
	require.Equal(t, []string{
		"SVCSTG.00100400", "SVCSTG.00100401", "SVCSTG.00100404", "SVCSTG.00100411", "SVCSTG.00100418", "SVCSTG.00100429", "SVCSTG.00100449",
		"SVCSTG.00100500",
	}, slices.Compact(codes))
}
