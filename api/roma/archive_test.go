package roma_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/middleware"
	"assetflow/api/roma"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// storedArchive is an archive as an export leaves it.
type storedArchive struct {
	catalog.Archive
	key, path string
	data      []byte
}

// addArchive exports size bytes that are no package.
func (d *deployment) addArchive(size int) storedArchive {
	d.t.Helper()
	ctx := context.Background()
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(data)
	job := catalog.Job{
		ID: catalog.NewID(), Kind: catalog.AssetExport, ProjectID: d.project.ID, InstanceID: d.instance.ID,
		UserID: d.developer.user.ID, WorkflowID: catalog.NewID(), State: catalog.JobRunning, CreatedAt: time.Now(),
	}
	require.NoError(d.t, d.catalog.InsertJob(ctx, job))
	key := storage.ArchiveKey(d.project.ID, job.ID)
	_, sum, err := d.store.PutArchive(ctx, key, bytes.NewReader(data))
	require.NoError(d.t, err)
	archive, err := d.catalog.CommitExport(ctx, catalog.ExportCommit{
		JobID: job.ID, ProjectID: d.project.ID, Applications: 1,
		Archive: catalog.Archive{
			ID: catalog.NewID(), ProjectID: d.project.ID, InstanceID: d.instance.ID, JobID: job.ID, UserID: d.developer.user.ID,
			FileName: "export.zip", SHA256: sum, Size: int64(size), CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
		},
	})
	require.NoError(d.t, err)
	return storedArchive{
		Archive: archive, key: key, path: d.prefix + "/archives/" + strings.ReplaceAll(archive.ID, "-", ""), data: data,
	}
}

func (d *deployment) requireGone(a storedArchive) {
	d.t.Helper()
	require.Eventually(d.t, func() bool { // the answer is out before the object goes
		for _, err := range d.store.ListArchives(context.Background(), a.key) {
			require.NoError(d.t, err)
			return false
		}
		return true
	}, time.Minute, 10*time.Millisecond)
}

