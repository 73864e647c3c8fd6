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
)

// serving is a server that runs until stop.
type serving struct {
	t    *testing.T
	addr string
	stop context.CancelFunc
	done chan error
}

func startServing(t *testing.T, h http.HandlerFunc, drain, abort time.Duration) *serving {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	s := &serving{t: t, addr: ln.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { s.done <- serve(ctx, ln, h, slog.New(slog.DiscardHandler), drain, abort) }()
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
	}, time.Minute, time.Second)
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
	}, 100*time.Millisecond, time.Minute)
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
	}, 50*time.Millisecond, 50*time.Millisecond)
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
	require.Error(t, Serve(t.Context(), ln, http.NotFoundHandler(), nil))
}

// Headers far beyond the limit are cut off by the server itself.
func TestServeHeaderLimit(t *testing.T) {
	t.Parallel()
	s := startServing(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "in") }, time.Second, time.Second)
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
