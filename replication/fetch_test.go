package replication_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"assetflow/fault"
	"assetflow/replication"
)

// source is a server whose answers the test spoils.
type source struct {
	*httptest.Server
	content  []byte
	requests atomic.Int64
	mu       sync.Mutex
	ranges   []string
}

// serve answers with content; spoil may answer in its place, and says whether it did. n counts the requests from 1.
func serve(t *testing.T, size int, spoil func(n int64, w http.ResponseWriter, r *http.Request) bool) *source {
	t.Helper()
	s := &source{content: make([]byte, size)}
	_, _ = rand.NewChaCha8([32]byte{}).Read(s.content)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.requests.Add(1)
		s.mu.Lock()
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		s.mu.Unlock()
		w.Header().Set("ETag", `"1"`)
		if spoil != nil && spoil(n, w, r) {
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *source) remote(t *testing.T, o replication.FetcherOptions) *replication.Remote {
	t.Helper()
	o.Sources = append(o.Sources, s.URL)
	if o.FirstPause == 0 {
		o.FirstPause = time.Millisecond
	}
	f, err := replication.NewFetcher(o)
	require.NoError(t, err)
	t.Cleanup(f.Close)
	r, err := f.Remote(s.URL+"/bucket/key?X-Amz-Signature=very-secret", int64(len(s.content)), "")
	require.NoError(t, err)
	return r
}

func status(code int) func(int64, http.ResponseWriter, *http.Request) bool {
	return func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// cutShort sends the first n bytes of what was asked for and breaks the connection.
func cutShort(w http.ResponseWriter, r *http.Request, content []byte, n int) {
	var from, to int
	_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(content)))
	w.Header().Set("Content-Length", fmt.Sprint(to-from+1))
	w.WriteHeader(http.StatusPartialContent)
	_, _ = w.Write(content[from : from+n])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestReadRange(t *testing.T) {
	t.Parallel()
	s := serve(t, 1<<20+3, nil)
	var received atomic.Int64
	r := s.remote(t, replication.FetcherOptions{Received: func(n int64) { received.Add(n) }})
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for _, at := range [][2]int{{0, 1}, {0, 1<<20 + 3}, {5, 100_000}, {1<<20 + 2, 1}, {7, 0}} {
				p := make([]byte, at[1])
				if err := r.ReadRange(t.Context(), p, int64(at[0])); err != nil {
					return err
				}
				if !bytes.Equal(s.content[at[0]:at[0]+at[1]], p) {
					return fmt.Errorf("%v differs", at)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, `"1"`, r.ETag())
	require.EqualValues(t, 8*(1+1<<20+3+100_000+1), received.Load())
	for _, at := range [][2]int64{{-1, 1}, {1 << 20, 4}, {1<<20 + 4, 0}} {
		require.Error(t, r.ReadRange(t.Context(), make([]byte, at[1]), at[0]), at)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 1 << 20, 2<<20 + 7} {
		s := serve(t, size, nil)
		r := s.remote(t, replication.FetcherOptions{})
		require.NoError(t, iotest.TestReader(r.Reader(t.Context()), s.content))
	}
	s := serve(t, 3<<20, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n == 2 {
			w.WriteHeader(http.StatusNotFound)
		}
		return n == 2
	})
	got, err := io.ReadAll(s.remote(t, replication.FetcherOptions{}).Reader(t.Context()))
	require.Equal(t, "replication.source_gone", fault.CodeOf(err))
	require.Equal(t, s.content[:1<<20], got)
}

// What passes is tried again, and nothing that has come is asked for twice.
func TestReadRangeGoesOn(t *testing.T) {
	t.Parallel()
	const size = 300_000
	var s *source
	s = serve(t, size, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		switch n {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
		case 3:
			panic(http.ErrAbortHandler)
		case 4, 5, 6, 7, 8, 9, 10, 11:
			cutShort(w, r, s.content, 10_000)
		case 12:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			return false
		}
		return true
	})
	p := make([]byte, size)
	require.NoError(t, s.remote(t, replication.FetcherOptions{}).ReadRange(t.Context(), p, 0))
	require.Equal(t, s.content, p)
	// A connection that is cut may lose what was on its way, so only the order is certain.
	last := 0
	for _, text := range s.ranges {
		var from, to int
		_, err := fmt.Sscanf(text, "bytes=%d-%d", &from, &to)
		require.NoError(t, err)
		require.GreaterOrEqual(t, from, last)
		require.Equal(t, size-1, to)
		last = from
	}
	require.Positive(t, last)
	require.Len(t, s.ranges, 13)
}

