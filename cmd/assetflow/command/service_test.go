package command

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
)

// nobody is an address at which nobody listens, nor will: no free port is as low.
const nobody = "127.0.0.1:1"

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

		// The first thing that is missing is said first.
		if command != "migrate" {
			r = newApp(t).exec(t.Context(), command, "--log-level", "error", "--database-url", "sqlite:"+filepath.Join(t.TempDir(), "a.db"),
				"--master-key-file", masterKeyFile(t))
			require.Equal(t, ExitFailure, r.code, r.stderr)
			require.Contains(t, r.stderr, `run "assetflow migrate"`)
		}
		a := administered(t)
		a.environ = append(a.environ, "ASSETFLOW_S3_ACCESS_KEY=ak", "ASSETFLOW_S3_SECRET_KEY=sk", "AWS_MAX_ATTEMPTS=1")
		r = a.exec(t.Context(), command, "--log-level", "error", "--s3-endpoint", "http://"+nobody)
		require.Equal(t, ExitUnreachable, r.code, r.stderr)
		require.Contains(t, r.stderr, "the object store does not answer")
	}
}

func masterKeyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master-key")
	require.NoError(t, os.WriteFile(path, []byte(auth.GenerateMasterKey()), 0o600))
	return path
}
