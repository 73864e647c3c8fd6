package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/config"
	"assetflow/config/certtest"
)

// shown gives the settings of Temporal that are not defaults, each with its origin; paths are cut to the file's name.
func shown(c config.Config) map[string]string {
	all := map[string]string{}
	for _, s := range c.Settings() {
		if strings.HasPrefix(s.Key, "temporal.") && s.Origin != "default" {
			at := strings.LastIndex(s.Origin, " ") + 1
			all[strings.TrimPrefix(s.Key, "temporal.")] = s.Value + " from " + s.Origin[:at] + filepath.Base(s.Origin[at:])
		}
	}
	return all
}

func TestTemporalsOwnNames(t *testing.T) {
	t.Parallel()
	authority := certtest.Authority(t, "authority")
	pair := authority.Issue(t, "assetflow")
	ca, certificate, key := write(t, "ca", authority.Certificate), write(t, "certificate", pair.Certificate), write(t, "key", pair.Key)
	until := " (until " + time.Now().Add(24*time.Hour).UTC().Format(time.DateOnly) + ")"
	file := "TEMPORAL_CONFIG_FILE=" + write(t, "temporal.toml", `
[profile.default]
address = "default:7233"
api_key = "hidden"
[profile.prod]
address = "prod:7233"
namespace = "prod"
[profile.prod.tls]
server_name = "prod.example.com"
server_ca_cert_path = "`+ca+`"
client_cert_path = "`+certificate+`"
client_key_path = "`+key+`"
[profile.plain]
address = "plain:7233"
api_key = "hidden"
tls = {disabled = true}
[profile.open]
tls = {disable_host_verification = true}
`)
	for name, c := range map[string]struct {
		environ []string
		yaml    string
		want    map[string]string
	}{
		"nothing": {want: map[string]string{}},
		"address and namespace": {
			environ: []string{"TEMPORAL_ADDRESS=t:1", "TEMPORAL_NAMESPACE=n", "TEMPORAL_CODEC_AUTH=x", "TEMPORAL_GRPC_META_A=b"},
			want:    map[string]string{"address": "t:1 from TEMPORAL_ADDRESS", "namespace": "n from TEMPORAL_NAMESPACE"},
		},
		"an empty variable": {environ: []string{"TEMPORAL_ADDRESS=", "TEMPORAL_TLS="}, want: map[string]string{}},
		"an API key": {
			environ: []string{"TEMPORAL_API_KEY=hidden"}, want: map[string]string{"api_key": "[redacted] from TEMPORAL_API_KEY"},
		},
		"TLS": {environ: []string{"TEMPORAL_TLS=1"}, want: map[string]string{"tls.enabled": "true from TEMPORAL_TLS"}},
		"files": {
			environ: []string{
				"TEMPORAL_TLS=true", "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + ca, "TEMPORAL_TLS_CLIENT_CERT_PATH=" + certificate,
				"TEMPORAL_TLS_CLIENT_KEY_PATH=" + key, "TEMPORAL_TLS_SERVER_NAME=t",
			},
			want: map[string]string{
				"tls.enabled": "true from TEMPORAL_TLS", "tls.server_name": "t from TEMPORAL_TLS_SERVER_NAME",
				"tls.ca":          "CN=authority" + until + " from TEMPORAL_TLS_SERVER_CA_CERT_PATH",
				"tls.certificate": "CN=assetflow" + until + " from TEMPORAL_TLS_CLIENT_CERT_PATH",
				"tls.key":         "[redacted] from TEMPORAL_TLS_CLIENT_KEY_PATH",
			},
		},
		"texts": {
			environ: []string{
				"TEMPORAL_TLS=true", "TEMPORAL_TLS_SERVER_CA_CERT_DATA=" + authority.Certificate + pair.Certificate,
				"TEMPORAL_TLS_CLIENT_CERT_DATA=" + pair.Certificate, "TEMPORAL_TLS_CLIENT_KEY_DATA=" + pair.Key,
				"TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=1",
			},
			want: map[string]string{
				"tls.enabled":     "true from TEMPORAL_TLS",
				"tls.ca":          "CN=authority" + until + "; CN=assetflow" + until + " from TEMPORAL_TLS_SERVER_CA_CERT_DATA",
				"tls.certificate": "CN=assetflow" + until + " from TEMPORAL_TLS_CLIENT_CERT_DATA",
				"tls.key":         "[redacted] from TEMPORAL_TLS_CLIENT_KEY_DATA",
				"tls.verify":      "false from TEMPORAL_TLS_DISABLE_HOST_VERIFICATION",
			},
		},
		"verification, doubly negated": {
			environ: []string{"TEMPORAL_TLS=0", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=f"},
			want: map[string]string{
				"tls.enabled": "false from TEMPORAL_TLS", "tls.verify": "true from TEMPORAL_TLS_DISABLE_HOST_VERIFICATION",
			},
		},
		"the default profile": {
			environ: []string{file},
			want: map[string]string{
				"address": `default:7233 from profile "default" of temporal.toml`, "api_key": `[redacted] from profile "default" of temporal.toml`,
			},
		},
		"a profile, with a variable over it and ours over both": {
			environ: []string{file, "TEMPORAL_PROFILE=prod", "TEMPORAL_NAMESPACE=from-variable", "TEMPORAL_TLS_SERVER_NAME=from-variable"},
			yaml:    "temporal: {tls: {server_name: from-ours}}",
			want: map[string]string{
				"address": `prod:7233 from profile "prod" of temporal.toml`, "namespace": "from-variable from TEMPORAL_NAMESPACE",
				"tls.enabled": `true from profile "prod" of temporal.toml`, "tls.server_name": "from-ours from assetflow.yaml",
				"tls.ca":          "CN=authority" + until + ` from profile "prod" of temporal.toml`,
				"tls.certificate": "CN=assetflow" + until + ` from profile "prod" of temporal.toml`,
				"tls.key":         `[redacted] from profile "prod" of temporal.toml`,
			},
		},
		"a profile without TLS": {
			environ: []string{file, "TEMPORAL_PROFILE=plain"},
			want: map[string]string{
				"address": `plain:7233 from profile "plain" of temporal.toml`, "api_key": `[redacted] from profile "plain" of temporal.toml`,
				"tls.enabled": `false from profile "plain" of temporal.toml`,
			},
		},
		"a profile that checks nothing": {
			environ: []string{file, "TEMPORAL_PROFILE=open"},
			want: map[string]string{
				"tls.enabled": `true from profile "open" of temporal.toml`, "tls.verify": `false from profile "open" of temporal.toml`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, c.yaml, c.environ, nil, 0)
			require.NoError(t, err)
			require.Equal(t, c.want, shown(got))
			require.Equal(t, c.want["tls.verify"] != "" && strings.HasPrefix(c.want["tls.verify"], "false"), got.Temporal.TLS.Insecure)
		})
	}
}