func TestReadRangeGivesUp(t *testing.T) {
	t.Parallel()
	for _, code := range []int{500, 502, 503, 504, 429, 408} {
		s := serve(t, 10, status(code))
		err := s.remote(t, replication.FetcherOptions{}).ReadRange(t.Context(), make([]byte, 10), 0)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "%d: %v", code, err)
		require.EqualValues(t, 6, s.requests.Load(), code)
	}
	s := serve(t, 10, nil)
	r := s.remote(t, replication.FetcherOptions{})
	s.Close()
	err := r.ReadRange(t.Context(), make([]byte, 10), 0)
	require.Equal(t, "replication.source_unavailable", fault.CodeOf(err))
	require.NotContains(t, err.Error(), "very-secret")
	require.NotContains(t, err.Error(), "bucket")
}

func TestReadRangeRefuses(t *testing.T) {
	t.Parallel()
	header := func(code int, pairs ...string) func(int64, http.ResponseWriter, *http.Request) bool {
		return func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
			for i := 0; i < len(pairs); i += 2 {
				w.Header().Set(pairs[i], pairs[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "0123456789very-secret")
			return true
		}
	}
	for name, c := range map[string]struct {
		code  string
		kind  fault.Kind
		spoil func(int64, http.ResponseWriter, *http.Request) bool
	}{
		"expired":             {"replication.url_expired", fault.Forbidden, status(403)},
		"not signed":          {"replication.url_expired", fault.Forbidden, status(401)},
		"gone":                {"replication.source_gone", fault.NotFound, status(404)},
		"changed":             {"replication.source_changed", fault.Conflict, status(412)},
		"shorter than ever":   {"replication.source_changed", fault.Conflict, status(416)},
		"another size":        {"replication.source_changed", fault.Conflict, header(206, "Content-Range", "bytes 0-9/11")},
		"another range":       {"replication.bad_answer", fault.Invalid, header(206, "Content-Range", "bytes 1-10/20")},
		"no range":            {"replication.bad_answer", fault.Invalid, header(206)},
		"the whole":           {"replication.bad_answer", fault.Invalid, header(200)},
		"a bad request":       {"replication.bad_answer", fault.Invalid, status(400)},
		"nothing":             {"replication.bad_answer", fault.Invalid, status(204)},
		"a redirect":          {"replication.bad_answer", fault.Invalid, header(302, "Location", "/elsewhere")},
		"a lasting redirect":  {"replication.bad_answer", fault.Invalid, header(308, "Location", "http://127.0.0.1:1/")},
		"a redirect nowhere":  {"replication.bad_answer", fault.Invalid, status(301)},
		"an endless header":   {"replication.source_unavailable", fault.Unavailable, header(206, "X", strings.Repeat("x", 100<<10))},
		"a switch":            {"replication.bad_answer", fault.Invalid, header(206, "Content-Range", "bytes */20")},
		"a bad Content-Range": {"replication.bad_answer", fault.Invalid, header(206, "Content-Range", "nonsense")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, 20, c.spoil)
			err := s.remote(t, replication.FetcherOptions{}).ReadRange(t.Context(), make([]byte, 10), 0)
			require.Equal(t, c.code, fault.CodeOf(err), "%v", err)
			require.Equal(t, c.kind, fault.KindOf(err))
			require.NotContains(t, err.Error(), "very-secret")
			if c.kind != fault.Unavailable {
				require.EqualValues(t, 1, s.requests.Load(), "no second try, and no other place")
			}
		})
	}
}

// The whole object may come where the whole object was asked for.
func TestServerWithoutRanges(t *testing.T) {
	t.Parallel()
	var s *source
	s = serve(t, 20, func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write(s.content)
		return true
	})
	p := make([]byte, 20)
	require.NoError(t, s.remote(t, replication.FetcherOptions{}).ReadRange(t.Context(), p, 0))
	require.Equal(t, s.content, p)
}

// An object that changes between two connections is found out, in this process and in the next.
func TestObjectChanges(t *testing.T) {
	t.Parallel()
	var tag atomic.Value
	tag.Store(`"1"`)
	s := serve(t, 20, func(n int64, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("ETag", tag.Load().(string))
		return false
	})
	r := s.remote(t, replication.FetcherOptions{})
	require.NoError(t, r.ReadRange(t.Context(), make([]byte, 10), 0))
	tag.Store(`"2"`)
	require.Equal(t, "replication.source_changed", fault.CodeOf(r.ReadRange(t.Context(), make([]byte, 10), 10)))

	f, err := replication.NewFetcher(replication.FetcherOptions{Sources: []string{s.URL}})
	require.NoError(t, err)
	next, err := f.Remote(s.URL+"/key", 20, r.ETag())
	require.NoError(t, err)
	require.Equal(t, "replication.source_changed", fault.CodeOf(next.ReadRange(t.Context(), make([]byte, 10), 10)))

	// A server that does not know If-Match.
	naive := serve(t, 20, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-Match")
		w.Header().Set("ETag", tag.Load().(string))
		return false
	})
	r = naive.remote(t, replication.FetcherOptions{})
	require.NoError(t, r.ReadRange(t.Context(), make([]byte, 10), 0))
	tag.Store(`"3"`)
	require.Equal(t, "replication.source_changed", fault.CodeOf(r.ReadRange(t.Context(), make([]byte, 10), 10)))
}

