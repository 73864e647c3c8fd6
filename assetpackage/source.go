package assetpackage

import (
	"context"
	"io"
)

// Source is where the bytes of a package are. A storage.Object is one, a FileSource is another.
type Source interface {
	io.ReaderAt
	// Size is the length in bytes.
	Size() int64
	// OpenRange returns a stream of the n bytes from offset off. It is closed by the caller.
	OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

// FileSource is a package in a local file.
type FileSource struct{}

// OpenFile opens a package in a local file. The caller closes it.
func OpenFile(path string) (*FileSource, error) { panic("not built yet") }

// Size is the file's length in bytes when it was opened.
func (s *FileSource) Size() int64 { panic("not built yet") }

// ReadAt reads from the file.
func (s *FileSource) ReadAt(p []byte, off int64) (int, error) { panic("not built yet") }

// OpenRange returns a stream of the n bytes from offset off.
func (s *FileSource) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	panic("not built yet")
}

// Close closes the file.
func (s *FileSource) Close() error { panic("not built yet") }