func TestArchive(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, roma.Document())
	modifier := d.newCaller("mod", auth.RoleModify)
	get := func(name string, a storedArchive, status int) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: http.MethodGet, URL: a.path, WantStatus: status,
			Headers:     map[string]string{"X-Auth-Token": modifier.token},
			WantHeaders: map[string]string{"X-Request-Id": "*"},
		}
	}
	body := func(s apitest.Scenario, want []byte) apitest.Scenario {
		s.WantHeaders["Content-Type"] = "application/octet-stream"
		s.WantHeaders["Accept-Ranges"] = "bytes"
		s.Check = func(t testing.TB, resp *http.Response, body []byte) {
			t.Helper()
			require.EqualValues(t, len(want), resp.ContentLength)
			require.True(t, bytes.Equal(want, body))
		}
		return s
	}
	with := func(s apitest.Scenario, name, value string) apitest.Scenario {
		s.Headers[name] = value
		return s
	}
	gone := func(a storedArchive) apitest.Scenario {
		s := get("gone", a, 404)
		s.Check = refusal("ROMA.1007", "", "")
		return s
	}
	play := func(scenarios ...apitest.Scenario) {
		t.Helper()
		apitest.Run(t, d.handler, v, scenarios)
	}

	a := d.addArchive(3 << 20)
	etag := `"` + a.SHA256 + `"`
	require.Equal(t, a.SHA256, fmt.Sprintf("%x", sha256.Sum256(a.data)))
	head := get("HEAD", a, 200)
	head.Method = http.MethodHead
	head.Headers["Range"] = "bytes=5-6" // means nothing here
	head.WantHeaders["Content-Length"], head.WantHeaders["Etag"] = "3145728", etag
	head.WantHeaders["Content-Disposition"] = "attachment; filename=export.zip"
	whole := body(get("whole", a, 200), a.data)
	whole.WantHeaders["Etag"], whole.WantHeaders["Content-Disposition"] = etag, "attachment; filename=export.zip"
	known := with(get("known", a, 304), "If-None-Match", etag)
	known.WantHeaders["Etag"] = etag
	another := with(get("another one is asked for", a, 412), "If-Match", `"abc"`)
	another.WantHeaders["Content-Length"], another.WantHeaders["Etag"] = "*", ""
	another.Check = refusal("ROMA.13000", "", "")
	outside := with(get("outside", a, 416), "Range", "bytes=3145728-")
	outside.WantHeaders["Content-Range"], outside.WantHeaders["Etag"] = "bytes */3145728", ""
	outside.Check = refusal("ROMA.13000", "3145728", "")
	first := with(body(get("a range", a, 206), a.data[5:10]), "Range", "bytes=5-9")
	first.WantHeaders["Content-Range"] = "bytes 5-9/3145728"
	lastOnes := with(with(body(get("the last bytes, if it is still the same", a, 206), a.data[3<<20-7:]), "Range", "bytes=-7"), "If-Range", etag)
	asUUID := get("as a UUID", a, 304)
	asUUID.URL = d.prefix + "/archives/" + a.ID
	asUUID.Headers["If-None-Match"] = etag
	play(head, known, another, outside, first, first, lastOnes, asUUID, whole, gone(a))
	d.requireGone(a)
	headGone := head
	headGone.WantStatus, headGone.WantHeaders = 404, nil
	play(headGone)

	// In ranges, out of order and overlapping; the last one completes it.
	a = d.addArchive(100)
	play(
		with(body(get("end", a, 206), a.data[60:]), "Range", "bytes=60-"),
		with(body(get("beginning", a, 206), a.data[:50]), "Range", "bytes=0-49"),
		with(body(get("in between", a, 206), a.data[40:70]), "Range", "bytes=40-69"), gone(a))
	d.requireGone(a)

	// What is not one range is the whole.
	a = d.addArchive(1000)
	play(with(body(get("several ranges", a, 200), a.data), "Range", "bytes=0-1,5-6"), gone(a))
	a = d.addArchive(1001)
	play(with(with(body(get("range of another one", a, 200), a.data), "Range", "bytes=5-"), "If-Range", `"abc"`), gone(a))

	a = d.addArchive(10)
	refused := func(name, url, token string, status int, code string) apitest.Scenario {
		s := get(name, a, status)
		s.URL, s.Check = url, refusal(code, "", "")
		if s.Headers["X-Auth-Token"] = token; token == "" {
			delete(s.Headers, "X-Auth-Token")
		}
		return s
	}
	other, err := d.catalog.CreateInstance(t.Context(), d.project.ID, "two")
	require.NoError(t, err)
	inOther := strings.Replace(a.path, d.instance.ID, other.ID, 1)
	play(
		refused("not an id", d.prefix+"/archives/latest", modifier.token, 404, "ROMA.1007"),
		refused("unknown", d.prefix+"/archives/"+strings.Repeat("0", 32), modifier.token, 404, "ROMA.1007"),
		refused("of another instance", inOther, modifier.token, 404, "ROMA.1007"),
		refused("not signed in", a.path, "", 401, "APIGW.0301"),
		refused("who may not export", a.path, d.submitter.token, 403, "ROMA.1006"),
		refused("without a role", a.path, d.stranger.token, 404, "ROMA.1007"),
		body(get("still there", a, 200), a.data),
	)
}

// A client that has the last byte finds the archive gone, at once.
func TestArchiveOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := newServer(t, d.handler)
	for i := range 20 {
		a := d.addArchive(1 + i*20_000)
		data, status := d.download(t, server.URL+a.path, "")
		require.Equal(t, 200, status)
		require.True(t, bytes.Equal(a.data, data))
		_, status = d.download(t, server.URL+a.path, "")
		require.Equal(t, 404, status, "archive %d", i)
	}
}

// download gives a body, or 0 as the status where it breaks off.
func (d *deployment) download(t testing.TB, url, ranges string) (data []byte, status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("X-Auth-Token", d.developer.token)
	if ranges != "" {
		r.Header.Set("Range", ranges)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err = io.ReadAll(resp.Body)
	if err != nil {
		return data, 0
	}
	return data, resp.StatusCode
}

// Of many downloads at the same time, each gets the whole, or is refused, or breaks off: never wrong bytes.
func TestArchiveDownloadsAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := newServer(t, d.handler)
	a := d.addArchive(20 << 20)
	var wholes, others int
	var mu sync.Mutex
	var downloads sync.WaitGroup
	for range 6 {
		downloads.Go(func() {
			data, status := d.download(t, server.URL+a.path, "")
			mu.Lock()
			defer mu.Unlock()
			if status == 200 && bytes.Equal(a.data, data) {
				wholes++
				return
			}
			others++
			if status == 0 && !bytes.HasPrefix(a.data, data) || status != 0 && status != 404 {
				t.Errorf("status %d, %d bytes", status, len(data))
			}
		})
	}
	downloads.Wait()
	require.Positive(t, wholes, "%d others", others)
	_, status := d.download(t, server.URL+a.path, "")
	require.Equal(t, 404, status)
	d.requireGone(a)
}

