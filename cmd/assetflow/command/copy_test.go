package command

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// sealed is a replication info; the word in it must be nowhere but where it is meant to be.
	sealed   = `{"asset_id":"` + assetUUID + `","asset_info":"aXY=:VEhFX1NFQ1JFVA==","encryption_info":{"key_id":"1"},"expire_time":1767355200}`
	secret   = "VEhFX1NFQ1JFVA"
	infoPath = "GET " + studioPath + "/digital-assets/" + assetUUID + "/replication-info"
	copyPath = "POST " + studioPath + "/digital-assets-by-replication-info"
)

func copyJob(state, progress, more string) string {
	return `{"id":"` + jobUUID + `","kind":"asset-copy","project_id":"` + projectID + `","instance_id":"","user_id":"u1","user_name":"ada",
		"workflow_id":"asset-copy:` + projectID + `:u1","subject":"Ava","state":"` + state + `","progress":` + progress + `,"reasons":[],
		"created_at":"2026-01-02T11:59:00Z","request":{"asset_id":"` + assetUUID + `","source_region":"north"}` + more + `}`
}

const (
	copied     = `,"ended_at":"2026-01-02T11:59:03.5Z","result":{"asset_id":"` + assetUUID + `","version_number":2,"files":3,"bytes":5242880,"unchanged":false}`
	unchanged  = `,"ended_at":"2026-01-02T11:59:03.5Z","result":{"asset_id":"` + assetUUID + `","version_number":2,"files":1,"bytes":10,"unchanged":true}`
	copyFailed = `,"ended_at":"2026-01-02T11:59:03.5Z","reasons":[{"resource_type":"file","resource_name":"a.mp4","code":"digest_mismatch","message":"The file is not the one of the manifest."}]`
)

// startCopy takes a replication info and starts a job.
func startCopy(t *testing.T, got *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		*got = string(body)
		w.Header().Set("X-Job-Id", jobUUID)
	}
}

func TestReplicationInfoGoesToStdoutOnly(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{
		infoPath:                                reply(200, sealed),
		"GET " + studioPath + "/digital-assets": assetsNamed(digitalAsset(assetUUID, "Ava", "ACTIVED")),
	})
	for _, args := range [][]string{{assetUUID}, {assetUUID, "-o", "json"}, {"Ava"}, {"Ava", "-q"}} {
		r := signedIn(t, endpoint).exec(t.Context(), append([]string{"asset", "replication-info"}, args...)...)
		require.Equal(t, result{stdout: sealed + "\n"}, r)
	}
}

