package storagetest

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/storage"
)

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// request makes a request past the SDK, as somebody who has nothing but a URL.
func request(t *testing.T, method, url string, header http.Header) (status int, answer []byte, got http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, answer, resp.Header
}

// put gives the status of a PUT. A server may close the connection when it has refused a request whose body still comes,
// and the client may not see the answer then: that is 400 here.
func put(t *testing.T, url string, body []byte, md5 string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
	require.NoError(t, err)
	if md5 != "" {
		req.Header.Set("Content-MD5", md5)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE), "%v", err)
		return http.StatusBadRequest
	}
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// requireRefused checks that each status blames the caller.
func requireRefused(t *testing.T, statuses map[string]int) {
	t.Helper()
	for name, status := range statuses {
		require.True(t, status >= 400 && status < 500, "%s: %d", name, status)
	}
}

func testPresign(t *testing.T, open func(*testing.T) *storage.Store) {
	// What the server refuses by itself, and that nothing is stored then.
	t.Run("uploads", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, size := range []int64{0, 1, mib, part + 1} {
			key, data := storage.UploadKey("p", fmt.Sprint(size)), content(size)
			sum := md5Of(data)
			signed, err := store.PresignUpload(t.Context(), key, size, sum, time.Hour)
			require.NoError(t, err)
			other := bytes.Clone(data)
			if size > 0 {
				other[size/2] ^= 1
			}
			longer := append(bytes.Clone(data), 'x')
			refused := map[string]int{
				"longer, the MD5 that was said": put(t, signed, longer, sum),
				"longer, its own MD5":           put(t, signed, longer, md5Of(longer)),
				"no MD5":                        put(t, signed, data, ""),
			}
			if size > 0 {
				refused["other bytes, the MD5 that was said"] = put(t, signed, other, sum)
				refused["other bytes, their own MD5"] = put(t, signed, other, md5Of(other))
				refused["shorter"] = put(t, signed, data[:size-1], sum)
			}
			requireRefused(t, refused)
			_, err = store.VerifyUpload(t.Context(), key, size, sum)
			require.Equal(t, "storage.not_found", fault.CodeOf(err), "nothing of it was stored: %v", err)

			for range 2 {
				require.Equal(t, http.StatusOK, put(t, signed, data, sum))
			}
			requireEqual(t, data, get(t, store, key), "the upload")
			read, _, _ := request(t, http.MethodGet, signed, nil)
			removed, _, _ := request(t, http.MethodDelete, signed, nil)
			requireRefused(t, map[string]int{
				"reading with the same URL": read, "removing": removed,
				"another key": put(t, strings.Replace(signed, "/content?", "/other?", 1), data, sum),
			})
		}
	})

	t.Run("downloads", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		data := content(100)
		sum := digest(data)
		require.NoError(t, store.PutBlob(t.Context(), sum, 100, bytes.NewReader(data)))
		const name = "Größe \"1\"; x=.zip"
		signed, err := store.PresignDownload(t.Context(), storage.BlobKey(sum), name, time.Hour)
		require.NoError(t, err)
		status, got, header := request(t, http.MethodGet, signed, nil)
		require.Equal(t, http.StatusOK, status, "%s", got)
		requireEqual(t, data, got, "whole")
		require.Equal(t, "application/octet-stream", header.Get("Content-Type"))
		kind, parameters, err := mime.ParseMediaType(header.Get("Content-Disposition"))
		require.NoError(t, err)
		require.Equal(t, "attachment", kind)
		require.Equal(t, name, parameters["filename"])

		signed, err = store.PresignDownload(t.Context(), storage.BlobKey(sum), "", time.Hour)
		require.NoError(t, err)
		status, got, header = request(t, http.MethodGet, signed, http.Header{"Range": {"bytes=10-19"}})
		require.Equal(t, http.StatusPartialContent, status)
		requireEqual(t, data[10:20], got, "a range")
		require.Equal(t, "bytes 10-19/100", header.Get("Content-Range"))
		require.Empty(t, header.Get("Content-Disposition"))
		etag := header.Get("ETag")
		require.NotEmpty(t, etag)
		status, _, _ = request(t, http.MethodGet, signed, http.Header{"If-Match": {`"another"`}})
		require.Equal(t, http.StatusPreconditionFailed, status)
		status, _, _ = request(t, http.MethodGet, signed, http.Header{"If-Match": {etag}})
		require.Equal(t, http.StatusOK, status)

		require.Equal(t, http.StatusForbidden, put(t, signed, data, ""), "it cannot be written with the same URL")
		for from, to := range map[string]string{
			sum: strings.Repeat("0", 64), "X-Amz-Expires=3600": "X-Amz-Expires=9999", "X-Amz-Signature=": "X-Amz-Signature=0",
		} {
			status, _, _ := request(t, http.MethodGet, strings.Replace(signed, from, to, 1), nil)
			require.GreaterOrEqual(t, status, 400, from)
			require.NotEqual(t, http.StatusNotFound, status, "who cannot read learns nothing")
		}
		require.NoError(t, store.DeleteBlob(t.Context(), sum))
		status, _, _ = request(t, http.MethodGet, signed, nil)
		require.Equal(t, http.StatusNotFound, status)
	})

	t.Run("expiry", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		key := storage.UploadKey("p", "f")
		signed, err := store.PresignDownload(t.Context(), key, "", time.Second)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			status, _, _ := request(t, http.MethodGet, signed, nil)
			return status == http.StatusForbidden
		}, 10*time.Second, 100*time.Millisecond, "before, it is 404")

		for _, expires := range []time.Duration{-1, 0, time.Millisecond, 8 * 24 * time.Hour} {
			_, err := store.PresignDownload(t.Context(), key, "", expires)
			require.Error(t, err)
			_, err = store.PresignUpload(t.Context(), key, 1, md5Of(nil), expires)
			require.Error(t, err)
		}
		for _, sum := range []string{"", "x", strings.Repeat("0", 32), base64.StdEncoding.EncodeToString(content(20))} {
			_, err = store.PresignUpload(t.Context(), key, 1, sum, time.Hour)
			require.Error(t, err)
		}
		_, err = store.PresignUpload(t.Context(), key, -1, md5Of(nil), time.Hour)
		require.Error(t, err)
	})
}