// An interrupted download does not use the archive up; going on where it broke off does.
func TestArchiveInterrupted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := newServer(t, d.handler)
	a := d.addArchive(40 << 20)
	for range 2 {
		conn := connect(t, server)
		_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\n\r\n", a.path, d.developer.token)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, conn, 10<<20)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	data, status := d.download(t, server.URL+a.path, "bytes=9000000-")
	require.Equal(t, 206, status)
	require.True(t, bytes.Equal(a.data[9_000_000:], data))
	require.Eventually(t, func() bool {
		_, status = d.download(t, server.URL+a.path, "bytes=0-0")
		return status == 404
	}, time.Minute, 20*time.Millisecond, "the interrupted part and the rest are the whole")
	d.requireGone(a)
}

// A whole archive fits into the kernel's buffers; that it was sent does not mean that it arrived.
func TestArchiveInterruptedEarly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	d := newDeployment(t)
	server := httptest.NewUnstartedServer(d.handler)
	server.Config.ConnContext = middleware.WithConnection
	server.Start()
	t.Cleanup(server.Close)
	a := d.addArchive(1 << 20)
	for _, read := range []int64{0, 1, 10_000} {
		conn := connect(t, server)
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(32<<10))
		_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\n\r\n", a.path, d.developer.token)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, conn, 500+read)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	data, status := d.download(t, server.URL+a.path, "")
	require.Equal(t, 200, status)
	require.True(t, bytes.Equal(a.data, data))
	_, status = d.download(t, server.URL+a.path, "")
	require.Equal(t, 404, status)
}

// brokenArchives is a store in which an archive cannot be read.
type brokenArchives struct {
	*storage.Store
	key string // where it looks instead
}

func (b brokenArchives) OpenArchive(ctx context.Context, _ string, size int64) *storage.Object {
	return b.Store.OpenArchive(ctx, b.key, size)
}

// forgetful is a catalog that cannot write down what was delivered.
type forgetful struct{ roma.Archives }

func (forgetful) RecordDelivery(context.Context, string, int64, int64) (bool, error) {
	return false, errors.New("away")
}

func TestArchiveFailures(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	v := apitest.Validator(t, roma.Document())
	a := d.addArchive(10)
	get := func(name string, status int, code string) apitest.Scenario {
		s := apitest.Scenario{
			Name: name, Method: http.MethodGet, URL: a.path, WantStatus: status,
			Headers: map[string]string{"X-Auth-Token": d.developer.token}, WantHeaders: map[string]string{"X-Request-Id": "*"},
		}
		if code != "" {
			s.Check = refusal(code, "", "")
			s.WantHeaders["Etag"], s.WantHeaders["Content-Disposition"] = "", ""
		}
		return s
	}
	handler := func() http.Handler { return d.newHandler(middleware.DefaultPace(10 * time.Second)) }

	d.archived = brokenArchives{d.store, storage.ArchiveKey(d.project.ID, "nothing")}
	apitest.Run(t, handler(), v, []apitest.Scenario{get("the object is gone", 404, "ROMA.1007")})

	// An object of another size is never taken for the archive.
	changed := storage.ArchiveKey(d.project.ID, "changed")
	_, _, err := d.store.PutArchive(t.Context(), changed, strings.NewReader("other"))
	require.NoError(t, err)
	d.archived = brokenArchives{d.store, changed}
	apitest.Run(t, handler(), v, []apitest.Scenario{get("the object is another", 500, "ROMA.10010")})

	away := s3Config
	away.Endpoint = "http://127.0.0.1:1"
	store, err := storage.Open(t.Context(), away)
	require.NoError(t, err)
	d.archived = store
	apitest.Run(t, handler(), v, []apitest.Scenario{get("the store is away", 503, "ROMA.10010")})

	d.archived, d.archives = d.store, forgetful{d.catalog}
	apitest.Run(t, handler(), v, []apitest.Scenario{get("not written down", 200, ""), get("so not used up", 200, "")})

	d.archives = d.catalog
	apitest.Run(t, handler(), v, []apitest.Scenario{get("used up", 200, ""), get("gone", 404, "ROMA.1007")})
	_, err = d.catalog.Archive(t.Context(), d.project.ID, d.instance.ID, a.ID)
	require.Equal(t, fault.NotFound, fault.KindOf(err))
}
