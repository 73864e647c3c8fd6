// Package deploy_test checks the files that run the service on servers as far as that goes without running them.
package deploy_test

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"assetflow/cmd/assetflow/command"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/prodstack"
)

// load reads the compose file as compose does: against its schema, with its own checks of what refers to what.
func load(t *testing.T, environment map[string]string, profiles ...string) *types.Project {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: root, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "docker-compose.yml")}}, Environment: environment,
	}, func(o *loader.Options) {
		o.Profiles = profiles
		o.SetProjectName("assetflow", true)
	})
	require.NoError(t, err)
	return project
}

// ours are the services that run this program, by the commands that they run.
func ours(p *types.Project) map[string][]types.ServiceConfig {
	all := map[string][]types.ServiceConfig{}
	for _, s := range p.Services {
		if strings.HasPrefix(s.Image, "assetflow:") {
			all[s.Command[0]] = append(all[s.Command[0]], s)
		}
	}
	return all
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	count := func(p *types.Project) map[string]int {
		n := map[string]int{}
		for name, services := range ours(p) {
			n[name] = len(services)
		}
		return n
	}
	plain, scaled := load(t, nil), load(t, nil, "scaled")
	require.Equal(t, map[string]int{"migrate": 1, "api": 1, "worker": 1}, count(plain))
	require.Equal(t, map[string]int{"migrate": 1, "api": 2, "worker": 3}, count(scaled))
	for _, name := range []string{"proxy", "prometheus", "grafana"} {
		require.NotContains(t, plain.Services, name)
		require.Contains(t, scaled.Services, name)
	}
}

var (
	pinned  = regexp.MustCompile(`^[a-z0-9./-]+:(v?\d+\.\d+\.\d+|\d+\.\d+|RELEASE\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)(-[a-z0-9.]+)?$`)
	secrets = regexp.MustCompile(`PASSW|PWD|SECRET|TOKEN|MASTER_KEY|ACCESS_KEY|KEY_RING|DATABASE_URL`)
)

func TestServices(t *testing.T) {
	t.Parallel()
	p := load(t, nil, "scaled")
	for name, s := range p.Services {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.HasPrefix(s.Image, "assetflow:") {
				require.Regexp(t, pinned, s.Image)
			}
			require.NotEmpty(t, s.Restart)
			require.NotNil(t, s.Logging)
			require.Contains(t, s.SecurityOpt, "no-new-privileges:true")
			require.NotNil(t, s.Deploy)
			require.NotNil(t, s.Deploy.Resources.Limits)
			require.Positive(t, s.Deploy.Resources.Limits.NanoCPUs.Value())
			require.Positive(t, int64(s.Deploy.Resources.Limits.MemoryBytes))
			for on, d := range s.DependsOn {
				other := p.Services[on]
				switch d.Condition {
				case types.ServiceConditionHealthy:
					require.NotNil(t, other.HealthCheck, "%s has no health check", on)
					require.NotEmpty(t, other.HealthCheck.Test)
				case types.ServiceConditionCompletedSuccessfully:
					require.Equal(t, "on-failure", other.Restart, "%s would be started again when it is done", on)
				default:
					require.Fail(t, "waits for nothing", "%s waits for %s: %s", name, on, d.Condition)
				}
			}
			for _, port := range s.Ports {
				require.Equal(t, "127.0.0.1", port.HostIP)
			}
			for _, v := range s.Volumes {
				if v.Type == types.VolumeTypeBind {
					require.True(t, v.ReadOnly, v.Source)
					require.FileExists(t, v.Source)
				}
			}
			for variable, value := range s.Environment {
				if secrets.MatchString(variable) {
					require.True(t, strings.HasSuffix(variable, "_FILE"), "%s holds a secret", variable)
					require.Contains(t, mounted(s), filepath.Base(*value), "%s names no secret of the service", variable)
				}
			}
		})
	}
	require.NotContains(t, string(read(t, "../docker-compose.yml")), "${ASSETFLOW_MASTER_KEY")
}

