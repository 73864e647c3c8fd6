package automation_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
)

func catalogTemplate(version string) catalog.ImportedTemplate {
	return catalogtest.Template("com.example", "Deploy", version, "")
}

func TestServiceTemplate(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	tmpl := catalogTemplate("01.00.00")
	tmpl.Tags, tmpl.UsedTemplates = []string{"a", "b"}, []string{"x"}
	stocked := d.stock(tmpl, "the bytes of it")
	one := fmt.Sprint(objects, "/", stocked.Number)
	const layout = "2006-01-02T15:04:05.000-0700"
	shown := fmt.Sprintf(`{"instanceID": %d, "keyName": "Deploy", "displayName": "The Deploy", "vendorID": "com.example",
		"vendorName": "Vendor of com.example", "version": "01.00.00", "tags": "a,b", "createTime": "%s", "modifyTime": "%s",
		"description": "does Deploy", "releaseState": "release", "latest": true, "supportedScheduleType": "immediate",
		"usedServices": "", "usedTemplates": "x"}`, stocked.Number, stocked.CreatedAt.Format(layout), stocked.UpdatedAt.Format(layout))
	hsso := map[string]string{"WWW-Authenticate": "*", "Access-Control-Expose-Headers": "WWW-Authenticate", "Cache-Control": "no-cache"}
	gone := apitest.Scenario{WantStatus: 404, Prepare: as("develop"), WantBody: []string{
		`"message":"The specified resource does not exist or you do not have access."`, `"messageID":"KNAE02102-E"`, `"application":"Automation"`,
	}}
	missing := func(name, method, url string) apitest.Scenario {
		s := gone
		s.Name, s.Method, s.URL = name, method, url
		return s
	}
	d.run(
		apitest.Scenario{Name: "get", URL: one, Prepare: as("modify"), WantStatus: 200, WantHeaders: hsso, WantJSON: shown},
		apitest.Scenario{Name: "list", URL: objects, Prepare: as("modify"), WantStatus: 200, WantHeaders: hsso, WantJSON: `{"data": [` + shown + `], "count": 1}`},
		apitest.Scenario{
			Name: "actions", URL: one + "/actions", Prepare: as("modify"), WantStatus: 200, WantHeaders: hsso,
			WantBody: []string{`"name":"export"`, `"method":"POST"`, `"parameters":[]`, `"count":1`, one + "/actions/export/invoke"},
		},
		apitest.Scenario{
			Name: "export", Method: "POST", URL: one + "/actions/export/invoke", Prepare: as("develop"), WantStatus: 200, WantBody: []string{"the bytes of it"},
			WantHeaders: map[string]string{
				"Content-Type": "application/octet-stream", "Content-Length": "15", "WWW-Authenticate": "*",
				"Content-Disposition": `attachment; filename="com.example_Deploy_01.00.00.st"`,
			},
		},
		apitest.Scenario{
			Name: "export as JSON", Method: "POST", URL: one + "/actions/export/invoke", Prepare: as("develop"), WantStatus: 406,
			Headers: map[string]string{"Accept": "application/json"}, WantBody: []string{"KNAE90024-E"},
		},
		missing("get another", "GET", objects+"/999"),
		missing("actions of another", "GET", objects+"/999/actions"),
		missing("export another", "POST", objects+"/999/actions/export/invoke"),
		missing("no number", "GET", objects+"/x"),
		missing("another spelling", "GET", objects+"/0"+fmt.Sprint(stocked.Number)),
		missing("a large number", "GET", objects+"/99999999999999999999"),
		apitest.Scenario{Name: "delete", Method: "DELETE", URL: one, Prepare: as("develop"), WantStatus: 204, WantHeaders: hsso},
		apitest.Scenario{Name: "delete again", Method: "DELETE", URL: one, Prepare: as("develop"), WantStatus: 204, WantHeaders: hsso},
		apitest.Scenario{Name: "delete nothing", Method: "DELETE", URL: objects + "/x", Prepare: as("develop"), WantStatus: 204},
		missing("get what was deleted", "GET", one),
	)
}

