package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/storage"
)

func testArchives(t *testing.T, open func(*testing.T) *storage.Store) {
	t.Run("round trip", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, size := range []int64{0, 1, mib, part, part + 1, 3*part + 100} {
			data, key := content(size), storage.ArchiveKey("p", "j")
			got, sum, err := store.PutArchive(t.Context(), key, iotest.HalfReader(bytes.NewReader(data)))
			require.NoError(t, err)
			require.Equal(t, size, got)
			require.Equal(t, digest(data), sum)
			requireEqual(t, data, get(t, store, key), "as a whole, over the one before")
			object := store.OpenArchive(t.Context(), key, size)
			r, err := object.OpenRange(t.Context(), size/3, size-size/3)
			require.NoError(t, err)
			tail, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			requireEqual(t, data[size/3:], tail, "a range")
		}
		requireNoUploads(t, store)
	})

	t.Run("list and delete", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		ours, other := storage.ArchiveKey("p", "j"), storage.ArchiveKey("q", "j")
		require.Equal(t, "archives/p/j/package.zip", ours)
		for _, key := range []string{ours, other, storage.StagingKey("p", "j")} {
			_, _, err := store.PutArchive(t.Context(), key, bytes.NewReader(content(10)))
			require.NoError(t, err)
		}
		require.Len(t, collect(t, store.ListArchives(t.Context(), "")), 2, "nothing that is staged")
		listed := collect(t, store.ListArchives(t.Context(), "archives/p/"))
		require.Len(t, listed, 1)
		require.Equal(t, ours, listed[0].Key)
		for range 2 { // the second time there is nothing
			require.NoError(t, store.DeleteArchive(t.Context(), ours))
		}
		require.Empty(t, collect(t, store.ListArchives(t.Context(), "archives/p/")))
		require.Len(t, collect(t, store.ListArchives(t.Context(), "")), 1)
		_, err := store.OpenArchive(t.Context(), ours, 10).OpenRange(t.Context(), 0, 10)
		require.NoError(t, err, "small objects are fetched when they are read")
		_, err = store.OpenArchive(t.Context(), ours, 10).ReadAt(make([]byte, 1), 0)
		require.Equal(t, fault.NotFound, fault.KindOf(err))
		_, err = store.OpenArchive(t.Context(), ours, 10*mib).OpenRange(t.Context(), 0, 10*mib)
		require.Equal(t, fault.NotFound, fault.KindOf(err))
	})

	// A try that fails leaves the archive of another one alone.
	t.Run("failures", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		key, broken := storage.ArchiveKey("p", "j"), errors.New("the package cannot be written")
		before := content(100)
		_, _, err := store.PutArchive(t.Context(), key, bytes.NewReader(before))
		require.NoError(t, err)
		for _, at := range []int64{0, 1, part, 2*part + 1} {
			_, _, err := store.PutArchive(t.Context(), key, io.MultiReader(bytes.NewReader(content(at)), iotest.ErrReader(broken)))
			require.ErrorIs(t, err, broken, "at %d", at)

			ctx, cancel := context.WithCancel(t.Context())
			_, _, err = store.PutArchive(ctx, key, io.MultiReader(bytes.NewReader(content(at)), reader(func([]byte) (int, error) {
				cancel()
				return 0, io.EOF // ended properly, and too late
			})))
			require.ErrorIs(t, err, context.Canceled, "at %d", at)
			cancel()
		}
		for _, op := range []string{"Create", "Part1", "Part2", "Complete"} {
			failing := through(store, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if operation(req) == op {
					return nil, errors.New("lost")
				}
				return next.RoundTrip(req)
			})
			_, _, err := failing.PutArchive(t.Context(), key, bytes.NewReader(content(2*part)))
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s: %v", op, err)
		}
		requireEqual(t, before, get(t, store, key), "the one before")
		requireNoUploads(t, store)
	})
}