// What is told to stop has the time to do so well: it is killed after that.
func TestGraceToStop(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Source{}, 0)
	require.NoError(t, err)
	const beyond = 5 * time.Second // for requests that are cut off, and steps that are handed over
	need := map[string]time.Duration{
		"api":    cfg.HTTP.ShutdownDelay + cfg.HTTP.DrainTimeout + beyond,
		"worker": cfg.Worker.StopTimeout + beyond,
	}
	for command, services := range ours(load(t, nil, "scaled")) {
		for _, s := range services {
			if need[command] > 0 {
				require.NotNil(t, s.StopGracePeriod, s.Name)
				require.GreaterOrEqual(t, time.Duration(*s.StopGracePeriod), need[command], s.Name)
			}
		}
	}
}

// mounted gives the names of the secrets that a service has.
func mounted(s types.ServiceConfig) []string {
	var names []string
	for _, secret := range s.Secrets {
		names = append(names, secret.Source)
	}
	return names
}

// TestSettings starts each of our services as far as that goes: its settings are read and checked, with the secrets that
// the script makes, and its commands and health checks are commands of the program.
func TestSettings(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "secrets")
	makeSecrets(t, folder)
	known := map[string]bool{}
	for _, d := range config.Describe() {
		known[d.Variable] = true
		known[d.Variable+"_FILE"] = d.FileFlag != ""
	}
	p := load(t, map[string]string{"ASSETFLOW_REPLICATION_SOURCES": "https://s3.north.example.com"}, "scaled")
	for _, services := range ours(p) {
		for _, s := range services {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				files := map[string]string{}
				for _, name := range mounted(s) {
					files["/run/secrets/"+name] = filepath.Join(folder, name)
				}
				for _, c := range s.Configs {
					files[c.Target] = p.Configs[c.Source].File
				}
				var environ []string
				for variable, value := range s.Environment {
					if strings.HasPrefix(variable, "ASSETFLOW_") {
						require.True(t, known[variable], "%s is no setting", variable)
					}
					if strings.HasSuffix(variable, "_FILE") {
						require.Contains(t, files, *value, variable)
						*value = files[*value]
					}
					environ = append(environ, variable+"="+*value)
				}
				cfg, err := config.Load(config.Source{Environ: environ}, config.NeedDatabase|config.NeedMasterKey)
				require.NoError(t, err)
				require.NoError(t, serve.Validate(t.Context(), cfg))
				require.Equal(t, []string{"https://s3.north.example.com"}, cfg.Replication.Sources)
				require.Empty(t, cfg.Temporal.PayloadKeys, "nothing is encrypted until somebody puts keys there")
				require.True(t, cfg.Temporal.EncryptPayloads)
				require.Contains(t, mounted(s), "payload-keys")
				require.False(t, cfg.Telemetry.Metrics.Pprof)

				require.NotNil(t, s.Build)
				require.Equal(t, strings.TrimPrefix(s.Image, "assetflow:"), *s.Build.Args["VERSION"])
				require.True(t, s.ReadOnly)
				require.Equal(t, []string{"ALL"}, s.CapDrop)
				commands := [][]string{s.Command}
				if s.HealthCheck != nil {
					require.Equal(t, []string{"CMD", "/usr/local/bin/assetflow"}, []string(s.HealthCheck.Test[:2]))
					commands = append(commands, s.HealthCheck.Test[2:])
				} else {
					require.Equal(t, "migrate", s.Command[0], "what goes on running has a health check")
				}
				for _, c := range commands {
					var help strings.Builder
					require.Equal(t, command.ExitOK, command.Run(t.Context(), append(slices.Clone(c), "--help"), strings.NewReader(""), &help, io.Discard))
					require.Contains(t, help.String(), "\n  assetflow "+strings.Join(c, " ")+" [flags]\n", "the help is of the command, not of one above it")
				}
			})
		}
	}
}

func makeSecrets(t *testing.T, folder string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "make-secrets.sh", folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// The Temporal server of the compose file is set as that of the tests is.
func TestTemporalSettings(t *testing.T) {
	t.Parallel()
	temporal := load(t, nil).Services["temporal"]
	at := temporal.Environment["DYNAMIC_CONFIG_FILE_PATH"]
	require.NotNil(t, at)
	i := slices.IndexFunc(temporal.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Target == *at })
	require.GreaterOrEqual(t, i, 0, "%s is not mounted", *at)
	text, err := os.ReadFile(temporal.Volumes[i].Source)
	require.NoError(t, err)
	require.YAMLEq(t, prodstack.DefaultTemporalSettings, string(text))
}

