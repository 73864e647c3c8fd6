package assetpackage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/fault"
)

var errSource = errors.New("the bucket is away")

// flakySource fails where a test says so, and counts what is asked of it.
type flakySource struct {
	assetpackage.Source
	readAt    func(off int64) error
	openRange func(off, n int64) error
	body      func(off int64, r io.Reader) io.Reader
	ranges    atomic.Int64
	open      atomic.Int64
}

func (s *flakySource) ReadAt(p []byte, off int64) (int, error) {
	if s.readAt != nil {
		if err := s.readAt(off); err != nil {
			return 0, err
		}
	}
	return s.Source.ReadAt(p, off)
}

func (s *flakySource) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	s.ranges.Add(1)
	if s.openRange != nil {
		if err := s.openRange(off, n); err != nil {
			return nil, err
		}
	}
	r, err := s.Source.OpenRange(ctx, off, n)
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	var body io.Reader = r
	if s.body != nil {
		body = s.body(off, r)
	}
	return &countedBody{body, r, s}, nil
}

type countedBody struct {
	io.Reader
	close  io.Closer
	source *flakySource
}

func (b *countedBody) Close() error {
	b.source.open.Add(-1)
	return b.close.Close()
}

// requireIO says that an error is a failure of the source and not the package's fault.
func requireIO(t *testing.T, err, want error) {
	t.Helper()
	require.ErrorIs(t, err, want)
	var bad *assetpackage.ProblemsError
	require.False(t, errors.As(err, &bad), "a source that fails is no bad package: %v", err)
	require.NotEqual(t, fault.Invalid, fault.KindOf(err))
}

func TestSourceFailuresAreNotProblems(t *testing.T) {
	t.Parallel()
	data := packagetest.Spec{Applications: 4, FilesPerAsset: 4, FileBytes: 300 << 10}.Bytes()
	fail := func(after int64) func(off int64, r io.Reader) io.Reader {
		return func(_ int64, r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, after), &failing{err: errSource})
		}
	}
	cut := func(after int64) func(off int64, r io.Reader) io.Reader {
		return func(_ int64, r io.Reader) io.Reader { return io.LimitReader(r, after) }
	}

	t.Run("open", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			source *flakySource
			want   error
		}{
			"directory":          {&flakySource{readAt: func(int64) error { return errSource }}, errSource},
			"short directory":    {&flakySource{readAt: func(int64) error { return io.EOF }}, io.ErrUnexpectedEOF},
			"manifest request":   {&flakySource{openRange: func(_, _ int64) error { return errSource }}, errSource},
			"manifest header":    {&flakySource{body: fail(10)}, errSource},
			"manifest data":      {&flakySource{body: fail(200)}, errSource},
			"manifest cut short": {&flakySource{body: cut(200)}, io.ErrUnexpectedEOF},
		} {
			c.source.Source = packagetest.Source(data)
			_, err := assetpackage.Open(t.Context(), c.source, assetpackage.Limits{})
			requireIO(t, err, c.want)
			require.Zero(t, c.source.open.Load(), name)
		}
		_, err := assetpackage.Open(t.Context(), &flakySource{Source: packagetest.Source([]byte("text")), readAt: func(int64) error { return errSource }}, assetpackage.Limits{})
		requireIO(t, err, errSource)
	})

	t.Run("files", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			source *flakySource
			want   error
		}{
			"request":   {&flakySource{openRange: func(_, _ int64) error { return errSource }}, errSource},
			"header":    {&flakySource{body: fail(10)}, errSource},
			"data":      {&flakySource{body: fail(1000)}, errSource},
			"cut short": {&flakySource{body: cut(1000)}, io.ErrUnexpectedEOF},
		} {
			healthy := packagetest.Source(data)
			c.source.Source = healthy
			body, openRange := c.source.body, c.source.openRange
			c.source.body, c.source.openRange = nil, nil
			p, err := assetpackage.Open(t.Context(), c.source, assetpackage.Limits{})
			require.NoError(t, err)
			c.source.body, c.source.openRange = body, openRange

			requireIO(t, p.Verify(t.Context(), nil), c.want)
			require.Zero(t, c.source.open.Load(), name)
			r, err := p.OpenFile(t.Context(), "applications/002/00001.bin")
			if err == nil {
				_, err = io.Copy(io.Discard, r)
				require.NoError(t, r.Close())
			}
			requireIO(t, err, c.want)
			require.Zero(t, c.source.open.Load(), name)
		}
	})
}

