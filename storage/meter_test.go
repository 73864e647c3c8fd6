package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"assetflow/storage"
)

// meter adds up what a store tells.
type meter struct {
	mu            sync.Mutex
	written, read map[string]int64
}

func (m *meter) ObjectWritten(folder string, n int64) { m.add(m.written, folder, n) }
func (m *meter) ObjectRead(folder string, n int64)    { m.add(m.read, folder, n) }

func (m *meter) add(to map[string]int64, folder string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	to[folder] += n
}

// What is written whole counts, once; what fails does not.
func TestMeter(t *testing.T) {
	t.Parallel()
	m := &meter{written: map[string]int64{}, read: map[string]int64{}}
	cfg := server
	cfg.Meter = m
	store, ctx := open(t, cfg), t.Context()
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16) // in parts
	sum := sha256.Sum256(large)
	digest := hex.EncodeToString(sum[:])

	staged, err := store.Stage(ctx, storage.StagingKey("p", "j"), bytes.NewReader(large), 0)
	require.NoError(t, err)
	_, err = store.Stage(ctx, storage.StagingKey("p", "k"), io.MultiReader(bytes.NewReader(large), iotest.ErrReader(errors.New("hung up"))), 0)
	require.Error(t, err)
	require.NoError(t, store.PutBlob(ctx, digest, int64(len(large)), bytes.NewReader(large)))
	require.Error(t, store.PutBlob(ctx, digest, 3, bytes.NewReader([]byte("abc"))))
	_, _, err = store.PutArchive(ctx, storage.ArchiveKey("p", "j"), bytes.NewReader([]byte("archive")))
	require.NoError(t, err)
	upload, err := store.BeginBlobUpload(ctx, digest)
	require.NoError(t, err)
	part, err := upload.PutPart(ctx, 1, large)
	require.NoError(t, err)
	require.NoError(t, upload.Complete(ctx, []storage.BlobPart{part}))
	require.Equal(t, map[string]int64{"staging": 20 << 20, "blobs": 2 * 20 << 20, "archives": 7}, m.written)

	require.Empty(t, m.read)
	r, _, err := store.OpenBlob(ctx, digest)
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, r, 5<<20)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	object := store.OpenStaged(ctx, staged.Key, staged.Size)
	for range 2 { // the second is in memory
		_, err = object.ReadAt(make([]byte, 10), 0)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, m.read["blobs"], int64(5<<20))
	require.Less(t, m.read["blobs"], int64(20<<20))
	require.EqualValues(t, 1<<20, m.read["staging"], "a block")
}
