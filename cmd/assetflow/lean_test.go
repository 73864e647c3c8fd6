package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheBinaryIsLean keeps the embedded servers out of the binary that people install and run in production.
func TestTheBinaryIsLean(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "assetflow/cmd/assetflow").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(out))
	require.Contains(t, packages, "assetflow/cmd/assetflow/serve", "the list is that of the binary")
	for _, p := range packages {
		for _, heavy := range []string{
			"go.temporal.io/server", "github.com/temporalio/ui-server", "github.com/versity/versitygw",
			"assetflow/embedded", "assetflow/devstack",
		} {
			require.False(t, p == heavy || strings.HasPrefix(p, heavy+"/"), "the lean binary links %s", p)
		}
	}
}