func TestVerifyHeedsItsContext(t *testing.T) {
	t.Parallel()
	data := packagetest.Spec{Applications: 4, FilesPerAsset: 1, FileBytes: 4 << 20}.Bytes()
	p, err := assetpackage.Open(t.Context(), packagetest.Source(data), assetpackage.Limits{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var last atomic.Int64
	err = p.Verify(ctx, func(done, _ int64) {
		last.Store(done)
		cancel()
	})
	requireIO(t, err, context.Canceled)
	require.Less(t, last.Load(), int64(16<<20), "it must not read on to the end")
}

func TestVerifyTellsItsProgress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec  packagetest.Spec
		calls int
	}{
		"large files": {packagetest.Spec{Applications: 3, FilesPerAsset: 1, FileBytes: 5 << 20}, 10},
		"small files": {packagetest.Spec{Applications: 10, FilesPerAsset: 100, FileBytes: 5 << 10}, 4},
		"empty files": {packagetest.Spec{Applications: 2, FilesPerAsset: 2}, 0},
		"no files":    {packagetest.Spec{Applications: 1}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := assetpackage.Open(t.Context(), packagetest.Source(c.spec.Bytes()), assetpackage.Limits{})
			require.NoError(t, err)
			total := p.Summary().Bytes
			var mu sync.Mutex
			var told []int64
			require.NoError(t, p.Verify(t.Context(), func(done, of int64) {
				require.True(t, mu.TryLock(), "called by two goroutines at once")
				defer mu.Unlock()
				require.Equal(t, total, of)
				told = append(told, done)
			}))
			require.Equal(t, total, told[len(told)-1])
			require.IsNonDecreasing(t, told)
			require.Greater(t, len(told), c.calls)
		})
	}
}

func TestVerifyReadsSmallFilesTogether(t *testing.T) {
	t.Parallel()
	source := &flakySource{Source: packagetest.Source(packagetest.Spec{Applications: 100, FilesPerAsset: 20, FileBytes: 10 << 10}.Bytes())}
	p, err := assetpackage.Open(t.Context(), source, assetpackage.Limits{})
	require.NoError(t, err)
	source.ranges.Store(0)
	require.NoError(t, p.Verify(t.Context(), nil))
	require.Equal(t, int64(3), source.ranges.Load(), "20 MiB in ranges of 8")
	require.Zero(t, source.open.Load())
}

func TestVerifyDoesNotReadWhatLiesBetween(t *testing.T) {
	t.Parallel()
	for padding, ranges := range map[int]int64{60 << 10: 1, 65 << 10: 2} {
		a := packagetest.WithManifest(strings.Repeat(" ", padding)+packagetest.Manifest(packagetest.Listed("a", nil), packagetest.Listed("b", nil)),
			packagetest.Entry{Name: "a"}, packagetest.Entry{Name: "b"})
		a.Entries[0], a.Entries[1] = a.Entries[1], a.Entries[0] // the manifest between the files
		source := &flakySource{Source: packagetest.Source(a.Bytes())}
		p, err := assetpackage.Open(t.Context(), source, assetpackage.Limits{})
		require.NoError(t, err)
		source.ranges.Store(0)
		require.NoError(t, p.Verify(t.Context(), nil))
		require.Equal(t, ranges, source.ranges.Load())
	}
}

