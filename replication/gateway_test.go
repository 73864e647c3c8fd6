package replication_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/replication"
	"assetflow/storage"
	"assetflow/storage/storagetest"
)

// A region's bucket, from the outside: what is sealed there leads to the bytes of the asset.
func TestFromAnotherRegionsBucket(t *testing.T) {
	server, stop, err := storagetest.Server()
	require.NoError(t, err)
	defer func() { require.NoError(t, stop()) }()
	server.Bucket = "region-a"
	store, err := storage.Open(t.Context(), server)
	require.NoError(t, err)
	require.NoError(t, store.EnsureBucket(t.Context()))

	// Region A: a file, the manifest, the info.
	content := bytes.Repeat([]byte("0123456789"), 1<<20)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	require.NoError(t, store.PutBlob(t.Context(), digest, int64(len(content)), bytes.NewReader(content)))
	f := file(1)
	f.SHA256, f.Size = digest, int64(len(content))
	f.URL, err = store.PresignDownload(t.Context(), storage.BlobKey(digest), "", time.Hour)
	require.NoError(t, err)
	r, w := io.Pipe()
	go func() {
		h := replication.ManifestHeader{AssetID: assetID, Files: 1, Bytes: f.Size}
		w.CloseWithError(replication.WriteManifest(w, h, func(yield func(replication.ManifestFile, error) bool) { yield(f, nil) }))
	}()
	p := payload()
	key := storage.ManifestKey("p", assetID, "1")
	p.ManifestSize, p.ManifestSHA256, err = store.PutManifest(t.Context(), key, r)
	require.NoError(t, err)
	p.ManifestURL, err = store.PresignDownload(t.Context(), key, "", time.Hour)
	require.NoError(t, err)
	keys := ring(t, ringText)
	info, err := replication.Seal(keys, p, assetID, time.Now().Add(time.Hour), nil)
	require.NoError(t, err)

	// Region B has the info, the ring and the list of sources.
	opened, err := replication.Open(keys, info, "region-b", time.Now())
	require.NoError(t, err)
	fetcher, err := replication.NewFetcher(replication.FetcherOptions{Sources: []string{server.Endpoint}, FirstPause: time.Millisecond})
	require.NoError(t, err)
	defer fetcher.Close()
	read := func() (replication.ManifestFile, error) {
		remote, err := fetcher.Remote(opened.ManifestURL, opened.ManifestSize, "")
		require.NoError(t, err)
		m, err := replication.ReadManifest(remote.Reader(t.Context()), info.AssetID, opened.ManifestSize, opened.ManifestSHA256)
		if err != nil {
			return replication.ManifestFile{}, err
		}
		listed, err := m.Next()
		if err != nil {
			return replication.ManifestFile{}, err
		}
		_, err = m.Next()
		require.Equal(t, io.EOF, err)
		return listed, nil
	}
	listed, err := read()
	require.NoError(t, err)
	require.True(t, f == listed)
	remote, err := fetcher.Remote(listed.URL, listed.Size, "")
	require.NoError(t, err)
	got, err := io.ReadAll(remote.Reader(t.Context()))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))

	// What the bucket refuses is told apart.
	shortLived, err := store.PresignDownload(t.Context(), storage.BlobKey(digest), "", time.Second)
	require.NoError(t, err)
	expired, err := fetcher.Remote(shortLived, listed.Size, "")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return fault.CodeOf(expired.ReadRange(t.Context(), make([]byte, 1), 0)) == "replication.url_expired"
	}, time.Minute, 100*time.Millisecond)
	smaller, err := fetcher.Remote(listed.URL, listed.Size-1, "")
	require.NoError(t, err)
	require.Equal(t, "replication.source_changed", fault.CodeOf(smaller.ReadRange(t.Context(), make([]byte, 1), 0)))
	larger, err := fetcher.Remote(listed.URL, listed.Size+1, "")
	require.NoError(t, err)
	require.Equal(t, "replication.source_changed", fault.CodeOf(larger.ReadRange(t.Context(), make([]byte, 1), listed.Size)))

	_, _, err = store.PutManifest(t.Context(), key, bytes.NewReader([]byte("{}\n")))
	require.NoError(t, err)
	_, err = read()
	require.Equal(t, "replication.source_changed", fault.CodeOf(err))
	require.NoError(t, store.DeleteManifest(context.WithoutCancel(t.Context()), key))
	_, err = read()
	require.Equal(t, "replication.source_gone", fault.CodeOf(err))
}
