package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/config"
)

var update = flag.Bool("update", false, "write the documentation anew")

// TestDocs keeps the table in docs/configuration.md as the code has it.
func TestDocs(t *testing.T) {
	t.Parallel()
	const (
		path  = "../docs/configuration.md"
		begin = "<!-- Made by `go test ./config -run Docs -update`. -->\n"
		end   = "<!-- The end of what is made. -->\n"
	)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(content), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + config.Reference() + end + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o600))
		return
	}
	require.Equal(t, want, string(content), "run the test with -update")
}
