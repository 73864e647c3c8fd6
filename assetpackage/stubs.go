package assetpackage

import (
	"context"
	"io"
)

// Package is an opened package.
type Package struct{}

// Open reads the directory and the manifest of a package.
func Open(ctx context.Context, src Source, limits Limits) (*Package, error) { panic("not built yet") }

// Manifest returns the package's manifest.
func (p *Package) Manifest() *Manifest { panic("not built yet") }

// Summary counts what the package holds.
func (p *Package) Summary() Summary { panic("not built yet") }

// Verify reads every file.
func (p *Package) Verify(ctx context.Context, progress func(doneBytes, totalBytes int64)) error {
	panic("not built yet")
}

// OpenFile returns the bytes of one file.
func (p *Package) OpenFile(ctx context.Context, path string) (io.ReadCloser, error) {
	panic("not built yet")
}

// Write writes a package.
func Write(ctx context.Context, w io.Writer, m *Manifest, open func(ctx context.Context, path string) (io.ReadCloser, error)) error {
	panic("not built yet")
}

// Pack writes the folder dir as a package.
func Pack(ctx context.Context, dir string, w io.Writer) (*Manifest, error) { panic("not built yet") }

// New makes a small valid folder.
func New(dir, name string) error { panic("not built yet") }

// Check checks a package file or folder.
func Check(ctx context.Context, path string, limits Limits) (Summary, error) { panic("not built yet") }

// Schema returns the JSON Schema of the manifest.
func Schema() []byte { panic("not built yet") }

// CheckName says whether a name may be the name of an asset.
func CheckName(name string) error { panic("not built yet") }