func TestCopyOfAReplicationInfo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "info.json")
	require.NoError(t, os.WriteFile(path, []byte(sealed+"\n"), 0o600))
	watch := func(last string) http.HandlerFunc {
		return inTurn(reply(200, copyJob("running", "0", "")), reply(200, copyJob("running", "0.4", `,"step":"Copy the files"`)), reply(200, last))
	}
	for name, c := range map[string]struct {
		args  []string
		stdin string
		last  string
		code  int
	}{
		"copy-file":      {[]string{path}, "", copyJob("succeeded", "1", copied), ExitOK},
		"copy-stdin":     {nil, sealed, copyJob("succeeded", "1", unchanged), ExitOK},
		"copy-dash":      {[]string{"-"}, sealed, copyJob("succeeded", "1", copied), ExitOK},
		"copy-failed":    {[]string{path}, "", copyJob("failed", "0.4", copyFailed), ExitJobFailed},
		"copy-cancelled": {[]string{path}, "", copyJob("cancelled", "0.4", ""), ExitJobFailed},
		"copy-no-wait":   {[]string{path, "--no-wait"}, "", "", ExitOK},
		"copy-json":      {[]string{path, "--no-wait", "-o", "json"}, "", "", ExitOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			a := signedIn(t, service(t, routes{copyPath: startCopy(t, &got), "GET /api/v1/jobs/" + jobUUID: watch(c.last)}))
			a.environ = a.environ[:3] // no instance
			a.stdin = strings.NewReader(c.stdin)
			r := a.exec(t.Context(), append([]string{"asset", "copy"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Equal(t, sealed, got)
			require.NotContains(t, r.stdout+r.stderr, secret)
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestCopyOnATerminal(t *testing.T) {
	t.Parallel()
	var got string
	a := signedIn(t, service(t, routes{copyPath: startCopy(t, &got), "GET /api/v1/jobs/" + jobUUID: inTurn(
		reply(200, copyJob("running", "0.5", `,"step":"Copy the files"`)), reply(200, copyJob("succeeded", "1", copied)),
	)}))
	a.terminal = func(any) bool { return true }
	r := a.exec(t.Context(), "asset", "copy")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "what is to be copied?\nName an asset with --from and --to")
	a.terminal = func(stream any) bool { return stream != any(a.stdin) }
	a.stdin = strings.NewReader(sealed)
	r = a.exec(t.Context(), "asset", "copy")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Regexp(t, `\rCopy the files\s+50% \[=+> +\]`, r.stderr)
}

// regions are two regions with a profile for each.
func regions(t *testing.T, source, target routes) *app {
	t.Helper()
	a := newApp(t)
	a.store(t, "north", profile{Endpoint: service(t, source), ProjectID: projectID, Token: "n0rth"})
	a.store(t, "south", profile{Endpoint: service(t, target), ProjectID: projectID, Token: "s0uth"})
	return a
}

func as(t *testing.T, token string, answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Auth-Token"); got != token {
			t.Errorf("%s %s with the token %q", r.Method, r.URL, got)
		}
		answer(w, r)
	}
}

func TestCopyBetweenProfiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last string
		code int
	}{
		"copy-profiles":        {copyJob("succeeded", "1", copied), ExitOK},
		"copy-profiles-failed": {copyJob("failed", "0.5", copyFailed), ExitJobFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			a := regions(t, routes{
				"GET " + studioPath + "/digital-assets": as(t, "n0rth", assetsNamed(digitalAsset(assetUUID, "Ava", "ACTIVED"))),
				infoPath:                                as(t, "n0rth", reply(200, sealed)),
			}, routes{
				copyPath:                      as(t, "s0uth", startCopy(t, &got)),
				"GET /api/v1/jobs/" + jobUUID: as(t, "s0uth", inTurn(reply(200, copyJob("running", "0.4", `,"step":"Copy the files"`)), reply(200, c.last))),
			})
			// What holds for other commands must not send both halves to one place.
			a.environ = []string{"ASSETFLOW_ENDPOINT=http://127.0.0.1:1", "ASSETFLOW_TOKEN=other", "ASSETFLOW_PROJECT=other", "ASSETFLOW_PROFILE=none"}
			r := a.exec(t.Context(), "asset", "copy", "Ava", "--from", "north", "--to", "south")
			require.Equal(t, c.code, r.code, r.stderr)
			require.Equal(t, sealed, got)
			require.NotContains(t, r.stdout+r.stderr, secret)
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestCopiesThatDoNotStart(t *testing.T) {
	t.Parallel()
	ready := routes{infoPath: reply(200, sealed)}
	between := []string{assetUUID, "--from", "north", "--to", "south"}
	refuse := func(status int, code, message string) http.HandlerFunc {
		return reply(status, `{"error_code":"`+code+`","error_msg":"`+message+`"}`)
	}
	for name, c := range map[string]struct {
		source, target routes
		args           []string
		stdin          string
		code           int
		says           string
	}{
		"not active": {source: routes{infoPath: refuse(400, "MSS.00000003", "The asset is CREATING.")}, args: between, code: ExitFailure, says: "The asset is CREATING."},
		"expired":    {source: ready, target: routes{copyPath: refuse(400, "MSS.00000003", "It has expired.")}, args: between, code: ExitFailure, says: "It has expired."},
		"another copy runs": {
			source: ready, target: routes{copyPath: refuse(400, "MSS.10001006", "A job runs. It is the job "+jobUUID+".")}, args: between, code: ExitConflict,
			says: "already: " + jobUUID + "\nWatch it:   assetflow job watch " + jobUUID + " --profile south\nCancel it:  assetflow job cancel " + jobUUID + " --profile south",
		},
		"signed out of the source": {
			source: routes{infoPath: refuse(401, "MSS.00000001", "no")}, args: between, code: ExitForbidden, says: "assetflow login --profile north",
		},
		"signed out of the target": {
			source: ready, target: routes{copyPath: refuse(401, "MSS.00000001", "no")}, args: between, code: ExitForbidden, says: "assetflow login --profile south",
		},
		"no such profile":   {args: []string{assetUUID, "--from", "north", "--to", "west"}, code: ExitForbidden, says: `there is no profile "west"`},
		"half":              {args: []string{assetUUID, "--from", "north"}, code: ExitUsage, says: "--from and --to go together"},
		"nothing":           {args: []string{"--from", "north", "--to", "south"}, code: ExitUsage, says: "needs ASSET"},
		"two":               {args: []string{"a", "b"}, code: ExitUsage, says: `got "b" as well`},
		"profile as well":   {args: append([]string{"--profile", "north"}, between...), code: ExitUsage, says: "cannot be used together"},
		"endpoint as well":  {args: append([]string{"--endpoint", "x"}, between...), code: ExitUsage, says: "cannot be used together"},
		"no file":           {args: []string{"/nowhere/info.json"}, code: ExitNotFound, says: "open /nowhere/info.json: no such file"},
		"an id for a file":  {args: []string{assetUUID}, code: ExitNotFound, says: "name both regions with --from and --to"},
		"nothing on stdin":  {code: ExitUsage, says: "stdin holds no replication info"},
		"no JSON":           {stdin: "x" + sealed, code: ExitUsage, says: "stdin holds no replication info"},
		"two of them":       {stdin: sealed + sealed, code: ExitUsage, says: "stdin holds no replication info"},
		"too much on stdin": {stdin: sealed + strings.Repeat(" ", maxInfo), code: ExitUsage, says: "stdin holds no replication info"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := regions(t, c.source, c.target)
			a.stdin = strings.NewReader(c.stdin)
			r := a.exec(t.Context(), append([]string{"asset", "copy"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Empty(t, r.stdout)
			require.NotContains(t, r.stderr, secret)
		})
	}
}

func TestAnInterruptedCopy(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var got string
	a := regions(t, routes{infoPath: reply(200, sealed)}, routes{
		copyPath: startCopy(t, &got),
		"GET /api/v1/jobs/" + jobUUID: func(w http.ResponseWriter, r *http.Request) {
			reply(200, copyJob("running", "0", ""))(w, r)
			time.AfterFunc(50*time.Millisecond, cancel)
		},
	})
	r := a.exec(ctx, "asset", "copy", assetUUID, "--from", "north", "--to", "south")
	require.Equal(t, ExitInterrupted, r.code)
	require.Contains(t, r.stderr, "assetflow: interrupted\nThe job goes on.\nWatch it:   assetflow job watch "+jobUUID+" --profile south\n")
}

func TestShowACopy(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{"GET /api/v1/jobs/" + jobUUID: reply(200, copyJob("succeeded", "1", copied))})
	r := signedIn(t, endpoint).exec(t.Context(), "job", "show", jobUUID)
	require.Equal(t, ExitOK, r.code)
	golden(t, "job-show-copy", r.stdout)
}
