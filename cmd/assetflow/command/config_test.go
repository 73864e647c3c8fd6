package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/config"
)

func settingsFile(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assetflow.yaml")
	require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
	return path
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	right := "database: {url: 'sqlite:a.db'}\nmaster_key: " + auth.GenerateMasterKey() + "\n"
	for name, c := range map[string]struct {
		yaml string
		args []string
		want string // on stderr; empty: all is right
	}{
		"right":                   {yaml: right},
		"a worker without a key":  {yaml: "database: {url: 'sqlite:a.db'}", args: []string{"--for", "worker"}},
		"an api without a key":    {yaml: "database: {url: 'sqlite:a.db'}", want: "master_key is not set; want the output of `assetflow master-key`; set ASSETFLOW_MASTER_KEY"},
		"nothing":                 {args: []string{"--for", "worker"}, want: "database.url is not set"},
		"a wrong value":           {yaml: right, args: []string{"--log-level", "loud"}, want: `log.level = "loud" (from --log-level); want debug, info, warn or error`},
		"a key that is none":      {yaml: "database: {url: 'sqlite:a.db'}\nmaster_key: hidden", want: "master_key is not right"},
		"a ring that is none":     {yaml: right + `replication: {key_ring: '{"hidden": 1}'}`, want: "replication.key_ring is not right"},
		"targets that are none":   {yaml: right + "addons: {targets: [{id: a, kind: moon}]}", want: "addons.targets is not right"},
		"a target in our folders": {yaml: right + "addons: {targets: [{id: a, kind: bucket, prefix: ''}]}", want: "addons.targets is not right"},
		"another service":         {yaml: right, args: []string{"--for", "moon"}, want: `--for "moon": must be api or worker`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newApp(t).exec(t.Context(), append([]string{"config", "check", "--config", settingsFile(t, c.yaml)}, c.args...)...)
			if c.want == "" {
				require.Equal(t, result{stdout: "The settings are right.\n"}, r)
				return
			}
			require.Equal(t, ExitUsage, r.code, r.stderr)
			require.Empty(t, r.stdout)
			require.Contains(t, r.stderr, c.want)
			require.NotContains(t, r.stderr, "hidden")
		})
	}
}

func TestConfigCheckConnectsOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	a := administered(t)
	args := []string{"config", "check", "--log-level", "error", "--s3-endpoint", "http://" + nobody, "--temporal-address", nobody}
	a.environ = append(a.environ, "ASSETFLOW_S3_ACCESS_KEY=ak", "ASSETFLOW_S3_SECRET_KEY=sk", "AWS_MAX_ATTEMPTS=1")
	r := a.exec(t.Context(), append(args, "-o", "json")...)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, `{"right": true, "connected": false}`, r.stdout)
	r = a.exec(t.Context(), append(args, "--connect")...)
	require.Equal(t, ExitUnreachable, r.code, r.stderr)
	require.Contains(t, r.stderr, "the object store does not answer")
}

func TestConfigPrintIsWhatConfigDoes(t *testing.T) {
	t.Parallel()
	path := settingsFile(t, "region: north\nmaster_key: hidden\ntemporal: {api_key: hidden}\n")
	bare := newApp(t).exec(t.Context(), "config", "--config", path)
	require.Equal(t, ExitOK, bare.code, bare.stderr)
	require.Contains(t, bare.stdout, path)
	require.NotContains(t, bare.stdout, "hidden")
	require.Equal(t, bare, newApp(t).exec(t.Context(), "config", "print", "--config", path))

	r := newApp(t).exec(t.Context(), "config", "prnt")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "did you mean print?")
}

func TestConfigDocs(t *testing.T) {
	t.Parallel()
	r := newApp(t).exec(t.Context(), "config", "docs")
	require.Equal(t, result{stdout: config.Reference()}, r)
	docs, err := os.ReadFile("../../../docs/configuration.md")
	require.NoError(t, err)
	require.Contains(t, string(docs), r.stdout)

	r = newApp(t).exec(t.Context(), "config", "docs", "-o", "json")
	require.Equal(t, ExitOK, r.code)
	var answer struct {
		Settings []struct{ Key, Variable, Flag, Default, Meaning, Allowed string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &answer))
	require.Len(t, answer.Settings, len(config.Describe()))
	require.Equal(t, "http.addr ASSETFLOW_HTTP_ADDR --http-addr :8080",
		answer.Settings[0].Key+" "+answer.Settings[0].Variable+" "+answer.Settings[0].Flag+" "+answer.Settings[0].Default)
}
