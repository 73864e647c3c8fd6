package command

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// nobody gives an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	return ln.Addr().String()
}

func TestServicesSayWhatTheyMiss(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"api", "worker", "migrate"} {
		r := newApp(t).exec(t.Context(), command, "--log-level", "error")
		require.Equal(t, ExitUsage, r.code, command)
		require.Contains(t, r.stderr, "database.url is not set")
		if command == "api" {
			require.Contains(t, r.stderr, "master_key is not set")
		} else {
			require.NotContains(t, r.stderr, "master_key")
		}

		address := nobody(t)
		r = administered(t).exec(t.Context(), command, "--temporal-address", address, "--log-level", "error", "--s3-endpoint", "http://"+nobody(t))
		require.Equal(t, ExitUnreachable, r.code, command)
		require.Contains(t, r.stderr, "Temporal cannot be reached at "+address)
	}
}
