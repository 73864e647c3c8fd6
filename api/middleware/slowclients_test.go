package middleware_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
	"assetflow/fault"
)

var testPace = middleware.Pace{
	Window: 300 * time.Millisecond, MinBytes: 1000, WriteWindow: 1500 * time.Millisecond,
	LingerBytes: 4 << 20, LingerTime: time.Second,
}

// dial starts a server for h and gives a plain connection to it.
func dial(t *testing.T, pace middleware.Pace, h http.HandlerFunc) net.Conn {
	t.Helper()
	server := httptest.NewServer(middleware.SlowClients(h, pace))
	t.Cleanup(server.Close)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

func write(t *testing.T, conn net.Conn, format string, args ...any) {
	t.Helper()
	_, err := fmt.Fprintf(conn, format, args...)
	require.NoError(t, err)
}

func readAnswer(t *testing.T, r *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, string(body)
}

// countBody answers with the number of bytes it read, or with the fault's code.
func countBody(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, fault.CodeOf(err), http.StatusBadRequest)
		return
	}
	_, _ = fmt.Fprint(w, n)
}

func TestStalledBodyIsCut(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, testPace, countBody)
			write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n3\r\nabc\r\n", encoding)
			r := bufio.NewReader(conn)
			resp, body := readAnswer(t, r)
			require.Equal(t, http.StatusBadRequest, resp.StatusCode)
			require.Equal(t, middleware.CodeBodyStalled, strings.TrimSpace(body))
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF, "the connection is closed")
		})
	}
}

// Some bytes now and then are not progress.
func TestDrippingBodyIsCut(t *testing.T) {
	t.Parallel()
	conn := dial(t, testPace, countBody)
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	stop := make(chan struct{})
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := conn.Write([]byte("0123456789")); err != nil { // 150 bytes per window
					return
				}
			case <-stop:
				return
			}
		}
	}()
	defer close(stop)
	resp, body := readAnswer(t, bufio.NewReader(conn))
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Equal(t, middleware.CodeBodyStalled, strings.TrimSpace(body))
}

// Twice the least pace, for several windows.
func TestSlowBodyGoesOn(t *testing.T) {
	t.Parallel()
	pace := testPace
	pace.Window = 5 * time.Second // long enough that a busy machine does not look like a slow client
	conn := dial(t, pace, countBody)
	const pieces, piece = 24, 100
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", pieces*piece)
	start := time.Now()
	tick := time.NewTicker(pace.Window / 20)
	defer tick.Stop()
	for range pieces {
		<-tick.C
		write(t, conn, "%s", strings.Repeat("x", piece))
	}
	resp, body := readAnswer(t, bufio.NewReader(conn))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Equal(t, fmt.Sprint(pieces*piece), body)
	require.Greater(t, time.Since(start), pace.Window, "the test must take longer than a window to say anything")
}

// Time that the handler takes is not held against the client.
func TestSlowHandlerIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	busy := make(chan struct{})
	conn := dial(t, testPace, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 10))
		close(busy)
		<-time.After(4 * testPace.Window) // a store that takes its time
		countBody(w, r)
	})
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n0123456789")
	<-busy
	write(t, conn, "0123456789")
	resp, body := readAnswer(t, bufio.NewReader(conn))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Equal(t, "10", body)
}

// A refusal before the body is read reaches a client that waits for "100 Continue": no body is asked for.
func TestRefusalBeforeContinue(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{1000, 5_000_000_000} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			t.Parallel()
			pace := testPace
			pace.Window, pace.LingerTime = time.Hour, time.Hour // what waited for the body would not come
			conn := dial(t, pace, func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "no", http.StatusForbidden)
			})
			write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", length)
			r := bufio.NewReader(conn)
			resp, _ := readAnswer(t, r)
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
			require.True(t, resp.Close)
			_, err := r.ReadByte()
			require.ErrorIs(t, err, io.EOF, "it is not waited for a body that nobody sends")
		})
	}
}

func TestContinueIsSentWhenTheBodyIsWanted(t *testing.T) {
	t.Parallel()
	pace := testPace
	pace.Window = 30 * time.Second // nobody is slow here
	conn := dial(t, pace, countBody)
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	write(t, conn, "abc")
	_, body := readAnswer(t, r)
	require.Equal(t, "3", body)
}

