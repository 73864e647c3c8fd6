package automation_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

func item(number int64, fileName string) catalog.TemplateImportItem {
	return catalog.TemplateImportItem{Number: number, FileName: fileName, Action: catalog.TemplateCreate}
}

// The vendor's own example, as curl sends it, with the password that our policy asks for.
func TestImportAsInTheVendorsExample(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	user, err := d.auth.AddUser(t.Context(), "vendor", "system", "manager-manager")
	require.NoError(t, err)
	require.NoError(t, d.auth.GrantRole(t.Context(), user.ID, d.scene.Project.ID, "Admin"))
	d.jobs.end = succeed(t, item(1116, "SP_GenericApplication_01.20.00.st"))
	server := httptest.NewServer(d.handler)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	body := form("SP_GenericApplication_01.20.00.st", strings.Repeat("template ", 1000))
	_, err = fmt.Fprintf(conn, "POST /Automation/v1/services/ServiceTemplates/actions/import/invoke HTTP/1.1\r\n"+
		"Authorization: Basic c3lzdGVtOm1hbmFnZXItbWFuYWdlcg==\r\nUser-Agent: curl/7.36.0\r\nHost: %s\r\nAccept: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\nContent-Type: %s\r\n\r\n", host, len(body), formType)
	require.NoError(t, err)
	answers := bufio.NewReader(conn)
	line, err := answers.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = answers.ReadString('\n')
	require.NoError(t, err)
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	resp, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)

	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", text)
	for name, want := range map[string]string{
		"Access-Control-Expose-Headers": "WWW-Authenticate", "Access-Control-Allow-Origin": "*",
		"Access-Control-Allow-Methods": "GET, POST, DELETE, PUT, HEAD, OPTIONS", "Access-Control-Allow-Credentials": "true",
		"Cache-Control": "no-cache", "Content-Type": "application/json",
	} {
		require.Equal(t, []string{want}, resp.Header.Values(name), name)
	}
	require.Regexp(t, `^HSSO \S+$`, resp.Header.Get("WWW-Authenticate"))
	require.Len(t, d.jobs.started, 1)
	sub := d.jobs.started[0]
	require.JSONEq(t, fmt.Sprintf(`{
		"instanceID": "%s", "created": "2026-03-04T05:06:07.089+00:00", "updated": "2026-03-04T05:06:07.089+00:00",
		"completed": "2026-03-04T05:06:07.089+00:00", "state": "success",
		"affectedResource": ["http://%s/Automation/v1/objects/ServiceTemplates/1116"],
		"affectedResources": ["http://%s/Automation/v1/objects/ServiceTemplates/1116"], "resultType": "message",
		"result": [{"message": "The service template was imported successfully (service template file name: SP_GenericApplication_01.20.00.st).",
			"messageID": "KNAE03111-I"}]}`, sub.JobID, host, host), string(text))
	require.Equal(t, "SP_GenericApplication_01.20.00.st", sub.FileName)
	require.Equal(t, user.ID, sub.UserID)
	require.Equal(t, d.scene.Project.ID, sub.ProjectID)
	require.EqualValues(t, 9000, sub.Staged.Size)
	require.Equal(t, []string{storage.StagingKey(sub.ProjectID, sub.JobID)}, d.staged(), "the upload is the job's")
	require.Equal(t, 30*time.Second, d.jobs.waited)
}

func TestImportOfABundle(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.jobs.end = succeed(t, item(7, "b.st"), item(3, "a<b>.st"))
	d.run(apitest.Scenario{
		Name: "two", Method: "POST", URL: invoke, Body: form("both.zip", "zip"), Headers: map[string]string{"Content-Type": formType},
		Prepare: as("develop"), WantStatus: 200,
		WantBody: []string{`(service template file name: b.st).`, `a\u003cb\u003e.st`, `"state":"success"`},
		Check: func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			var shown struct{ AffectedResource []string }
			require.NoError(t, json.Unmarshal(body, &shown))
			require.Len(t, shown.AffectedResource, 2)
			require.Regexp(t, `/7$`, shown.AffectedResource[0])
			require.Regexp(t, `/3$`, shown.AffectedResource[1])
		},
	})
}

