package replication

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
)

const query = "?X-Amz-Signature=very-secret"

// source is a server whose first answers are those that are given, and which then serves the content as S3 does.
func source(t *testing.T, content []byte, first ...http.HandlerFunc) (url string, fetcher *Fetcher, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(asked.Add(1)); n <= len(first) {
			first[n-1](w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(server.Close)
	sources, err := NewSources([]string{server.URL})
	require.NoError(t, err)
	fetcher = NewFetcher(sources, 0)
	fetcher.pause = time.Millisecond
	t.Cleanup(fetcher.client.CloseIdleConnections)
	return server.URL + "/f" + query, fetcher, asked
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// half breaks the connection after n bytes of what is asked for.
func half(content []byte, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var off, last int
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &off, &last)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, last, len(content)))
		w.Header().Set("Content-Length", fmt.Sprint(last-off+1))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content[off : off+n])
		panic(http.ErrAbortHandler)
	}
}

func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 / 3)
	}
	return b
}

func TestFetchARange(t *testing.T) {
	t.Parallel()
	content := text(300_000)
	url, f, asked := source(t, content)
	for _, at := range [][2]int{{0, 300_000}, {0, 1}, {299_999, 1}, {1000, 200_000}, {5, 0}} {
		into := make([]byte, at[1])
		require.NoError(t, f.Fetch(t.Context(), url, int64(at[0]), 300_000, into))
		require.Equal(t, content[at[0]:at[0]+at[1]], into)
	}
	require.EqualValues(t, 4, asked.Load(), "nothing is not asked for")
	r := f.Open(t.Context(), url, 300_000)
	all, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, content, all)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.ErrorContains(t, err, "closed")
}

// What came before a connection broke is not asked for again, and servers that do not answer are asked again.
func TestFetchGoesOn(t *testing.T) {
	t.Parallel()
	content := text(100_000)
	url, f, asked := source(t, content, status(503), half(content, 40_000), status(500), status(429), half(content, 0), half(content, 10_000))
	into := make([]byte, len(content))
	require.NoError(t, f.Fetch(t.Context(), url, 0, int64(len(content)), into))
	require.Equal(t, content, into)
	require.EqualValues(t, 7, asked.Load())
}

func TestFetchGivesUp(t *testing.T) {
	t.Parallel()
	away := make([]http.HandlerFunc, 20)
	for i := range away {
		away[i] = status(502)
	}
	url, f, asked := source(t, nil, away...)
	err := f.Fetch(t.Context(), url, 0, 10, make([]byte, 10))
	requireFault(t, err, fault.Unavailable, "replication.source_unavailable")
	require.EqualValues(t, fetchTries, asked.Load())

	// Nobody listens.
	server := httptest.NewServer(nil)
	sources, err := NewSources([]string{server.URL})
	require.NoError(t, err)
	server.Close()
	f = NewFetcher(sources, 0)
	f.pause = time.Millisecond
	requireFault(t, f.Fetch(t.Context(), server.URL+"/f"+query, 0, 10, make([]byte, 10)), fault.Unavailable, "replication.source_unavailable")
}

func requireFault(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.Equal(t, kind, fault.KindOf(err))
	for _, secret := range []string{"very-secret", "X-Amz", "/f"} {
		require.NotContains(t, err.Error(), secret)
		require.NotContains(t, fmt.Sprintf("%+v", err), secret)
	}
}

