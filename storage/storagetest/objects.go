package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/storage"
)

func stage(t *testing.T, store *storage.Store, key string, data []byte) {
	t.Helper()
	_, err := store.Stage(t.Context(), key, bytes.NewReader(data), 0)
	require.NoError(t, err)
}

func testReadAt(t *testing.T, open func(*testing.T) *storage.Store) {
	plain := open(t)
	for _, size := range []int64{0, 1, 1000, mib - 1, mib, mib + 1, 3*mib + 17, 7 * mib} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			data := content(size)
			key := storage.StagingKey("p", fmt.Sprint(size))
			stage(t, plain, key, data)
			var mu sync.Mutex
			requests := 0
			store := through(plain, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				requests++
				return next.RoundTrip(req)
			})
			object := store.OpenStaged(t.Context(), key, size)
			require.Zero(t, requests, "opening makes no request")
			require.Equal(t, size, object.Size())

			want := bytes.NewReader(data)
			check := func(off int64, n int) {
				got, expected := make([]byte, n), make([]byte, n)
				gotN, gotErr := object.ReadAt(got, off)
				wantN, wantErr := want.ReadAt(expected, off)
				if n == 0 && off >= size {
					wantErr = gotErr // nothing asked, either answer is right
				}
				require.Equal(t, wantN, gotN, "%d bytes at %d", n, off)
				require.Equal(t, wantErr, gotErr, "%d bytes at %d", n, off)
				requireEqual(t, expected, got, fmt.Sprintf("%d bytes at %d", n, off))
			}
			for _, border := range []int64{0, mib, 2 * mib, size - 2*mib, size - mib, size} {
				for _, off := range []int64{border - 10, border - 1, border, border + 1} {
					for _, n := range []int{0, 1, 9, 11, mib, mib + 1} {
						check(max(0, off), n)
					}
				}
			}
			check(0, int(size)+1)
			random := rand.New(rand.NewPCG(1, uint64(size)))
			var reading sync.WaitGroup
			for range 50 {
				off, n := random.Int64N(size+10), random.IntN(2*mib)
				reading.Go(func() {
					got := make([]byte, n)
					gotN, _ := object.ReadAt(got, off)
					if end := min(off+int64(n), size); off < end && !bytes.Equal(got[:gotN], data[off:end]) {
						t.Errorf("%d bytes at %d differ", n, off)
					}
				})
			}
			reading.Wait()
			_, err := object.ReadAt(make([]byte, 1), -1)
			require.Error(t, err)
			if size <= mib {
				require.LessOrEqual(t, requests, 1, "a small object is fetched once")
			}
		})
	}

	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		object := plain.OpenStaged(t.Context(), storage.StagingKey("p", "missing"), 10)
		for range 2 { // a failure is not remembered as content
			_, err := object.ReadAt(make([]byte, 1), 0)
			require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
			require.Equal(t, "storage.not_found", fault.CodeOf(err))
		}
		large := plain.OpenStaged(t.Context(), storage.StagingKey("p", "missing"), 10*mib)
		_, err := large.OpenRange(t.Context(), 0, 10*mib)
		require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
	})

	t.Run("another size", func(t *testing.T) {
		t.Parallel()
		key := storage.StagingKey("p", "another size")
		stage(t, plain, key, content(100))
		for _, size := range []int64{99, 101} {
			_, err := plain.OpenStaged(t.Context(), key, size).ReadAt(make([]byte, 1), 0)
			require.Equal(t, "storage.changed", fault.CodeOf(err), "size %d: %v", size, err)
		}
	})

	t.Run("ended context", func(t *testing.T) {
		t.Parallel()
		key := storage.StagingKey("p", "context")
		stage(t, plain, key, content(100))
		ctx, cancel := context.WithCancel(t.Context())
		object := plain.OpenStaged(ctx, key, 100)
		cancel()
		_, err := object.ReadAt(make([]byte, 1), 0)
		require.ErrorIs(t, err, context.Canceled)
		r, err := object.OpenRange(t.Context(), 0, 100) // under a context of its own
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(r, content(100)))
	})
}

