package storagetest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/storage"
)

func testUploads(t *testing.T, open func(*testing.T) *storage.Store) {
	write := func(t *testing.T, store *storage.Store, key string, data []byte) {
		t.Helper()
		_, _, err := store.PutArchive(t.Context(), key, bytes.NewReader(data))
		require.NoError(t, err)
	}

	t.Run("round trip", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		key := storage.UploadKey("p", "f")
		require.Equal(t, "uploads/p/f/content", key)
		_, err := store.VerifyUpload(t.Context(), key, 1, md5Of(nil))
		require.Equal(t, fault.NotFound, fault.KindOf(err))
		for _, size := range []int64{0, 1, mib, part, 2*part + 3} {
			data := content(size)
			write(t, store, key, data)
			sum, err := store.VerifyUpload(t.Context(), key, size, md5Of(data))
			require.NoError(t, err)
			require.Equal(t, digest(data), sum)
			for range 2 {
				require.NoError(t, store.StoreUpload(t.Context(), key, size, sum))
			}
			requireEqual(t, data, get(t, store, storage.BlobKey(sum)), "the blob")
			requireEqual(t, data, get(t, store, key), "the upload stays")

			for _, other := range []int64{size + 1, size - 1} {
				_, err = store.VerifyUpload(t.Context(), key, other, md5Of(data))
				require.Equal(t, "storage.size_mismatch", fault.CodeOf(err))
			}
			_, err = store.VerifyUpload(t.Context(), key, size, md5Of([]byte("other")))
			require.Equal(t, "storage.digest_mismatch", fault.CodeOf(err))
			require.NoError(t, store.DeleteBlob(t.Context(), sum))
		}
		for range 2 { // the second time there is nothing
			require.NoError(t, store.DeleteUpload(t.Context(), key))
		}
		requireNothing(t, store)
	})

	// An upload that was replaced after it was verified becomes no blob.
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		key := storage.UploadKey("p", "f")
		for _, size := range []int64{100, 2 * part} {
			data := content(size)
			write(t, store, key, data)
			sum, err := store.VerifyUpload(t.Context(), key, size, md5Of(data))
			require.NoError(t, err)
			other := bytes.Clone(data)
			other[size-1] ^= 1
			write(t, store, key, other)
			require.Equal(t, "storage.digest_mismatch", fault.CodeOf(store.StoreUpload(t.Context(), key, size, sum)))
			write(t, store, key, data[1:])
			require.Equal(t, "storage.size_mismatch", fault.CodeOf(store.StoreUpload(t.Context(), key, size, sum)))
			require.NoError(t, store.DeleteUpload(t.Context(), key))
			require.Equal(t, fault.NotFound, fault.KindOf(store.StoreUpload(t.Context(), key, size, sum)))
			require.Equal(t, "storage.bad_digest", fault.CodeOf(store.StoreUpload(t.Context(), key, size, "x")))
			requireNothing(t, store)
		}
	})

	t.Run("lists and manifests", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		upload, other := storage.UploadKey("p", "f"), storage.UploadKey("q", "f")
		manifest := storage.ManifestKey("p", "a", "1")
		require.Equal(t, "manifests/p/a/1", manifest)
		write(t, store, upload, content(1))
		write(t, store, other, content(1))
		size, sum, err := store.PutManifest(t.Context(), manifest, bytes.NewReader(content(10)))
		require.NoError(t, err)
		require.EqualValues(t, 10, size)
		require.Equal(t, digest(content(10)), sum)
		require.Len(t, collect(t, store.ListUploads(t.Context(), "")), 2)
		listed := collect(t, store.ListUploads(t.Context(), "uploads/p/"))
		require.Len(t, listed, 1)
		require.Equal(t, upload, listed[0].Key)
		manifests := collect(t, store.ListManifests(t.Context()))
		require.Len(t, manifests, 1)
		require.Equal(t, manifest, manifests[0].Key)
		for range 2 { // the second time there is nothing
			require.NoError(t, store.DeleteManifest(t.Context(), manifest))
		}
		require.Empty(t, collect(t, store.ListManifests(t.Context())))
	})
}