// What another request cannot mend is asked for once.
func TestFetchIsRefused(t *testing.T) {
	t.Parallel()
	elsewhere := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/g"+query, http.StatusFound) }
	ranges := func(header string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", header)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(make([]byte, 10))
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		kind   fault.Kind
		code   string
	}{
		"expired":             {status(403), fault.Forbidden, "replication.link_expired"},
		"not authorised":      {status(401), fault.Forbidden, "replication.link_expired"},
		"gone":                {status(404), fault.NotFound, "replication.source_gone"},
		"a redirect":          {elsewhere, fault.Invalid, "replication.redirected"},
		"not modified":        {status(304), fault.Invalid, "replication.redirected"},
		"a bad request":       {status(400), fault.Invalid, "replication.source_refused"},
		"another size":        {ranges("bytes 0-9/11"), fault.Invalid, "replication.source_changed"},
		"another range":       {ranges("bytes 1-10/10"), fault.Invalid, "replication.source_changed"},
		"no range":            {ranges(""), fault.Invalid, "replication.source_changed"},
		"too short for it":    {status(416), fault.Invalid, "replication.source_changed"},
		"a whole, but longer": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 11)) }, fault.Invalid, "replication.source_changed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, f, asked := source(t, text(10), test.answer)
			err := f.Fetch(t.Context(), url, 0, 10, make([]byte, 10))
			requireFault(t, err, test.kind, test.code)
			require.EqualValues(t, 1, asked.Load())
		})
	}
}

func TestFetchTakesAWholeWithoutARange(t *testing.T) {
	t.Parallel()
	url, f, _ := source(t, nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text(10)) })
	into := make([]byte, 10)
	require.NoError(t, f.Fetch(t.Context(), url, 0, 10, into))
	require.Equal(t, text(10), into)
}

func TestFetchOnlyFromSources(t *testing.T) {
	t.Parallel()
	url, f, asked := source(t, text(10))
	for _, other := range []string{
		strings.Replace(url, "127.0.0.1", "localhost", 1), strings.Replace(url, "http:", "https:", 1),
		strings.Replace(url, "127.0.0.1", "user@127.0.0.1", 1), "file:///etc/passwd", "http://169.254.169.254/latest",
		strings.Replace(url, "127.0.0.1", "127.0.0.1.example.com", 1), "", "://",
	} {
		requireFault(t, f.Fetch(t.Context(), other, 0, 10, make([]byte, 10)), fault.Forbidden, "replication.untrusted")
	}
	require.Zero(t, asked.Load())
	_, err := NewFetcher(Sources{}, 0).Open(t.Context(), url, 10).Read(make([]byte, 1))
	requireFault(t, err, fault.Forbidden, "replication.untrusted")
}

func TestSources(t *testing.T) {
	t.Parallel()
	s, err := NewSources([]string{"https://S3.North.example.com", "http://10.0.0.1:9000/"})
	require.NoError(t, err)
	for url, want := range map[string]bool{
		"https://s3.north.example.com/b/k?x": true, "https://s3.north.example.com:443/b": true, "http://10.0.0.1:9000/b": true,
		"https://s3.north.example.com:9000/b": false, "http://s3.north.example.com/b": false, "http://10.0.0.1/b": false,
		"https://north.example.com/b": false, "https://s3.north.example.com.evil.com/": false, "https://s3.north.example.com@evil.com/": false,
	} {
		require.Equal(t, want, s.Trusts(url), url)
	}
	for _, bad := range []string{"", "s3.example.com", "ftp://a", "http://"} {
		_, err := NewSources([]string{bad})
		require.Error(t, err, bad)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	url, f, _ := source(t, text(10), func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	require.Equal(t, context.Canceled, f.Fetch(ctx, url, 0, 10, make([]byte, 10)))
	f.pause = time.Hour // between two tries, too
	ctx, cancel = context.WithCancel(t.Context())
	url, g, _ := source(t, text(10), func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		time.AfterFunc(10*time.Millisecond, cancel)
	})
	g.pause = time.Hour
	require.Equal(t, context.Canceled, g.Fetch(ctx, url, 0, 10, make([]byte, 10)))
}

// All that one fetcher reads shares its throughput.
func TestFetchHoldsTheThroughput(t *testing.T) {
	t.Parallel()
	content := text(200_000)
	url, f, _ := source(t, content)
	limited := NewFetcher(f.sources, 400_000)
	began := time.Now()
	done := make(chan error, 2)
	for range 2 {
		go func() { done <- limited.Fetch(t.Context(), url, 0, int64(len(content)), make([]byte, len(content))) }()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	// 400,000 bytes, of which a quarter of a second's may come at once.
	require.GreaterOrEqual(t, time.Since(began), 700*time.Millisecond)
	limited.client.CloseIdleConnections()
}
