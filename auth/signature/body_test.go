package signature_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth/signature"
	"assetflow/fault"
)

// A client may say UNSIGNED-PAYLOAD on a request that has no body, whatever its Content-Type.
func TestVerifyUnsignedNoBody(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
	require.NoError(t, signature.Sign(r, ak, sk, vectorTime))
	require.NoError(t, verify(r))
}

// A payload header that is not signed itself may not be sent twice either.
func TestVerifyPayloadHeaderTwice(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	r.Header.Set("X-Sdk-Date", "20260101T000000Z")
	r.Header.Set("X-Sdk-Content-Sha256", hexHash(""))
	signedBy(r, "GET", "/a/", "", "x-sdk-date:20260101T000000Z", "", "x-sdk-date", hexHash(""))
	require.NoError(t, verify(r))
	r.Header.Add("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD")
	require.Equal(t, "auth.signature_mismatch", fault.CodeOf(verify(r)))
}

// A body that says it is too large is not read at all.
func TestVerifyLargeBodyIsNotRead(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/a", nil)
	require.NoError(t, signature.Sign(r, ak, sk, vectorTime))
	r.Body, r.ContentLength = io.NopCloser(brokenReader{}), signature.MaxHashedBody+1
	require.Equal(t, "auth.body_too_large", fault.CodeOf(verify(r)))
}

// An unsigned body is not touched: an upload that is refused later was not read.
func TestVerifyLeavesUnsignedBody(t *testing.T) {
	t.Parallel()
	body := io.NopCloser(brokenReader{})
	r := httptest.NewRequest(http.MethodPost, "/a", body)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	require.NoError(t, signature.Sign(r, ak, sk, vectorTime))
	require.NoError(t, verify(r))
	require.Equal(t, body, r.Body)
}

func TestVerifyLargeBodyWithHash(t *testing.T) {
	t.Parallel()
	const size = 3<<20 + 17
	body := bytes.Repeat([]byte("{}"), size/2+1)[:size]
	for _, c := range []struct {
		name   string
		change func(sent []byte) []byte
		ok     bool
	}{
		{"as signed", func(b []byte) []byte { return b }, true},
		{"first byte", func(b []byte) []byte { b[0]++; return b }, false},
		{"last byte", func(b []byte) []byte { b[len(b)-1]++; return b }, false},
		{"one byte more", func(b []byte) []byte { return append(b, ' ') }, false},
		{"one byte less", func(b []byte) []byte { return b[:len(b)-1] }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPost, "/a", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			require.NoError(t, signature.Sign(r, ak, sk, vectorTime))
			require.Equal(t, hexHash(string(body)), r.Header.Get("X-Sdk-Content-Sha256"))
			sent := c.change(bytes.Clone(body))
			setBody(r, string(sent))
			require.NoError(t, verify(r), "the signature itself is right")
			got, err := io.ReadAll(r.Body)
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, body, got)
				return
			}
			require.Equal(t, "auth.signature_mismatch", fault.CodeOf(err))
			_, again := r.Body.Read(make([]byte, 1))
			require.Equal(t, err, again, "the refusal stays")
			require.NoError(t, r.Body.Close())
		})
	}
}

// Verify must not be talked into holding a large body in memory by a caller who has no key.
func TestVerifyLargeBodyWithWrongKeyIsNotRead(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/a", brokenReader{})
	r.Header.Set("Content-Type", "application/octet-stream")
	r.Header.Set("X-Sdk-Content-Sha256", hexHash("x"))
	require.NoError(t, signature.Sign(r, ak, "another", vectorTime))
	require.ErrorIs(t, verify(r), signature.ErrDiffers)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}
