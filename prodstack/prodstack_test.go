package prodstack_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
	"assetflow/prodstack"
)

// childEnv makes the test binary a process that starts a stack in the named folder, and waits.
const childEnv = "ASSETFLOW_TEST_PRODSTACK_FOLDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

func child(dir string) int {
	s, err := prodstack.Start(context.Background(), options(dir, 1, 1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, p := range s.Processes() {
		fmt.Fprintln(os.Stdout, p.PID)
	}
	_ = os.Stdout.Close()
	_, _ = io.Copy(io.Discard, os.Stdin)
	panic("as a test that goes wrong")
}

func options(dir string, apis, workers int) prodstack.Options {
	return prodstack.Options{DataDir: dir, Programs: os.Getenv(prodstack.ProgramsVariable), APIs: apis, Workers: workers, Volatile: true}
}

// folder gives a folder that PostgreSQL's own user gets to; that of t.TempDir is closed to others.
func folder(t *testing.T) string {
	t.Helper()
	if os.Getenv(prodstack.ProgramsVariable) == "" {
		t.Skipf("%s does not name the folder of the programs: run `make test-production`", prodstack.ProgramsVariable)
	}
	dir, err := os.MkdirTemp("", "assetflow-production-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func connect(t *testing.T, c prodstack.Credentials) *client.Client {
	t.Helper()
	caller := client.New(client.Config{
		Endpoint: c.Endpoint, ProjectID: c.ProjectID, InstanceID: c.InstanceID, AccessKey: c.AccessKey, SecretKey: c.SecretKey,
	})
	t.Cleanup(caller.Close)
	return caller
}

func imports(t *testing.T, c *client.Client, name string) {
	t.Helper()
	pkg := packagetest.Small(name).Bytes()
	id, err := c.Import(t.Context(), name+".zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	require.NoError(t, err)
	job, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
}

// The programs as they are delivered: started, made more and fewer, stopped, and started again with what they kept.
func TestAStackFromNothing(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s, err := prodstack.Start(t.Context(), options(dir, 2, 3))
	require.NoError(t, err)
	defer s.Stop(context.Background())
	first := s.Credentials()
	imports(t, connect(t, first), "first")
	names := func() (names []string) {
		for _, p := range s.Processes() {
			names = append(names, p.Name)
		}
		return names
	}
	require.Equal(t, []string{"postgresql", "minio", "temporal", "api-1", "api-2", "worker-1", "worker-2", "worker-3"}, names())

	// Nobody is refused while there are fewer, and then more again.
	watching, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- keepAsking(watching, first.Endpoint+"/readyz") }()
	require.NoError(t, s.Scale(t.Context(), 1, 1))
	require.Equal(t, []string{"postgresql", "minio", "temporal", "api-1", "worker-1"}, names())
	imports(t, connect(t, first), "fewer")
	require.NoError(t, s.Scale(t.Context(), 2, 2))
	stop()
	require.NoError(t, <-watched)
	require.NoError(t, s.Err())

	_, err = prodstack.Start(t.Context(), options(dir, 1, 1))
	require.ErrorContains(t, err, "is in use by process")
	s.Stop(t.Context())
	require.NoError(t, s.Err())
	_, err = net.Dial("tcp", strings.TrimPrefix(first.Endpoint, "http://"))
	require.Error(t, err)

	again, err := prodstack.Start(t.Context(), options(dir, 1, 1))
	require.NoError(t, err)
	defer again.Stop(context.Background())
	second := again.Credentials()
	require.Equal(t, first.SecretKey, second.SecretKey)
	page, err := connect(t, second).ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	require.Len(t, page.Assets, 10)
	imports(t, connect(t, second), "again")
}

// keepAsking makes one request after the other; an error is the first that was not answered with 200.
func keepAsking(ctx context.Context, url string) error {
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err != nil {
			continue
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("answered with %s", answer.Status)
		}
	}
	return nil
}

// Whatever becomes of who started it, no process stays.
func TestNothingStaysBehindAPanic(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	out, err := io.ReadAll(stdout)
	require.NoError(t, err)
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		var pid int
		_, err := fmt.Sscan(field, &pid)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, 0), "it runs")
		pids = append(pids, pid)
	}
	require.NoError(t, stdin.Close())
	require.Error(t, cmd.Wait())
	require.Contains(t, complaint.String(), "as a test that goes wrong")
	require.Len(t, pids, 5, complaint.String())
	for _, pid := range pids {
		require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, 2*time.Minute, 50*time.Millisecond)
	}
}

// A program that ends is told, with what it wrote last.
func TestAProcessThatEnds(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := options(dir, 1, 1)
	o.Worker = []string{"/bin/sh", "-c", "echo the reason; exit 3"}
	_, err := prodstack.Start(t.Context(), o)
	require.ErrorContains(t, err, "worker-1 ended by itself (exit status 3)")
	require.ErrorContains(t, err, "the reason")
}
