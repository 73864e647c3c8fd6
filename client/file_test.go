package client_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

const (
	fileID  = "0194f7a0-f11e-7000-8000-00000000f11e"
	sigText = "X-Amz-Signature=5ec4e7" // what must be in no error
)

// studio is a service with an object store that takes one file.
type studio struct {
	t       *testing.T
	put     func(try int, w http.ResponseWriter, r *http.Request) bool // whether it has answered itself
	confirm func(try int, w http.ResponseWriter) bool

	mu        sync.Mutex
	announced string
	puts      int
	stored    []byte
	confirmed []string // the states
}

func (s *studio) client() *client.Client {
	s.t.Helper()
	return serve(s.t, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch r.Method + " " + r.URL.Path {
		case "POST " + studioPath + "/files":
			body, _ := io.ReadAll(r.Body)
			s.announced = string(body)
			answerJSON(w, `{"file_id":"`+fileID+`","upload_url":"http://`+r.Host+`/bucket/key?`+sigText+`"}`)
		case "PUT /bucket/key":
			s.puts++
			if r.Header.Get("X-Auth-Token") != "" || r.Header.Get("Authorization") != "" {
				s.t.Error("the store is told who is calling")
			}
			if s.put != nil && s.put(s.puts, w, r) {
				return
			}
			content, err := io.ReadAll(r.Body)
			if sum := md5.Sum(content); err != nil || r.ContentLength != int64(len(content)) || r.URL.RawQuery != sigText ||
				r.Header.Get("Content-MD5") != base64.StdEncoding.EncodeToString(sum[:]) {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			s.stored = content
		case "POST " + studioPath + "/files/" + fileID + "/complete":
			body, _ := io.ReadAll(r.Body)
			s.confirmed = append(s.confirmed, string(body))
			if s.confirm != nil && s.confirm(len(s.confirmed), w) {
				return
			}
		default:
			s.t.Errorf("unexpected %s %s", r.Method, r.URL.Path)
		}
	}, func(cfg *client.Config) {
		// No byte is sent before the handler asks for it: what the caller does next must not overtake it.
		cfg.Transport = &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: time.Minute}
	})
}

func newFile(t *testing.T, content []byte) client.NewFile {
	t.Helper()
	var read []int64
	sum, err := client.FileMD5(t.Context(), bytes.NewReader(content), int64(len(content)), func(done, total int64) {
		require.EqualValues(t, len(content), total)
		read = append(read, done)
	})
	require.NoError(t, err)
	require.IsIncreasing(t, append([]int64{0}, append(read, int64(len(content)+1))...))
	return client.NewFile{AssetID: assetID, Name: "a.mp4", Type: "mp4", Category: "MAIN", Size: int64(len(content)), MD5: sum}
}

func state(s string) string { return `{"state":"` + s + `"}` }

func TestUploadAFile(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	s := &studio{t: t}
	f := newFile(t, content)
	var last int64
	id, err := s.client().UploadFile(t.Context(), f, bytes.NewReader(content), func(sent, total int64) {
		require.EqualValues(t, len(content), total)
		require.Greater(t, sent, last)
		last = sent
	})
	require.NoError(t, err)
	require.Equal(t, fileID, id)
	require.EqualValues(t, len(content), last)
	require.True(t, bytes.Equal(content, s.stored))
	require.JSONEq(t, fmt.Sprintf(`{"asset_id":%q,"file_name":"a.mp4","file_type":"mp4","asset_file_category":"MAIN","file_size":1600000,"file_md5":%q}`,
		assetID, f.MD5), s.announced)
	require.Equal(t, []string{state("CREATED")}, s.confirmed)
}