// Memory must not depend on the size of a package: counted are all bytes ever set aside.
func TestMemoryIsFlat(t *testing.T) {
	cost := func(fileBytes int64) int64 {
		path := filepath.Join(t.TempDir(), "p.zip")
		f, err := os.Create(path)
		require.NoError(t, err)
		spec := packagetest.Spec{Applications: 8, FilesPerAsset: 1, FileBytes: fileBytes}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, spec.Write(t.Context(), f))
		require.NoError(t, f.Close())
		src, err := assetpackage.OpenFile(path)
		require.NoError(t, err)
		p, err := assetpackage.Open(t.Context(), src, assetpackage.Limits{})
		require.NoError(t, err)
		require.NoError(t, p.Verify(t.Context(), nil))
		r, err := p.OpenFile(t.Context(), "applications/001/00001.bin")
		require.NoError(t, err)
		_, err = io.Copy(struct{ io.Writer }{io.Discard}, r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.NoError(t, src.Close())
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	cost(1 << 10) // compiles the schema, fills the pools
	small, large := cost(64<<10), cost(16<<20)
	t.Logf("512 KiB: %d bytes, 128 MiB: %d bytes", small, large)
	require.Less(t, large, small+1<<20)
}

func TestOpenFile(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("text "), 100_000)
	a := packagetest.WithManifest(packagetest.Manifest(packagetest.Listed("t", text), packagetest.Listed("e", nil), packagetest.Listed("w", []byte("right"))),
		packagetest.Entry{Name: "e"}, packagetest.Entry{Name: "t", Data: text, Deflate: true}, packagetest.Entry{Name: "w", Data: []byte("wrong")})
	p, err := assetpackage.Open(t.Context(), packagetest.Source(a.Bytes()), assetpackage.Limits{})
	require.NoError(t, err)

	_, err = p.OpenFile(t.Context(), "../t")
	require.Equal(t, fault.NotFound, fault.KindOf(err))

	for path, want := range map[string][]byte{"t": text, "e": nil} {
		r, err := p.OpenFile(t.Context(), path)
		require.NoError(t, err)
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		n, err := r.Read(make([]byte, 1))
		require.Zero(t, n)
		require.ErrorIs(t, err, io.EOF)
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
	}

	t.Run("whoever reads exactly the size hears of a wrong digest", func(t *testing.T) {
		r, err := p.OpenFile(t.Context(), "w")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, io.LimitReader(r, 5))
		require.Equal(t, assetpackage.CodeDigestMismatch, problemsOf(t, err)[0].Code)
		require.NoError(t, r.Close())
	})

	t.Run("closed early", func(t *testing.T) {
		r, err := p.OpenFile(t.Context(), "t")
		require.NoError(t, err)
		_, err = io.ReadFull(r, make([]byte, 10))
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = r.Read(make([]byte, 10))
		require.ErrorContains(t, err, "closed")
	})

	t.Run("many at once", func(t *testing.T) {
		var wait sync.WaitGroup
		for range 8 {
			wait.Go(func() {
				for range 20 {
					r, err := p.OpenFile(t.Context(), "t")
					if err == nil {
						_, err = io.Copy(io.Discard, r)
					}
					if err != nil {
						t.Error(err)
						return
					}
					_ = r.Close()
				}
			})
		}
		wait.Wait()
	})
}

func TestFileSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := assetpackage.OpenFile(dir)
	require.ErrorContains(t, err, "not a regular file")
	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, []byte("0123456789"), 0o600))
	s, err := assetpackage.OpenFile(path)
	require.NoError(t, err)
	require.Equal(t, int64(10), s.Size())
	r, err := s.OpenRange(t.Context(), 3, 4)
	require.NoError(t, err)
	var b strings.Builder
	_, err = io.Copy(&b, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "3456", b.String())
	require.NoError(t, s.Close())
}

func TestSummary(t *testing.T) {
	t.Parallel()
	spec := packagetest.Spec{Applications: 3, Tasks: 2, FilesPerAsset: 2, FileBytes: 100, Version: "2.0"}
	data := spec.Bytes()
	p, err := assetpackage.Open(t.Context(), packagetest.Source(data), assetpackage.Limits{})
	require.NoError(t, err)
	require.Equal(t, assetpackage.Summary{
		Version: "2.0", Applications: 3, Tasks: 2, DataSources: 1, Files: 10, Bytes: 1000, ArchiveBytes: int64(len(data)),
	}, p.Summary())
	size, err := spec.Size(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(len(data)), size)
	r := spec.Reader(t.Context())
	streamed, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.True(t, bytes.Equal(data, streamed))
	require.Equal(t, fmt.Sprintf("%v", spec.Manifest()), fmt.Sprintf("%v", p.Manifest()))
}
