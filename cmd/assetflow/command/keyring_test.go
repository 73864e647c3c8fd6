package command

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/payload"
	"assetflow/replication"
)

func TestKeyRing(t *testing.T) {
	t.Parallel()
	r := newApp(t).exec(t.Context(), "key-ring")
	require.Equal(t, ExitOK, r.code)
	ring, err := replication.ParseKeyRing(strings.TrimSuffix(r.stdout, "\n"))
	require.NoError(t, err)
	_, err = time.Parse("2006-01", ring.Primary())
	require.NoError(t, err)
	require.NotEqual(t, r.stdout, newApp(t).exec(t.Context(), "key-ring").stdout)

	r = newApp(t).exec(t.Context(), "key-ring", "north-1")
	require.Equal(t, ExitOK, r.code)
	require.Contains(t, r.stdout, `"primary":"north-1"`)
	r = newApp(t).exec(t.Context(), "key-ring", "--payloads", "2026-11")
	require.Equal(t, ExitOK, r.code)
	keys, err := payload.ParseKeys(strings.TrimSuffix(r.stdout, "\n"))
	require.NoError(t, err)
	require.Equal(t, "2026-11", keys.Primary())
	require.Equal(t, ExitUsage, newApp(t).exec(t.Context(), "key-ring", "--payloads", "a b").code)
	require.Equal(t, ExitUsage, newApp(t).exec(t.Context(), "key-ring", "a b").code)
	require.Equal(t, ExitUsage, newApp(t).exec(t.Context(), "key-ring", "a", "b").code)
}
