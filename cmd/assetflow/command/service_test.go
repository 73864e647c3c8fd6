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

func TestWhatAWorkerVersionNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a deployment": {[]string{"list"}, ExitUsage, "--deployment is needed: worker.deployment_name is not set"},
		"a build id":   {[]string{"promote", "--deployment", "a"}, ExitUsage, "worker-version promote needs BUILD_ID"},
		"one of both":  {[]string{"promote", "1", "--unversioned", "--deployment", "a"}, ExitUsage, "--unversioned and a build id cannot be used together"},
		"a part of it": {[]string{"promote", "1", "--ramp", "101", "--deployment", "a"}, ExitUsage, "--ramp 101: must be from 0 to 100"},
		"Temporal":     {[]string{"list", "--deployment", "a", "--temporal-address", nobody}, ExitUnreachable, "Temporal does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newApp(t).exec(t.Context(), append([]string{"worker-version"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.want)
		})
	}
}
