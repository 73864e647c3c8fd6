package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

const (
	project  = "0194f7a0aaaa7000800000000000aaaa"
	instance = "0194f7a0-bbbb-7000-8000-00000000bbbb"
	jobHex   = "0194f7a0cccc7000800000000000cccc"
	jobUUID  = "0194f7a0-cccc-7000-8000-00000000cccc"
)

// serve starts a service that answers with handler and gives a client of it.
func serve(t *testing.T, handler http.HandlerFunc, change ...func(*client.Config)) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	cfg := client.Config{Endpoint: server.URL, ProjectID: project, InstanceID: instance, Token: "t0ken"}
	for _, c := range change {
		c(&cfg)
	}
	c := client.New(cfg)
	t.Cleanup(c.Close)
	return c
}

func answer(w http.ResponseWriter, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Request-Id", "r-1")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func answerJSON(w http.ResponseWriter, body string) {
	answer(w, http.StatusOK, "application/json", body)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ project, scope string }{
		"without a project": {"", ""},
		"project by id":     {project, `,"scope":{"project":{"id":"` + project + `"}}`},
		"project by name":   {"shop", `,"scope":{"project":{"name":"shop"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "POST /v3/auth/tokens", r.Method+" "+r.RequestURI)
				require.Equal(t, "application/json", r.Header.Get("Content-Type"))
				require.Empty(t, r.Header.Get("X-Auth-Token"), "an old token has no business here")
				body, err := io.ReadAll(r.Body)
				require.NoError(t, err)
				require.JSONEq(t, `{"auth":{"identity":{"methods":["password"],"password":{"user":
					{"name":"ada","password":"secret","domain":{"name":"acme"}}}}`+c.scope+`}}`, string(body))
				w.Header().Set("X-Subject-Token", "fresh")
				answer(w, http.StatusCreated, "application/json", `{"token":{"expires_at":"2026-01-02T09:05:22.701000Z"}}`)
			})
			token, expires, err := cl.Login(t.Context(), "acme", "ada", "secret", c.project)
			require.NoError(t, err)
			require.Equal(t, "fresh", token)
			require.Equal(t, time.Date(2026, 1, 2, 9, 5, 22, 701000000, time.UTC), expires)
		})
	}
}

func TestLoginIsRefusedOrOdd(t *testing.T) {
	t.Parallel()
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		answer(w, 401, "application/json",
			`{"error":{"code":401,"message":"The username or password is wrong."}}`)
	})
	_, _, err := cl.Login(t.Context(), "acme", "ada", "no", "")
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, 401, refusal.Status)
	require.Equal(t, "The username or password is wrong.", refusal.Message)
	require.False(t, refusal.Foreign())

	cl = serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, 201, "application/json", `{"token":{}}`) })
	_, _, err = cl.Login(t.Context(), "acme", "ada", "no", "")
	require.ErrorContains(t, err, "no token")
}

func TestRefusalsInEveryContractsForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status            int
		contentType, body string
		want              client.Error
		foreign           bool
		text              string
	}{
		"ROMA": {
			403, "application/json", `{"error_code":"ROMA.1006","error_msg":"No permission.","error_details":"assets:import","request_id":"x"}`,
			client.Error{Status: 403, Code: "ROMA.1006", Message: "No permission.", Details: "assets:import", RequestID: "r-1"}, false,
			"ask for job " + jobHex + ": No permission.: assets:import (ROMA.1006, HTTP 403, request r-1)",
		},
		"our own": {
			409, "application/problem+json", `{"title":"Conflict","status":409,"detail":"The job has ended.","code":"job.ended","request_id":"x"}`,
			client.Error{Status: 409, Code: "job.ended", Message: "The job has ended.", RequestID: "r-1"}, false,
			"ask for job " + jobHex + ": The job has ended. (job.ended, HTTP 409, request r-1)",
		},
		"a proxy's page": {
			404, "text/html", "<html>nginx</html>",
			client.Error{Status: 404, Message: "the answer was 404 Not Found", RequestID: "r-1"}, true,
			"ask for job " + jobHex + ": the answer was 404 Not Found (HTTP 404, request r-1)",
		},
		"not JSON although all is well": {
			200, "text/html; charset=utf-8", "<html>Temporal</html>",
			client.Error{Status: 200, Message: "the answer is not Assetflow's (text/html; charset=utf-8 instead of JSON)", RequestID: "r-1"}, true,
			"ask for job " + jobHex + ": the answer is not Assetflow's (text/html; charset=utf-8 instead of JSON) (HTTP 200, request r-1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) { answer(w, c.status, c.contentType, c.body) })
			_, err := cl.Job(t.Context(), jobHex)
			require.EqualError(t, err, c.text)
			var got *client.Error
			require.ErrorAs(t, err, &got)
			require.Equal(t, c.want.Code, got.Code)
			require.Equal(t, c.want.Message, got.Message)
			require.Equal(t, c.want.Details, got.Details)
			require.Equal(t, c.want.RequestID, got.RequestID)
			require.Equal(t, c.want.Status, got.Status)
			require.Equal(t, c.foreign, got.Foreign())
			require.Empty(t, got.RunningJob())
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusMovedPermanently)
	})
	_, err := cl.Job(t.Context(), jobHex)
	require.ErrorContains(t, err, "the answer was 301 Moved Permanently, to https://elsewhere.example/")
	require.EqualValues(t, 1, calls.Load())
}

func TestReadsAreRepeatedWhereThatMayHelp(t *testing.T) {
	t.Parallel()
	drop := func(w http.ResponseWriter) {
		conn, _, err := w.(http.Hijacker).Hijack()
		require.NoError(t, err)
		_ = conn.Close()
	}
	for name, c := range map[string]struct {
		fail  func(w http.ResponseWriter)
		fails int32 // how many answers are bad
		calls int32 // how many are asked for in all
		fine  bool
	}{
		"unavailable":         {func(w http.ResponseWriter) { answer(w, 503, "application/json", `{}`) }, 2, 3, true},
		"a proxy's bad day":   {func(w http.ResponseWriter) { answer(w, 502, "text/html", ``) }, 1, 2, true},
		"too many requests":   {func(w http.ResponseWriter) { answer(w, 429, "text/html", ``) }, 1, 2, true},
		"a broken connection": {drop, 1, 2, true},
		"a broken answer": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			answer(w, 200, "application/json", `{"id":`)
			w.(http.Flusher).Flush()
		}, 1, 2, true},
		"for ever":          {func(w http.ResponseWriter) { answer(w, 503, "application/json", `{}`) }, 99, 4, false},
		"our own failure":   {func(w http.ResponseWriter) { answer(w, 500, "application/json", `{}`) }, 99, 1, false},
		"not found":         {func(w http.ResponseWriter) { answer(w, 404, "application/json", `{}`) }, 99, 1, false},
		"not JSON":          {func(w http.ResponseWriter) { answer(w, 200, "text/html", ``) }, 99, 1, false},
		"JSON of some kind": {func(w http.ResponseWriter) { answer(w, 200, "application/json", `[`+`]`) }, 99, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls, told atomic.Int32
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1) <= c.fails {
					c.fail(w)
					return
				}
				answerJSON(w, `{"id":"`+jobHex+`"}`)
			}, func(cfg *client.Config) {
				cfg.Retrying = func(err error, wait time.Duration) { require.Error(t, err); told.Add(1) }
				cfg.Transport = &http.Transport{DisableKeepAlives: true} // net/http repeats on its own only where it keeps them
			})
			job, err := cl.Job(t.Context(), jobHex)
			if c.fine {
				require.NoError(t, err)
				require.Equal(t, jobHex, job.ID)
			} else {
				require.Error(t, err)
			}
			require.Equal(t, c.calls, calls.Load())
			require.Equal(t, c.calls-1, told.Load())
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func(now time.Time) string{
		"seconds": func(time.Time) string { return "2" },
		"a date":  func(now time.Time) string { return now.Add(2 * time.Second).Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			ctx, cancel := context.WithCancel(t.Context())
			var waits []time.Duration
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", header(now))
				answer(w, 503, "application/json", `{}`)
			}, func(cfg *client.Config) {
				cfg.Now = func() time.Time { return now }
				cfg.Retrying = func(_ error, wait time.Duration) {
					waits = append(waits, wait)
					cancel() // the wait need not be sat out
				}
			})
			_, err := cl.Job(ctx, jobHex)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, []time.Duration{2 * time.Second}, waits)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	const endpoint = "http://127.0.0.1:1" // no free port is as low
	cl := client.New(client.Config{
		Endpoint: endpoint,
		Retrying: func(error, time.Duration) { t.Error("a service that is not there is not waited for") },
	})
	_, err := cl.Job(t.Context(), jobHex)
	var away *client.UnreachableError
	require.ErrorAs(t, err, &away)
	require.Equal(t, endpoint, away.Endpoint)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "Get ", "method and URL are no news")
}

func TestAWrongCertificateDoesNotGetBetter(t *testing.T) {
	t.Parallel()
	encrypted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(encrypted.Close)
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for _, endpoint := range []string{encrypted.URL, strings.Replace(plain.URL, "http:", "https:", 1)} {
		cl := client.New(client.Config{
			Endpoint: endpoint, Retrying: func(err error, _ time.Duration) { t.Errorf("tried again after %v", err) },
		})
		_, err := cl.Job(t.Context(), jobHex)
		var away *client.UnreachableError
		require.ErrorAs(t, err, &away)
	}
}

func TestTheCallersContextIsItsOwnError(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		cancel(errors.New("enough"))
		<-r.Context().Done()
	})
	_, err := cl.Job(ctx, jobHex)
	require.ErrorContains(t, err, "enough")
	var away *client.UnreachableError
	require.False(t, errors.As(err, &away), "%v", err)
}

func TestWrongSettings(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "127.0.0.1:8080", "localhost", "ftp://x", "http://", "http://x?y", "http://x#y", ":"} {
		_, err := client.New(client.Config{Endpoint: endpoint}).Job(t.Context(), jobHex)
		require.ErrorIs(t, err, client.ErrBadEndpoint, endpoint)
	}
	for _, id := range []string{"", "1", jobHex + "0", jobUUID[:35], "zz" + jobHex[2:], jobUUID[:8] + "x" + jobUUID[9:]} {
		_, err := client.New(client.Config{Endpoint: "http://x"}).Job(t.Context(), id)
		require.ErrorIs(t, err, client.ErrBadJobID, id)
		_, err = client.New(client.Config{Endpoint: "http://x"}).ShowJob(t.Context(), id)
		require.ErrorIs(t, err, client.ErrBadJobID, id)
		_, err = client.New(client.Config{Endpoint: "http://x"}).CancelJob(t.Context(), id)
		require.ErrorIs(t, err, client.ErrBadJobID, id)
	}
}

func TestOurOwnAPI(t *testing.T) {
	t.Parallel()
	const detail = `{"id":"` + jobUUID + `","kind":"asset-import","state":"failed","progress":0.5,"reasons":[
		{"resource_type":"task","resource_name":"T","code":"name_taken","message":"taken"}],
		"created_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:01Z"}`
	var got string
	reply := "{}"
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.RequestURI
		require.Equal(t, "t0ken", r.Header.Get("X-Auth-Token"))
		answerJSON(w, reply)
	}, func(cfg *client.Config) { cfg.Endpoint += "/" })
	base := "/api/v1/projects/" + project

	reply = `{"jobs":[` + detail + `],"next_cursor":"n"}`
	jobs, err := cl.ListJobs(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Equal(t, "GET "+base+"/jobs", got)
	require.Equal(t, "n", jobs.NextCursor)
	require.Equal(t, []client.Reason{{ResourceType: "task", ResourceName: "T", Code: "name_taken", Message: "taken"}}, jobs.Jobs[0].Reasons)
	require.True(t, jobs.Jobs[0].Ended())

	_, err = cl.ListJobs(t.Context(), client.JobFilter{
		InstanceID: "i", UserID: "u", Kind: "asset-import", State: "running", Limit: 7, Cursor: "a&b",
	})
	require.NoError(t, err)
	require.Equal(t, "GET "+base+"/jobs?cursor=a%26b&instance_id=i&kind=asset-import&limit=7&state=running&user_id=u", got)

	reply = detail
	job, err := cl.ShowJob(t.Context(), jobHex)
	require.NoError(t, err)
	require.Equal(t, "GET /api/v1/jobs/"+jobUUID, got)
	require.Equal(t, client.JobFailed, job.State)

	job, err = cl.CancelJob(t.Context(), jobUUID)
	require.NoError(t, err)
	require.Equal(t, "POST /api/v1/jobs/"+jobUUID+"/cancel", got)
	require.Equal(t, jobUUID, job.ID)

	reply = `{"assets":[{"id":"a1","kind":"task","name":"T","version_number":2}],"next_cursor":"n"}`
	assets, err := cl.ListAssets(t.Context(), client.AssetFilter{Kind: "task", Name: "ü", NameContains: "x", Limit: 1, Cursor: "c"})
	require.NoError(t, err)
	require.Equal(t, "GET "+base+"/instances/"+instance+"/assets?cursor=c&kind=task&limit=1&name=%C3%BC&name_contains=x", got)
	require.Equal(t, client.AssetPage{Assets: []client.Asset{{ID: "a1", Kind: "task", Name: "T", VersionNumber: 2}}, NextCursor: "n"}, assets)

	reply = `{"id":"a1","name":"T","definition":{"x":1},"files":[{"path":"p","sha256":"s","size":3}],"applications":[{"id":"i","name":"n"}]}`
	asset, err := cl.Asset(t.Context(), "a/../1")
	require.NoError(t, err)
	require.Equal(t, "GET "+base+"/instances/"+instance+"/assets/a%2F..%2F1", got)
	require.Equal(t, "T", asset.Name)
	require.Equal(t, []client.File{{Path: "p", SHA256: "s", Size: 3}}, asset.Files)
	require.JSONEq(t, `{"x":1}`, string(asset.Definition))

	reply = `{"data_sources":[{"name":"db"}]}`
	sources, err := cl.ListDataSources(t.Context())
	require.NoError(t, err)
	require.Equal(t, "GET "+base+"/instances/"+instance+"/data-sources", got)
	require.Equal(t, []client.DataSource{{Name: "db"}}, sources)

	reply = `{"user_id":"u","user_name":"ada","method":"token"}`
	me, err := cl.Me(t.Context())
	require.NoError(t, err)
	require.Equal(t, "GET /api/v1/me", got)
	require.Equal(t, client.Caller{UserID: "u", UserName: "ada", Method: "token"}, me)
}

func TestJobDetailEncodesAsItCame(t *testing.T) {
	t.Parallel()
	const text = `{"id":"x","kind":"k","project_id":"p","instance_id":"i","user_id":"u","user_name":"n","workflow_id":"w",
		"subject":"s","state":"succeeded","progress":1,"step":"st","request":{"a":1},"result":{"b":2},"reasons":[],
		"created_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-01T00:00:01Z"}`
	var job client.JobDetail
	require.NoError(t, json.Unmarshal([]byte(text), &job))
	encoded, err := json.Marshal(job)
	require.NoError(t, err)
	require.JSONEq(t, text, string(encoded))
}
