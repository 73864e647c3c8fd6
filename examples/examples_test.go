// Package examples_test keeps the packed examples equal to their folders.
package examples_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/servicetemplate"
)

var update = flag.Bool("update", false, "pack the examples again")

// It is not parallel: with -update it writes what the other tests read.
func TestPackedExamples(t *testing.T) {
	for _, name := range []string{"shop"} {
		var packed bytes.Buffer
		_, err := assetpackage.Pack(t.Context(), name, &packed)
		require.NoError(t, err)
		if *update {
			require.NoError(t, os.WriteFile(name+".zip", packed.Bytes(), 0o644))
		}
		committed, err := os.ReadFile(name + ".zip")
		require.NoError(t, err)
		require.True(t, bytes.Equal(packed.Bytes(), committed), "%s.zip is not what its folder gives; run: go test ./examples -update", name)
		_, err = assetpackage.Check(t.Context(), name+".zip", assetpackage.Limits{})
		require.NoError(t, err)
	}
}

func TestShopIsWhatItsReadmeSays(t *testing.T) {
	t.Parallel()
	s, err := assetpackage.Check(t.Context(), "shop.zip", assetpackage.Limits{})
	require.NoError(t, err)
	require.Equal(t, []int{3, 2, 3, 7}, []int{s.Applications, s.Tasks, s.DataSources, s.Files})
	require.Equal(t, "1.4.0", s.Version)
}

// templates are the folders of templates/ and what they are packed as.
var templates = []struct{ folder, packed string }{
	{"extend-volume", "com.example_extend-volume_00.03.00_d.st"},
	{"restart-service", "com.example_restart-service_02.01.00.st"},
}

// It is not parallel: with -update it writes what the other tests read.
func TestPackedTemplates(t *testing.T) {
	same := func(name string, pack func(w io.Writer) error) {
		var packed bytes.Buffer
		require.NoError(t, pack(&packed))
		name = filepath.Join("templates", name)
		if *update {
			require.NoError(t, os.WriteFile(name, packed.Bytes(), 0o644))
		}
		committed, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(packed.Bytes(), committed), "%s is not what its folder gives; run: go test ./examples -update", name)
	}
	var folders []string
	for _, c := range templates {
		folder := filepath.Join("templates", c.folder)
		folders = append(folders, folder)
		same(c.packed, func(w io.Writer) error {
			_, err := servicetemplate.Pack(t.Context(), folder, w)
			return err
		})
		found, err := servicetemplate.Check(t.Context(), filepath.Join("templates", c.packed))
		require.NoError(t, err)
		require.Equal(t, c.packed, found[0].Manifest.FileName())
	}
	same("templates.zip", func(w io.Writer) error { return servicetemplate.PackBundle(t.Context(), folders, w) })
	found, err := servicetemplate.Check(t.Context(), filepath.Join("templates", "templates.zip"))
	require.NoError(t, err)
	require.Len(t, found, len(templates))
	for i, c := range templates {
		require.Equal(t, c.packed, found[i].FileName)
		single, err := servicetemplate.Check(t.Context(), filepath.Join("templates", c.packed))
		require.NoError(t, err)
		require.Equal(t, single[0].SHA256, found[i].SHA256)
	}
}
