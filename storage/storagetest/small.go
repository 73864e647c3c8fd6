package storagetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/storage"
)

// testSmall writes small objects under keys of the test's own, also on conditions.
func testSmall(t *testing.T, open func(*testing.T) *storage.Store) {
	ctx, store := t.Context(), open(t)
	const key = "own/folder/object.yaml"
	_, _, err := store.Get(ctx, key, 10)
	require.Equal(t, "storage.not_found", fault.CodeOf(err))
	require.Equal(t, "storage.condition_failed", fault.CodeOf(store.Replace(ctx, key, []byte("x"), `"0123456789abcdef0123456789abcdef"`)))

	require.NoError(t, store.Replace(ctx, key, []byte("one"), ""))
	require.Equal(t, "storage.condition_failed", fault.CodeOf(store.Replace(ctx, key, []byte("two"), "")))
	data, first, err := store.Get(ctx, key, 3)
	require.NoError(t, err)
	require.Equal(t, "one", string(data))
	_, _, err = store.Get(ctx, key, 2)
	require.Equal(t, "storage.too_large", fault.CodeOf(err))

	require.NoError(t, store.Replace(ctx, key, []byte("two"), first))
	require.Equal(t, "storage.condition_failed", fault.CodeOf(store.Replace(ctx, key, []byte("three"), first)))
	require.NoError(t, store.Put(ctx, key, []byte("four")))
	data, _, err = store.Get(ctx, key, 10)
	require.NoError(t, err)
	require.Equal(t, "four", string(data))

	require.NoError(t, store.Put(ctx, "own/other", nil))
	var keys []string
	for object, err := range store.List(ctx, "own/folder/") {
		require.NoError(t, err)
		keys = append(keys, object.Key)
	}
	require.Equal(t, []string{key}, keys)
	for range 2 {
		require.NoError(t, store.Delete(ctx, key))
	}
	require.NoError(t, store.Delete(ctx, "own/other"))

	for prefix, want := range map[string]bool{
		"": true, "b": true, "blobs/": true, "blobs/x/": true, "staging/p/": true, "archives/": true, "uploads/": true,
		"manifests/": true, "gitops/": false, "blobs2/": false, "x/blobs/": false,
	} {
		require.Equal(t, want, storage.Reserved(prefix), prefix)
	}
}