func TestUploadsThatFail(t *testing.T) {
	t.Parallel()
	content := []byte("content of a file")
	refuse := func(status int, code string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, r *http.Request) bool {
			answer(w, status, "application/xml", `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>`+sigText+`</Message></Error>`)
			return true
		}
	}
	for name, c := range map[string]struct {
		put       func(int, http.ResponseWriter, *http.Request) bool
		confirm   func(int, http.ResponseWriter) bool
		content   string
		says      string
		puts      int
		confirmed []string
	}{
		"a store that is away for a moment": {put: func(try int, w http.ResponseWriter, _ *http.Request) bool {
			if try < 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return try < 3
		}, puts: 3, confirmed: []string{state("CREATED")}},
		"a connection that breaks": {put: func(try int, _ http.ResponseWriter, _ *http.Request) bool {
			if try == 1 {
				panic(http.ErrAbortHandler)
			}
			return false
		}, puts: 2, confirmed: []string{state("CREATED")}},
		"a URL that has expired": {
			put: refuse(403, "AccessDenied"), says: "the object store answered 403 Forbidden (AccessDenied)", puts: 1, confirmed: []string{state("FAILED")},
		},
		"another content": {put: refuse(400, "BadDigest"), says: "400 Bad Request (BadDigest)", puts: 1, confirmed: []string{state("FAILED")}},
		"a store that stays away": {
			put: refuse(500, "InternalError"), says: "500 Internal Server Error (InternalError)", puts: 4, confirmed: []string{state("FAILED")},
		},
		"a redirect": {put: func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusTemporaryRedirect)
			return true
		}, says: "307 Temporary Redirect", puts: 1, confirmed: []string{state("FAILED")}},
		"a file that shrank": {content: "content", says: "has 7 bytes instead of 17: was it changed meanwhile?", puts: 1, confirmed: []string{state("FAILED")}},
		"a file that grew":   {content: "content of a file and more", says: "more than 17 bytes", puts: 1, confirmed: []string{state("FAILED")}},
		"a confirmation that is refused": {confirm: func(try int, w http.ResponseWriter) bool {
			if try == 1 {
				answer(w, 400, "application/json", `{"error_code":"MSS.00000003","error_msg":"Another MD5."}`)
			}
			return try == 1
		}, says: "Another MD5.", puts: 1, confirmed: []string{state("CREATED"), state("FAILED")}},
		"a confirmation that is lost": {confirm: func(try int, _ http.ResponseWriter) bool {
			if try == 1 {
				panic(http.ErrAbortHandler)
			}
			return false
		}, puts: 1, confirmed: []string{state("CREATED"), state("CREATED")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &studio{t: t, put: c.put, confirm: c.confirm}
			source := c.content
			if source == "" {
				source = string(content)
			}
			id, err := s.client().UploadFile(t.Context(), newFile(t, content), strings.NewReader(source), nil)
			if c.says == "" {
				require.NoError(t, err)
				require.Equal(t, fileID, id)
				require.Equal(t, content, s.stored)
			} else {
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), "Signature")
			}
			require.Equal(t, c.puts, s.puts)
			require.Equal(t, c.confirmed, s.confirmed)
		})
	}
}

// A transport need not look for more than was announced, and net/http's may have the answer before it has looked.
func TestAFileThatGrewIsNoticedWhenTheTransportDoesNotLook(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken disk")
	for name, c := range map[string]struct {
		source io.ReaderAt
		says   string
	}{
		"as it was": {source: strings.NewReader("content")},
		"it grew":   {strings.NewReader("content and more"), "upload the file: read it: it has more than 7 bytes: was it changed meanwhile?"},
		"unreadable": {readerAt(func(p []byte, off int64) (int, error) {
			if off == 7 {
				return 0, broken
			}
			return copy(p, "content"[off:]), nil
		}), "upload the file: read it: broken disk"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cl := client.New(client.Config{Endpoint: "http://127.0.0.1:1", Transport: transport(func(r *http.Request) (*http.Response, error) {
				_, err := io.ReadFull(r.Body, make([]byte, r.ContentLength))
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, err
			})})
			err := cl.PutFile(t.Context(), "http://store/key?"+sigText, newFile(t, []byte("content")), c.source, nil)
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, c.says)
		})
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestAnUploadOfAFileThatIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &studio{t: t, put: func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body) // ends when the caller has hung up
		<-r.Context().Done()
		return true
	}}
	_, err := s.client().UploadFile(ctx, newFile(t, []byte("x")), strings.NewReader("x"), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{state("CANCELLED")}, s.confirmed, "the file's place is free again")
}

func TestMD5OfAFileThatIsTooShortOrUnreadable(t *testing.T) {
	t.Parallel()
	_, err := client.FileMD5(t.Context(), strings.NewReader("ab"), 3, nil)
	require.ErrorContains(t, err, "2 bytes instead of 3")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = client.FileMD5(ctx, strings.NewReader("ab"), 2, nil)
	require.ErrorIs(t, err, context.Canceled)
	broken := errors.New("broken disk")
	_, err = client.FileMD5(t.Context(), readerAt(func([]byte, int64) (int, error) { return 0, broken }), 2, nil)
	require.ErrorIs(t, err, broken)
}

type readerAt func(p []byte, off int64) (int, error)

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

