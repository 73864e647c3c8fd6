package command

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	projectID  = "0194f7a0aaaa7000800000000000aaaa"
	instanceID = "0194f7a0-bbbb-7000-8000-00000000bbbb"
	jobUUID    = "0194f7a0-cccc-7000-8000-00000000cccc"
	assetUUID  = "0194f7a0-dddd-7000-8000-00000000dddd"
	jobHex     = "0194f7a0cccc7000800000000000cccc"
)

// now is the time at which every command of these tests runs.
var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// result is what a run of the command line left.
type result struct {
	code           int
	stdout, stderr string
}

// newApp makes a command line that touches nothing of the machine: an empty environment and folders of its own.
func newApp(t *testing.T) *app {
	t.Helper()
	home := t.TempDir()
	return &app{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard,
		dir: t.TempDir(), configDir: func() (string, error) { return home, nil },
		terminal: func(any) bool { return false }, now: func() time.Time { return now }, location: time.UTC,
	}
}

func (a *app) exec(ctx context.Context, args ...string) result {
	var stdout, stderr lockedBuffer
	a.stdout, a.stderr = &stdout, &stderr
	code := a.run(ctx, args)
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// signedIn gives a command line that is signed in to a service.
func signedIn(t *testing.T, endpoint string) *app {
	t.Helper()
	a := newApp(t)
	a.environ = []string{
		"ASSETFLOW_ENDPOINT=" + endpoint, "ASSETFLOW_TOKEN=t0ken", "ASSETFLOW_PROJECT=" + projectID, "ASSETFLOW_INSTANCE=" + instanceID,
	}
	return a
}

// lockedBuffer is a buffer that progress may be written to while others read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// routes answers requests by "METHOD path"; the query is not part of it.
type routes map[string]http.HandlerFunc

// service starts a fake of the API and gives its base URL. A request that it has no route for fails the test.
func service(t *testing.T, r routes) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		handler, ok := r[req.Method+" "+req.URL.EscapedPath()]
		if !ok {
			t.Errorf("unexpected request: %s %s", req.Method, req.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		handler(w, req)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// reply answers with a status and a JSON body.
func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Request-Id", "r-1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn answers one request after the other, the last answer again and again.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	at := -1
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		at = min(at+1, len(handlers)-1)
		h := handlers[at]
		mu.Unlock()
		h(w, r)
	}
}

// job gives the JSON of an import; more is put behind its fields.
func job(state string, progress string, more string) string {
	return `{"id":"` + jobUUID + `","kind":"asset-import","project_id":"` + projectID + `","instance_id":"` + instanceID + `",
		"user_id":"u1","user_name":"ada","workflow_id":"asset-import:` + projectID + `:u1","subject":"shop.zip",
		"state":"` + state + `","progress":` + progress + `,"reasons":[],"created_at":"2026-01-02T11:59:00Z",
		"request":{"mode":"Merge","prefix":"t-","overwrite_data_sources":true,"package_sha256":"ab12","package_size":3250585}` + more + `}`
}

const succeeded = `,"ended_at":"2026-01-02T11:59:03.5Z","result":{"created":2,"new_versions":1,"unchanged":0,
	"data_sources_created":1,"data_sources_overwritten":0,"data_sources_kept":2,"assets":[
	{"id":"a1","kind":"application","name":"Shop","version_number":1,"action":"create"},
	{"id":"a2","kind":"task","name":"Orders \u001b[2J sync","version_number":3,"action":"new_version"}]}`

const failed = `,"ended_at":"2026-01-02T11:59:03.5Z","reasons":[
	{"resource_type":"task","resource_name":"Orders","code":"name_taken","message":"The name is taken."},
	{"resource_type":"application","resource_name":"Shop","code":"name_taken","message":"The name is taken."}]`

// packageFile writes a file that stands for a package; the fake service does not look into it.
func packageFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.zip")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// golden compares a text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update once")
	require.Equal(t, string(want), got)
}
