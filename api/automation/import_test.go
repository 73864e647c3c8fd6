package automation_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/automation"
	"assetflow/api/middleware"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

const (
	base        = "/Automation/v1"
	pathImport  = base + "/services/ServiceTemplates/actions/import/invoke"
	pathForm    = base + "/services/ServiceTemplates/actions/import"
	pathList    = base + "/objects/ServiceTemplates"
	pathVersion = base + "/configuration/version"
	challenge   = `Basic realm="Assetflow", charset="UTF-8"`
)

// commonHeaders stand in every answer.
var commonHeaders = map[string]string{
	"Access-Control-Expose-Headers": "WWW-Authenticate", "Access-Control-Allow-Origin": "*",
	"Access-Control-Allow-Methods":     "GET, POST, DELETE, PUT, HEAD, OPTIONS",
	"Access-Control-Allow-Credentials": "true", "Cache-Control": "no-cache", "X-Request-Id": "*",
}

func headers(more map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range commonHeaders {
		all[name] = value
	}
	for name, value := range more {
		all[name] = value
	}
	return all
}

// call is a request by a caller who signs in with a password, and what a success has.
func call(name, method, url string, c caller, status int) apitest.Scenario {
	s := apitest.Scenario{
		Name: name, Method: method, URL: url, Headers: map[string]string{"Authorization": c.basic}, WantStatus: status,
		WantHeaders: headers(map[string]string{"WWW-Authenticate": "*"}),
	}
	if c.basic == "" {
		s.Headers = map[string]string{}
	}
	switch {
	case status == http.StatusUnauthorized:
		s.WantHeaders["WWW-Authenticate"] = challenge
	case status >= 300:
		s.WantHeaders["WWW-Authenticate"] = ""
	}
	return s
}

func imports(name string, c caller, body string, status int) apitest.Scenario {
	s := call(name, http.MethodPost, pathImport, c, status)
	s.Body, s.Headers["Content-Type"], s.Headers["Accept"] = body, formType, "application/json"
	return s
}

// refused adds what the body of a refusal must say.
func refused(s apitest.Scenario, messageID, message, data string) apitest.Scenario {
	s.WantHeaders["Content-Type"] = "application/json"
	s.Check = func(t testing.TB, resp *http.Response, body []byte) {
		t.Helper()
		var got map[string]string // every field is a text
		require.NoError(t, json.Unmarshal(body, &got))
		require.Len(t, got, 5)
		require.Equal(t, resp.Request.URL.String(), got["errorSource"])
		require.Equal(t, "Automation", got["application"])
		require.Equal(t, messageID, got["messageID"])
		require.NotEmpty(t, got["message"])
		require.Regexp(t, message, got["message"])
		require.Equal(t, data, got["messageData"])
	}
	return s
}

type importAnswer struct {
	InstanceID        string   `json:"instanceID"`
	Created           string   `json:"created"`
	Updated           string   `json:"updated"`
	Completed         string   `json:"completed"`
	State             string   `json:"state"`
	AffectedResource  []string `json:"affectedResource"`
	AffectedResources []string `json:"affectedResources"`
	ResultType        string   `json:"resultType"`
	Result            []struct {
		Message   string `json:"message"`
		MessageID string `json:"messageID"`
	} `json:"result"`
}

