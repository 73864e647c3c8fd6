package command

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const importPath = "POST /v2/" + projectID + "/instances/" + instanceID + "/assets/import"

// accept reads an upload to its end and starts a job.
func accept(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	reply(200, `{"job_id":"`+jobHex+`"}`)(w, r)
}

func TestImportWithoutWaiting(t *testing.T) {
	t.Parallel()
	var query, body string
	endpoint := service(t, routes{importPath: func(w http.ResponseWriter, r *http.Request) {
		f, header, err := r.FormFile("ImportAssetRequestBody")
		if err != nil {
			t.Errorf("form: %v", err)
			return
		}
		content, _ := io.ReadAll(f)
		query, body = r.URL.RawQuery, header.Filename+": "+string(content)
		accept(w, r)
	}})
	path := packageFile(t, "PK content")
	r := signedIn(t, endpoint).exec(t.Context(), "import", path)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "type=AddNew", query)
	require.Equal(t, "shop.zip: PK content", body)
	require.Equal(t, "Job "+jobUUID+" has started.\n"+
		"Watch it:   assetflow job watch "+jobUUID+"\nCancel it:  assetflow job cancel "+jobUUID+"\n", r.stdout)
	require.Equal(t, "Uploading shop.zip (10 B)\nUploaded shop.zip (10 B) in 0s.\n", r.stderr)

	r = signedIn(t, endpoint).exec(t.Context(), "import", "--type", "Merge", "--prefix", "t-", "--datasource-overwrite", "-o", "json", path)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "datasource_overwrite=true&prefix=t-&type=Merge", query)
	require.JSONEq(t, `{"job_id":"`+jobUUID+`"}`, r.stdout)
	require.Empty(t, r.stderr)

	r = signedIn(t, endpoint).exec(t.Context(), "import", "--quiet", path)
	require.Equal(t, jobUUID+"\n", r.stdout)
	require.Empty(t, r.stderr)
}

func TestImportAndWait(t *testing.T) {
	t.Parallel()
	watch := func(last string) routes {
		return routes{importPath: accept, "GET /api/v1/jobs/" + jobUUID: inTurn(
			reply(200, job("running", "0", "")),
			reply(200, job("running", "0.1", `,"step":"Inspect the package"`)),
			reply(200, job("running", "0.5", `,"step":"Store the files"`)),
			reply(200, job("running", "0.3", `,"step":"Store the files"`)),
			reply(200, last),
		)}
	}
	path := packageFile(t, "PK")
	r := signedIn(t, service(t, watch(job("succeeded", "1", succeeded)))).exec(t.Context(), "import", "--wait", path)
	require.Equal(t, ExitOK, r.code, r.stderr)
	golden(t, "import-wait", r.stdout+"--- stderr ---\n"+r.stderr)

	r = signedIn(t, service(t, watch(job("failed", "0.5", failed)))).exec(t.Context(), "import", "--wait", path)
	require.Equal(t, ExitJobFailed, r.code, r.stderr)
	golden(t, "import-wait-failed", r.stdout+"--- stderr ---\n"+r.stderr)

	r = signedIn(t, service(t, watch(job("failed", "0.5", failed)))).exec(t.Context(), "import", "--wait", "-o", "json", path)
	require.Equal(t, ExitJobFailed, r.code)
	require.Contains(t, r.stdout, `"state": "failed"`)
	require.Equal(t, "assetflow: job "+jobUUID+" failed\n", r.stderr)

	r = signedIn(t, service(t, watch(job("cancelled", "0.5", "")))).exec(t.Context(), "import", "--wait", "-q", path)
	require.Equal(t, ExitJobFailed, r.code)
	require.Equal(t, "assetflow: job "+jobUUID+" was cancelled\n", r.stderr)

	r = signedIn(t, service(t, watch(job("succeeded", "1", succeeded)))).exec(t.Context(), "import", "--wait", "-q", path)
	require.Equal(t, result{}, r)
}