// TestAFileInSomebodysHomeIsLeftAlone sets the environment of the process, in which Temporal's library looks for it.
func TestAFileInSomebodysHomeIsLeftAlone(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("AppData", home)
	t.Setenv("TEMPORAL_ADDRESS", "elsewhere:7233") // of the process, not of the source
	path := filepath.Join(home, "temporalio", "temporal.toml")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte("[profile.mine]\naddress = \"mine:7233\"\n[profile.default]\naddress = \"home:7233\"\n"), 0o600))

	c, err := load(t, "", nil, nil, 0)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:7233", c.Temporal.Address)

	c, err = load(t, "", []string{"TEMPORAL_PROFILE=mine"}, nil, 0)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"address": `mine:7233 from profile "mine" of temporal.toml`}, shown(c))
}

func TestTLSIsOnWhereAnythingAsksForIt(t *testing.T) {
	t.Parallel()
	authority := certtest.Authority(t, "authority")
	pair := authority.Issue(t, "assetflow")
	for name, environ := range map[string][]string{
		"an API key":       {"ASSETFLOW_TEMPORAL_API_KEY=hidden"},
		"a server's name":  {"ASSETFLOW_TEMPORAL_TLS_SERVER_NAME=t"},
		"an authority":     {"ASSETFLOW_TEMPORAL_TLS_CA=" + authority.Certificate},
		"a certificate":    {"ASSETFLOW_TEMPORAL_TLS_CERTIFICATE=" + pair.Certificate, "ASSETFLOW_TEMPORAL_TLS_KEY=" + pair.Key},
		"Temporal's names": {"TEMPORAL_TLS_SERVER_NAME=t"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, "", environ, nil, 0)
			require.NoError(t, err)
			require.True(t, c.Temporal.TLS.Enabled)
			c, err = load(t, "", append(environ, "ASSETFLOW_TEMPORAL_TLS_ENABLED=false"), nil, 0)
			require.NoError(t, err)
			require.False(t, c.Temporal.TLS.Enabled, "what is said wins over what follows")
		})
	}
	c, err := load(t, "", nil, nil, 0)
	require.NoError(t, err)
	require.False(t, c.Temporal.TLS.Enabled)
}