func TestExportOfADebugBuild(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	tmpl := catalogTemplate("01.00.00")
	tmpl.ReleaseState = catalog.ReleaseDebug
	stocked := d.stock(tmpl, "debug")
	export := apitest.Scenario{
		Name: "export", Method: "POST", URL: fmt.Sprint(objects, "/", stocked.Number, "/actions/export/invoke"), Prepare: as("admin"), WantStatus: 200,
		WantHeaders: map[string]string{"Content-Disposition": `attachment; filename="com.example_Deploy_01.00.00_d.st"`},
	}
	d.run(export)
	// What is lost is our failure, and nothing of it is told.
	require.NoError(t, d.store.DeleteBlob(t.Context(), stocked.SHA256))
	export.Name, export.WantStatus, export.WantHeaders = "lost", 500, map[string]string{"Content-Disposition": "", "WWW-Authenticate": ""}
	export.WantBody, export.WantNotBody = []string{"KNAE90012-E"}, []string{stocked.SHA256}
	d.run(export)
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	for i, version := range []string{"01.00.00", "01.20.00", "02.00.00"} {
		tmpl := catalogTemplate(version)
		tmpl.Tags = []string{"all", fmt.Sprint("n", i)}
		d.stock(tmpl, version)
	}
	d.stock(catalogtest.Template("org.other", "Stop", "01.00.00", ""), "stop")
	for query, want := range map[string]string{
		"":                                "01.00.00 01.20.00 02.00.00 01.00.00 of 4",
		"q=DEPLOY example":                "01.00.00 01.20.00 02.00.00 of 3",
		"tags=all, n1":                    "01.20.00 of 1",
		"vendorID=org.other":              "01.00.00 of 1",
		"keyName=Deploy&version=01.00.00": "01.00.00 of 1",
		"HQL::filter=version ge '01.20.00' and vendorID='com.example'": "01.20.00 02.00.00 of 2",
		"HQL::filter=latest = true":                                    "02.00.00 01.00.00 of 2",
		"HQL::sortBy=version desc, vendorID":                           "02.00.00 01.20.00 01.00.00 01.00.00 of 4",
		"HQL::offset=3":                                                "01.00.00 of 4",
		"HQL::offset=1&pageSize=1":                                     "01.20.00 of 4",
		"page=2&pageSize=3":                                            "01.00.00 of 4",
		"page=3&pageSize=3":                                            "of 4",
		"HQL::filter=tags ends 'n2'&q=deploy":                          "02.00.00 of 1",
		"HQL::filter=version in ['01.20.00','02.00.00']&HQL::sortBy=version+desc": "02.00.00 01.20.00 of 2",
	} {
		d.run(apitest.Scenario{
			Name: query, URL: objects + "?" + escape(query), Prepare: as("modify"), WantStatus: 200,
			Check: func(t testing.TB, _ *http.Response, body []byte) {
				t.Helper()
				var list struct {
					Data  []struct{ Version string }
					Count int
				}
				require.NoError(t, json.Unmarshal(body, &list))
				words := []string{}
				for _, tmpl := range list.Data {
					words = append(words, tmpl.Version)
				}
				require.Equal(t, want, strings.Join(append(words, fmt.Sprint("of ", list.Count)), " "))
			},
		})
	}
	for query, want := range map[string]string{
		"HQL::filter=version like '01'": "column 9", "HQL::filter=secret = '1'": "column 1", "HQL::sortBy=secret": "column 1", "HQL::offset=-1": "HQL::offset",
		"page=0": "page", "pageSize=0": "pageSize", "pageSize=1001": "pageSize", "pageSize=x": "pageSize", "page=1&HQL::offset=1": "exclude each other",
		"q=" + strings.Repeat("a", 1025): "1024", "vendorID=%00": "text",
	} {
		d.run(apitest.Scenario{
			Name: query[:min(len(query), 30)], URL: objects + "?" + escape(query), Prepare: as("modify"), WantStatus: 400, OutsideDocument: true,
			WantBody: []string{"KNAE90022-E", want},
		})
	}
}

// escape escapes what stands in a query but for what parts it.
func escape(query string) string {
	if strings.Contains(query, "%") {
		return query
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if ok {
			pairs[i] = url.QueryEscape(name) + "=" + url.QueryEscape(strings.ReplaceAll(value, "+", " "))
		}
	}
	return strings.Join(pairs, "&")
}

