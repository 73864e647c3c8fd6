package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth/signature"
	"assetflow/fault"
)

const (
	ak = "AKTEST"
	sk = "SKTEST"
)

// signedBy signs by hand what the caller spells out, as a signer that shares no code with this package.
func signedBy(r *http.Request, canonicalLines ...string) {
	names := canonicalLines[len(canonicalLines)-2]
	sum := sha256.Sum256([]byte(strings.Join(canonicalLines, "\n")))
	mac := hmac.New(sha256.New, []byte(sk))
	mac.Write([]byte("SDK-HMAC-SHA256\n" + r.Header.Get("X-Sdk-Date") + "\n" + hex.EncodeToString(sum[:])))
	r.Header.Set("Authorization", "SDK-HMAC-SHA256 Access="+ak+", SignedHeaders="+names+", Signature="+hex.EncodeToString(mac.Sum(nil)))
}

func hexHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func verify(r *http.Request) error {
	a, err := signature.Parse(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	return signature.Verify(r, a, sk, vectorTime)
}

// A signer that signs content-type, host and the date, as the gateway's own signers do.
func TestVerifyOtherSigner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, target, uri, query string }{
		{"plain", "/v3/p/cas/environments", "/v3/p/cas/environments/", ""},
		{"root", "/", "/", ""},
		{"ends in a slash", "/a/", "/a/", ""},
		{"accent", "/a/%C3%A9", "/a/%C3%A9/", ""},
		{"accent in lower-case hex", "/a/%c3%a9", "/a/%C3%A9/", ""},
		{"space", "/a/i%201", "/a/i%201/", ""},
		{"plus", "/a/b+c", "/a/b%2Bc/", ""},
		{"encoded plus", "/a/b%2Bc", "/a/b%2Bc/", ""},
		{"encoded slash", "/a/b%2Fc", "/a/b%2Fc/", ""},
		{"needless encoding", "/a/%7E%41", "/a/~A/", ""},
		{"characters a path may hold", "/a/b:c@d;e,f!g'h(i)", "/a/b%3Ac%40d%3Be%2Cf%21g%27h%28i%29/", ""},
		{"query sorted by key, then value", "/a?b=2&a=z&b=10&a=", "/a/", "a=&a=z&b=10&b=2"},
		{"query key without value", "/a?b&a", "/a/", "a=&b="},
		{"query plus and %20 are spaces", "/a?k+1=a+b%20c", "/a/", "k%201=a%20b%20c"},
		{"query encoded plus, equals, ampersand", "/a?k=a%2Bb%3Dc%26d", "/a/", "k=a%2Bb%3Dc%26d"},
		{"query raw equals and slash", "/a?k=a=b/c", "/a/", "k=a%3Db%2Fc"},
		{"query accent", "/a?prefix=%C3%A9", "/a/", "prefix=%C3%A9"},
		{"query empty parts", "/a?&&x=1&", "/a/", "x=1"},
		{"query sorted before it is encoded", "/a?%C3%A9=1&~=2", "/a/", "~=2&%C3%A9=1"},
		{"query encoded semicolon", "/a?x=1%3By", "/a/", "x=1%3By"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := `{"action":"redeploy"}`
			r, err := http.NewRequest(http.MethodPost, "http://localhost"+c.target, strings.NewReader(body))
			require.NoError(t, err)
			r.Host = "assetflow.example:8080"
			r.Header.Set("X-Sdk-Date", "20260101T000000Z")
			r.Header.Set("Content-Type", "application/json;charset=utf8")
			signedBy(r, "POST", c.uri, c.query,
				"content-type:application/json;charset=utf8", "host:assetflow.example:8080", "x-sdk-date:20260101T000000Z", "",
				"content-type;host;x-sdk-date", hexHash(body))
			require.NoError(t, serve(t, r, func(r *http.Request) error {
				if err := verify(r); err != nil {
					return err
				}
				got, err := io.ReadAll(r.Body)
				require.NoError(t, err)
				require.Equal(t, body, string(got))
				return nil
			}))
		})
	}
}