var (
	jobTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$`)
	uuid    = regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)
)

// succeeded checks the answer to an import of the named .st files, and gives it.
func succeeded(t testing.TB, origin string, body []byte, files ...string) importAnswer {
	t.Helper()
	var got importAnswer
	require.NoError(t, json.Unmarshal(body, &got))
	require.Regexp(t, uuid, got.InstanceID)
	require.Regexp(t, jobTime, got.Created)
	require.Equal(t, got.Created, got.Updated)
	require.Equal(t, got.Created, got.Completed)
	require.Equal(t, "success", got.State)
	require.Equal(t, "message", got.ResultType)
	require.Equal(t, got.AffectedResource, got.AffectedResources)
	require.Len(t, got.AffectedResource, len(files))
	require.Len(t, got.Result, len(files))
	for i, name := range files {
		require.Regexp(t, "^"+regexp.QuoteMeta(origin+pathList)+`/[1-9]\d*$`, got.AffectedResource[i])
		require.Equal(t, "KNAE03111-I", got.Result[i].MessageID)
		require.Equal(t, "The service template was imported successfully (service template file name: "+name+").", got.Result[i].Message)
	}
	return got
}

func importsWell(name string, c caller, body string, files ...string) apitest.Scenario {
	s := imports(name, c, body, http.StatusOK)
	s.WantHeaders["Content-Type"] = "application/json"
	s.Check = func(t testing.TB, resp *http.Response, body []byte) {
		t.Helper()
		succeeded(t, "http://"+resp.Request.URL.Host, body, files...)
	}
	return s
}

// The vendor's example, byte for byte as far as it is known, from a client that waits for 100 Continue.
func TestTheVendorsExample(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.newSystem()
	const fileName, length = "SP_GenericApplication_01.20.00.st", 2106265
	m := manifest("com.example.SP", "GenericApplication", "01.20.00")
	m.Steps = []servicetemplate.Step{{KeyName: "s", Plugin: servicetemplate.Plugin{VendorID: "v", KeyName: "p", Version: "01.00.00"}}}
	body := ""
	for n := 2 << 20; len(body) != length; n += length - len(body) {
		random := make([]byte, n)
		_, _ = rand.NewChaCha8([32]byte{}).Read(random)
		var file strings.Builder
		require.NoError(t, servicetemplate.Write(t.Context(), &file, m, []string{"plugins/v_p_01.00.00/data"}, func(string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(string(random))), nil
		}))
		body = form(filePart(fileName, file.String()))
	}
	server := newServer(t, d.handler)
	address := server.Listener.Addr().String()
	conn := connect(t, address)
	_, err := fmt.Fprintf(conn, "POST /Automation/v1/services/ServiceTemplates/actions/import/invoke HTTP/1.1\r\n"+
		"Authorization: Basic c3lzdGVtOm1hbmFnZXI=\r\n"+
		"User-Agent: curl/7.36.0\r\n"+
		"Host: 10.196.184.182:22015\r\n"+
		"Accept: application/json\r\n"+
		"Content-Length: 2106265\r\n"+
		"Expect: 100-continue\r\n"+
		"Content-Type: multipart/form-data; boundary=------------------------5564f06622f7727e\r\n\r\n")
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = reader.ReadString('\n')
	require.NoError(t, err)
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	resp, answer := readAnswer(t, reader)
	require.Equal(t, 200, resp.StatusCode, "%s", answer)
	for name, want := range commonHeaders {
		if want != "*" {
			require.Equal(t, []string{want}, resp.Header.Values(name), name)
		}
	}
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	require.Regexp(t, `^HSSO \S+$`, resp.Header.Get("WWW-Authenticate"))
	succeeded(t, "http://10.196.184.182:22015", answer, fileName)
	require.Empty(t, d.staged())
}

func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
	return conn
}

func readAnswer(t *testing.T, r *bufio.Reader) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, body
}

// What needs nothing of the body is refused before 100 Continue: no client sends 100 MB for nothing.
func TestRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.jobs.running = jobs.NewID()
	server := newServer(t, d.handler)
	for _, tc := range []struct {
		name, authorization, contentType, more string
		length, status                         int
		messageID                              string
	}{
		{"nobody", "", formType, "", 100 << 20, 401, "KNAE90020-E"},
		{"a wrong password", basicOf("dev", "wrong password"), formType, "", 100 << 20, 401, "KNAE90020-E"},
		{"no permission", d.modifier.basic, formType, "", 100 << 20, 403, "KNAE90021-E"},
		{"a page of another server", d.developer.basic, formType, "Origin: http://evil.example\r\n", 100 << 20, 403, "KNAE90028-E"},
		{"another type", d.developer.basic, "application/zip", "", 1 << 20, 415, "KNAE90023-E"},
		{"too large", d.developer.basic, formType, "", 100 << 20, 400, "KNAE90009-E"},
		{"a bad key", d.developer.basic, formType, "Idempotency-Key: a b\r\n", 1 << 20, 400, "KNAE90022-E"},
		{"one runs", d.developer.basic, formType, "", 1 << 20, 409, "KNAE90011-E"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn := connect(t, server.Listener.Addr().String())
			_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n%s\r\n",
				pathImport, tc.authorization, tc.contentType, tc.length, tc.more)
			require.NoError(t, err)
			resp, answer := readAnswer(t, bufio.NewReader(conn))
			require.Equal(t, tc.status, resp.StatusCode, "%s", answer)
			require.Contains(t, string(answer), tc.messageID)
			require.True(t, resp.Close)
		})
	}
	require.Empty(t, d.jobs.started)
	require.Empty(t, d.staged())
}

func TestImport(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, automation.Document())
	one := template(t, manifest("com.example", "one", "01.00.00"))
	debug := manifest("com.example", "two", "01.00.00")
	debug.ReleaseState = servicetemplate.Debug
	first := template(t, debug)
	debug.Description = "another build"
	second := template(t, debug)
	final := manifest("com.example", "two", "01.00.00")
	other := manifest("com.example", "one", "01.00.00")
	other.Description = "not the same"
	all := bundle(t, bundleFile{"z.st", template(t, manifest("com.example", "z", "00.00.01"))}, bundleFile{"folder/a.st", one})
	file := func(name string, content []byte) string { return form(filePart(name, string(content))) }
	token := importsWell("with a token", caller{}, file("t.st", one), "t.st")
	token.Headers["X-Auth-Token"] = d.developer.token
	quoted := importsWell("boundary in quotes", d.developer, file("t.st", one), "t.st")
	quoted.Headers["Content-Type"] = `Multipart/Form-Data; boundary="` + boundary + `"`
	chunked := importsWell("length unknown", d.developer, file("t.st", one), "t.st")
	chunked.Prepare = func(_ testing.TB, r *http.Request) { r.ContentLength = -1 }
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		importsWell("a template", d.developer, file("com.example_one_01.00.00.st", one), "com.example_one_01.00.00.st"),
		importsWell("the same once more", d.admin, file("com.example_one_01.00.00.st", one), "com.example_one_01.00.00.st"),
		refused(imports("a release that differs", d.developer, file("one.st", template(t, other)), 400), "KNAE90010-E", "other content", "one.st"),
		importsWell("a debug build", d.developer, file("two_d.st", first), "two_d.st"),
		importsWell("in its place another one", d.developer, file("two_d.st", second), "two_d.st"),
		importsWell("in its place the release", d.developer, file("two.st", template(t, final)), "two.st"),
		importsWell("a bundle, in its order", d.developer, file("all.zip", all), "z.st", "a.st"),
		importsWell("a bundle that says it is a template", d.developer, file("all.st", all), "z.st", "a.st"),
		importsWell("a template that says it is a bundle", d.developer, file("one.zip", one), "one.zip"),
		importsWell("a name in capitals", d.developer, file("ONE.ST", one), "ONE.ST"),
		importsWell("a path", d.developer, file(`C:\\Users\\me\\one.st`, one), "one.st"),
		importsWell("a path that leads out", d.developer, file("../../etc/one.st", one), "one.st"),
		importsWell("a name of other letters", d.developer, file("Ünï 中 <b>.st", one), "Ünï 中 <b>.st"),
		importsWell("a name with what cannot be seen", d.developer, file("a\u202est\u200b.st", one), "a?st?.st"),
		token, quoted, chunked,
	})
	require.Empty(t, d.staged())
	require.Len(t, d.jobs.started, 17)
	require.Equal(t, len(d.jobs.started), d.jobs.checked)
	list, total, err := d.catalog.ListServiceTemplates(t.Context(), catalog.TemplateFilter{ProjectID: d.project.ID})
	require.NoError(t, err)
	require.Equal(t, 3, total)
	require.Equal(t, "release", list[1].ReleaseState)
}

func TestImportRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, automation.Document())
	good := template(t, manifest("com.example", "one", "01.00.00"))
	file := func(name string, content string) string { return form(filePart(name, content)) }
	whole := file("one.st", string(good))
	bad := func(name, body, messageID, message, data string) apitest.Scenario {
		return refused(imports(name, d.developer, body, 400), messageID, message, data)
	}
	with := func(s apitest.Scenario, name, value string) apitest.Scenario {
		s.Headers[name] = value
		return s
	}
	contentType := func(value string) apitest.Scenario {
		return refused(with(imports("type "+value, d.developer, whole, 415), "Content-Type", value), "KNAE90023-E", "multipart/form-data", "")
	}
	none := refused(imports("no type", d.developer, whole, 415), "KNAE90023-E", "multipart/form-data", "")
	delete(none.Headers, "Content-Type")
	large := strings.Repeat("x", maxUpload+1)
	chunked := refused(imports("too large, length unknown", d.developer, file("one.st", large), 400), "KNAE90009-E", "", "")
	chunked.Prepare = func(_ testing.TB, r *http.Request) { r.ContentLength = -1 }
	keyTwice := bad("a key given twice", whole, "KNAE90022-E", "given once", "")
	keyTwice.Prepare = func(_ testing.TB, r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }
	bundled := func(files ...bundleFile) string { return file("all.zip", string(bundle(t, files...))) }
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		// 400: not a .st or .zip, or corrupted or invalid.
		bad("no body", "", "KNAE90027-E", "no body", ""),
		bad("no form", "hello", "KNAE90027-E", "", ""),
		bad("cut off", whole[:len(whole)-10], "KNAE90027-E", "closing boundary", ""),
		bad("no part", "--"+boundary+"--\r\n", "KNAE90027-E", "exactly one part, file", ""),
		bad("another part", form(part{`form-data; name="other"; filename="one.st"`, "x"}), "KNAE90027-E", "exactly one part, file", ""),
		bad("two parts", form(filePart("one.st", string(good)), filePart("two.st", string(good))), "KNAE90027-E", "exactly one part, file", ""),
		bad("an empty file", file("one.st", ""), "KNAE90027-E", "empty", ""),
		bad("no file name", form(part{`form-data; name="file"`, string(good)}), "KNAE90008-E", "", ""),
		bad("no file chosen", file("", ""), "KNAE90008-E", "", ""),
		bad("another extension", file("one.tar", string(good)), "KNAE90008-E", `\.st and \.zip`, ""),
		bad("a folder's extension", file("one.st/evil", string(good)), "KNAE90008-E", "", ""),
		bad("no zip", file("one.st", "hello, world"), "KNAE90001-E", "", "one.st"),
		bad("a zip of something else", file("one.zip", string(bundle(t, bundleFile{"readme.txt", []byte("hello")}))), "KNAE90001-E", "template.json", "one.zip"),
		bad("truncated", file("one.st", string(good[:len(good)-30])), "KNAE90002-E", "", "one.st"),
		bad("template.json is none", file("one.st", string(bundle(t, bundleFile{"template.json", []byte("{}")}))), "KNAE90004-E", "", "one.st"),
		bad("a bad version", file("one.st", string(bundle(t, bundleFile{
			"template.json", []byte(`{"keyName": "a", "vendorID": "b", "version": "1.2"}`),
		}))), "KNAE90005-E", "", "one.st"),
		bad("twice in a bundle", bundled(bundleFile{"a.st", good}, bundleFile{"b.st", good}), "KNAE90007-E", "", "b.st"),
		bad("a bad one among good ones", bundled(bundleFile{"a.st", good}, bundleFile{"b.st", []byte("hello")}), "KNAE90001-E", "", "b.st"),
		keyTwice,
		with(bad("an unknown way", whole, "KNAE90022-E", "", ""), "Assetflow-On-Conflict", "hurry"),
		// 401: no login permission.
		refused(imports("nobody", caller{}, whole, 401), "KNAE90020-E", "", ""),
		refused(imports("wrong password", caller{basic: basicOf("dev", "incorrect horse")}, whole, 401), "KNAE90020-E", "wrong", ""),
		refused(imports("no such user", caller{basic: basicOf("nobody", password)}, whole, 401), "KNAE90020-E", "wrong", ""),
		refused(imports("no base64", caller{basic: "Basic !"}, whole, 401), "KNAE90020-E", "", ""),
		refused(imports("a forged token", caller{basic: "HSSO ed355b6e59f72c675dca1498e951439e8aa0d8_V0300"}, whole, 401), "KNAE90020-E", "", ""),
		// 403: no import permission.
		refused(imports("Modify", d.modifier, whole, 403), "KNAE90021-E", "templates:import", ""),
		refused(imports("Submit", d.submitter, whole, 403), "KNAE90021-E", "templates:import", ""),
		refused(imports("no role", d.stranger, whole, 403), "KNAE90021-E", "no role", ""),
		refused(imports("several projects", d.multi, whole, 403), "KNAE90021-E", "X-Project-Id", ""),
		refused(with(imports("a project of others", d.developer, whole, 403), "X-Project-Id", d.other.ID), "KNAE90021-E", "", ""),
		refused(with(imports("no such project", d.developer, whole, 403), "X-Project-Id", "nothing"), "KNAE90021-E", "", ""),
		// 415: Content-Type invalid.
		none, contentType("application/zip"), contentType("multipart/form-data"), contentType("multipart/mixed; boundary=" + boundary),
		contentType("application/x-www-form-urlencoded"),
		refused(imports("too large", d.developer, file("one.st", large), 400), "KNAE90009-E", "", ""),
		chunked,
	})
	require.Empty(t, d.staged())
	_, total, err := d.catalog.ListServiceTemplates(t.Context(), catalog.TemplateFilter{ProjectID: d.project.ID})
	require.NoError(t, err)
	require.Zero(t, total)
}

// Answers to what becomes of the job.
func TestImportOutcomes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.wait = 50 * time.Millisecond
	d.renew(middleware.DefaultPace(10 * time.Second))
	v := apitest.Validator(t, automation.Document())
	body := form(filePart("one.st", string(template(t, manifest("com.example", "one", "01.00.00")))))
	play := func(s apitest.Scenario) {
		t.Helper()
		apitest.Run(t, d.handler, v, []apitest.Scenario{s})
	}
	ended := func(state catalog.JobState, reasons ...catalog.Reason) {
		d.jobs.outcome = &jobs.Job{Job: catalog.Job{State: state, Reasons: reasons}}
	}
	reason := func(code, file string) catalog.Reason {
		return catalog.Reason{ResourceType: "service-template", ResourceName: file, Code: code, Message: "Because of " + file + "."}
	}
	const runs = "01936b2e-7f00-7abc-8def-0123456789ab"

	d.jobs.running = runs
	play(refused(imports("one runs", d.developer, body, 409), "KNAE90011-E", "", runs))
	d.jobs.running, d.jobs.startErr = "", fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(runs)
	play(refused(imports("one has started meanwhile", d.developer, body, 409), "KNAE90011-E", "", runs))
	require.Empty(t, d.staged())
	d.jobs.startErr = fault.New(fault.Conflict, jobs.CodeQueueFull, "Too many wait.")
	play(refused(imports("too many wait", d.developer, body, 409), "KNAE90011-E", "", ""))
	require.Empty(t, d.staged())
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.").Wrap(errors.New("a secret of ours"))
	away := refused(imports("the job service is away", d.developer, body, 412), "KNAE90025-E", "^Away.$", "")
	away.WantNotBody = []string{"secret"}
	play(away)
	require.Len(t, d.staged(), 1, "the job may run: it keeps its file")
	require.NoError(t, d.store.DeleteStaged(t.Context(), d.staged()[0]))
	d.jobs.startErr = errors.New("a secret of ours")
	broken := refused(imports("an error of ours", d.developer, body, 500), "KNAE90012-E", "internal", "")
	broken.WantNotBody = []string{"secret"}
	play(broken)
	require.NoError(t, d.store.DeleteStaged(t.Context(), d.staged()[0]))
	d.jobs.startErr = nil

	ended(catalog.JobFailed, reason("bad_icon", "a.st"), reason("bad_version", "a.st"), reason("bad_version", "b.st"))
	play(refused(imports("several reasons", d.developer, body, 400), "KNAE90006-E", "^Because of a.st. Because of a.st. Because of b.st.$", "a.st, b.st"))
	ours := func(name, message string) {
		t.Helper()
		s := refused(imports(name, d.developer, body, 500), "KNAE90012-E", message, "")
		check := s.Check
		s.Check = func(t testing.TB, resp *http.Response, body []byte) {
			t.Helper()
			id := d.jobs.started[len(d.jobs.started)-1].JobID
			require.Contains(t, string(body), `"messageData":"`+id+`"`)
			check(t, resp, bytes.Replace(body, []byte(id), nil, 1))
		}
		play(s)
	}
	for _, code := range []string{"internal", "abandoned", "timeout"} {
		ended(catalog.JobFailed, reason(code, "a.st"))
		ours(code, "^Because of a.st.$")
	}
	ended(catalog.JobFailed)
	ours("nobody said why", "internal")
	ended(catalog.JobCancelled, reason("cancelled", "a.st"))
	ours("cancelled", "cancelled")
	d.jobs.outcome = nil

	goesOn := func(name, state string) apitest.Scenario {
		s := imports(name, d.developer, body, 200)
		s.Check = func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			var got importAnswer
			require.NoError(t, json.Unmarshal(body, &got))
			require.Equal(t, state, got.State)
			require.Regexp(t, uuid, got.InstanceID)
			require.Contains(t, d.jobs.jobs, got.InstanceID)
			require.Regexp(t, jobTime, got.Created)
			require.Contains(t, string(body), `"affectedResource":[],"affectedResources":[]`)
			require.Contains(t, string(body), `"result":[{"message":"The import goes on (file name: one.st). Follow it by its instanceID.","messageID":"KNAE90030-I"}]`)
			require.NotContains(t, string(body), "completed")
		}
		return s
	}
	d.jobs.never = true
	play(goesOn("takes long", "running"))
	queued := goesOn("waits", "queued")
	queued.Headers["Assetflow-On-Conflict"] = "queue"
	d.jobs.running = runs // not asked
	play(queued)
	require.Equal(t, jobs.OnConflictQueue, d.jobs.started[len(d.jobs.started)-1].OnConflict)
	d.jobs.running, d.jobs.awaitErr = "", fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.")
	play(goesOn("cannot be asked", "running"))
}

// The answer may take longer than a client may stall: it is the service that it waits for.
func TestALongWaitIsNotAStall(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.wait, d.jobs.never = 2*time.Second, true
	d.renew(middleware.DefaultPace(500 * time.Millisecond))
	body := form(filePart("one.st", string(template(t, manifest("com.example", "one", "01.00.00")))))
	start := time.Now()
	s := imports("waits", d.developer, body, 200)
	s.WantBody = []string{`"state":"running"`}
	apitest.Run(t, d.handler, nil, []apitest.Scenario{s})
	require.GreaterOrEqual(t, time.Since(start), d.wait)
}

func TestImportIntoAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.staging = &awayStaging{}
	d.renew(middleware.DefaultPace(10 * time.Second))
	body := form(filePart("one.st", string(template(t, manifest("com.example", "one", "01.00.00")))))
	s := refused(imports("away", d.developer, body, 500), "KNAE90029-E", "temporary store", "")
	s.WantNotBody = []string{"secret"}
	apitest.Run(t, d.handler, apitest.Validator(t, automation.Document()), []apitest.Scenario{s})
	require.Empty(t, d.jobs.started)
}

func TestIdempotentImport(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, automation.Document())
	body := form(filePart("one.st", string(template(t, manifest("com.example", "one", "01.00.00")))))
	var answers []string
	keyed := func(name, key, body string, status int, replayed string) apitest.Scenario {
		s := imports(name, d.developer, body, status)
		s.Headers["Idempotency-Key"] = key
		s.WantHeaders["Idempotency-Replayed"] = replayed
		s.Check = func(_ testing.TB, _ *http.Response, body []byte) { answers = append(answers, string(body)) }
		return s
	}
	again := keyed("another boundary", "k", strings.ReplaceAll(body, boundary, "b"), 200, "true")
	again.Headers["Content-Type"] = "multipart/form-data; boundary=b"
	d.jobs.running = jobs.NewID() // the job of the first request, for what the cheap check knows
	apitest.Run(t, d.handler, v, []apitest.Scenario{keyed("first", "k", body, 200, ""), keyed("again", "k", body, 200, "true"), again})
	require.Len(t, answers, 3)
	require.Equal(t, answers[0], answers[1])
	require.Equal(t, answers[0], answers[2])
	require.Len(t, d.jobs.started, 1)
	require.Empty(t, d.staged())

	multi := keyed("in one project", "m", body, 200, "")
	multi.Headers["Authorization"], multi.Headers["X-Project-Id"] = d.multi.basic, d.project.ID
	elsewhere := refused(keyed("in another project", "m", body, 400, ""), "KNAE90022-E", "another request", "")
	elsewhere.Headers["Authorization"], elsewhere.Headers["X-Project-Id"] = d.multi.basic, d.other.ID
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		refused(keyed("other bytes", "k", form(filePart("one.st", "hello")), 400, ""), "KNAE90022-E", "another request", ""),
		refused(keyed("other name", "k", strings.Replace(body, "one.st", "two.st", 1), 400, ""), "KNAE90022-E", "another request", ""),
		multi, elsewhere,
	})

	// A job that has failed has failed: its answer is kept.
	answers = nil
	bad := form(filePart("bad.st", "hello"))
	apitest.Run(t, d.handler, v, []apitest.Scenario{keyed("bad", "b", bad, 400, ""), keyed("as bad", "b", bad, 400, "true")})
	require.Equal(t, answers[0], answers[1])
	require.Empty(t, d.staged())

	// The job service was away: the next try starts the job that may run already.
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.")
	apitest.Run(t, d.handler, v, []apitest.Scenario{keyed("away", "a", body, 412, "")})
	claim, _, err := d.catalog.ClaimSubmission(t.Context(), d.developer.user.ID, "a", "some other fingerprint", catalog.NewID(), time.Now())
	require.NoError(t, err)
	d.jobs.startErr = nil
	apitest.Run(t, d.handler, v, []apitest.Scenario{keyed("there again", "a", body, 200, "")})
	require.Equal(t, claim.JobID, d.jobs.started[len(d.jobs.started)-1].JobID)
	require.Empty(t, d.staged())
}