func TestImportOnATerminal(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{importPath: accept, "GET /api/v1/jobs/" + jobUUID: inTurn(
		reply(200, job("running", "0.5", `,"step":"Store the files"`)), reply(200, job("succeeded", "1", succeeded)),
	)})
	a := signedIn(t, endpoint)
	a.terminal = func(any) bool { return true }
	r := a.exec(t.Context(), "import", "--wait", packageFile(t, strings.Repeat("x", 1<<20)))
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Regexp(t, `Uploading shop.zip\s+0% \[`, r.stderr)
	require.Regexp(t, `\rStore the files\s+50% \[=+> +\]`, r.stderr)
	require.Contains(t, r.stderr, "Uploaded shop.zip (1.0 MiB) in 0s.\n")
	require.NotContains(t, r.stdout, "\r", "bars are not results")
}

func TestARefusedUploadIsNotShown(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{importPath: reply(403, `{"error_code":"ROMA.10012","error_msg":"x","error_details":"`+jobHex+`"}`)})
	for _, terminal := range []bool{false, true} {
		a := signedIn(t, endpoint)
		a.terminal = func(any) bool { return terminal }
		r := a.exec(t.Context(), "import", packageFile(t, "PK"))
		require.Equal(t, ExitConflict, r.code)
		require.Equal(t, "assetflow: a job of this kind is running for you already: "+jobUUID+"\n"+followHint(jobUUID)+"\n", r.stderr)
	}
}

func TestInterruptedUploads(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	endpoint := service(t, routes{importPath: func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1))
		cancel()
		<-over
	}})
	t.Cleanup(func() { close(over) })
	path := packageFile(t, "")
	require.NoError(t, os.Truncate(path, 64<<20)) // more than the buffers on the way hold
	r := signedIn(t, endpoint).exec(ctx, "import", path)
	require.Equal(t, ExitInterrupted, r.code)
	require.Contains(t, r.stderr, "assetflow: interrupted\nThe upload was not complete, so nothing is imported.\n")
}

func TestInterruptedWaiting(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"import", "--wait", packageFile(t, "PK")}, {"job", "watch", jobHex}} {
		ctx, cancel := context.WithCancel(t.Context())
		endpoint := service(t, routes{importPath: accept, "GET /api/v1/jobs/" + jobUUID: func(w http.ResponseWriter, r *http.Request) {
			reply(200, job("running", "0", ""))(w, r)
			time.AfterFunc(50*time.Millisecond, cancel)
		}})
		r := signedIn(t, endpoint).exec(ctx, args...)
		require.Equal(t, ExitInterrupted, r.code, r.stderr)
		require.Contains(t, r.stderr, "assetflow: interrupted\nThe job goes on.\nWatch it:   assetflow job watch "+jobUUID+
			"\nCancel it:  assetflow job cancel "+jobUUID+"\n")
	}
}

func TestAConnectionThatBreaksDuringTheUpload(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	endpoint := service(t, routes{importPath: func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = r.Body.Read(make([]byte, 1))
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	}})
	r := signedIn(t, endpoint).exec(t.Context(), "import", packageFile(t, "PK"))
	require.Equal(t, ExitUnreachable, r.code)
	require.Contains(t, r.stderr, "See with `assetflow job list` whether the import started nevertheless.")
	require.EqualValues(t, 1, calls.Load())
}

func TestAServiceThatGoesAwayWhileAJobIsWatched(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{"GET /api/v1/jobs/" + jobUUID: inTurn(reply(200, job("running", "0", "")), reply(401, `{"detail":"token expires","code":"auth.token_expired"}`))})
	r := signedIn(t, endpoint).exec(t.Context(), "job", "watch", jobUUID)
	require.Equal(t, ExitForbidden, r.code)
	require.Contains(t, r.stderr, "token expires")
	require.Contains(t, r.stderr, "The identity came from the environment.")
}

func TestLineMeterSaysLittle(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	at := now
	a := newApp(t)
	a.stderr, a.now = &out, func() time.Time { return at }
	m := a.uploadMeter("a\x1b.zip", 100<<20)
	for i := range int64(100) {
		at = at.Add(time.Second)
		m.at((i+1)<<20, "")
	}
	m.end()
	require.Equal(t, 1+9, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), "Uploading a\uFFFD.zip (100.0 MiB)\nUploaded 11.0 MiB of 100.0 MiB (11%)\n")
}