// The order of the list is the signer's; a proxy's additional headers do not matter.
func TestVerifyListsAsGiven(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	r.Header.Set("X-Sdk-Date", "20260101T000000Z")
	r.Header.Set("X-B", "  spaced  ")
	r.Header.Set("X-Forwarded-For", "10.0.0.1")
	signedBy(r, "GET", "/a/", "", "x-sdk-date:20260101T000000Z", "x-b:spaced", "", "x-sdk-date;x-b", hexHash(""))
	require.NoError(t, verify(r))
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	const jsonBody = `{"apps":[],"tasks":[]}`
	multipart := func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=b") }
	resign := func(r *http.Request) { _ = signature.Sign(r, ak, sk, vectorTime) }
	for _, c := range []struct {
		name    string
		before  func(r *http.Request) // before it is signed
		after   func(r *http.Request) // what is changed of the signed request
		code    string
		differs bool // a guess at the key could look like this
	}{
		{name: "method", after: func(r *http.Request) { r.Method = "PUT" }, differs: true},
		{name: "path", after: func(r *http.Request) { r.URL.Path += "x" }, differs: true},
		{name: "query", after: func(r *http.Request) { r.URL.RawQuery = "type=Merge" }, differs: true},
		{name: "query that cannot be decoded", after: func(r *http.Request) { r.URL.RawQuery = "a=%zz" }},
		{name: "query semicolon", after: func(r *http.Request) { r.URL.RawQuery = "x=1;" }},
		{name: "query key that cannot be decoded", after: func(r *http.Request) { r.URL.RawQuery = "%=1" }},
		{name: "body", after: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(jsonBody[:len(jsonBody)-1] + " ")) }, differs: true},
		{name: "body without its line feed", before: func(r *http.Request) { setBody(r, jsonBody+"\n") }, after: func(r *http.Request) { setBody(r, jsonBody) }, differs: true},
		{name: "signed header changed", after: func(r *http.Request) { r.Header.Set("X-Project-Id", "p2") }, differs: true},
		{name: "signed header away", after: func(r *http.Request) { r.Header.Del("X-Project-Id") }},
		{name: "signed header twice", after: func(r *http.Request) { r.Header.Add("X-Project-Id", "p1") }},
		{name: "date away", after: func(r *http.Request) { r.Header.Del("X-Sdk-Date") }},
		{name: "date twice", after: func(r *http.Request) { r.Header.Add("X-Sdk-Date", "20260101T000000Z") }},
		{name: "date malformed", after: func(r *http.Request) { r.Header.Set("X-Sdk-Date", "2026-01-01T00:00:00Z") }},
		{name: "date with a fraction", after: func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260101T000000.5Z") }},
		{name: "date changed", after: func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260101T000001Z") }, differs: true},
		{name: "date 15 minutes and a second old", after: func(r *http.Request) { _ = signature.Sign(r, ak, sk, vectorTime.Add(-15*time.Minute-time.Second)) }, code: "auth.signature_expired"},
		{name: "date 15 minutes and a second ahead", after: func(r *http.Request) { _ = signature.Sign(r, ak, sk, vectorTime.Add(15*time.Minute+time.Second)) }, code: "auth.signature_expired"},
		{name: "another secret key", after: func(r *http.Request) { _ = signature.Sign(r, ak, sk+"x", vectorTime) }, differs: true},
		{name: "payload header added", after: func(r *http.Request) { multipart(r); r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD") }, differs: true},
		{name: "payload header away", before: multipart, after: func(r *http.Request) { r.Header.Del("X-Sdk-Content-Sha256") }},
		{name: "payload header twice", before: multipart, after: func(r *http.Request) { r.Header.Add("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD") }},
		{name: "payload header neither", after: func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", "STREAMING"); resign(r) }},
		{name: "payload header short", after: func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", "00"); resign(r) }},
		{name: "payload header of another body", after: func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", hexHash("x")); resign(r) }},
		{name: "unsigned JSON", after: func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"); resign(r) }},
		{name: "unsigned body made JSON", before: multipart, after: func(r *http.Request) { r.Header.Set("Content-Type", "Application/Vnd.x+JSON") }},
		{name: "unsigned body of no type", before: multipart, after: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{name: "unsigned body of two types", before: multipart, after: func(r *http.Request) { r.Header.Add("Content-Type", "text/json") }},
		{name: "body that breaks off", after: func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), brokenReader{})) }, code: "auth.body_unreadable"},
		{name: "large body of known length", after: func(r *http.Request) { setBody(r, strings.Repeat(" ", signature.MaxHashedBody+1)) }, code: "auth.body_too_large"},
		{name: "large body of unknown length", after: func(r *http.Request) {
			setBody(r, strings.Repeat(" ", signature.MaxHashedBody+1))
			r.ContentLength = -1
		}, code: "auth.body_too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/v2/p1/instances/i1/assets/delete?x=1", strings.NewReader(jsonBody))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Project-Id", "p1")
			if c.before != nil {
				c.before(r)
			}
			resign(r)
			require.NoError(t, verify(r))
			c.after(r)
			err := verify(r)
			if c.code == "" {
				c.code = "auth.signature_mismatch"
			}
			require.Equal(t, c.code, fault.CodeOf(err), "%v", err)
			require.Equal(t, c.differs, errors.Is(err, signature.ErrDiffers), "%v", err)
			require.NotContains(t, err.Error(), sk)
		})
	}
}

func TestVerifyDateWindow(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-15 * time.Minute, 0, 15 * time.Minute} {
		r := httptest.NewRequest(http.MethodGet, "/a", nil)
		require.NoError(t, signature.Sign(r, ak, sk, vectorTime.Add(off)))
		require.NoError(t, verify(r), off)
	}
}

