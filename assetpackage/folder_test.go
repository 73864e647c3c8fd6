package assetpackage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/fault"
)

// folder writes files, given by path and content, under a manifest.
func folder(t *testing.T, manifest string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["manifest.json"] = manifest
	for path, content := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return dir
}

func TestPack(t *testing.T) {
	t.Parallel()
	manifest := packagetest.Manifest(`{"path":"b/c.txt"}`, `{"path":"a.txt","size":5}`, packagetest.Listed("d.txt", []byte("d")), `{"path":".listed/x"}`)
	dir := folder(t, manifest, map[string]string{
		"b/c.txt": "content", "a.txt": "hello", "d.txt": "d", ".listed/x": "", ".listed/y": "", ".git/config": "", ".DS_Store": "", "b/.swp": "",
	})
	var b bytes.Buffer
	m, err := assetpackage.Pack(t.Context(), dir, &b)
	require.NoError(t, err)
	require.Equal(t, []string{".listed/x", "a.txt", "b/c.txt", "d.txt"}, paths(m))
	p, err := assetpackage.Open(t.Context(), packagetest.Source(b.Bytes()), assetpackage.Limits{})
	require.NoError(t, err)
	require.NoError(t, p.Verify(t.Context(), nil))
	require.Equal(t, m, p.Manifest())

	var again bytes.Buffer
	_, err = assetpackage.Pack(t.Context(), dir, &again)
	require.NoError(t, err)
	require.Equal(t, b.Bytes(), again.Bytes())

	s, err := assetpackage.Check(t.Context(), dir, assetpackage.Limits{})
	require.NoError(t, err)
	require.Equal(t, assetpackage.Summary{Version: "1.0.0", Applications: 1, Files: 4, Bytes: 13}, s)
}

func paths(m *assetpackage.Manifest) []string {
	var out []string
	for _, a := range m.Applications {
		for _, f := range a.Files {
			out = append(out, f.Path)
		}
	}
	return out
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		manifest string
		files    map[string]string
		links    map[string]string
		want     []string
	}{
		"a file that is not listed":    {packagetest.Manifest(), map[string]string{"a.txt": ""}, nil, []string{`unlisted_file: The folder holds "a.txt"`}},
		"a file that is missing":       {packagetest.Manifest(`{"path":"a.txt"}`), map[string]string{}, nil, []string{`missing_file: The file "a.txt"`}},
		"a wrong size":                 {packagetest.Manifest(`{"path":"a.txt","size":1}`), map[string]string{"a.txt": "hello"}, nil, []string{`size_mismatch: The file "a.txt" is 5 bytes`}},
		"a wrong digest":               {packagetest.Manifest(packagetest.Listed("a.txt", []byte("olleh"))), map[string]string{"a.txt": "hello"}, nil, []string{`digest_mismatch: The SHA-256 of the file "a.txt"`}},
		"a path out of the folder":     {packagetest.Manifest(`{"path":"../a.txt"}`), map[string]string{}, nil, []string{`unsafe_path: The path "../a.txt"`}},
		"a link to a file outside":     {packagetest.Manifest(`{"path":"a.txt"}`), map[string]string{}, map[string]string{"a.txt": "/etc/hostname"}, []string{`special_file: "a.txt" is a link`}},
		"a link to a file inside":      {packagetest.Manifest(`{"path":"a.txt"}`, `{"path":"b.txt"}`), map[string]string{"b.txt": ""}, map[string]string{"a.txt": "b.txt"}, []string{`special_file: "a.txt" is a link`}},
		"a link to a folder":           {packagetest.Manifest(`{"path":"l/b.txt"}`, `{"path":"d/b.txt"}`), map[string]string{"d/b.txt": ""}, map[string]string{"l": "d"}, []string{`special_file: "l" is a link`, `missing_file: The file "l/b.txt"`}},
		"a folder listed as a file":    {packagetest.Manifest(`{"path":"d"}`, `{"path":"d/b.txt"}`), map[string]string{"d/b.txt": ""}, nil, []string{`missing_file: The file "d"`}},
		"a broken manifest":            {"{", map[string]string{"a.txt": ""}, nil, []string{`bad_manifest: manifest.json cannot be read: it is not valid JSON`}},
		"an asset that breaks a rule":  {packagetest.ManifestOf(`{"name":"a/b","definition":{}}`), map[string]string{"a.txt": ""}, nil, []string{`bad_manifest: applications[0].name`}},
		"a manifest of great length":   {strings.Repeat(" ", 4<<20+1), map[string]string{}, nil, []string{`too_large: manifest.json is longer than the 4 MiB`}},
		"files that are one elsewhere": {packagetest.Manifest(`{"path":"a"}`, `{"path":"A"}`), map[string]string{"a": "", "A": ""}, nil, []string{`duplicate_entry: "A" and "a"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, c.manifest, c.files)
			for path, target := range c.links {
				require.NoError(t, os.Symlink(target, filepath.Join(dir, path)))
			}
			var b bytes.Buffer
			_, err := assetpackage.Pack(t.Context(), dir, &b)
			problems := problemsOf(t, err)
			require.Len(t, problems, len(c.want), "%v", problems)
			for i, p := range problems {
				require.Contains(t, p.Code+": "+p.Message, c.want[i])
			}
			require.Zero(t, b.Len())
			_, err = assetpackage.Check(t.Context(), dir, assetpackage.Limits{})
			require.Len(t, problemsOf(t, err), len(c.want))
		})
	}

	_, err := assetpackage.Pack(t.Context(), t.TempDir(), io.Discard)
	require.Equal(t, assetpackage.CodeNoManifest, problemsOf(t, err)[0].Code)
	_, err = assetpackage.Pack(t.Context(), filepath.Join(t.TempDir(), "gone"), io.Discard)
	requireIO(t, err, os.ErrNotExist)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = assetpackage.Pack(ctx, folder(t, packagetest.Manifest(`{"path":"a"}`), map[string]string{"a": "x"}), io.Discard)
	requireIO(t, err, context.Canceled)
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shop", "Küche 2"} {
		dir := filepath.Join(t.TempDir(), "deep", "down")
		require.NoError(t, assetpackage.New(dir, name))
		var b bytes.Buffer
		m, err := assetpackage.Pack(t.Context(), dir, &b)
		require.NoError(t, err)
		require.Equal(t, name, m.Applications[0].Name)
		require.Equal(t, []string{name}, m.Tasks[0].Applications)
		require.Equal(t, "conflict", fault.KindOf(assetpackage.New(dir, name)).String())
	}
	dir := filepath.Join(t.TempDir(), "x")
	require.Equal(t, "package.bad_name", fault.CodeOf(assetpackage.New(dir, `a"b`)))
	require.NoDirExists(t, dir, "a refusal leaves nothing behind")

	// The author's manifest needs neither sizes nor digests.
	require.NoError(t, assetpackage.New(dir, "shop"))
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	require.NotContains(t, string(data), "sha256")
}