// The table of the contract: who may do what.
func TestRoles(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	one := fmt.Sprint(objects, "/", d.stock(catalogTemplate("01.00.00"), "zip").Number)
	users := []string{"admin", "develop", "modify", "submit", "stranger"}
	for _, operation := range []struct {
		method, url string
		allowed     int // how many of the users, from the first
		status      int
	}{
		{"POST", invoke, 2, 200},
		{"GET", services + "/actions/import", 2, 200},
		{"GET", objects, 3, 200},
		{"GET", one, 3, 200},
		{"GET", one + "/actions", 3, 200},
		{"POST", one + "/actions/export/invoke", 2, 200},
		{"DELETE", objects + "/999", 2, 204},
		{"GET", "/Automation/v1/configuration/version", 5, 200},
	} {
		for i, user := range users {
			s := apitest.Scenario{
				Name: operation.method + " " + operation.url + " as " + user, Method: operation.method, URL: operation.url, Prepare: as(user),
				WantStatus: operation.status, WantHeaders: map[string]string{"WWW-Authenticate": "*"},
			}
			if operation.url == invoke {
				s.Body, s.Headers = form("a.st", "zip"), map[string]string{"Content-Type": formType}
			}
			if i >= operation.allowed {
				s.WantStatus, s.WantHeaders, s.WantBody = 403, map[string]string{"WWW-Authenticate": ""}, []string{"KNAE90021-E"}
			}
			d.run(s)
		}
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	var token string
	keep := func(_ testing.TB, resp *http.Response, _ []byte) { token = resp.Header.Get("WWW-Authenticate") }
	again := func(_ testing.TB, r *http.Request) { r.Header.Set("Authorization", token) }
	issued, err := d.auth.IssueToken(t.Context(), auth.PasswordLogin{Domain: "acme", User: "develop", Password: password})
	require.NoError(t, err)
	refused := func(name, authorization string) apitest.Scenario {
		s := apitest.Scenario{
			Name: name, URL: objects, WantStatus: 401, WantBody: []string{`"messageID":"KNAE90020-E"`, `"errorSource":"http://127.0.0.1`},
			WantHeaders: map[string]string{"WWW-Authenticate": `Basic realm="Assetflow", charset="UTF-8"`, "Access-Control-Allow-Origin": "*"},
		}
		if authorization != "" {
			s.Headers = map[string]string{"Authorization": authorization}
		}
		return s
	}
	version := apitest.Scenario{
		Name: "version", URL: "/Automation/v1/configuration/version", WantStatus: 200, WantHeaders: map[string]string{"WWW-Authenticate": ""},
		WantJSON: `{"productName": "Assetflow", "productVersion": "1.2.3", "apiVersion": "1"}`,
	}
	wrongVersion := refused("version with a wrong password", "Basic eDp5")
	wrongVersion.URL = version.URL
	d.run(
		apitest.Scenario{Name: "basic", URL: objects, Prepare: as("acme/develop"), WantStatus: 200, Check: keep},
		apitest.Scenario{Name: "hsso", URL: objects, Prepare: again, WantStatus: 200, Check: keep},
		apitest.Scenario{Name: "hsso of hsso", URL: objects, Prepare: again, WantStatus: 200},
		apitest.Scenario{Name: "token", URL: objects, Headers: map[string]string{"X-Auth-Token": issued.Value}, WantStatus: 200, WantHeaders: map[string]string{"WWW-Authenticate": "*"}},
		refused("nothing", ""), refused("wrong password", "Basic eDp5"), refused("forged", "HSSO eyJhbGciOiJub25lIn0.e30."), refused("a token of the identity service", "HSSO "+issued.Value),
		version, wrongVersion,
	)
}

func TestProjects(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.stock(catalogTemplate("01.00.00"), "zip")
	second, err := d.catalog.CreateProject(t.Context(), "acme", "second")
	require.NoError(t, err)
	third, err := d.catalog.CreateProject(t.Context(), "acme", "third")
	require.NoError(t, err)
	both := d.addUser("both", "Develop")
	require.NoError(t, d.auth.GrantRole(t.Context(), both.ID, second.ID, "Modify"))
	list := func(name, project string, status int, want ...string) apitest.Scenario {
		s := apitest.Scenario{Name: name, URL: objects, Prepare: as("both"), WantStatus: status, WantBody: want}
		if project != "" {
			s.Headers = map[string]string{"X-Project-Id": project}
		}
		return s
	}
	d.run(
		list("not named", "", 403, "KNAE90021-E", "X-Project-Id"),
		list("first", d.scene.Project.ID, 200, `"count":1`),
		list("second", second.ID, 200, `"count":0`),
		list("without a role", third.ID, 403, "KNAE90021-E"),
		list("unknown", "nowhere", 403, "KNAE90021-E"),
	)
}
