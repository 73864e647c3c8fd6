package assetpackage_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
)

// FuzzOpen feeds archives. Whatever they are, the reader must not panic and must blame the package, not the source;
// and what it accepts, archive/zip must read in the same way.
func FuzzOpen(f *testing.F) {
	for _, c := range packagetest.Bad() {
		data, err := c.Bytes()
		require.NoError(f, err)
		if len(data) < 4<<10 {
			f.Add(data)
		}
	}
	valid := packagetest.Valid()
	f.Add(valid.Bytes())
	valid.Zip64, valid.Comment = true, "comment"
	valid.Entries = append(valid.Entries, packagetest.Entry{Name: "folder/"})
	valid.Entries[1].Deflate, valid.Entries[1].Zip64 = true, true
	f.Add(valid.Bytes())
	limits := assetpackage.Limits{MaxEntries: 100, MaxManifestBytes: 64 << 10, MaxTotalBytes: 1 << 20, MaxEntryBytes: 1 << 20, MaxDirectoryBytes: 64 << 10}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := assetpackage.Open(t.Context(), packagetest.Source(data), limits)
		if err != nil {
			problemsOf(t, err)
			return
		}
		err = p.Verify(t.Context(), nil)
		if err != nil {
			problemsOf(t, err)
			return
		}
		requireSameAsArchiveZip(t, p, data)
	})
}

// requireSameAsArchiveZip compares a package that was found good with what the standard library makes of it.
func requireSameAsArchiveZip(t *testing.T, p *assetpackage.Package, data []byte) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	require.NoError(t, err)
	theirs := make(map[string]assetpackage.File)
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") || f.Name == assetpackage.ManifestName {
			continue
		}
		r, err := f.Open()
		require.NoError(t, err)
		digest := sha256.New()
		size, err := io.Copy(digest, r)
		require.NoError(t, err)
		theirs[f.Name] = assetpackage.File{Path: f.Name, SHA256: hex.EncodeToString(digest.Sum(nil)), Size: size}
	}
	ours := make(map[string]assetpackage.File)
	for _, assets := range [][]assetpackage.Asset{p.Manifest().Applications, p.Manifest().Tasks} {
		for _, a := range assets {
			for _, f := range a.Files {
				ours[f.Path] = f
			}
		}
	}
	require.Equal(t, theirs, ours)
}

// FuzzManifest feeds manifests. One that is accepted has one canonical form, which means the same and is read as the
// same.
func FuzzManifest(f *testing.F) {
	spec := packagetest.Spec{Applications: 2, Tasks: 2, FilesPerAsset: 1, FileBytes: 1}
	f.Add(assetpackage.EncodeManifest(spec.Manifest()))
	for _, c := range packagetest.Bad() {
		data, err := c.Bytes()
		require.NoError(f, err)
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil || len(data) > 4<<10 || len(z.File) == 0 || z.File[0].Method != zip.Store {
			continue
		}
		r, err := z.File[0].Open()
		require.NoError(f, err)
		manifest, err := io.ReadAll(r)
		if err == nil {
			f.Add(manifest)
		}
	}
	f.Add([]byte(packagetest.ManifestOf(`{"name":"shop","definition":{"é\u00e9\ud83d\ude00":[1.50,-0,1e5,true,null,{}],"a":{"b":"\u2028<>&"}}}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		canonical, flaws := assetpackage.CanonicalJSON(data)
		if len(flaws) == 0 {
			require.LessOrEqual(t, len(canonical), len(data))
			require.Equal(t, decodeAny(t, bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))), decodeAny(t, canonical))
			again, flaws := assetpackage.CanonicalJSON(canonical)
			require.Empty(t, flaws)
			require.Equal(t, string(canonical), string(again))
		}
		m, err := assetpackage.DecodeManifest(data)
		if err != nil {
			problemsOf(t, err)
			return
		}
		require.Empty(t, flaws)
		encoded := assetpackage.EncodeManifest(m)
		again, err := assetpackage.DecodeManifest(encoded)
		require.NoError(t, err)
		require.Equal(t, m, again)
		require.Equal(t, string(encoded), string(assetpackage.EncodeManifest(again)))
		c, err := m.Canonical()
		require.NoError(t, err)
		require.Equal(t, m, c)
	})
}

func decodeAny(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return v
}
