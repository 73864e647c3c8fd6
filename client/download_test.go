package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth/signature"
	"assetflow/client"
)

// archive is a service with one archive, whose answers can be spoilt.
type archive struct {
	content []byte
	etag    string                                                      // quoted
	spoil   func(call int, w http.ResponseWriter, r *http.Request) bool // whether it has answered itself

	mu     sync.Mutex
	ranges []string // asked for, one for each call
}

func newArchive() *archive {
	a := &archive{content: bytes.Repeat([]byte("0123456789abcdef"), 100_000)}
	sum := sha256.Sum256(a.content)
	a.etag = `"` + hex.EncodeToString(sum[:]) + `"`
	return a
}

func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.ranges = append(a.ranges, r.Header.Get("Range"))
	call := len(a.ranges)
	a.mu.Unlock()
	if a.spoil != nil && a.spoil(call, w, r) {
		return
	}
	a.serve(w, r)
}

func (a *archive) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", a.etag)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="../assets-1.zip"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
}

// breakAfter answers up to n bytes and then breaks the connection.
func (a *archive) breakAfter(n int) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		a.serve(&short{ResponseWriter: w, left: n}, r)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// short takes no more than so many bytes.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	n, err := s.ResponseWriter.Write(p[:min(len(p), s.left)])
	s.left -= n
	if err == nil && n < len(p) {
		err = errors.New("enough")
	}
	return n, err
}

func (a *archive) client(t *testing.T, change ...func(*client.Config)) *client.Client {
	t.Helper()
	return serve(t, a.ServeHTTP, change...)
}

const archiveID = "0194f7a0eeee7000800000000000eeee"

func TestDownload(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newArchive()
	var failed error
	a.spoil = func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if want := "/v2/" + project + "/instances/" + instance + "/assets/archives/" + archiveID; r.Method != http.MethodGet || r.RequestURI != want {
			failed = fmt.Errorf("%s %s", r.Method, r.RequestURI)
		}
		auth, err := signature.Parse(r.Header.Get("Authorization"))
		failed = errors.Join(failed, err, signature.Verify(r, auth, "SK", now))
		return false
	}
	cl := a.client(t, func(cfg *client.Config) {
		cfg.AccessKey, cfg.SecretKey, cfg.Now = "AK", "SK", func() time.Time { return now }
	})
	var out bytes.Buffer
	var seen []int64
	got, err := cl.DownloadArchive(t.Context(), archiveID, &out, func(done, total int64) {
		require.EqualValues(t, len(a.content), total)
		seen = append(seen, done)
	})
	require.NoError(t, err)
	require.NoError(t, failed)
	require.True(t, bytes.Equal(a.content, out.Bytes()))
	require.Equal(t, client.Archive{FileName: "assets-1.zip", Size: int64(len(a.content)), SHA256: strings.Trim(a.etag, `"`)}, got)
	require.IsIncreasing(t, append([]int64{-1, 0}, seen...))
	require.EqualValues(t, len(a.content), seen[len(seen)-1])
}

func TestADownloadGoesOnWhereItBroke(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(a *archive) func(call int, w http.ResponseWriter, r *http.Request) bool
		calls int
		fresh int // how many calls ask for everything
	}{
		"after some bytes": {func(a *archive) func(int, http.ResponseWriter, *http.Request) bool {
			return func(call int, w http.ResponseWriter, r *http.Request) bool {
				if call < 3 {
					a.breakAfter(300_000)(w, r)
				}
				return false
			}
		}, 3, 1},
		"before the first byte": {func(a *archive) func(int, http.ResponseWriter, *http.Request) bool {
			return func(call int, w http.ResponseWriter, r *http.Request) bool {
				if call == 1 {
					a.breakAfter(0)(w, r)
				}
				return false
			}
		}, 2, 2},
		"while the service is away": {func(a *archive) func(int, http.ResponseWriter, *http.Request) bool {
			return func(call int, w http.ResponseWriter, r *http.Request) bool {
				switch call {
				case 1:
					a.breakAfter(1000)(w, r)
				case 2:
					answer(w, 500, "application/json", `{}`)
					return true
				}
				return false
			}
		}, 3, 1},
		"where ranges are not passed on": {func(a *archive) func(int, http.ResponseWriter, *http.Request) bool {
			return func(call int, w http.ResponseWriter, r *http.Request) bool {
				if call == 1 {
					a.breakAfter(500_001)(w, r)
				}
				r.Header.Del("Range")
				return false
			}
		}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive()
			a.spoil = c.spoil(a)
			var out bytes.Buffer
			var last int64
			cl := a.client(t, func(cfg *client.Config) { cfg.Transport = &http.Transport{DisableKeepAlives: true} })
			_, err := cl.DownloadArchive(t.Context(), archiveID, &out, func(done, _ int64) {
				require.Greater(t, done, last)
				last = done
			})
			require.NoError(t, err)
			require.True(t, bytes.Equal(a.content, out.Bytes()))
			require.Len(t, a.ranges, c.calls)
			fresh := 0
			for _, asked := range a.ranges {
				if asked == "" {
					fresh++
				}
			}
			require.Equal(t, c.fresh, fresh, a.ranges)
		})
	}
}

