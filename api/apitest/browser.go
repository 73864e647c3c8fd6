package apitest

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BrowserProfile makes the folder that a browser keeps its things in, and removes it when the test ends. Unlike TempDir it
// puts up with processes of a browser that has ended, which write for another moment.
func BrowserProfile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "assetflow-browser-")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, time.Minute, 50*time.Millisecond)
	})
	return dir
}
