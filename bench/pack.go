package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"assetflow/assetpackage/packagetest"
)

// spec describes a package of which no two bytes are shared with one of another serial: equal content would be stored
// once and measure nothing.
func spec(serial int64, assets int, size int64) packagetest.Spec {
	return packagetest.Spec{
		Name: fmt.Sprintf("bench %d", serial), Applications: assets, FilesPerAsset: 1,
		FileBytes: size / int64(assets), Seed: uint64(serial),
	}
}

// buildPackageFile writes a package to a file and answers its size.
func buildPackageFile(path string, s packagetest.Spec) (int64, error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // closed below; again where that was not reached
	w := bufio.NewWriterSize(file, 1<<20)
	if err := s.Write(context.Background(), w); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), file.Close()
}