func TestImportThatTakesLong(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.options.Wait = 7 * time.Second
	d.handler = d.newHandler()
	scenario := apitest.Scenario{
		Method: "POST", URL: invoke, Body: form("a.st", "zip"), Headers: map[string]string{"Content-Type": formType}, Prepare: as("develop"), WantStatus: 200,
	}
	running, queued := scenario, scenario
	running.Name, running.WantBody, running.WantNotBody = "running", []string{`"state":"running"`, `"affectedResource":[]`, "KNAE90030-I"}, []string{"completed"}
	d.run(running)
	require.Equal(t, 7*time.Second, d.jobs.waited)
	d.jobs.end = func(job *jobs.Job) { job.State = catalog.JobQueued }
	queued.Name, queued.WantBody = "queued", []string{`"state":"queued"`}
	queued.Headers = map[string]string{"Content-Type": formType, "Assetflow-On-Conflict": "queue"}
	d.jobs.running = "somebody"
	d.run(queued)
	require.Equal(t, jobs.OnConflictQueue, d.jobs.started[1].OnConflict)
}

// What is wrong with the file is the caller's, with the identifier of the first reason; the rest is ours.
func TestImportThatFails(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	reason := func(code, message string) catalog.Reason {
		return catalog.Reason{ResourceType: "service-template", ResourceName: "x.st", Code: code, Message: message}
	}
	cancelled := reject(reason("cancelled", "It was cancelled."))
	for _, test := range []struct {
		name   string
		end    func(*jobs.Job)
		status int
		want   []string
	}{
		{"not a template", reject(reason("not_a_template", "It is none.")), 400, []string{`"messageID":"KNAE90001-E"`, `"message":"It is none."`, `"messageData":"x.st"`}},
		{"several", reject(reason("bad_version", "First."), reason("bomb", "Second.")), 400, []string{`"messageID":"KNAE90005-E"`, `"message":"First. Second."`}},
		{"another release", reject(reason("release_differs", "It differs.")), 400, []string{`"messageID":"KNAE90010-E"`}},
		{"duplicate", reject(reason("duplicate_template", "Twice.")), 400, []string{`"messageID":"KNAE90007-E"`}},
		{"our failure", reject(reason("internal", "It was us.")), 500, []string{`"messageID":"KNAE90012-E"`, "It was us."}},
		{"timeout", reject(reason("timeout", "Too long.")), 500, []string{`"messageID":"KNAE90012-E"`}},
		{"cancelled", func(job *jobs.Job) { cancelled(job); job.State = catalog.JobCancelled }, 500, []string{`"messageID":"KNAE90012-E"`}},
		{"no reason", reject(), 500, []string{`"messageID":"KNAE90012-E"`}},
	} {
		d.jobs.end = test.end
		d.run(apitest.Scenario{
			Name: test.name, Method: "POST", URL: invoke, Body: form("x.st", "zip"), Headers: map[string]string{"Content-Type": formType},
			Prepare: as("develop"), WantStatus: test.status, WantBody: append(test.want, `"application":"Automation"`, invoke),
			WantHeaders: map[string]string{"WWW-Authenticate": ""},
		})
	}
}

