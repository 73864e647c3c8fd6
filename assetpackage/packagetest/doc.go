// Package packagetest makes asset packages for tests and benchmarks: valid ones of any size as streams (Spec), archives
// with anything wrong in them (Archive), and a table of packages that must be refused (Bad).
package packagetest

import (
	"bytes"
	"context"
	"io"

	"assetflow/assetpackage"
)

// Source returns a package in memory.
func Source(data []byte) assetpackage.Source { return source{bytes.NewReader(data)} }

type source struct{ *bytes.Reader }

// OpenRange returns a stream of the n bytes from offset off.
func (s source) OpenRange(_ context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(s.Reader, off, n)), nil
}
