package storage

import (
	"context"
	"io"
)

// Object gives random access to one stored object.
type Object struct{}

// Size gives the object's size in bytes.
func (o *Object) Size() int64 { panic("not built yet") }

// ReadAt implements io.ReaderAt.
func (o *Object) ReadAt(p []byte, off int64) (int, error) { panic("not built yet") }

// OpenRange streams n bytes from off.
func (o *Object) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	panic("not built yet")
}
