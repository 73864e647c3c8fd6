package catalogtest

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"assetflow/catalog"
)

// PostgresVariable names the environment variable with the URL of a PostgreSQL server whose user may create databases.
const PostgresVariable = "ASSETFLOW_TEST_POSTGRES_URL"

// PostgresURL makes an empty database on that server, gives its URL and drops it when the test ends. Without the
// variable the test is skipped.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresVariable)
	if server == "" {
		t.Skipf("%s is not set: no PostgreSQL to test on", PostgresVariable)
	}
	name := "assetflow_test_" + strings.ReplaceAll(catalog.NewID(), "-", "")
	administer(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { administer(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })

	own, err := url.Parse(server)
	require.NoError(t, err)
	own.Path = "/" + name
	return own.String()
}

func administer(t testing.TB, server, statement string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	require.NoError(t, err)
}
