// Package catalogtest gives tests of other packages a real catalog.
package catalogtest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
)

// New gives a fresh, migrated catalog on SQLite in a folder of its own. It is closed when the test ends.
func New(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "catalog.db"), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.Migrate(context.Background()))
	return c
}