func TestAURLThatIsNone(t *testing.T) {
	t.Parallel()
	c := client.New(client.Config{Endpoint: "http://127.0.0.1:1"})
	for _, bad := range []string{"http://[::1?" + sigText, "ftp://x/?" + sigText, "/x?" + sigText, "http:///x?" + sigText, "\x7f" + sigText} {
		err := c.PutFile(t.Context(), bad, client.NewFile{Size: 1}, strings.NewReader("x"), nil)
		require.ErrorContains(t, err, "a URL that is none")
		require.NotContains(t, err.Error(), "Signature")
		err = c.DownloadFile(t.Context(), client.DigitalFile{DownloadURL: bad}, io.Discard, nil)
		require.ErrorContains(t, err, "a URL that is none")
	}
	err := c.DownloadFile(t.Context(), client.DigitalFile{ID: "f1", State: "CREATING"}, io.Discard, nil)
	require.ErrorContains(t, err, "it is CREATING, or you may not")
	err = c.PutFile(t.Context(), "http://127.0.0.1:1/x?"+sigText, client.NewFile{Size: 1}, strings.NewReader("x"), nil)
	require.ErrorContains(t, err, "no answer from http://127.0.0.1:1: ")
	require.NotContains(t, err.Error(), "Signature")
}

func TestDownloadAFile(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	sum := md5.Sum(content)
	right := client.DigitalFile{ID: fileID, Size: int64(len(content)), MD5: base64.StdEncoding.EncodeToString(sum[:]), State: "CREATED"}
	type spoiler func(a *archive) func(call int, w http.ResponseWriter, r *http.Request) bool
	breaking := func(a *archive) func(int, http.ResponseWriter, *http.Request) bool {
		return func(call int, w http.ResponseWriter, r *http.Request) bool {
			if call < 3 {
				a.breakAfter(300_000)(w, r)
			}
			return false
		}
	}
	for name, c := range map[string]struct {
		spoil  spoiler
		change func(f *client.DigitalFile)
		ranges []string
		says   string
		is     error
	}{
		"whole":               {ranges: []string{""}},
		"taken up again":      {spoil: breaking, ranges: []string{"", "bytes=300000-", "bytes=600000-"}},
		"another size":        {change: func(f *client.DigitalFile) { f.Size++ }, ranges: []string{""}, says: "1600000 bytes instead of 1600001", is: client.ErrFileChanged},
		"another content":     {change: func(f *client.DigitalFile) { f.MD5 = "1B2M2Y8AsgTpgAmY7PhCfg==" }, ranges: []string{""}, says: "MD5", is: client.ErrFileChanged},
		"away for a moment":   {spoil: failFirst(503), ranges: []string{"", ""}},
		"an expired URL":      {spoil: failFirst(403), ranges: []string{""}, says: "the object store answered 403 Forbidden (AccessDenied)"},
		"the content is gone": {spoil: failFirst(404), ranges: []string{""}, says: "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &archive{content: content, etag: `"abc-2"`} // not a digest: it was put together of parts
			if c.spoil != nil {
				a.spoil = c.spoil(a)
			}
			f := right
			var out bytes.Buffer
			cl, url := withStore(t, a.ServeHTTP)
			f.DownloadURL = url + "/bucket/key?" + sigText
			if c.change != nil {
				c.change(&f)
			}
			var last int64
			err := cl.DownloadFile(t.Context(), f, &out, func(done, _ int64) { require.Greater(t, done, last); last = done })
			if c.says == "" {
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, out.Bytes()))
			} else {
				require.ErrorContains(t, err, c.says)
				require.NotContains(t, err.Error(), "Signature")
			}
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			require.Equal(t, c.ranges, a.ranges)
		})
	}
}

// failFirst refuses the first request.
func failFirst(status int) func(*archive) func(int, http.ResponseWriter, *http.Request) bool {
	return func(*archive) func(int, http.ResponseWriter, *http.Request) bool {
		return func(call int, w http.ResponseWriter, _ *http.Request) bool {
			if call == 1 {
				answer(w, status, "application/xml", `<Error><Code>AccessDenied</Code><Message>`+sigText+`</Message></Error>`)
			}
			return call == 1
		}
	}
}

// withStore gives a client, and the URL of a store that it has nothing else to do with.
func withStore(t *testing.T, store http.HandlerFunc) (*client.Client, string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Auth-Token") != "" {
			t.Error("the store is told who is calling")
		}
		store(w, r)
	}))
	t.Cleanup(server.Close)
	c := client.New(client.Config{
		Endpoint: "http://127.0.0.1:1", ProjectID: project, Token: "t0ken", Transport: &http.Transport{DisableKeepAlives: true},
	})
	t.Cleanup(c.Close)
	return c, server.URL
}
