package automation_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/automation"
	"assetflow/api/middleware"
)

// operations are all there are, with the roles that may carry them out.
var operations = []struct{ method, path, roles string }{
	{"POST", pathImport, "admin dev"},
	{"GET", pathForm, "admin dev"},
	{"GET", pathList, "admin dev mod"},
	{"GET", pathList + "/1", "admin dev mod"},
	{"GET", pathList + "/1/actions", "admin dev mod"},
	{"POST", pathList + "/1/actions/export/invoke", "admin dev"},
	{"DELETE", pathList + "/1", "admin dev"},
	{"GET", pathVersion, "admin dev mod sub stranger multi nobody"},
}

func TestRoles(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, automation.Document())
	one := string(template(t, manifest("com.example", "one", "01.00.00")))
	callers := map[string]caller{
		"admin": d.admin, "dev": d.developer, "mod": d.modifier, "sub": d.submitter, "stranger": d.stranger, "multi": d.multi, "nobody": {},
	}
	d.imports("one.st", one)
	for _, op := range operations {
		for name, c := range callers {
			status, messageID := http.StatusForbidden, "KNAE90021-E"
			switch {
			case name == "nobody" && op.path != pathVersion:
				status, messageID = http.StatusUnauthorized, "KNAE90020-E"
			case strings.Contains(" "+op.roles+" ", " "+name+" "):
				continue // as follows
			}
			s := refused(call(op.method+" "+op.path+" by "+name, op.method, op.path, c, status), messageID, "", "")
			if c.token != "" { // it is quicker than a password, and the same to the roles
				s.Headers = map[string]string{"X-Auth-Token": c.token}
			}
			apitest.Run(t, d.handler, v, []apitest.Scenario{s})
		}
	}
	for _, op := range operations {
		for name := range strings.SplitSeq(op.roles, " ") {
			status := http.StatusOK
			if op.method == http.MethodDelete {
				status = http.StatusNoContent
			}
			s := call(op.method+" "+op.path+" by "+name, op.method, op.path, callers[name], status)
			s.Headers = map[string]string{"X-Auth-Token": callers[name].token}
			if name == "nobody" {
				s.Headers, s.WantHeaders["WWW-Authenticate"] = map[string]string{}, ""
			}
			if op.path == pathImport {
				s.Body, s.Headers["Content-Type"] = form(filePart("one.st", one)), formType
			}
			apitest.Run(t, d.handler, v, []apitest.Scenario{s})
		}
	}
}

// imports brings a template in, and gives its number as a path has it.
func (d *deployment) imports(name, content string) string {
	d.t.Helper()
	var url string
	s := imports("import "+name, d.developer, form(filePart(name, content)), 200)
	s.Check = func(t testing.TB, resp *http.Response, body []byte) {
		t.Helper()
		url = succeeded(t, "http://"+resp.Request.URL.Host, body, name).AffectedResource[0]
	}
	apitest.Run(d.t, d.handler, nil, []apitest.Scenario{s})
	_, path, _ := strings.Cut(url, pathList)
	return pathList + path
}

// A caller goes on with one token after the other.
func TestTokensRotate(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	now := time.Now()
	d.now = func() time.Time { return now }
	v := apitest.Validator(t, automation.Document())
	next := d.developer.basic
	seen := map[string]bool{}
	listed := func(name string) {
		s := call(name, http.MethodGet, pathList, caller{basic: next}, 200)
		s.Check = func(t testing.TB, resp *http.Response, _ []byte) {
			t.Helper()
			next = resp.Header.Get("WWW-Authenticate")
			require.False(t, seen[next], "a fresh one each time")
			seen[next] = true
		}
		apitest.Run(t, d.handler, v, []apitest.Scenario{s})
	}
	listed("with the password")
	first := next
	listed("with its token")
	now = now.Add(999 * time.Second)
	listed("before it ends")
	apitest.Run(t, d.handler, v, []apitest.Scenario{call("an earlier one works as well", http.MethodGet, pathList, caller{basic: first}, 200)})
	now = now.Add(1001 * time.Second)
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		refused(call("after it has ended", http.MethodGet, pathList, caller{basic: next}, 401), "KNAE90020-E", "expires", ""),
		refused(call("another API's token", http.MethodGet, pathList, caller{basic: "HSSO " + d.developer.token}, 401), "KNAE90020-E", "", ""),
	})
	token := call("a token of this one on another header", http.MethodGet, pathList, caller{}, 401)
	token.Headers["X-Auth-Token"] = strings.TrimPrefix(first, "HSSO ")
	apitest.Run(t, d.handler, v, []apitest.Scenario{token})
}