func TestSilentSource(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(int64, http.ResponseWriter, *http.Request) bool{
		"no answer": func(n int64, _ http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				<-r.Context().Done()
			}
			return n == 1
		},
		"half an answer": func(n int64, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Header().Set("Content-Range", "bytes 0-19/20")
				w.WriteHeader(http.StatusPartialContent)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			}
			return n == 1
		},
	} {
		s := serve(t, 20, spoil)
		r := s.remote(t, replication.FetcherOptions{Silence: 500 * time.Millisecond})
		p := make([]byte, 20)
		require.NoError(t, r.ReadRange(t.Context(), p, 0), name)
		require.Equal(t, s.content, p)
	}
}

func TestReadRangeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{})
	s := serve(t, 20, func(_ int64, _ http.ResponseWriter, r *http.Request) bool {
		close(reached)
		<-r.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	err := s.remote(t, replication.FetcherOptions{}).ReadRange(ctx, make([]byte, 20), 0)
	require.ErrorIs(t, err, context.Canceled)

	// Also between two tries.
	ctx, cancel = context.WithCancel(t.Context())
	s = serve(t, 20, func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	err = s.remote(t, replication.FetcherOptions{FirstPause: time.Hour}).ReadRange(ctx, make([]byte, 20), 0)
	require.ErrorIs(t, err, context.Canceled)
}

func TestThroughput(t *testing.T) {
	t.Parallel()
	const size, limit = 300_000, 600_000
	s := serve(t, size, nil)
	r := s.remote(t, replication.FetcherOptions{Throughput: limit})
	begin := time.Now()
	var group errgroup.Group
	for i := range 3 { // together
		group.Go(func() error { return r.ReadRange(t.Context(), make([]byte, size/3), int64(i)*size/3) })
	}
	require.NoError(t, group.Wait())
	// All but the first burst, a tenth of a second's, has to wait.
	require.GreaterOrEqual(t, time.Since(begin), 350*time.Millisecond)
}

func TestPlacesThatMayBeFetchedFrom(t *testing.T) {
	t.Parallel()
	f, err := replication.NewFetcher(replication.FetcherOptions{
		Sources: []string{"https://s3.a.example", "http://S3.b.example:9000/", "https://[2001:db8::1]:443"},
	})
	require.NoError(t, err)
	for url, allowed := range map[string]bool{
		"https://s3.a.example/b/k?x=1":                      true,
		"https://s3.a.example:443/":                         true,
		"HTTPS://S3.A.example./":                            true,
		"http://s3.b.example:9000/b":                        true,
		"https://[2001:db8::1]/":                            true,
		"http://s3.a.example/":                              false,
		"http://s3.a.example:443/":                          false,
		"https://s3.a.example:8443/":                        false,
		"https://s3.b.example:9000/":                        false,
		"http://s3.b.example/":                              false,
		"https://x.s3.a.example/":                           false,
		"https://s3.a.example.evil.example/":                false,
		"https://s3.a.example@evil.example/":                false,
		"https://evil.example/s3.a.example":                 false,
		"https://evil.example#https://s3.a.example":         false,
		"https://user@s3.a.example/":                        false,
		"https://169.254.169.254/":                          false,
		"http://localhost:9000/":                            false,
		"file:///etc/passwd":                                false,
		"//s3.a.example/":                                   false,
		"s3.a.example":                                      false,
		"":                                                  false,
		"https://s3.a.example\\@evil.example/":              false,
		"https://s3.a.example/\n":                           false,
		"https://s3.a.example/" + strings.Repeat("x", 9000): false,
	} {
		_, err := f.Remote(url, 1, "")
		if allowed {
			require.NoError(t, err, url)
			continue
		}
		require.Equal(t, "replication.url_not_allowed", fault.CodeOf(err), url)
	}
	nothing, err := replication.NewFetcher(replication.FetcherOptions{})
	require.NoError(t, err)
	_, err = nothing.Remote("https://s3.a.example/", 1, "")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	for _, source := range []string{"", "*", "s3.a.example", "ftp://a", "https://a/bucket", "https://a?x", "https://u:p@a"} {
		_, err := replication.NewFetcher(replication.FetcherOptions{Sources: []string{source}})
		require.Error(t, err, source)
	}
}

// A redirect from an allowed place to a forbidden one, and to an allowed one, is not followed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	target := serve(t, 20, nil)
	for _, code := range []int{301, 302, 303, 307, 308} {
		s := serve(t, 20, func(_ int64, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, target.URL+"/key", code)
			return true
		})
		r := s.remote(t, replication.FetcherOptions{Sources: []string{target.URL}})
		require.Equal(t, "replication.bad_answer", fault.CodeOf(r.ReadRange(t.Context(), make([]byte, 20), 0)))
	}
	require.Zero(t, target.requests.Load())
}
