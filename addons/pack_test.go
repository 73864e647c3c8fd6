package addons_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/fault"
)

// chartFolder writes files, named by their paths, into a new folder.
func chartFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

func TestPackChart(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.2.0\n", "values.yaml": "replicas: 2\n",
		"templates/a.yaml": "kind: A\n", "templates/notes.bak": "x", ".helmignore": "*.bak\n", "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
	}
	one, two := chartFolder(t, files), chartFolder(t, files)
	require.NoError(t, os.Chtimes(filepath.Join(two, "values.yaml"), time.Time{}, time.Unix(1, 0)))
	require.NoError(t, os.Chmod(filepath.Join(two, "values.yaml"), 0o700))
	packed, err := addons.PackChart(one)
	require.NoError(t, err)
	again, err := addons.PackChart(two)
	require.NoError(t, err)
	require.Equal(t, packed, again, "the same content gives the same bytes")

	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	got := map[string]string{}
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(archive)
		require.NoError(t, err)
		got[h.Name] = string(content)
	}
	require.Len(t, got, len(files)-1)
	require.Equal(t, "replicas: 2\n", got["demo/values.yaml"])
	require.Contains(t, got, "demo/charts/sub/Chart.yaml")
	require.NotContains(t, got, "demo/templates/notes.bak")
}

func TestPackWhatIsNoChart(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"nothing":    {},
		"no name":    {"Chart.yaml": "apiVersion: v2\nversion: 1.2.0\n"},
		"no version": {"Chart.yaml": "apiVersion: v2\nname: demo\n"},
		"no YAML":    {"Chart.yaml": "{"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := addons.PackChart(chartFolder(t, files))
			require.Equal(t, addons.CodeBadChart, fault.CodeOf(err), "%v", err)
			require.Equal(t, fault.Invalid, fault.KindOf(err))
		})
	}
	_, err := addons.PackChart(filepath.Join(t.TempDir(), "no"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