func TestADownloadThatCannotEndWell(t *testing.T) {
	t.Parallel()
	other := `"` + strings.Repeat("ab", 32) + `"`
	broken := func(then func(a *archive, w http.ResponseWriter, r *http.Request)) func(*archive, int, http.ResponseWriter, *http.Request) bool {
		return func(a *archive, call int, w http.ResponseWriter, r *http.Request) bool {
			if call == 1 {
				a.breakAfter(1000)(w, r)
			}
			then(a, w, r)
			return true
		}
	}
	for name, c := range map[string]struct {
		spoil func(a *archive, call int, w http.ResponseWriter, r *http.Request) bool
		calls int
		says  string
		is    error
	}{
		"another content": {func(a *archive, _ int, w http.ResponseWriter, r *http.Request) bool {
			a.etag = other
			a.serve(w, r)
			return true
		}, 1, "SHA-256", client.ErrArchiveChanged},
		"another archive after a break": {broken(func(a *archive, w http.ResponseWriter, r *http.Request) {
			a.etag = other
			a.serve(w, r)
		}), 2, "replaced by another", client.ErrArchiveChanged},
		"a range that was not asked for": {broken(func(a *archive, w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=5-")
			a.serve(w, r)
		}), 2, "instead of \"bytes 1000-", nil},
		"gone after a break": {broken(func(_ *archive, w http.ResponseWriter, _ *http.Request) {
			answer(w, 404, "application/json", `{"error_code":"ROMA.1007","error_msg":"It is gone."}`)
		}), 2, "It is gone. (ROMA.1007, HTTP 404", nil},
		"no such archive": {func(_ *archive, _ int, w http.ResponseWriter, _ *http.Request) bool {
			answer(w, 404, "application/json", `{"error_code":"ROMA.1007","error_msg":"No."}`)
			return true
		}, 1, "No. (ROMA.1007", nil},
		"no digest": {func(a *archive, _ int, w http.ResponseWriter, r *http.Request) bool {
			a.etag = `"v1"`
			a.serve(w, r)
			return true
		}, 1, "not Assetflow's", nil},
		"a page": {func(_ *archive, _ int, w http.ResponseWriter, _ *http.Request) bool {
			answer(w, 200, "text/html", "<html>")
			return true
		}, 1, "not Assetflow's", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchive()
			a.spoil = func(call int, w http.ResponseWriter, r *http.Request) bool { return c.spoil(a, call, w, r) }
			cl := a.client(t, func(cfg *client.Config) { cfg.Transport = &http.Transport{DisableKeepAlives: true} })
			_, err := cl.DownloadArchive(t.Context(), archiveID, &bytes.Buffer{}, nil)
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Len(t, a.ranges, c.calls)
		})
	}
}

func TestADownloadThatIsGivenUp(t *testing.T) {
	t.Parallel()
	a := newArchive()
	ctx, cancel := context.WithCancel(t.Context())
	a.spoil = func(call int, w http.ResponseWriter, r *http.Request) bool {
		if call > 1 {
			return false
		}
		a.serve(&short{ResponseWriter: w, left: 1000}, r) // a download that has everything is not given up any more
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	cl := a.client(t)
	_, err := cl.DownloadArchive(ctx, archiveID, writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }), nil)
	require.ErrorIs(t, err, context.Canceled)
	full := errors.New("no space left")
	_, err = cl.DownloadArchive(t.Context(), archiveID, writerFunc(func([]byte) (int, error) { return 0, full }), nil)
	require.ErrorIs(t, err, full)
	require.Len(t, a.ranges, 2, "a full disk is not tried again")
	var away *client.UnreachableError
	require.False(t, errors.As(err, &away))
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
