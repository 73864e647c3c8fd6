package assetpackage

import (
	"context"
	"fmt"
	"io"
	"os"
)

// Source is where the bytes of a package are. A storage.Object is one, a FileSource is another. It must be safe for
// use by several goroutines at once.
type Source interface {
	io.ReaderAt
	// Size is the length in bytes.
	Size() int64
	// OpenRange returns a stream of the n bytes from offset off. The caller closes it, often before its end.
	OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

// FileSource is a package in a local file.
type FileSource struct {
	file *os.File
	size int64
}

// OpenFile opens a package in a local file. The caller closes it.
func OpenFile(path string) (*FileSource, error) {
	f, err := os.Open(path) //nolint:gosec // the caller says which file
	if err != nil {
		return nil, fmt.Errorf("open package file: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("open package file: %w", err)
	}
	return &FileSource{file: f, size: info.Size()}, nil
}

// Size is the file's length in bytes when it was opened.
func (s *FileSource) Size() int64 { return s.size }

// ReadAt reads from the file.
func (s *FileSource) ReadAt(p []byte, off int64) (int, error) { return s.file.ReadAt(p, off) }

// OpenRange returns a stream of the n bytes from offset off.
func (s *FileSource) OpenRange(_ context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.file, off, n)), nil
}

// Close closes the file.
func (s *FileSource) Close() error { return s.file.Close() }