func TestMakeSecrets(t *testing.T) {
	t.Parallel()
	p := load(t, nil, "scaled")
	folder := filepath.Join(t.TempDir(), "a folder", "secrets")
	makeSecrets(t, folder)
	made := map[string]string{}
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.EqualValues(t, 0o444, info.Mode().Perm(), e.Name())
		made[e.Name()] = string(read(t, filepath.Join(folder, e.Name())))
	}
	info, err := os.Stat(folder)
	require.NoError(t, err)
	require.EqualValues(t, 0o700, info.Mode().Perm())

	wanted := map[string]bool{}
	for name, secret := range p.Secrets {
		require.Equal(t, filepath.Join(p.WorkingDir, "secrets", name), secret.File)
		wanted[name] = true
	}
	require.Equal(t, slices.Sorted(maps.Keys(wanted)), slices.Sorted(maps.Keys(made)))
	require.Contains(t, made["database-url"], ":"+made["assetflow-db-password"]+"@postgresql:5432/assetflow")
	require.NotEqual(t, made["assetflow-db-password"], made["temporal-db-password"])
	require.Len(t, made["s3-secret-key"], 48)

	require.NoError(t, os.Remove(filepath.Join(folder, "s3-secret-key")))
	makeSecrets(t, folder)
	for name, content := range made {
		again := string(read(t, filepath.Join(folder, name)))
		if name == "s3-secret-key" {
			require.NotEqual(t, content, again)
		} else {
			require.Equal(t, content, again, "%s is there already", name)
		}
	}
}

// TestProxy keeps the proxy before exactly the APIs that there are.
func TestProxy(t *testing.T) {
	t.Parallel()
	p := load(t, nil, "scaled")
	var want, got []string
	for _, s := range ours(p)["api"] {
		want = append(want, s.Name)
		require.Contains(t, p.Services["proxy"].DependsOn, s.Name)
	}
	conf := string(read(t, "proxy.conf"))
	for _, m := range regexp.MustCompile(`(?m)^\s+server ([a-z0-9-]+):8080 `).FindAllStringSubmatch(conf, -1) {
		got = append(got, m[1])
	}
	require.ElementsMatch(t, want, got)
	for _, directive := range []string{"proxy_request_buffering off;", "proxy_buffering off;", "client_max_body_size 0;", "proxy_set_header Host $http_host;"} {
		require.Contains(t, conf, directive)
	}
}

// TestEnvironmentExample keeps .env.example to what the compose file reads, all of it and without secrets.
func TestEnvironmentExample(t *testing.T) {
	t.Parallel()
	var offered, used []string
	for line := range strings.Lines(string(read(t, "../.env.example"))) {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			offered = append(offered, name)
			require.NotRegexp(t, secrets, name)
		}
	}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)[:}]`).FindAllStringSubmatch(string(read(t, "../docker-compose.yml")), -1) {
		used = append(used, m[1])
	}
	slices.Sort(used)
	require.ElementsMatch(t, slices.Compact(used), offered)
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	dockerfile := string(read(t, "../Dockerfile"))
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+\.\d+)$`).FindStringSubmatch(string(read(t, "../go.mod")))
	require.Len(t, version, 2)
	require.Contains(t, dockerfile, "golang:"+version[1]+"-bookworm AS build", "the Go version is that of go.mod")
	final := dockerfile[strings.LastIndex(dockerfile, "\nFROM "):]
	require.Contains(t, final, "FROM gcr.io/distroless/static-debian12:nonroot\n")
	require.Regexp(t, `(?m)^USER [1-9]\d*:[1-9]\d*$`, final)
	require.NotContains(t, final, "RUN ", "there is no shell")
	for _, flag := range []string{"-trimpath", "-buildvcs=false", "-buildid=", "CGO_ENABLED=0", "-mod=readonly"} {
		require.Contains(t, dockerfile, flag)
	}
	ignored := strings.Fields(string(read(t, "../.dockerignore")))
	require.Subset(t, ignored, []string{".env", "secrets", ".git"})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}
