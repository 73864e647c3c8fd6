package devstack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
	"assetflow/devstack"
	"assetflow/replication"
)

// The stacks of these tests run one after the other: a process can have one embedded S3 server.

func start(t *testing.T, opts devstack.Options) *devstack.Stack {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	begin := time.Now()
	s, err := devstack.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, s) })
	t.Logf("ready after %s", time.Since(begin))
	return s
}

func stop(t *testing.T, s *devstack.Stack) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
}

func TestStartAndStartAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	here, err := os.Getwd()
	require.NoError(t, err)
	first := start(t, devstack.Options{DataDir: dir, Region: "region-b"})
	before := first.Credentials()

	t.Run("ready", func(t *testing.T) {
		requireReady(t, first)
		require.NoError(t, first.Err())
		page, err := http.Get(before.TemporalUI)
		require.NoError(t, err)
		defer page.Body.Close()
		require.Equal(t, http.StatusOK, page.StatusCode)
		require.Contains(t, page.Header.Get("Content-Type"), "text/html")
	})
	t.Run("credentials.json", func(t *testing.T) {
		text := readSecret(t, dir, "credentials.json")
		var file map[string]string
		require.NoError(t, json.Unmarshal(text, &file))
		require.Equal(t, []string{
			"access_key", "domain", "endpoint", "instance_id", "password", "project_id", "s3_endpoint", "secret_key",
			"temporal_ui", "user",
		}, slices.Sorted(maps.Keys(file)))
		require.NotContains(t, slices.Collect(maps.Values(file)), "")
		require.Equal(t, file, asMap(t, before))
		require.Equal(t, "admin", before.User)
		require.Equal(t, "assetflow", before.Domain)
		require.NoFileExists(t, filepath.Join(dir, "first-start.json"))
	})
	t.Run("keys are their owner's only", func(t *testing.T) {
		readSecret(t, dir, "master.key")
		require.NotContains(t, string(readSecret(t, dir, "s3-root.json")), before.AccessKey)
		ring, err := replication.ParseKeyRing(strings.TrimSpace(string(readSecret(t, dir, "key-ring.json"))))
		require.NoError(t, err)
		require.Equal(t, []string{"dev"}, ring.IDs())
		require.Equal(t, "dev", first.KeyRing().Primary())
		info, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	})
	t.Run("password and key work", func(t *testing.T) { requireAccess(t, before) })
	t.Run("the folder is in use", func(t *testing.T) {
		_, err := devstack.Start(t.Context(), devstack.Options{DataDir: dir})
		var locked *devstack.LockedError
		require.ErrorAs(t, err, &locked)
		require.Equal(t, os.Getpid(), locked.PID)
		require.ErrorContains(t, err, dir)
		requireReady(t, first)
	})

	jobID := submit(t, before)
	waitSucceeded(t, before, jobID)
	begin := time.Now()
	stop(t, first)
	t.Logf("stopped after %s", time.Since(begin))
	require.NoError(t, first.Err(), "a stop is no failure")
	_, err = http.Get(before.Endpoint + "/healthz")
	require.Error(t, err)
	now, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, here, now)

	// Other ports, another key ring, the same everything else.
	ownRing := readSecret(t, dir, "key-ring.json")
	second := start(t, devstack.Options{DataDir: dir, Region: "region-b", KeyRing: replication.GenerateKeyRing("shared")})
	require.Equal(t, "shared", second.KeyRing().Primary())
	require.Equal(t, ownRing, readSecret(t, dir, "key-ring.json"), "it stays the folder's")
	after := second.Credentials()
	require.NotEqual(t, before.Endpoint, after.Endpoint)
	require.Equal(t, withoutAddresses(before), withoutAddresses(after))
	var file map[string]string
	require.NoError(t, json.Unmarshal(readSecret(t, dir, "credentials.json"), &file))
	require.Equal(t, file, asMap(t, after))
	requireReady(t, second)
	requireAccess(t, after)
	waitSucceeded(t, after, jobID)
}

func TestRunningJobGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	first := start(t, devstack.Options{DataDir: dir, NoWorker: true, NoUI: true})
	require.Empty(t, first.Credentials().TemporalUI)
	jobID := submit(t, first.Credentials())
	job, err := newClient(first.Credentials()).Job(t.Context(), jobID)
	require.NoError(t, err)
	require.Equal(t, client.Running, job.Status)
	stop(t, first)

	second := start(t, devstack.Options{DataDir: dir, NoUI: true})
	waitSucceeded(t, second.Credentials(), jobID)
}

func TestStopDrains(t *testing.T) {
	dir := t.TempDir()
	s := start(t, devstack.Options{DataDir: dir, NoWorker: true, NoUI: true})
	content := packagetest.Small("drained").Bytes()

	// One upload finishes after Stop began, the other never moves again.
	finishing, stuck := newHalfRead(content), newHalfRead(content)
	results := make(chan error, 1)
	go func() {
		_, err := newClient(s.Credentials()).Import(context.Background(), "drained.zip", finishing, int64(len(content)), client.ImportOptions{})
		results <- err
	}()
	stuckResult := make(chan error, 1)
	go func() {
		_, err := newClient(s.Credentials()).Import(context.Background(), "stuck.zip", stuck, int64(len(content)), client.ImportOptions{})
		stuckResult <- err
	}()
	<-finishing.half
	<-stuck.half
	stopped := make(chan error, 1)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { stopped <- s.Stop(ctx) }()
	require.Eventually(t, func() bool { // it takes no more
		conn, err := net.Dial("tcp", s.Credentials().Endpoint[len("http://"):])
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 5*time.Second, 10*time.Millisecond)
	close(finishing.goOn)
	require.NoError(t, <-results)
	require.NoError(t, <-stopped)
	t.Logf("stopped after %s", time.Since(begin))
	close(stuck.goOn)
	require.Error(t, <-stuckResult)

	// What was cut off has left nothing; what was accepted waits for a worker.
	s = start(t, devstack.Options{DataDir: dir, NoWorker: true, NoUI: true})
	var staged []string
	for object, err := range s.Storage().ListStaged(t.Context(), "") {
		require.NoError(t, err)
		staged = append(staged, object.Key)
	}
	require.Len(t, staged, 1)
	for upload, err := range s.Storage().ListUnfinishedUploads(t.Context(), "") {
		require.NoError(t, err)
		require.Fail(t, "an unfinished upload is left", upload.Key)
	}
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for part, opts := range map[devstack.Part]devstack.Options{
		devstack.HTTP:     {HTTPAddr: taken.Addr().String()},
		devstack.Temporal: {TemporalAddr: taken.Addr().String()},
		devstack.UI:       {UIAddr: taken.Addr().String()},
		devstack.S3:       {S3Addr: taken.Addr().String()},
	} {
		t.Run("a taken address for "+string(part), func(t *testing.T) {
			opts.DataDir = t.TempDir()
			_, err := devstack.Start(t.Context(), opts)
			var address *devstack.AddressError
			require.ErrorAs(t, err, &address)
			require.Equal(t, part, address.Part)
			require.ErrorContains(t, err, taken.Addr().String())
			require.ErrorContains(t, err, "is taken")
			require.NoFileExists(t, filepath.Join(opts.DataDir, "catalog.db"), "nothing was started")
		})
	}
	t.Run("an address that is none", func(t *testing.T) {
		_, err := devstack.Start(t.Context(), devstack.Options{DataDir: t.TempDir(), S3Addr: "nine thousand"})
		var address *devstack.AddressError
		require.ErrorAs(t, err, &address)
		require.Equal(t, devstack.S3, address.Part)
		require.ErrorContains(t, err, `"nine thousand", cannot be used`)
	})
	t.Run("one address for two parts", func(t *testing.T) {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, free.Close())
		_, err = devstack.Start(t.Context(), devstack.Options{
			DataDir: t.TempDir(), HTTPAddr: free.Addr().String(), UIAddr: free.Addr().String(),
		})
		var address *devstack.AddressError
		require.ErrorAs(t, err, &address)
		require.Equal(t, devstack.UI, address.Part)
	})
	t.Run("a folder without its master key", func(t *testing.T) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "catalog.db"), nil, 0o600))
		_, err := devstack.Start(t.Context(), devstack.Options{DataDir: dir})
		require.ErrorContains(t, err, "master.key is missing")
	})
	t.Run("a key ring that is none", func(t *testing.T) {
		_, err := devstack.Start(t.Context(), devstack.Options{DataDir: t.TempDir(), KeyRing: "{}"})
		require.ErrorContains(t, err, "key ring")
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "key-ring.json"), []byte("{"), 0o600))
		_, err = devstack.Start(t.Context(), devstack.Options{DataDir: dir})
		require.ErrorContains(t, err, "key ring")
	})
	t.Run("when its context has ended, and leaves nothing running", func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := devstack.Start(ctx, devstack.Options{DataDir: dir, Logger: slog.New(slog.DiscardHandler)})
		require.ErrorIs(t, err, context.Canceled)
		requireReady(t, start(t, devstack.Options{DataDir: dir, NoUI: true}))
	})
}