// A client that sends all before it reads still finds the answer, and one that would send 5 GB is not read to the end.
func TestUnwantedBody(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }
	t.Run("sent first", func(t *testing.T) {
		t.Parallel()
		const size = 24 << 20 // more than the connection's buffers take
		pace := testPace
		pace.LingerBytes, pace.LingerTime = 2*size, 10*time.Second
		conn := dial(t, pace, refuse)
		write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)
		_, err := io.Copy(conn, io.LimitReader(zeros{}, size))
		require.NoError(t, err)
		resp, body := readAnswer(t, bufio.NewReader(conn))
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
		require.Equal(t, "no\n", body)
		require.True(t, resp.Close)
	})
	t.Run("endless", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, testPace, refuse)
		write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n")
		sent, err := io.Copy(conn, zeros{})
		require.Error(t, err, "the server closes")
		require.Less(t, sent, int64(100<<20))
	})
	t.Run("answered at once", func(t *testing.T) {
		t.Parallel()
		pace := testPace
		pace.Window = time.Hour // an answer that waited for the body would not come
		conn := dial(t, pace, refuse)
		write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
		resp, _ := readAnswer(t, bufio.NewReader(conn))
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})
	t.Run("small: the connection stays", func(t *testing.T) {
		t.Parallel()
		pace := testPace
		pace.Window = 30 * time.Second // nobody is slow here
		conn := dial(t, pace, refuse)
		r := bufio.NewReader(conn)
		for range 3 {
			write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%s", strings.Repeat("x", 1000))
			resp, _ := readAnswer(t, r)
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
			require.False(t, resp.Close)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A client that takes nothing of its answer does not hold the handler for ever.
func TestStalledAnswerIsCut(t *testing.T) {
	t.Parallel()
	result := make(chan error, 1)
	conn := dial(t, testPace, func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.Copy(w, io.LimitReader(zeros{}, 1<<30))
		result <- err
	})
	write(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	select {
	case err := <-result:
		var netErr net.Error
		require.True(t, errors.As(err, &netErr) && netErr.Timeout(), "%v", err)
	case <-time.After(time.Minute):
		require.Fail(t, "the handler still writes")
	}
}

// An answer of any size reaches a client that takes it slowly.
func TestSlowAnswerGoesOn(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB in one Write
	pace := testPace
	pace.WriteWindow = 3 * time.Second // long enough that a busy machine does not look like a slow client
	conn := dial(t, pace, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(64<<10))
	write(t, conn, "GET / HTTP/1.0\r\n\r\n")
	start := time.Now()
	var got bytes.Buffer
	buf := make([]byte, 256<<10)
	for {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if time.Since(start) < 2*pace.WriteWindow {
			<-time.After(30 * time.Millisecond)
		}
	}
	require.True(t, bytes.HasSuffix(got.Bytes(), content), "got %d bytes", got.Len())
	require.Greater(t, time.Since(start), pace.WriteWindow, "the test must take longer than a window to say anything")
}

// After a request with a body, the next one on the connection is not held to the deadline of the first.
func TestDeadlinesEndWithTheRequest(t *testing.T) {
	t.Parallel()
	conn := dial(t, testPace, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select { // a handler that works on after the body must not lose its context
		case <-r.Context().Done():
			http.Error(w, "gone", http.StatusInternalServerError)
		case <-time.After(2 * testPace.Window):
			_, _ = fmt.Fprint(w, "ok")
		}
	})
	r := bufio.NewReader(conn)
	for range 2 {
		write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
		resp, body := readAnswer(t, r)
		require.Equal(t, http.StatusOK, resp.StatusCode, body)
		<-time.After(2 * testPace.Window)
	}
}

// A request whose body has come may take longer than a window: nothing is expected of the client any more.
func TestTheAnswerMayTakeLong(t *testing.T) {
	t.Parallel()
	conn := dial(t, testPace, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			http.Error(w, "cut", http.StatusInternalServerError)
		case <-time.After(3 * testPace.Window):
			_, _ = fmt.Fprint(w, "whole")
		}
	})
	write(t, conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	_, body := readAnswer(t, bufio.NewReader(conn))
	require.Equal(t, "whole", body)
}
