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
	return Open(t, SQLiteURL(t))
}

// SQLiteURL gives the URL of a database that does not exist yet.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "catalog.db")
}

// Open opens and migrates the database at url, and closes it when the test ends.
func Open(t testing.TB, url string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(context.Background(), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	require.NoError(t, c.Migrate(context.Background()))
	return c
}

// EachURL runs the test with the URL of a fresh, empty database: on SQLite, and on PostgreSQL where PostgresVariable
// is set.
func EachURL(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLiteURL(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, PostgresURL(t))
	})
}

// Each is EachURL with a catalog, opened and migrated.
func Each(t *testing.T, test func(t *testing.T, c *catalog.Catalog)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) {
		t.Helper()
		test(t, Open(t, url))
	})
}
