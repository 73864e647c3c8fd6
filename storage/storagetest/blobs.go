package storagetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"assetflow/fault"
	"assetflow/storage"
)

func testBlobs(t *testing.T, open func(*testing.T) *storage.Store) {
	t.Run("round trip", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, size := range []int64{0, 1, 128 * kib, mib, part - 1, part, part + 1, 3*part + 1} {
			data := content(size)
			sum := digest(data)
			has, err := store.HasBlob(t.Context(), sum)
			require.NoError(t, err)
			require.False(t, has)
			_, _, err = store.OpenBlob(t.Context(), sum)
			require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
			require.Equal(t, "storage.not_found", fault.CodeOf(err))

			for range 2 {
				require.NoError(t, store.PutBlob(t.Context(), sum, size, iotest.HalfReader(bytes.NewReader(data))))
			}
			has, err = store.HasBlob(t.Context(), sum)
			require.NoError(t, err)
			require.True(t, has)
			r, got, err := store.OpenBlob(t.Context(), sum)
			require.NoError(t, err)
			require.Equal(t, size, got)
			read, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, r.Close())
			requireEqual(t, data, read, fmt.Sprint(size))

			require.NoError(t, store.DeleteBlob(t.Context(), sum))
			require.NoError(t, store.DeleteBlob(t.Context(), sum), "already gone")
			requireNothing(t, store)
		}
	})

	t.Run("one request up to a part", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		var operations []string
		store := through(open(t), func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			mu.Lock()
			operations = append(operations, operation(req))
			mu.Unlock()
			return next.RoundTrip(req)
		})
		data := content(part)
		require.NoError(t, store.PutBlob(t.Context(), digest(data), part, bytes.NewReader(data)))
		require.Equal(t, []string{"Put"}, operations)
	})

	t.Run("mismatch", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, size := range []int64{1, 100 * kib, 2 * mib, part, part + 1, 3*part + 1} {
			data := content(size)
			wrong := digest(append(bytes.Clone(data), 'x'))
			for name, try := range map[string]struct {
				digest string
				size   int64
			}{
				"digest":    {wrong, size},
				"longer":    {digest(data), size - 1},
				"shorter":   {digest(data), size + 1},
				"none":      {digest(data), 0},
				"negative":  {digest(data), -1},
				"much more": {digest(data), size + 2*part},
			} {
				err := store.PutBlob(t.Context(), try.digest, try.size, bytes.NewReader(data))
				require.Equal(t, fault.Invalid, fault.KindOf(err), "%d %s: %v", size, name, err)
				require.Equal(t, "storage.digest_mismatch", fault.CodeOf(err))
				requireNothing(t, store)
			}
		}
	})

	// The blob must not be seen, whatever its size, while its content is not verified.
	t.Run("invisible until verified", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		data := content(3*part + 9)
		sum := digest(data)
		ends := reader(func([]byte) (int, error) {
			has, err := store.HasBlob(t.Context(), sum)
			require.NoError(t, err)
			require.False(t, has)
			return 0, io.EOF
		})
		require.NoError(t, store.PutBlob(t.Context(), sum, int64(len(data)), io.MultiReader(bytes.NewReader(data), ends)))
		has, err := store.HasBlob(t.Context(), sum)
		require.NoError(t, err)
		require.True(t, has)
	})

	t.Run("at the same time", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		small, large := content(70*kib), content(part+3)
		var writing errgroup.Group
		for range 8 {
			for _, data := range [][]byte{small, large} {
				writing.Go(func() error {
					return store.PutBlob(t.Context(), digest(data), int64(len(data)), bytes.NewReader(data))
				})
			}
		}
		// One that brings something else under the same name does not disturb them.
		writing.Go(func() error {
			err := store.PutBlob(t.Context(), digest(large), part+3, bytes.NewReader(content(part+2)))
			if fault.CodeOf(err) != "storage.digest_mismatch" {
				return fmt.Errorf("the false writer got %v", err)
			}
			return nil
		})
		require.NoError(t, writing.Wait())
		for _, data := range [][]byte{small, large} {
			requireEqual(t, data, get(t, store, storage.BlobKey(digest(data))), "written eight times")
		}
		require.Len(t, collect(t, store.ListBlobs(t.Context())), 2)
		requireNoUploads(t, store)
	})

	t.Run("malformed digest", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, bad := range []string{"", "abc", strings.Repeat("A", 64), strings.Repeat("0", 63), "../../" + strings.Repeat("0", 58)} {
			_, has := store.HasBlob(t.Context(), bad)
			_, _, opened := store.OpenBlob(t.Context(), bad)
			for _, err := range []error{
				has, opened, store.DeleteBlob(t.Context(), bad), store.PutBlob(t.Context(), bad, 0, strings.NewReader("")),
			} {
				require.Equal(t, "storage.bad_digest", fault.CodeOf(err), "%q", bad)
			}
			require.Panics(t, func() { storage.BlobKey(bad) })
		}
		require.Equal(t, "blobs/sha256/01/23/"+strings.Repeat("0123456789abcdef", 4), storage.BlobKey(strings.Repeat("0123456789abcdef", 4)))
	})
}
