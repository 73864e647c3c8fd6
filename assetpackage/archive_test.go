package assetpackage_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	inner := packagetest.Valid().Bytes()
	data := packagetest.Archive{Entries: []packagetest.Entry{
		{Name: "b.txt", Data: []byte("bbbbbbbb"), Deflate: true}, {Name: "folder/"}, {Name: "folder/a.zip", Data: inner},
	}}.Bytes()
	a, err := assetpackage.OpenArchive(assetpackage.MemorySource(data), assetpackage.Limits{})
	require.NoError(t, err)
	require.Equal(t, []assetpackage.ArchiveEntry{{Name: "b.txt", Size: 8}, {Name: "folder/a.zip", Size: int64(len(inner)), Stored: true}}, a.Entries())
	r, err := a.OpenEntry(t.Context(), 0)
	require.NoError(t, err)
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, "bbbbbbbb", string(text))

	part, err := a.Section(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, int64(len(inner)), part.Size())
	p, err := assetpackage.Open(t.Context(), part, assetpackage.Limits{})
	require.NoError(t, err, "a package in a package is read in place")
	require.NoError(t, p.Verify(t.Context(), nil))
	beyond := make([]byte, 10)
	n, err := part.ReadAt(beyond, part.Size()-4)
	require.Equal(t, 4, n)
	require.ErrorIs(t, err, io.EOF, "nothing behind the part is read")
}

// Whatever makes an archive unfit for a package makes it unfit for every other use.
func TestArchiveRefuses(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		assetpackage.CodeNotAZip, assetpackage.CodeTruncated, assetpackage.CodeTrailingBytes, assetpackage.CodeBadArchive, assetpackage.CodeBomb, assetpackage.CodeEncrypted,
		assetpackage.CodeUnknownCompression, assetpackage.CodeSpecialFile, assetpackage.CodeUnsafePath, assetpackage.CodeDuplicateEntry, assetpackage.CodePathConflict,
	} {
		refused := 0
		for _, c := range packagetest.Bad() {
			if c.WantCode != code {
				continue
			}
			data, err := c.Bytes()
			require.NoError(t, err)
			a, err := assetpackage.OpenArchive(packagetest.Source(data), assetpackage.Limits{})
			for i := 0; err == nil && i < len(a.Entries()); i++ { // what the directory does not show, reading does
				var r io.ReadCloser
				if r, err = a.OpenEntry(t.Context(), i); err == nil {
					_, err = io.Copy(io.Discard, r)
					_ = r.Close()
				}
			}
			if err != nil {
				require.Equal(t, code, problemsOf(t, err)[0].Code, c.Name)
				refused++
			}
		}
		require.Positive(t, refused, code)
	}
	valid := packagetest.Valid().Bytes()
	for code, limits := range map[string]assetpackage.Limits{
		assetpackage.CodeTooManyEntries: {MaxEntries: 1}, assetpackage.CodeTooLarge: {MaxTotalBytes: 1},
	} {
		_, err := assetpackage.OpenArchive(packagetest.Source(valid), limits)
		require.Equal(t, code, problemsOf(t, err)[0].Code)
	}
}
