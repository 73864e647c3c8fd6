// Package examples_test keeps the packed examples equal to their folders.
package examples_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
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
