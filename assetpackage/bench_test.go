package assetpackage_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
)

// deflatedFile writes a package whose files are deflated text.
func deflatedFile(b *testing.B, files int, text []byte) string {
	b.Helper()
	m := assetpackage.Manifest{Format: assetpackage.Format, Version: "1", Applications: []assetpackage.Asset{{Name: "shop", Definition: json.RawMessage("{}")}}}
	sum := sha256.Sum256(text)
	for i := range files {
		m.Applications[0].Files = append(m.Applications[0].Files, assetpackage.File{Path: fmt.Sprintf("f/%d", i), SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text))})
	}
	path := filepath.Join(b.TempDir(), "p.zip")
	out, err := os.Create(path)
	require.NoError(b, err)
	z := zip.NewWriter(out)
	manifest, err := json.Marshal(m)
	require.NoError(b, err)
	w, err := z.Create("manifest.json")
	require.NoError(b, err)
	_, err = w.Write(manifest)
	require.NoError(b, err)
	for i := range files {
		w, err := z.Create(fmt.Sprintf("f/%d", i))
		require.NoError(b, err)
		_, err = w.Write(text)
		require.NoError(b, err)
	}
	require.NoError(b, z.Close())
	require.NoError(b, out.Close())
	return path
}

func storedFile(b *testing.B, spec packagetest.Spec) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "p.zip")
	out, err := os.Create(path)
	require.NoError(b, err)
	require.NoError(b, spec.Write(context.Background(), out))
	require.NoError(b, out.Close())
	return path
}

func someText(n int) []byte {
	var t bytes.Buffer
	for i := 0; t.Len() < n; i++ {
		fmt.Fprintf(&t, "%d;order %x;customer %d;%d.%02d EUR\n", i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}), i*7%1000, i%500, i%100)
	}
	return t.Bytes()
}

func BenchmarkVerify(b *testing.B) {
	for name, make := range map[string]func() string{
		"stored/4x64MiB": func() string {
			return storedFile(b, packagetest.Spec{Applications: 4, FilesPerAsset: 1, FileBytes: 64 << 20})
		},
		"stored/10000x4KiB": func() string {
			return storedFile(b, packagetest.Spec{Applications: 10, FilesPerAsset: 1000, FileBytes: 4 << 10})
		},
		"deflated/4x32MiB":   func() string { return deflatedFile(b, 4, someText(32<<20)) },
		"deflated/5000x8KiB": func() string { return deflatedFile(b, 5000, someText(8<<10)) },
	} {
		b.Run(name, func(b *testing.B) {
			src, err := assetpackage.OpenFile(make())
			require.NoError(b, err)
			defer func() { require.NoError(b, src.Close()) }()
			p, err := assetpackage.Open(b.Context(), src, assetpackage.Limits{})
			require.NoError(b, err)
			b.SetBytes(p.Summary().Bytes)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, p.Verify(b.Context(), nil))
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for name, spec := range map[string]packagetest.Spec{
		"small":       packagetest.Small(""),
		"20000 files": {Applications: 100, FilesPerAsset: 199, FileBytes: 10},
	} {
		b.Run(name, func(b *testing.B) {
			src := packagetest.Source(spec.Bytes())
			b.ReportAllocs()
			for b.Loop() {
				_, err := assetpackage.Open(b.Context(), src, assetpackage.Limits{})
				require.NoError(b, err)
			}
		})
	}
}
