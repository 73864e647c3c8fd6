package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
	"assetflow/fault"
)

// serving is a server that runs until stop.
type serving struct {
	t    *testing.T
	addr string
	stop context.CancelFunc
	done chan error
}

func startServing(t *testing.T, h http.HandlerFunc, end Shutdown) *serving {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	s := &serving{t: t, addr: ln.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { s.done <- Serve(ctx, ln, h, slog.New(slog.DiscardHandler), end) }()
	t.Cleanup(stop)
	return s
}

func (s *serving) get() (string, error) {
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.addr, nil)
	if err != nil {
		return "", err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func (s *serving) wait() {
	s.t.Helper()
	select {
	case err := <-s.done:
		require.NoError(s.t, err)
	case <-time.After(time.Minute):
		require.Fail(s.t, "Serve does not end")
	}
}

type answer struct {
	body string
	err  error
}

func TestServeDrains(t *testing.T) {
	t.Parallel()
	inside, goOn := make(chan struct{}), make(chan struct{})
	s := startServing(t, func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-goOn
		_, _ = fmt.Fprint(w, "finished ", r.Context().Err())
	}, Shutdown{Drain: time.Minute})
	answers := make(chan answer, 1)
	go func() {
		body, err := s.get()
		answers <- answer{body, err}
	}()
	<-inside
	s.stop()
	require.Eventually(t, func() bool { // no new connections
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, 30*time.Second, 5*time.Millisecond)
	close(goOn)
	a := <-answers
	require.NoError(t, a.err)
	require.Equal(t, "finished <nil>", a.body)
	s.wait()
}

// Before the listener closes the end is announced: by /readyz, and to every client by the end of its connection.
func TestServeAnnouncesItsEnd(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	h := New(Options{Logger: slog.New(slog.DiscardHandler)})
	go func() { done <- Serve(ctx, ln, h, nil, Shutdown{Delay: time.Hour}) }()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	answers := bufio.NewReader(conn)
	ask := func(path string) *http.Response {
		_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		require.NoError(t, err)
		resp, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		return resp
	}
	resp := ask(pathReady)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.False(t, resp.Close)
	stop()
	resp = ask(pathReady) // the same connection still serves
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.True(t, resp.Close, "the client is told not to use the connection again")
	_, err = answers.ReadByte()
	require.ErrorIs(t, err, io.EOF, "it is closed")
	require.NoError(t, ln.Close())
	require.Error(t, <-done)
}

// At the end of the drain an upload is answered, and what merely waits gives up waiting.
func TestServeTellsRequestsToEnd(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			inside, waited := make(chan struct{}, 2), make(chan error, 1)
			s := startServing(t, middleware.SlowClients(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					ctx, cancel := middleware.UntilLast(r.Context())
					defer cancel()
					inside <- struct{}{}
					<-ctx.Done()
					waited <- r.Context().Err()
					return
				}
				buffer := make([]byte, 3)
				_, err := io.ReadFull(r.Body, buffer)
				require.NoError(t, err)
				inside <- struct{}{}
				_, err = io.Copy(io.Discard, r.Body)
				require.Equal(t, fault.Unavailable, fault.KindOf(err))
				http.Error(w, fault.CodeOf(err), http.StatusServiceUnavailable)
			}), middleware.DefaultPace(time.Minute)).ServeHTTP, Shutdown{Drain: 100 * time.Millisecond, answer: time.Minute})
			go func() { _, _ = s.get() }()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n3\r\nabc\r\n", encoding)
			require.NoError(t, err)
			<-inside
			<-inside
			s.stop()
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
			require.True(t, resp.Close)
			require.Equal(t, middleware.CodeStopping, strings.TrimSpace(string(body)))
			require.NoError(t, conn.Close())
			require.NoError(t, <-waited, "the request itself was not cut off")
			s.wait()
		})
	}
}

// What does not finish in time is cut off, and its handler may tidy up before Serve returns.
func TestServeCutsOff(t *testing.T) {
	t.Parallel()
	inside := make(chan struct{})
	tidied := false
	s := startServing(t, func(_ http.ResponseWriter, r *http.Request) {
		close(inside)
		<-r.Context().Done()
		<-time.After(200 * time.Millisecond)
		tidied = true
	}, Shutdown{Drain: 100 * time.Millisecond, answer: time.Millisecond, abort: time.Minute})
	answers := make(chan answer, 1)
	go func() {
		body, err := s.get()
		answers <- answer{body, err}
	}()
	<-inside
	start := time.Now()
	s.stop()
	s.wait()
	require.True(t, tidied)
	require.Less(t, time.Since(start), 30*time.Second)
	require.Error(t, (<-answers).err)
}

// A handler that heeds nothing does not hold up the end.
func TestServeGivesUp(t *testing.T) {
	t.Parallel()
	inside, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	s := startServing(t, func(http.ResponseWriter, *http.Request) {
		close(inside)
		<-never
	}, Shutdown{Drain: 50 * time.Millisecond, answer: 50 * time.Millisecond, abort: 50 * time.Millisecond})
	go func() { _, _ = s.get() }()
	<-inside
	s.stop()
	s.wait()
}

func TestServeListenerFails(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.Error(t, Serve(t.Context(), ln, http.NotFoundHandler(), nil, Shutdown{}))
}

// Headers far beyond the limit are cut off by the server itself.
func TestServeHeaderLimit(t *testing.T) {
	t.Parallel()
	s := startServing(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "in") }, Shutdown{})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	go func() {
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", 1<<20))
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
	s.stop()
	s.wait()
}
