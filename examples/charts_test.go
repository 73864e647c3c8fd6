package examples_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/storage"
)

// charts are the packed charts and the folders that they are made of, of which a later one replaces files of those before.
var charts = []struct {
	version string
	folders []string
}{
	{"1.0.0", []string{"hello", "hello-1.0.0"}},
	{"1.1.0", []string{"hello"}},
}

// It is not parallel: with -update it writes what the other tests read.
func TestPackedCharts(t *testing.T) {
	for _, c := range charts {
		files := map[string]string{}
		for _, folder := range c.folders {
			folder := os.DirFS(filepath.Join("charts", folder))
			require.NoError(t, fs.WalkDir(folder, ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := fs.ReadFile(folder, path)
				files[path] = string(data)
				return err
			}))
		}
		packed := addonstest.Archive(t, "hello", files)
		name := filepath.Join("charts", "hello-"+c.version+".tgz")
		if *update {
			require.NoError(t, os.WriteFile(name, packed, 0o644))
		}
		committed, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(packed, committed), "%s is not what its folder gives; run: go test ./examples -update", name)
	}
}

// They are delivered to buckets as well as to clusters; to a cluster the tests of addons/clustertest deliver them.
func TestChartsAreForBuckets(t *testing.T) {
	t.Parallel()
	empty := httptest.NewServer(http.NotFoundHandler()) // a bucket that nothing was published to
	t.Cleanup(empty.Close)
	store, err := storage.Open(t.Context(), storage.Config{
		Endpoint: empty.URL, Bucket: "examples", AccessKey: "key", SecretKey: "secret", PathStyle: true,
	})
	require.NoError(t, err)
	for _, c := range charts {
		file, err := os.Open(filepath.Join("charts", "hello-"+c.version+".tgz"))
		require.NoError(t, err)
		defer file.Close()
		chart, meta, err := addons.ReadChart(t.Context(), file)
		require.NoError(t, err)
		require.Equal(t, []string{"hello", c.version}, []string{chart.Name, chart.Version})
		require.NotEmpty(t, meta.Description)

		target := addons.NewBucket(store, "", nil)
		r := addons.Release{Name: "hello", EnvironmentID: "e"}
		plan, err := target.Plan(t.Context(), r, chart)
		require.NoError(t, err)
		require.Empty(t, plan.Notes)
		for _, kind := range []string{"ServiceAccount", "Service", "Deployment"} {
			require.Contains(t, plan.Objects, addons.Object{Kind: kind, Name: "hello", Namespace: r.Namespace()})
		}
	}
}
