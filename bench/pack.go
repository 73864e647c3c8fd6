package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"assetflow/assetpackage"
)

// buildPackage makes a package in memory with one file per asset, all bytes together the given size.
func buildPackage(seed int64, assets int, size int64) ([]byte, error) {
	var buf bytes.Buffer
	err := writePackage(&buf, seed, assets, size)
	return buf.Bytes(), err
}

// buildPackageFile does the same into a file and answers its size.
func buildPackageFile(path string, seed int64, assets int, size int64) (int64, error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	if err := writePackage(w, seed, assets, size); err != nil {
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

func writePackage(w io.Writer, seed int64, assets int, size int64) error {
	m := &assetpackage.Manifest{Format: assetpackage.Format, Version: "1.0.0"}
	each := size / int64(assets)
	index := make(map[string]int, assets)
	for i := range assets {
		path := fmt.Sprintf("applications/app-%d/data.bin", i)
		index[path] = i
		hash := sha256.New()
		if _, err := io.Copy(hash, content(seed, i, each)); err != nil {
			return err
		}
		m.Applications = append(m.Applications, assetpackage.Asset{
			Name: fmt.Sprintf("app-%d-%d", seed, i), Definition: []byte(`{"kind":"benchmark"}`),
			Files: []assetpackage.File{{Path: path, Size: each, SHA256: hex.EncodeToString(hash.Sum(nil))}},
		})
	}
	return assetpackage.Write(context.Background(), w, m, func(_ context.Context, path string) (io.ReadCloser, error) {
		return io.NopCloser(content(seed, index[path], each)), nil
	})
}

// content is a stream of bytes that nothing can compress and that no other file has.
func content(seed int64, file int, size int64) io.Reader {
	var key [32]byte
	copy(key[:], fmt.Sprintf("%d/%d", seed, file))
	return io.LimitReader(rand.NewChaCha8(key), size)
}
