package signature_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth/signature"
)

var vectorTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// vectors were made with the vendor's Go SDK, access key AKTEST, secret key SKTEST.
var vectors = []struct {
	name, method, path, query, contentType, body string
	want                                         string
}{
	{
		name: "GET", method: "GET", path: "/v2/p1/instances/i1/assets/jobs/j1",
		contentType: "application/json",
		want:        "548aaa69e2e3af2b0428c41fb9bc7a34e9b5747281cc9529d811b4e47c8e23ee",
	},
	{
		name: "POST JSON", method: "POST", path: "/v2/p1/instances/i1/assets/delete",
		contentType: "application/json", body: `{"apps":[{"id":"a1"}],"tasks":[]}` + "\n",
		want: "9c9983323fd30f31c96c30f96b136510a7c54eeb931b75c16279814c1d3ee9ff",
	},
	{
		name: "POST multipart", method: "POST", path: "/v2/p1/instances/i 1/assets/import",
		query:       "type=Merge&prefix=" + url.QueryEscape("a b+c/é") + "&datasource_overwrite=true",
		contentType: "multipart/form-data; boundary=b", body: "--b--\r\n",
		want: "39d48dcac5ec1889e1c81de4c04b6627480e4029e486acb313086feef896e4bb",
	},
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest(v.method, "http://localhost", strings.NewReader(v.body))
			require.NoError(t, err)
			r.URL.Path, r.URL.RawQuery = v.path, v.query
			r.Header.Set("User-Agent", "huaweicloud-usdk-go/3.0")
			r.Header.Set("X-Project-Id", "p1")
			r.Header.Set("Content-Type", v.contentType)
			require.NoError(t, signature.Sign(r, "AKTEST", "SKTEST", vectorTime))
			require.Equal(t, v.want, signatureOf(t, r))

			// The same over the wire.
			require.NoError(t, serve(t, r, func(r *http.Request) error {
				a, err := signature.Parse(r.Header.Get("Authorization"))
				require.NoError(t, err)
				return signature.Verify(r, a, "SKTEST", vectorTime)
			}))
		})
	}
}

func TestVectorSignedHeaders(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/v2/p1/x", strings.NewReader("--b--"))
	r.Header = http.Header{
		"User-Agent": {"u"}, "X-Project-Id": {"p1"}, "Content-Type": {"multipart/form-data; boundary=b"},
		"Accept": {"*/*"}, "X-Forwarded-For": {"1.2.3.4"},
	}
	require.NoError(t, signature.Sign(r, "AK", "SK", vectorTime))
	require.Contains(t, r.Header.Get("Authorization"), "SignedHeaders=user-agent;x-project-id;x-sdk-content-sha256;x-sdk-date,")
	require.Equal(t, "UNSIGNED-PAYLOAD", r.Header.Get("X-Sdk-Content-Sha256"))
	require.Equal(t, "20260101T000000Z", r.Header.Get("X-Sdk-Date"))
}

func signatureOf(t *testing.T, r *http.Request) string {
	t.Helper()
	a, err := signature.Parse(r.Header.Get("Authorization"))
	require.NoError(t, err)
	return a.Signature
}

// serve sends r to a real server and gives what check says there.
func serve(t *testing.T, r *http.Request, check func(*http.Request) error) error {
	t.Helper()
	got := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- check(r) }))
	defer server.Close()
	target, err := url.Parse(server.URL)
	require.NoError(t, err)
	r.URL.Scheme, r.URL.Host, r.RequestURI = target.Scheme, target.Host, ""
	resp, err := server.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return <-got
}