func requireReady(t *testing.T, s *devstack.Stack) {
	t.Helper()
	for path, want := range map[string]string{
		"/healthz": `{"status":"ok"}`,
		"/readyz":  `{"status":"ok","checks":{"database":"ok","s3":"ok","temporal":"ok"}}`,
	} {
		res, err := http.Get(s.Credentials().Endpoint + path)
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, string(body))
		require.JSONEq(t, want, string(body))
	}
}

// requireAccess checks that the password gets a token, and that token and access key may list assets.
func requireAccess(t *testing.T, c devstack.Credentials) {
	t.Helper()
	_, err := newClient(c).ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	token, _, err := newClient(c).Login(t.Context(), c.Domain, c.User, c.Password, c.ProjectID)
	require.NoError(t, err)
	withToken := client.New(client.Config{Endpoint: c.Endpoint, ProjectID: c.ProjectID, InstanceID: c.InstanceID, Token: token})
	_, err = withToken.ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
}

func newClient(c devstack.Credentials) *client.Client {
	return client.New(client.Config{
		Endpoint: c.Endpoint, ProjectID: c.ProjectID, InstanceID: c.InstanceID, AccessKey: c.AccessKey, SecretKey: c.SecretKey,
	})
}

func submit(t *testing.T, c devstack.Credentials) string {
	t.Helper()
	content := packagetest.Small("shop").Bytes()
	id, err := newClient(c).Import(t.Context(), "shop.zip", bytes.NewReader(content), int64(len(content)), client.ImportOptions{})
	require.NoError(t, err)
	return id
}

func waitSucceeded(t *testing.T, c devstack.Credentials, jobID string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	job, err := newClient(c).WaitJob(ctx, jobID, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status, job.Reasons)
}

func readSecret(t *testing.T, dir, name string) []byte {
	t.Helper()
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), name)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}

func asMap(t *testing.T, c devstack.Credentials) map[string]string {
	t.Helper()
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var m map[string]string
	require.NoError(t, json.Unmarshal(text, &m))
	return m
}

func withoutAddresses(c devstack.Credentials) devstack.Credentials {
	c.Endpoint, c.TemporalUI, c.S3Endpoint = "", "", ""
	return c
}

// halfRead gives half of its content, and the rest when it may go on.
type halfRead struct {
	content    []byte
	read       int
	half, goOn chan struct{}
}

func newHalfRead(content []byte) *halfRead {
	return &halfRead{content: content, half: make(chan struct{}), goOn: make(chan struct{})}
}

func (h *halfRead) Read(p []byte) (int, error) {
	end := len(h.content) / 2
	switch {
	case h.read == len(h.content):
		return 0, io.EOF
	case h.read == end:
		close(h.half)
		<-h.goOn
		fallthrough
	case h.read > end:
		end = len(h.content)
	}
	n := copy(p, h.content[h.read:end])
	h.read += n
	return n, nil
}
