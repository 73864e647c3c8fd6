package replication_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/replication"
)

func file(n int) replication.ManifestFile {
	return replication.ManifestFile{
		FileID: fmt.Sprintf("file-%d", n), Name: "Größe & <name>.glb", MD5: "1B2M2Y8AsgTpgAmY7PhCfg==", Size: int64(n),
		SHA256: strings.Repeat("5f", 32), Type: "glb", Category: "OTHER", URL: "https://s3.a.example/b/k?X-Amz-Signature=1&b=2",
	}
}

func files(n int) iter.Seq2[replication.ManifestFile, error] {
	return func(yield func(replication.ManifestFile, error) bool) {
		for i := range n {
			if !yield(file(i), nil) {
				return
			}
		}
	}
}

func manifest(t testing.TB, n int) string {
	t.Helper()
	var text strings.Builder
	h := replication.ManifestHeader{AssetID: assetID, Files: n, Bytes: int64(n) * int64(n-1) / 2}
	require.NoError(t, replication.WriteManifest(&text, h, files(n)))
	return text.String()
}

// read reads a manifest that was sealed as it is.
func read(text string) ([]replication.ManifestFile, error) {
	sum := sha256.Sum256([]byte(text))
	return readSealed(strings.NewReader(text), int64(len(text)), hex.EncodeToString(sum[:]))
}

func readSealed(r io.Reader, size int64, digest string) ([]replication.ManifestFile, error) {
	m, err := replication.ReadManifest(r, assetID, size, digest)
	if err != nil {
		return nil, err
	}
	var all []replication.ManifestFile
	for {
		f, err := m.Next()
		if err == io.EOF {
			_, again := m.Next()
			if again != io.EOF {
				return nil, errors.New("the end is forgotten")
			}
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
}

func TestManifestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 1000} {
		got, err := read(manifest(t, n))
		require.NoError(t, err)
		require.Len(t, got, n)
		for i, f := range got {
			require.True(t, file(i) == f)
		}
	}
	text := manifest(t, 1)
	require.Equal(t, `{"format":"assetflow-manifest-1","asset_id":"`+assetID+`","files":1,"bytes":0}`+"\n"+
		`{"file_id":"file-0","name":"Größe & <name>.glb","md5":"1B2M2Y8AsgTpgAmY7PhCfg==","size":0,"sha256":"`+
		strings.Repeat("5f", 32)+`","type":"glb","category":"OTHER","url":"https://s3.a.example/b/k?X-Amz-Signature=1&b=2"}`+"\n", text)
}

func TestManifestLimit(t *testing.T) {
	t.Parallel()
	h := replication.ManifestHeader{AssetID: assetID, Files: replication.MaxManifestFiles}
	h.Bytes = int64(h.Files) * int64(h.Files-1) / 2
	var text bytes.Buffer
	require.NoError(t, replication.WriteManifest(&text, h, files(h.Files)))
	got, err := read(text.String())
	require.NoError(t, err)
	require.Len(t, got, h.Files)

	h.Files++
	err = replication.WriteManifest(io.Discard, h, files(h.Files))
	require.Equal(t, "replication.too_many_files", fault.CodeOf(err))
}

// A manifest that is not the one that was sealed is told from one that was, and cannot be read.
func TestManifestChanged(t *testing.T) {
	t.Parallel()
	text := manifest(t, 20)
	sum := sha256.Sum256([]byte(text))
	digest := hex.EncodeToString(sum[:])
	for at := 0; at < len(text); at += 3 {
		changed := []byte(text)
		changed[at] ^= 1
		_, err := readSealed(bytes.NewReader(changed), int64(len(text)), digest)
		require.Equal(t, "replication.manifest_changed", fault.CodeOf(err), "at %d: %v", at, err)

		_, err = readSealed(strings.NewReader(text[:at]), int64(len(text)), digest)
		require.Equal(t, "replication.manifest_changed", fault.CodeOf(err), "cut at %d: %v", at, err)
	}
	for _, more := range []string{"\n", text, "{}\n", strings.Repeat("x", 20<<10)} {
		_, err := readSealed(strings.NewReader(text+more), int64(len(text)), digest)
		require.Equal(t, "replication.manifest_changed", fault.CodeOf(err), "%v", err)
	}
	broken := errors.New("broken")
	for _, at := range []int{0, 50, 500, len(text)} {
		_, err := readSealed(io.MultiReader(strings.NewReader(text[:at]), iotest.ErrReader(broken)), int64(len(text)), digest)
		require.ErrorIs(t, err, broken)
	}
}