func TestImportIsRefused(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	headers := func(more ...string) map[string]string {
		h := map[string]string{"Content-Type": formType}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	good := form("a.st", "zip")
	for _, s := range []apitest.Scenario{
		{Name: "no form", Body: "zip", Headers: headers("Content-Type", "application/zip"), WantStatus: 415, WantBody: []string{"KNAE90023-E"}},
		{Name: "no boundary", Body: good, Headers: headers("Content-Type", "multipart/form-data"), WantStatus: 415, WantBody: []string{"KNAE90023-E"}},
		{Name: "no body", Headers: headers(), WantStatus: 400, WantBody: []string{"KNAE90001-E"}},
		{Name: "another part", Body: formOf(`form-data; name="package"; filename="a.st"`, "zip"), Headers: headers(), WantStatus: 400, WantBody: []string{"one part, file"}},
		{Name: "no file name", Body: formOf(`form-data; name="file"`, "zip"), Headers: headers(), WantStatus: 400, WantBody: []string{"KNAE90008-E"}},
		{Name: "empty file", Body: form("a.st", ""), Headers: headers(), WantStatus: 400, WantBody: []string{"empty"}},
		{Name: "cut off", Body: good[:len(good)-9], Headers: headers(), WantStatus: 400, WantBody: []string{"KNAE90001-E"}},
		{Name: "too large", Body: form("a.st", strings.Repeat("x", maxUpload+1)), Headers: headers(), WantStatus: 400, WantBody: []string{"KNAE90009-E"}},
		{Name: "bad key", Body: good, Headers: headers("Idempotency-Key", "a b"), WantStatus: 400, WantBody: []string{"KNAE90022-E"}},
		{Name: "unknown conflict", Body: good, Headers: headers("Assetflow-On-Conflict", "x"), WantStatus: 400, WantBody: []string{"KNAE90022-E"}},
	} {
		s.Method, s.URL, s.Prepare, s.OutsideDocument = "POST", invoke, as("develop"), true
		s.WantBody = append(s.WantBody, `"errorSource":"http://127.0.0.1`)
		d.run(s)
	}
	require.Empty(t, d.jobs.started)
	require.Empty(t, d.staged())

	post := apitest.Scenario{Name: "post", Method: "POST", URL: invoke, Body: good, Headers: headers(), Prepare: as("develop")}
	running := post
	running.WantStatus, running.WantBody = 409, []string{"KNAE90011-E", `"messageData":"0192"`}
	d.jobs.running = "0192"
	d.run(running)
	d.jobs.running = ""
	d.jobs.startErr = fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails("0192")
	d.run(running)
	require.Empty(t, d.staged(), "what was refused is not kept")
	away := post
	away.WantStatus, away.WantBody, away.WantNotBody = 412, []string{"KNAE90025-E"}, []string{"secret"}
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(errors.New("a secret of ours"))
	d.run(away)
	require.Len(t, d.staged(), 1, "the job may run all the same")
	d.jobs.startErr, d.jobs.awaitErr = nil, errors.New("a secret of ours")
	bug := away
	bug.WantStatus, bug.WantBody = 500, []string{"KNAE90012-E"}
	d.run(bug)
	d.jobs.awaitErr = nil
	d.options.Store = awayStore{d.store}
	d.handler = d.newHandler()
	d.run(bug)
}

// awayStore takes nothing in.
type awayStore struct{ *storage.Store }

func (awayStore) Stage(context.Context, string, io.Reader, int64) (storage.Staged, error) {
	return storage.Staged{}, fault.New(fault.Unavailable, "storage.unavailable", "The store is away.").Wrap(errors.New("a secret of ours"))
}

// A caller who waits for "100 Continue" and is refused never sends the file.
func TestARefusedCallerSendsNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := httptest.NewServer(d.handler)
	t.Cleanup(server.Close)
	for name, test := range map[string]struct {
		user    string
		kind    string
		running string
		status  int
	}{
		"unknown": {"nobody", formType, "", 401}, "not permitted": {"modify", formType, "", 403}, "no form": {"develop", "text/plain", "", 415},
		"running": {"develop", formType, "0192", 409},
	} {
		d.jobs.running = test.running
		read := &countingReader{}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+invoke, io.LimitReader(read, 100<<20))
		require.NoError(t, err)
		r.ContentLength = 100 << 20
		if test.running != "" || test.status != 409 {
			r.ContentLength = maxUpload
		}
		r.Header.Set("Expect", "100-continue")
		r.Header.Set("Content-Type", test.kind)
		r.SetBasicAuth(test.user, password)
		client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
		resp, err := client.Do(r)
		require.NoError(t, err, name)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, test.status, resp.StatusCode, name)
		require.Zero(t, read.n, name)
	}
}

type countingReader struct{ n int }

func (r *countingReader) Read(p []byte) (int, error) {
	r.n += len(p)
	return len(p), nil
}

// Names of files are shown without folders and without what cannot be seen.
func TestNamesOfUploads(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	for sent, want := range map[string]string{
		"/etc/passwd.st": "passwd.st", `C:\\templates\\a.st`: "a.st", "a\u200bb.st": "a?b.st", "Vorlage für alle.st": "Vorlage für alle.st", "no.txt": "no.txt",
	} {
		d.jobs.started = nil
		d.run(apitest.Scenario{
			Name: want, Method: "POST", URL: invoke, Body: form(sent, "zip"), Headers: map[string]string{"Content-Type": formType},
			Prepare: as("develop"), WantStatus: 200,
		})
		require.Equal(t, want, d.jobs.started[0].FileName)
	}
}