func TestWhatIsWrongAboutTLS(t *testing.T) {
	t.Parallel()
	authority := certtest.Authority(t, "authority")
	pair, other := authority.Issue(t, "assetflow"), authority.Issue(t, "other")
	ours := func(name, value string) string { return "ASSETFLOW_TEMPORAL_" + name + "=" + value }
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"not PEM": {
			[]string{ours("TLS_CA", "hidden")}, `temporal.tls.ca = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_CA); want certificates in PEM form`,
		},
		"a key in the place of a certificate": {
			[]string{ours("TLS_CA", pair.Key)}, `temporal.tls.ca = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_CA); want certificates in PEM form`,
		},
		"a key behind a certificate": {
			[]string{ours("TLS_CERTIFICATE", pair.Certificate+pair.Key), ours("TLS_KEY", pair.Key)},
			`temporal.tls.certificate = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_CERTIFICATE); want certificates in PEM form`,
		},
		"a certificate in the place of a key": {
			[]string{ours("TLS_CERTIFICATE", pair.Certificate), ours("TLS_KEY", pair.Certificate)},
			`temporal.tls.key = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_KEY); want a private key in PEM form, not encrypted`,
		},
		"an encrypted key": {
			[]string{ours("TLS_CERTIFICATE", pair.Certificate), ours("TLS_KEY", strings.ReplaceAll(pair.Key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"))},
			`temporal.tls.key = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_KEY); want a private key in PEM form, not encrypted`,
		},
		"no key": {
			[]string{ours("TLS_CERTIFICATE", pair.Certificate)},
			`temporal.tls.certificate = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_CERTIFICATE); want temporal.tls.key set as well, or neither`,
		},
		"no certificate": {
			[]string{"TEMPORAL_TLS_CLIENT_KEY_DATA=" + pair.Key},
			`temporal.tls.key = "[redacted]" (from TEMPORAL_TLS_CLIENT_KEY_DATA); want temporal.tls.certificate set as well, or neither`,
		},
		"the key of another": {
			[]string{ours("TLS_CERTIFICATE", pair.Certificate), ours("TLS_KEY", other.Key)},
			`temporal.tls.key = "[redacted]" (from ASSETFLOW_TEMPORAL_TLS_KEY); want the private key of the first certificate of temporal.tls.certificate`,
		},
		"no such file": {
			[]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=/nowhere/ca"},
			`temporal.tls.ca_file = "/nowhere/ca" (from TEMPORAL_TLS_SERVER_CA_CERT_PATH); want a file that can be read (open /nowhere/ca: no such file or directory)`,
		},
		"text and file": {
			[]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=/nowhere/ca", "TEMPORAL_TLS_SERVER_CA_CERT_DATA=" + authority.Certificate},
			`temporal.tls.ca_file = "/nowhere/ca" (from TEMPORAL_TLS_SERVER_CA_CERT_PATH); want one of temporal.tls.ca and temporal.tls.ca_file, not both`,
		},
		"neither yes nor no": {
			[]string{"TEMPORAL_TLS=on"}, `temporal.tls.enabled = "on" (from TEMPORAL_TLS); want auto, true or false`,
		},
		"verification, neither yes nor no": {
			[]string{"TEMPORAL_TLS=1", "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION=no"},
			`temporal.tls.verify = "no" (from TEMPORAL_TLS_DISABLE_HOST_VERIFICATION); want true or false`,
		},
		"an API key of two lines": {
			[]string{ours("API_KEY", "hidden\nhidden")}, `temporal.api_key = "[redacted]" (from ASSETFLOW_TEMPORAL_API_KEY); want a text without blanks`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, "", c.environ, nil, 0)
			require.EqualError(t, err, "the configuration is not right:\n  "+c.want)
		})
	}
}

func TestTemporalsFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	profiles := write(t, "temporal.toml", "[profile.default]\naddress = \"t:7233\"\n")
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"no file":    {[]string{"TEMPORAL_CONFIG_FILE=/nowhere/t.toml"}, "TEMPORAL_CONFIG_FILE names: stat /nowhere/t.toml: no such file"},
		"no profile": {[]string{"TEMPORAL_CONFIG_FILE=" + profiles, "TEMPORAL_PROFILE=prod"}, `read profile "prod" of Temporal's configuration file ` + profiles},
		"no TOML": {
			[]string{"TEMPORAL_CONFIG_FILE=" + write(t, "bad.toml", "[profile.default]\napi_key = hidden\n")}, "line 2 is not right TOML",
		},
		"a key of the wrong kind": {
			[]string{"TEMPORAL_CONFIG_FILE=" + write(t, "bad.toml", "[profile.default]\napi_key = [\"hidden\"]\n")}, "bad.toml: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, "", c.environ, nil, 0)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}