func TestManifestRefuses(t *testing.T) {
	t.Parallel()
	good := manifest(t, 3)
	header, first, _ := strings.Cut(good, "\n")
	first, _, _ = strings.Cut(first, "\n")
	for name, text := range map[string]string{
		"empty line":        "\n",
		"no JSON":           "manifest\n",
		"another asset":     strings.Replace(good, assetID, "other", 1),
		"another format":    strings.Replace(good, "manifest-1", "manifest-2", 1),
		"no line end":       good[:len(good)-1],
		"too few":           strings.Replace(good, `"files":3`, `"files":4`, 1),
		"too many":          strings.Replace(good, `"files":3`, `"files":2`, 1),
		"far too many":      strings.Replace(good, `"files":3`, `"files":100001`, 1),
		"other bytes":       strings.Replace(good, `"bytes":3`, `"bytes":4`, 1),
		"negative bytes":    strings.Replace(good, `"bytes":3`, `"bytes":-3`, 1),
		"the same id":       strings.Replace(good, "file-1", "file-0", 1),
		"no id":             strings.Replace(good, "file-1", "", 1),
		"a long id":         strings.Replace(good, "file-1", strings.Repeat("x", 65), 1),
		"a path as id":      strings.Replace(good, "file-1", "../file-1", 1),
		"no name":           strings.Replace(good, "Größe & <name>.glb", "", 1),
		"a negative size":   strings.Replace(good, `"size":1`, `"size":-1`, 1),
		"a huge size":       strings.Replace(good, `"size":1`, `"size":9223372036854775807`, 1),
		"a bad digest":      strings.Replace(good, "5f5f", "5F5F", 1),
		"a bad MD5":         strings.Replace(good, "1B2M2Y8AsgTpgAmY7PhCfg==", "1B2M2Y8AsgTpgAmY7PhCfg", 1),
		"no type":           strings.Replace(good, `"glb"`, `""`, 1),
		"no category":       strings.Replace(good, "OTHER", "", 1),
		"a file's URL":      strings.Replace(good, "https://", "file://", 1),
		"a user in the URL": strings.Replace(good, "https://", "https://u:p@", 1),
		"a long line":       header + "\n" + first[:len(first)-1] + strings.Repeat(" ", 16<<10) + "}\n",
		"a long header":     header[:len(header)-1] + strings.Repeat(" ", 16<<10) + "}\n",
		"an array":          header + "\n[]\n",
	} {
		require.NotEqual(t, good, text, name)
		_, err := read(text)
		require.Equal(t, "replication.bad_manifest", fault.CodeOf(err), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "X-Amz", name)
	}
	for _, size := range []int64{0, -1, replication.MaxManifestSize + 1} {
		_, err := readSealed(strings.NewReader(good), size, "")
		require.Equal(t, "replication.bad_manifest", fault.CodeOf(err))
	}
}

func TestWriteManifestRefuses(t *testing.T) {
	t.Parallel()
	good := replication.ManifestHeader{AssetID: assetID, Files: 2, Bytes: 1}
	require.NoError(t, replication.WriteManifest(io.Discard, good, files(2)))
	broken := errors.New("broken")
	for name, h := range map[string]replication.ManifestHeader{
		"no asset": {Files: 2, Bytes: 1}, "too few": {AssetID: assetID, Files: 3, Bytes: 1},
		"too many": {AssetID: assetID, Files: 1, Bytes: 1}, "bytes": {AssetID: assetID, Files: 2, Bytes: 2},
	} {
		require.Error(t, replication.WriteManifest(io.Discard, h, files(2)), name)
	}
	failing := func(yield func(replication.ManifestFile, error) bool) {
		_ = yield(file(0), nil) && yield(replication.ManifestFile{}, broken)
	}
	require.ErrorIs(t, replication.WriteManifest(io.Discard, good, failing), broken)
	require.ErrorIs(t, replication.WriteManifest(failingWriter{broken}, good, files(2)), broken)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func FuzzReadManifest(f *testing.F) {
	f.Add(manifest(f, 3))
	f.Add(manifest(f, 0))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := read(text)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err), "a manifest that was sealed so is at fault itself: %v", err)
			return
		}
		for _, f := range got {
			require.NotEmpty(t, f.FileID)
			require.NotEmpty(t, f.URL)
		}
	})
}