func testOpenRange(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	const size = 4*mib + 11
	data := content(size)
	key := storage.StagingKey("p", "j")
	stage(t, store, key, data)
	object := store.OpenStaged(t.Context(), key, size)
	for _, span := range [][2]int64{
		{0, 0}, {size, 0}, {0, 1}, {size - 1, 1}, {0, size}, {1, size - 1}, {5, mib}, {mib - 3, 256*kib + 1},
		{100, 256 * kib}, {size - mib, mib},
	} {
		r, err := object.OpenRange(t.Context(), span[0], span[1])
		require.NoError(t, err, "%v", span)
		got, err := io.ReadAll(r)
		require.NoError(t, err, "%v", span)
		requireEqual(t, data[span[0]:span[0]+span[1]], got, fmt.Sprint(span))
		n, err := r.Read(make([]byte, 1))
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
		require.NoError(t, r.Close())
	}
	for _, span := range [][2]int64{{-1, 2}, {0, -1}, {0, size + 1}, {size, 1}, {size + 1, 0}, {1, 1<<63 - 1}} {
		_, err := object.OpenRange(t.Context(), span[0], span[1])
		require.Error(t, err, "%v", span)
	}

	r, err := object.OpenRange(t.Context(), 0, size)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	_, err = r.Read(make([]byte, 1))
	require.Error(t, err, "after Close")

	ctx, cancel := context.WithCancel(t.Context())
	r, err = object.OpenRange(ctx, 0, size)
	require.NoError(t, err)
	cancel()
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, r.Close())
}

// testResume breaks the connections that reads come over.
func testResume(t *testing.T, open func(*testing.T) *storage.Store) {
	plain := open(t)
	const size = 3*mib + 5
	data := content(size)
	key := storage.StagingKey("p", "j")
	stage(t, plain, key, data)
	require.NoError(t, plain.PutBlob(t.Context(), digest(data), size, bytes.NewReader(data)))

	// after gives a store whose connections break after n bytes of each answer, and the ranges it asked for.
	after := func(n int64, change func()) (*storage.Store, *[]string) {
		var ranges []string
		return through(plain, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			ranges = append(ranges, req.Header.Get("Range"))
			if len(ranges) == 2 && change != nil {
				change()
			}
			answer, err := next.RoundTrip(req)
			if err == nil && req.Method == http.MethodGet && answer.StatusCode < 300 {
				answer.Body = &breaking{ReadCloser: answer.Body, left: n}
			}
			return answer, err
		}), &ranges
	}

	t.Run("range", func(t *testing.T) {
		store, ranges := after(mib, nil)
		r, err := store.OpenStaged(t.Context(), key, size).OpenRange(t.Context(), 3, size-4)
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(r, data[3:size-1]))
		require.Equal(t, []string{
			fmt.Sprintf("bytes=3-%d", size-2),
			fmt.Sprintf("bytes=%d-%d", mib+3, size-2),
			fmt.Sprintf("bytes=%d-%d", 2*mib+3, size-2),
			fmt.Sprintf("bytes=%d-%d", 3*mib+3, size-2),
		}, *ranges)
	})
	t.Run("blob", func(t *testing.T) {
		store, ranges := after(2*mib, nil)
		r, got, err := store.OpenBlob(t.Context(), digest(data))
		require.NoError(t, err)
		require.EqualValues(t, size, got)
		require.NoError(t, iotest.TestReader(r, data))
		require.Equal(t, []string{"", fmt.Sprintf("bytes=%d-%d", 2*mib, size-1)}, *ranges)
	})
	t.Run("block", func(t *testing.T) {
		store, _ := after(100*kib, nil)
		got := make([]byte, size)
		_, err := store.OpenStaged(t.Context(), key, size).ReadAt(got, 0)
		require.NoError(t, err)
		requireEqual(t, data, got, "read over many connections")
	})
	t.Run("nothing comes", func(t *testing.T) {
		store, ranges := after(0, nil)
		r, err := store.OpenStaged(t.Context(), key, size).OpenRange(t.Context(), 0, size)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r)
		require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Len(t, *ranges, 5, "the tries are bounded")
		_, again := r.Read(make([]byte, 1))
		require.Equal(t, err, again)
	})
	t.Run("changed meanwhile", func(t *testing.T) {
		other := storage.StagingKey("p", "changing")
		for name, replacement := range map[string][]byte{"same size": content(size - 2)[:size-2], "smaller": content(10)} {
			before := content(size - 1)[:size-2]
			stage(t, plain, other, before)
			store, _ := after(mib, func() { stage(t, plain, other, replacement) })
			r, err := store.OpenStaged(t.Context(), other, size-2).OpenRange(t.Context(), 0, size-2)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.Equal(t, "storage.changed", fault.CodeOf(err), "%s: %v", name, err)
			requireEqual(t, before[:mib], got, "what came before the change")
		}
	})
	t.Run("removed meanwhile", func(t *testing.T) {
		other := storage.StagingKey("p", "removed")
		stage(t, plain, other, data)
		store, _ := after(mib, func() { require.NoError(t, plain.DeleteStaged(t.Context(), other)) })
		r, err := store.OpenStaged(t.Context(), other, size).OpenRange(t.Context(), 0, size)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, r)
		require.Equal(t, fault.NotFound, fault.KindOf(err), "%v", err)
	})
}

// breaking is a body whose connection breaks after some bytes.
type breaking struct {
	io.ReadCloser
	left int64
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
