package roma_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
	"assetflow/auth/signature"
	"assetflow/fault"
	"assetflow/jobs"
)

// signBody signs a request that declares the hash of body.
func signBody(t *testing.T, r *http.Request, body string, c caller) {
	t.Helper()
	sum := sha256.Sum256([]byte(body))
	r.Header.Set(signature.PayloadHeader, hex.EncodeToString(sum[:]))
	require.NoError(t, signature.Sign(r, c.accessKey, c.secretKey, time.Now()))
}

func connect(t *testing.T, server *httptest.Server) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(2*time.Minute)))
	return conn
}

func (d *deployment) writeHead(conn net.Conn, length int, extra string) {
	d.t.Helper()
	_, err := fmt.Fprintf(conn, "POST %s/import HTTP/1.1\r\nHost: x\r\nX-Auth-Token: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n",
		d.prefix, d.developer.token, formType, length, extra)
	require.NoError(d.t, err)
}

func readAnswer(t *testing.T, conn net.Conn) (*http.Response, []byte) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, body
}

// largeDeployment takes packages of several parts, so that a break leaves a multipart upload to clean up.
func largeDeployment(t *testing.T, pace middleware.Pace) (*deployment, *httptest.Server) {
	t.Helper()
	d := newDeployment(t)
	d.maxUpload = 1 << 30
	d.handler = d.newHandler(pace)
	return d, newServer(t, d.handler)
}

// waitStaging waits until an upload has got as far as the store.
func (d *deployment) waitStaging() {
	d.t.Helper()
	require.Eventually(d.t, func() bool { return len(d.staged()) > 0 }, time.Minute, 10*time.Millisecond)
}

func TestBrokenUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	body := form(packagePart("shop.zip", strings.Repeat("0123456789abcdef", 3<<20))) // 48 MiB
	for _, tc := range []struct {
		name  string
		leave func(net.Conn) error
	}{
		{"the client disappears", func(c net.Conn) error {
			_ = c.(*net.TCPConn).SetLinger(0)
			return c.Close()
		}},
		{"the client ends the body early", func(c net.Conn) error { return c.(*net.TCPConn).CloseWrite() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d, server := largeDeployment(t, middleware.DefaultPace(30*time.Second))
			conn := connect(t, server)
			d.writeHead(conn, len(body), "")
			_, err := io.WriteString(conn, body[:len(body)*3/4])
			require.NoError(t, err)
			d.waitStaging()
			require.NoError(t, tc.leave(conn))
			require.Eventually(t, func() bool { return len(d.staged()) == 0 }, time.Minute, 20*time.Millisecond)
			require.Empty(t, d.jobs.started)
		})
	}
}

func TestTruncatedUploadIsAnswered(t *testing.T) {
	t.Parallel()
	d, server := largeDeployment(t, middleware.DefaultPace(30*time.Second))
	body := form(packagePart("shop.zip", content))
	conn := connect(t, server)
	d.writeHead(conn, len(body), "")
	_, err := io.WriteString(conn, body[:len(body)-10])
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	resp, answer := readAnswer(t, conn)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	refusal("ROMA.13000", "closing boundary", "")(t, resp, answer)
	d.requireNothingStaged()
}

func TestStalledUploadIsCut(t *testing.T) {
	t.Parallel()
	pace := middleware.DefaultPace(500 * time.Millisecond)
	d, server := largeDeployment(t, pace)
	body := form(packagePart("shop.zip", strings.Repeat("0123456789abcdef", 3<<20)))
	conn := connect(t, server)
	d.writeHead(conn, len(body), "")
	_, err := io.WriteString(conn, body[:len(body)/2])
	require.NoError(t, err)
	resp, answer := readAnswer(t, conn)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	refusal("ROMA.13000", "too slowly", "")(t, resp, answer)
	d.requireNothingStaged()
	require.Empty(t, d.jobs.started)
}

// A refusal that needs nothing of the body reaches a client before it has sent any of it.
func TestRefusedBeforeTheBody(t *testing.T) {
	t.Parallel()
	d, server := largeDeployment(t, middleware.DefaultPace(time.Hour)) // an answer that waited for the body would not come
	d.jobs.running = jobs.NewID()
	t.Run("the client waits for 100 Continue", func(t *testing.T) {
		conn := connect(t, server)
		d.writeHead(conn, 1<<29, "Expect: 100-continue\r\n")
		resp, answer := readAnswer(t, conn)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		require.Contains(t, string(answer), "ROMA.10012")
		require.True(t, resp.Close)
	})
	t.Run("the client waits for nothing", func(t *testing.T) {
		conn := connect(t, server)
		d.writeHead(conn, 1<<29, "")
		resp, answer := readAnswer(t, conn)
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		require.Contains(t, string(answer), "ROMA.10012")
		require.True(t, resp.Close)
	})
	t.Run("an ordinary client sends all it can", func(t *testing.T) {
		body := form(packagePart("shop.zip", strings.Repeat("x", 8<<20)))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.prefix+"/import", strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("X-Auth-Token", d.developer.token)
		r.Header.Set("Content-Type", formType)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})
	d.requireNothingStaged()
}

func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	server := newServer(t, d.handler)
	var winner string
	d.jobs.starting = func(sub jobs.ImportSubmission) error {
		if winner == "" {
			winner = sub.JobID
			return nil
		}
		return fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(winner)
	}
	statuses := make([]int, 50)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			body := form(packagePart("shop.zip", strings.Repeat("x", 64<<10)))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.prefix+"/import", strings.NewReader(body))
			if err != nil {
				return
			}
			r.Header.Set("X-Auth-Token", d.developer.token)
			r.Header.Set("Content-Type", formType)
			resp, err := server.Client().Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			statuses[i] = resp.StatusCode
		})
	}
	wg.Wait()
	counts := map[int]int{}
	for _, s := range statuses {
		counts[s]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusForbidden: 49}, counts)
	require.Len(t, d.jobs.started, 1)
	require.Equal(t, []string{d.jobs.started[0].Staged.Key}, d.staged())
}

// S3 away: the caller is told so, not blamed, and the cause stays inside.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.staging = awayStaging{}
	server := newServer(t, d.newHandler(middleware.DefaultPace(10*time.Second)))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.prefix+"/import",
		strings.NewReader(form(packagePart("shop.zip", content))))
	require.NoError(t, err)
	r.Header.Set("X-Auth-Token", d.developer.token)
	r.Header.Set("Content-Type", formType)
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	refusal("ROMA.10010", "", "")(t, resp, answer)
	require.NotContains(t, string(answer), "secret")
}