func TestImportWithAKey(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.jobs.end = succeed(t, item(1, "a.st"))
	post := func(name, content string, status int) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: "POST", URL: invoke, Body: form("a.st", content), Prepare: as("develop"), WantStatus: status,
			Headers: map[string]string{"Content-Type": formType, "Idempotency-Key": "k"},
		}
	}
	var first []byte
	begin := post("first", "zip", 200)
	begin.Check = func(_ testing.TB, _ *http.Response, body []byte) { first = body }
	again := post("again", "zip", 200)
	again.WantHeaders = map[string]string{"Idempotency-Replayed": "true", "WWW-Authenticate": "*"}
	again.Check = func(t testing.TB, _ *http.Response, body []byte) { t.Helper(); require.Equal(t, first, body) }
	other := post("another file", "other", 400)
	d.run(begin, again, other)
	require.Len(t, d.jobs.started, 1)
	require.Len(t, d.staged(), 1)
}

// The claim of a process that died is taken over with its job id, and the upload is brought to where that job looks for it.
func TestImportIsCarriedThrough(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.jobs.end = succeed(t, item(1, "a.st"))
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.")
	post := apitest.Scenario{
		Name: "post", Method: "POST", URL: invoke, Body: form("a.st", "zip"), Prepare: as("develop"), WantStatus: 412,
		Headers: map[string]string{"Content-Type": formType, "Idempotency-Key": "k"},
	}
	d.run(post)
	require.Len(t, d.staged(), 1)
	d.jobs.startErr = nil
	post.WantStatus = 200
	d.run(post)
	require.Len(t, d.jobs.started, 1)
	sub := d.jobs.started[0]
	require.Equal(t, []string{storage.StagingKey(sub.ProjectID, sub.JobID)}, d.staged())
	require.Equal(t, storage.StagingKey(sub.ProjectID, sub.JobID), sub.Staged.Key)
}

func TestImportForm(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	page := apitest.Scenario{
		URL: services + "/actions/import", Prepare: as("develop"), WantStatus: 200,
		WantHeaders: map[string]string{"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "*", "X-Content-Type-Options": "nosniff", "WWW-Authenticate": "*"},
		WantBody:    []string{`<form method="post" action="` + invoke + `" enctype="multipart/form-data">`, `type="file"`, `name="file"`},
	}
	for accept, status := range map[string]int{
		"": 200, "text/html": 200, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8": 200, "text/*": 200, "*/*": 200, "application/json": 406,
		"text/html;q=0, */*": 406, "*/*;q=0.0": 406, "nonsense": 406, "application/json, text/html; level=1": 200,
	} {
		s := page
		s.Name, s.Headers = "accept "+accept, map[string]string{"Accept": accept}
		if accept == "" {
			s.Headers = nil
		}
		if status != 200 {
			s.WantStatus, s.WantHeaders, s.WantBody = status, nil, []string{"KNAE90024-E"}
		}
		d.run(s)
	}
}

// A page of another site cannot use the name and password that a browser remembers.
func TestPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	tmpl := d.stock(catalogTemplate("01.00.00"), "zip")
	_, session, err := d.auth.AuthenticateAutomation(t.Context(), signedIn("develop"))
	require.NoError(t, err)
	token, err := d.auth.IssueHSSO(session)
	require.NoError(t, err)
	post := apitest.Scenario{
		Name: "post", Method: "POST", URL: invoke, Body: form("a.st", "zip"), Prepare: as("develop"), WantStatus: 403, WantBody: []string{"KNAE90021-E"},
		Headers: map[string]string{"Content-Type": formType, "Sec-Fetch-Site": "cross-site"},
	}
	remove := post
	remove.Name, remove.Method, remove.Body, remove.URL = "delete", "DELETE", "", fmt.Sprint(objects, "/", tmpl.Number)
	remove.Headers = map[string]string{"Origin": "https://evil.example"}
	own := post
	own.Name, own.WantStatus, own.WantBody, own.Headers = "own page", 200, nil, map[string]string{"Content-Type": formType, "Sec-Fetch-Site": "same-origin"}
	script := post
	script.Name, script.WantStatus, script.WantBody = "script with a token", 200, nil
	script.Prepare = func(_ testing.TB, r *http.Request) { r.Header.Set("Authorization", "HSSO "+token.Value) }
	preflight := apitest.Scenario{
		Name: "preflight", Method: "OPTIONS", URL: invoke, WantStatus: 204, OutsideDocument: true,
		WantHeaders: map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"},
	}
	d.run(post, remove, own, script, preflight)
	require.Len(t, d.jobs.started, 2)
}

func signedIn(user string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r
}