func TestVerifyExpiredSaysWhen(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	require.NoError(t, signature.Sign(r, ak, sk, vectorTime.Add(-time.Hour)))
	f, ok := fault.As(verify(r))
	require.True(t, ok)
	require.Equal(t, "signature expired, signed at: 20251231T230000Z, server time: 20260101T000000Z", f.Message)
}

func TestSignRefusesRepeatedHeader(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	r.Header["X-Twice"] = []string{"a", "b"}
	require.ErrorContains(t, signature.Sign(r, ak, sk, vectorTime), "x-twice")
}

// FuzzVerify: whatever path and query a client can send, a request signed by Sign verifies, and one whose path or query
// was changed to mean something else does not.
func FuzzVerify(f *testing.F) {
	f.Add("/a/b%2Fc", "x=1&y=é", "/a/b/c", "x=1")
	f.Add("/", "", "/%2F", "&")
	f.Fuzz(func(t *testing.T, path, query, otherPath, otherQuery string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		u, err := r.URL.Parse("http://h/")
		require.NoError(t, err)
		u.Path, u.RawQuery = path, query
		r.URL = u
		if signature.Sign(r, ak, sk, vectorTime) != nil {
			return // a query that cannot be decoded
		}
		require.NoError(t, verify(r))
		changed := *u
		changed.Path, changed.RawQuery = otherPath, otherQuery
		r.URL = &changed
		if strings.TrimSuffix(path, "/") != strings.TrimSuffix(otherPath, "/") {
			require.Error(t, verify(r))
		}
		if sorted(u.Query()) != sorted(changed.Query()) {
			require.Error(t, verify(r))
		}
	})
}

// sorted gives what a query means, but for the order of the values of one key, which no signature covers.
func sorted(query url.Values) string {
	for _, values := range query {
		slices.Sort(values)
	}
	return query.Encode()
}