// The token of an answer lasts from the answer on, however long the upload took.
func TestALongImportGivesAFreshToken(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	now := time.Now()
	d.now = func() time.Time { return now }
	d.wait = time.Millisecond
	d.jobs.never = true
	d.renew(middleware.DefaultPace(10 * time.Second))
	d.staging = slowStaging{d.store, func() { now = now.Add(2000 * time.Second) }}
	d.renew(middleware.DefaultPace(10 * time.Second))
	var token string
	s := imports("slow", d.developer, form(filePart("one.st", "anything")), 200)
	s.Check = func(_ testing.TB, resp *http.Response, _ []byte) { token = resp.Header.Get("WWW-Authenticate") }
	apitest.Run(t, d.handler, nil, []apitest.Scenario{s, call("goes on", http.MethodGet, pathList, d.developer, 200)})
	apitest.Run(t, d.handler, nil, []apitest.Scenario{call("goes on with the token", http.MethodGet, pathList, caller{basic: token}, 200)})
}

// A browser sends a password that it was given once to this server, whosesoever page makes the request.
func TestPagesOfOthers(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, automation.Document())
	body := form(filePart("one.st", string(template(t, manifest("com.example", "one", "01.00.00")))))
	path := d.imports("two.st", string(template(t, manifest("com.example", "two", "01.00.00"))))
	var next string
	read := call("reading", http.MethodGet, pathList, d.developer, 200)
	read.Headers["Origin"], read.Headers["Sec-Fetch-Site"] = "http://evil.example", "cross-site"
	read.Check = func(_ testing.TB, resp *http.Response, _ []byte) { next = resp.Header.Get("WWW-Authenticate") }
	apitest.Run(t, d.handler, v, []apitest.Scenario{read})
	with := func(s apitest.Scenario, origin, site string) apitest.Scenario {
		s.Headers["Host"] = "assets.example:8080"
		if origin != "" {
			s.Headers["Origin"] = origin
		}
		if site != "" {
			s.Headers["Sec-Fetch-Site"] = site
		}
		return s
	}
	forbidden := func(name, origin, site string) apitest.Scenario {
		s := with(imports(name, d.developer, body, 403), origin, site)
		s.WantBody = []string{"KNAE90028-E"}
		return s
	}
	allowed := func(name, origin, site string) apitest.Scenario {
		return with(imports(name, d.developer, body, 200), origin, site)
	}
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		forbidden("another server", "http://evil.example", ""),
		forbidden("another server, as the browser says", "http://evil.example", "cross-site"),
		forbidden("a neighbour", "http://evil.assets.example:8080", "same-site"),
		forbidden("another port", "http://assets.example:9090", ""),
		forbidden("nowhere", "null", ""),
		forbidden("no origin, but the browser says", "", "cross-site"),
	})
	require.Len(t, d.jobs.started, 1)
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		allowed("this server", "http://assets.example:8080", ""),
		allowed("this server, as the browser says", "http://assets.example:8080", "same-origin"),
		allowed("no browser", "", ""),
		with(imports("another server with a token", caller{basic: next}, body, 200), "http://evil.example", "cross-site"),
	})
	for _, s := range []apitest.Scenario{
		call("deletion", http.MethodDelete, path, d.developer, 403),
		call("export", http.MethodPost, path+"/actions/export/invoke", d.developer, 403),
	} {
		apitest.Run(t, d.handler, v, []apitest.Scenario{with(s, "http://evil.example", "cross-site")})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	for _, op := range operations {
		apitest.Run(t, d.handler, nil, []apitest.Scenario{{
			Name: op.path, Method: http.MethodOptions, URL: op.path, WantStatus: http.StatusNoContent,
			Headers: map[string]string{
				"Origin": "http://elsewhere.example", "Access-Control-Request-Method": op.method, "Access-Control-Request-Headers": "authorization",
			},
			WantHeaders: headers(map[string]string{"Access-Control-Allow-Headers": "*", "WWW-Authenticate": ""}),
			Check: func(t testing.TB, resp *http.Response, body []byte) {
				t.Helper()
				require.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), "Authorization")
				require.Empty(t, body)
			},
		}})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := call("version", http.MethodGet, pathVersion, d.stranger, 200)
	s.WantJSON = `{"productName": "Assetflow", "productVersion": "1.2.3", "apiVersion": "v1"}`
	wrong := refused(call("wrong password", http.MethodGet, pathVersion, caller{basic: basicOf("dev", "wrong password")}, 401), "KNAE90020-E", "", "")
	apitest.Run(t, d.handler, apitest.Validator(t, automation.Document()), []apitest.Scenario{s, wrong})
}

func TestPathsThatAreNot(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	apitest.Run(t, d.handler, nil, []apitest.Scenario{
		refused(call("no such path", http.MethodGet, base+"/objects/Services", d.developer, 404), "KNAE02102-E", "^The specified resource does not exist or you do not have access.$", ""),
		refused(call("no such method", http.MethodPut, pathList, d.developer, 405), "KNAE90026-E", "", ""),
		refused(call("no such version", http.MethodGet, "/Automation/v2/objects/ServiceTemplates", d.developer, 404), "KNAE02102-E", "", ""),
	})
}
