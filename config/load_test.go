package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"assetflow/config"
	"assetflow/config/certtest"
)

const everything = config.NeedDatabase | config.NeedMasterKey

// load reads a configuration of a file's content, an environment and a command line.
func load(t *testing.T, yaml string, environ, args []string, needs config.Need) (config.Config, error) {
	t.Helper()
	src := config.Source{Environ: environ, Flags: pflag.NewFlagSet("test", pflag.ContinueOnError)}
	config.AddFlags(src.Flags)
	require.NoError(t, src.Flags.Parse(args))
	if yaml != "" {
		src.File = write(t, "assetflow.yaml", yaml)
	}
	return config.Load(src, needs)
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := load(t, "", nil, nil, 0)
	require.NoError(t, err)
	require.Equal(t, config.HTTP{Addr: ":8080", ShutdownDelay: 5 * time.Second, DrainTimeout: 15 * time.Second}, c.HTTP)
	require.Equal(t, config.Worker{StopTimeout: 15 * time.Second}, c.Worker)
	require.Equal(t, config.S3{Region: "us-east-1", Bucket: "assetflow"}, c.S3)
	require.Equal(t, config.Temporal{Address: "127.0.0.1:7233", Namespace: "default", EncryptPayloads: true}, c.Temporal)
	require.Equal(t, config.Log{Level: "info", Format: "auto"}, c.Log)
	require.EqualValues(t, 5<<30, c.MaxUploadBytes)
	require.Equal(t, "local", c.Region)
	require.Equal(t, 30*24*time.Hour, c.Trash.Keep)
	require.Equal(t, 24*time.Hour, c.Archive.Keep)
	require.Equal(t, config.Sweep{Every: time.Hour, Grace: 24 * time.Hour}, c.Sweep)
	require.Equal(t, config.Replication{Lifetime: time.Hour, ParallelFiles: 4}, c.Replication)
	require.Equal(t, config.Traces{Protocol: "http/protobuf", SampleRatio: 1}, c.Telemetry.Traces)
	for _, s := range c.Settings() {
		require.Equal(t, "default", s.Origin, s.Key)
	}
}

func TestEverySettingFromEverySource(t *testing.T) {
	t.Parallel()
	authority := certtest.Authority(t, "authority")
	pair := authority.Issue(t, "assetflow")
	yaml := `
http: {addr: "127.0.0.1:9000", shutdown_delay: 0s, drain_timeout: 1m}
database: {url: "postgres://u:dbpass@db/assetflow"}
s3: {endpoint: "http://s3:9000/", region: eu-1, bucket: bkt, access_key: AKID, secret_key: s3cr3t, path_style: false, presign_endpoint: "https://s3.example.com/"}
temporal:
  address: "t:7233"
  namespace: prod
  payload_keys: '{"primary": "hidden"}'
  encrypt_payloads: false
  payload_readers: [01890a5dac96774bbcceb302099a8057, 01890a5dac96774bbcceb302099a8058]
  ui_origins: ["https://Temporal.example.com/"]
  api_key: t0ken
  tls: {enabled: true, server_name: t.example.com, ca_file: ` + write(t, "ca", authority.Certificate) + `, certificate_file: ` +
		write(t, "certificate", pair.Certificate) + `, key_file: ` + write(t, "key", pair.Key) + `, verify: false}
master_key: mk
max_upload_bytes: 1048576
region: north
jobs: {queue_length: 7, import_wait: 45s}
worker: {stop_timeout: 40s, deployment_name: assetflow, build_id: 1.2.0+5}
trash: {keep: 7d}
archive: {keep: 90m}
sweep: {every: 30s, grace: 2h30m}
replication:
  key_ring: '{"primary": "hidden"}'
  sources: ["https://S3.a.example", "http://127.0.0.1:9000/"]
  lifetime: 2h
  throughput: 50MiB
  parallel_files: 8
addons:
  targets: [{id: gitops, kind: bucket}]
  deadline: 2h
  health_timeout: 90s
log: {level: debug, format: json}
telemetry:
  metrics: {addr: ":9464", pprof: true}
  traces: {endpoint: "https://otel:4317", protocol: GRPC, headers: "api-key=s3cr3t,Tenant=a%20b", sample_ratio: 0.25}
`
	environ := []string{
		"ASSETFLOW_HTTP_ADDR=127.0.0.1:9000", "ASSETFLOW_DATABASE_URL=postgres://u:dbpass@db/assetflow",
		"ASSETFLOW_S3_ENDPOINT=http://s3:9000/", "ASSETFLOW_S3_REGION=eu-1", "ASSETFLOW_S3_BUCKET=bkt",
		"ASSETFLOW_S3_ACCESS_KEY=AKID", "ASSETFLOW_S3_SECRET_KEY=s3cr3t", "ASSETFLOW_S3_PATH_STYLE=false",
		"ASSETFLOW_TEMPORAL_ADDRESS=t:7233", "ASSETFLOW_TEMPORAL_NAMESPACE=prod", "ASSETFLOW_MASTER_KEY=mk",
		`ASSETFLOW_TEMPORAL_PAYLOAD_KEYS={"primary": "hidden"}`, "ASSETFLOW_TEMPORAL_ENCRYPT_PAYLOADS=0",
		"ASSETFLOW_TEMPORAL_PAYLOAD_READERS=01890a5dac96774bbcceb302099a8057, 01890a5dac96774bbcceb302099a8058",
		"ASSETFLOW_TEMPORAL_UI_ORIGINS=https://temporal.example.com",
		"ASSETFLOW_TEMPORAL_API_KEY=t0ken", "ASSETFLOW_TEMPORAL_TLS_ENABLED=1", "ASSETFLOW_TEMPORAL_TLS_SERVER_NAME=t.example.com",
		"ASSETFLOW_TEMPORAL_TLS_CA=" + authority.Certificate, "ASSETFLOW_TEMPORAL_TLS_CERTIFICATE=" + pair.Certificate,
		"ASSETFLOW_TEMPORAL_TLS_KEY=" + pair.Key, "ASSETFLOW_TEMPORAL_TLS_VERIFY=false",
		"ASSETFLOW_MAX_UPLOAD_BYTES=1MiB", "ASSETFLOW_REGION=north", "ASSETFLOW_LOG_LEVEL=DEBUG",
		"ASSETFLOW_TRASH_KEEP=168h", "ASSETFLOW_ARCHIVE_KEEP=1h30m", "ASSETFLOW_SWEEP_EVERY=30s", "ASSETFLOW_SWEEP_GRACE=150m",
		"ASSETFLOW_LOG_FORMAT=json", "ASSETFLOW_JOBS_QUEUE_LENGTH=7", "ASSETFLOW_JOBS_IMPORT_WAIT=45s", "ASSETFLOW_S3_PRESIGN_ENDPOINT=https://s3.example.com",
		`ASSETFLOW_REPLICATION_KEY_RING={"primary": "hidden"}`, "ASSETFLOW_REPLICATION_SOURCES=https://s3.a.example, http://127.0.0.1:9000",
		"ASSETFLOW_HTTP_SHUTDOWN_DELAY=0", "ASSETFLOW_HTTP_DRAIN_TIMEOUT=60s", "ASSETFLOW_WORKER_STOP_TIMEOUT=40s",
		"ASSETFLOW_WORKER_DEPLOYMENT_NAME=assetflow", "ASSETFLOW_WORKER_BUILD_ID=1.2.0+5",
		"ASSETFLOW_REPLICATION_LIFETIME=120m", "ASSETFLOW_REPLICATION_THROUGHPUT=50MiB", "ASSETFLOW_REPLICATION_PARALLEL_FILES=8",
		`ASSETFLOW_ADDONS_TARGETS=[{"id":"gitops","kind":"bucket"}]`, "ASSETFLOW_ADDONS_DEADLINE=120m", "ASSETFLOW_ADDONS_HEALTH_TIMEOUT=1m30s",
		"ASSETFLOW_TELEMETRY_METRICS_ADDR=:9464", "ASSETFLOW_TELEMETRY_METRICS_PPROF=1",
		"ASSETFLOW_TELEMETRY_TRACES_ENDPOINT=https://otel:4317", "ASSETFLOW_TELEMETRY_TRACES_PROTOCOL=grpc",
		"ASSETFLOW_TELEMETRY_TRACES_HEADERS=api-key=s3cr3t, tenant=a b", "ASSETFLOW_TELEMETRY_TRACES_SAMPLE_RATIO=.25",
	}
	args := []string{
		"--http-addr=127.0.0.1:9000", "--database-url=postgres://u:dbpass@db/assetflow", "--s3-endpoint=http://s3:9000/",
		"--s3-region=eu-1", "--s3-bucket=bkt", "--s3-path-style=false", "--temporal-address=t:7233",
		"--temporal-payload-keys-file=" + write(t, "keys", `{"primary": "hidden"}`+"\n"), "--temporal-encrypt-payloads=false",
		"--temporal-payload-readers=01890a5dac96774bbcceb302099a8057,01890a5dac96774bbcceb302099a8058",
		"--temporal-ui-origins=https://temporal.example.com",
		"--temporal-api-key-file=" + write(t, "api-key", "t0ken\n"), "--temporal-tls-enabled=true", "--temporal-tls-server-name=t.example.com",
		"--temporal-tls-ca-file=" + write(t, "ca", authority.Certificate), "--temporal-tls-certificate-file=" + write(t, "certificate", pair.Certificate),
		"--temporal-tls-key-file=" + write(t, "key", pair.Key), "--temporal-tls-verify=false",
		"--temporal-namespace=prod", "--max-upload-bytes=1 MiB", "--region=north", "--log-level=debug", "--log-format=json",
		"--jobs-queue-length=7", "--jobs-import-wait=45s", "--trash-keep=7d", "--archive-keep=1h30m", "--sweep-every=30s", "--sweep-grace=2h30m",
		"--s3-access-key-file=" + write(t, "ak", "AKID\n"), "--s3-secret-key-file=" + write(t, "sk", "s3cr3t\n"),
		"--master-key-file=" + write(t, "mk", "mk\n"), "--s3-presign-endpoint=https://s3.example.com",
		"--replication-key-ring-file=" + write(t, "ring", `{"primary": "hidden"}`+"\n"),
		"--replication-sources=https://s3.a.example,http://127.0.0.1:9000", "--replication-lifetime=2h",
		"--replication-throughput=52428800", "--replication-parallel-files=8",
		"--addons-targets-file=" + write(t, "targets", `[{"id":"gitops","kind":"bucket"}]`+"\n"),
		"--http-shutdown-delay=0s", "--http-drain-timeout=1m", "--worker-stop-timeout=40s", "--worker-deployment-name=assetflow", "--worker-build-id=1.2.0+5",
		"--addons-deadline=2h", "--addons-health-timeout=90s",
		"--telemetry-metrics-addr=:9464", "--telemetry-metrics-pprof=true",
		"--telemetry-traces-endpoint=https://otel:4317", "--telemetry-traces-protocol=grpc",
		"--telemetry-traces-headers-file=" + write(t, "headers", "api-key=s3cr3t,tenant=a%20b\n"), "--telemetry-traces-sample-ratio=25e-2",
	}
	for name, c := range map[string]struct {
		yaml          string
		environ, args []string
	}{
		"file": {yaml: yaml}, "environment": {environ: environ}, "flags": {args: args},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, c.yaml, c.environ, c.args, everything)
			require.NoError(t, err)
			require.Equal(t, config.HTTP{Addr: "127.0.0.1:9000", DrainTimeout: time.Minute}, got.HTTP)
			require.Equal(t, config.Worker{StopTimeout: 40 * time.Second, DeploymentName: "assetflow", BuildID: "1.2.0+5"}, got.Worker)
			require.Equal(t, "postgres://u:dbpass@db/assetflow", string(got.Database.URL))
			require.Equal(t, config.S3{
				Endpoint: "http://s3:9000", Region: "eu-1", Bucket: "bkt", AccessKey: "AKID", SecretKey: "s3cr3t", PathStyle: false,
				PresignEndpoint: "https://s3.example.com",
			}, got.S3)
			tls := &got.Temporal.TLS
			require.Equal(t, []string{authority.Certificate, pair.Certificate, pair.Key}, trimmed(tls.CA, tls.Certificate, string(tls.Key)))
			tls.CA, tls.Certificate, tls.Key = "", "", ""
			require.Equal(t, config.Temporal{
				Address: "t:7233", Namespace: "prod", APIKey: "t0ken", TLS: config.TLS{Enabled: true, ServerName: "t.example.com", Insecure: true},
				PayloadKeys:    `{"primary": "hidden"}`,
				PayloadReaders: []string{"01890a5dac96774bbcceb302099a8057", "01890a5dac96774bbcceb302099a8058"},
				UIOrigins:      []string{"https://temporal.example.com"},
			}, got.Temporal)
			require.Equal(t, "mk", string(got.MasterKey))
			require.EqualValues(t, 1<<20, got.MaxUploadBytes)
			require.Equal(t, "north", got.Region)
			require.Equal(t, config.Log{Level: "debug", Format: "json"}, got.Log)
			require.Equal(t, config.Jobs{QueueLength: 7, ImportWait: 45 * time.Second}, got.Jobs)
			require.Equal(t, 7*24*time.Hour, got.Trash.Keep)
			require.Equal(t, 90*time.Minute, got.Archive.Keep)
			require.Equal(t, config.Sweep{Every: 30 * time.Second, Grace: 150 * time.Minute}, got.Sweep)
			require.Equal(t, config.Replication{
				KeyRing: `{"primary": "hidden"}`, Sources: []string{"https://s3.a.example", "http://127.0.0.1:9000"},
				Lifetime: 2 * time.Hour, Throughput: 50 << 20, ParallelFiles: 8,
			}, got.Replication)
			require.JSONEq(t, `[{"id": "gitops", "kind": "bucket"}]`, got.Addons.Targets)
			require.Equal(t, 2*time.Hour, got.Addons.Deadline)
			require.Equal(t, 90*time.Second, got.Addons.HealthTimeout)
			require.Equal(t, config.Metrics{Addr: ":9464", Pprof: true}, got.Telemetry.Metrics)
			require.Equal(t, config.Traces{
				Endpoint: "https://otel:4317", Protocol: "grpc", SampleRatio: 0.25,
				Headers: map[string]config.Secret{"api-key": "s3cr3t", "tenant": "a b"},
			}, got.Telemetry.Traces)
			shown := map[string]string{}
			for _, s := range got.Settings() {
				require.NotEqual(t, "default", s.Origin, s.Key)
				shown[s.Key] = s.Value
			}
			require.Equal(t, "7d 1h30m 30s 2h30m",
				shown["trash.keep"]+" "+shown["archive.keep"]+" "+shown["sweep.every"]+" "+shown["sweep.grace"])
		})
	}
}

// trimmed gives PEM texts with one line break at their ends, however they were read.
func trimmed(texts ...string) []string {
	for i, text := range texts {
		texts[i] = strings.TrimSpace(text) + "\n"
	}
	return texts
}

func TestTheStrongerSourceWins(t *testing.T) {
	t.Parallel()
	origins := func(c config.Config) map[string]string {
		all := map[string]string{}
		for _, s := range c.Settings() {
			all[s.Key] = s.Value + " from " + filepath.Base(s.Origin)
		}
		return all
	}
	yaml := "s3: {bucket: from-file, region: from-file}\nregion: from-file\nlog: {level: warn}\nmaster_key_file: /does/not/exist/but/overridden\n"
	yaml = strings.Replace(yaml, "/does/not/exist/but/overridden", write(t, "key", "file"), 1)
	c, err := load(t, yaml,
		[]string{"ASSETFLOW_S3_REGION=from-env", "ASSETFLOW_REGION=from-env", "ASSETFLOW_MASTER_KEY=env", "ASSETFLOW_LOG_LEVEL="},
		[]string{"--region=from-flag"}, 0)
	require.NoError(t, err)
	got := origins(c)
	require.Equal(t, "from-file from assetflow.yaml", got["s3.bucket"])
	require.Equal(t, "from-env from ASSETFLOW_S3_REGION", got["s3.region"])
	require.Equal(t, "from-flag from --region", got["region"])
	require.Equal(t, ":8080 from default", got["http.addr"])
	require.Equal(t, "warn from assetflow.yaml", got["log.level"], "an empty variable counts as not set")
	require.Equal(t, "[redacted] from ASSETFLOW_MASTER_KEY", got["master_key"])
	require.Equal(t, "env", string(c.MasterKey), "the environment wins over a file named in the file")
}

func TestConfigurationFileNamedByTheEnvironment(t *testing.T) {
	t.Parallel()
	path := write(t, "a.yaml", "region: north\nhttp:\ndatabase:\n  url:\n")
	c, err := load(t, "", []string{"ASSETFLOW_CONFIG=" + path}, nil, 0)
	require.NoError(t, err)
	require.Equal(t, "north", c.Region)
	require.Equal(t, ":8080", c.HTTP.Addr, "an empty section changes nothing")

	c, err = load(t, "region: south", []string{"ASSETFLOW_CONFIG=" + path}, nil, 0)
	require.NoError(t, err)
	require.Equal(t, "south", c.Region, "the flag wins")

	_, err = load(t, "", []string{"ASSETFLOW_CONFIG=/nowhere/a.yaml"}, nil, 0)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "read the configuration file")
	require.ErrorContains(t, err, "/nowhere/a.yaml")

	_, err = load(t, "a: [", nil, nil, 0)
	require.ErrorContains(t, err, "assetflow.yaml")
}

func TestOtherVariablesOfOurPrefixAreLeftAlone(t *testing.T) {
	t.Parallel()
	_, err := load(t, "", []string{"ASSETFLOW_ENDPOINT=x", "ASSETFLOW_PORT_8080_TCP=tcp://10.0.0.1", "HOME=/", "broken"}, nil, 0)
	require.NoError(t, err)
}

func TestPathStyle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		want    bool
	}{
		"AWS":                   {nil, false},
		"an endpoint":           {[]string{"ASSETFLOW_S3_ENDPOINT=http://minio:9000"}, true},
		"an endpoint, told not": {[]string{"ASSETFLOW_S3_ENDPOINT=http://minio:9000", "ASSETFLOW_S3_PATH_STYLE=false"}, false},
		"AWS, told to":          {[]string{"ASSETFLOW_S3_PATH_STYLE=true"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(t, "", c.environ, nil, 0)
			require.NoError(t, err)
			require.Equal(t, c.want, got.S3.PathStyle)
		})
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1": 1, "1048576": 1 << 20, "2KiB": 2 << 10, "3 MiB": 3 << 20, "5GiB": 5 << 30, "5TiB": 5 << 40,
	} {
		c, err := load(t, "", []string{"ASSETFLOW_MAX_UPLOAD_BYTES=" + text}, nil, 0)
		require.NoError(t, err, text)
		require.Equal(t, want, c.MaxUploadBytes, text)
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	const (
		wantAddr       = `want host:port, such as ":8080" or "127.0.0.1:8080"`
		wantDB         = `want sqlite:<path> or postgres://user:password@host:port/database`
		wantS3         = `want empty or a URL such as "https://minio.example.com:9000"`
		wantBytes      = `want a number of bytes from 1 to 5TiB, also with KiB, MiB, GiB or TiB`
		wantBucket     = `want 3 to 63 lower-case letters, digits, dots and hyphens`
		wantRegion     = `want letters, digits and hyphens`
		wantTmprl      = `want host:port, such as "temporal:7233"`
		wantTime       = `want a time of at least 1s, such as "90m", "24h" or "30d"`
		wantSources    = `want URLs without a path, with commas between, such as "https://s3.north.example.com,https://s3.south.example.com:9000"`
		wantLifetime   = `want a time from 1m to 24h, such as "90m"`
		wantThroughput = "want 0 or a number of bytes from 1KiB, also with KiB, MiB, GiB or TiB"
		wantTargets    = "want a list of targets in JSON or YAML, as docs/addons.md describes it"
		wantAddonTime  = `want a time from 10s to 24h, such as "90m"`
		wantUsers      = "want ids of users, as `assetflow user list` prints them, with commas between"
		wantUI         = `want URLs without a path, with commas between, such as "https://temporal.example.com"`
		wantCollector  = `want empty or a URL such as "http://collector:4318"; over HTTP /v1/traces follows where it has no path`
		hintDB         = "; for a first try: sqlite:assetflow.db"
	)
	env := func(key, value, want string) (string, [2]string) {
		name := "ASSETFLOW_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		return name + "=" + value, [2]string{name + "=" + value, fmt.Sprintf("%s = %q (from %s); %s", key, value, name, want)}
	}
	cases := map[string][2]string{}
	for _, c := range [][3]string{
		{"http.addr", "8080", wantAddr},
		{"http.addr", "localhost:http", wantAddr},
		{"http.addr", "localhost:70000", wantAddr},
		{"http.addr", "http://localhost:80", wantAddr},
		{"database.url", "sqlite:", wantDB + hintDB},
		{"s3.endpoint", "minio:9000", wantS3},
		{"s3.endpoint", "ftp://minio", wantS3},
		{"s3.endpoint", "http://", wantS3},
		{"s3.endpoint", "http://u:p@minio", wantS3},
		{"s3.endpoint", "http://minio?x=1", wantS3},
		{"s3.endpoint", "http://a b/", wantS3},
		{"s3.region", "eu 1", wantRegion},
		{"s3.bucket", "A", wantBucket},
		{"s3.bucket", "Upper", wantBucket},
		{"s3.path_style", "maybe", "want auto, true or false"},
		{"temporal.address", ":7233", wantTmprl},
		{"temporal.address", "temporal", wantTmprl},
		{"temporal.namespace", "a b", "want a name without blanks"},
		{"temporal.encrypt_payloads", "maybe", "want true or false"},
		{"temporal.payload_readers", "ada", wantUsers},
		{"temporal.payload_readers", "01890a5d-ac96-774b-bcce-b302099a8057", wantUsers},
		{"temporal.payload_readers", "01890a5dac96774bbcceb302099a8057,", wantUsers},
		{"temporal.payload_readers", "*", wantUsers},
		{"temporal.ui_origins", "https://temporal.example.com/ui", wantUI},
		{"temporal.ui_origins", "*", wantUI},
		{"temporal.ui_origins", "null", wantUI},
		{"temporal.tls.enabled", "yes", "want auto, true or false"},
		{"temporal.tls.server_name", "temporal:7233", "want the name of a host"},
		{"temporal.tls.verify", "auto", "want true or false"},
		{"max_upload_bytes", "0", wantBytes},
		{"max_upload_bytes", "-1", wantBytes},
		{"max_upload_bytes", "6TiB", wantBytes},
		{"max_upload_bytes", "99999999999TiB", wantBytes},
		{"max_upload_bytes", "five", wantBytes},
		{"max_upload_bytes", "5GB", wantBytes},
		{"region", "a/b", wantRegion},
		{"jobs.queue_length", "0", "want a number from 1 to 1000"},
		{"jobs.queue_length", "many", "want a number from 1 to 1000"},
		{"trash.keep", "30", wantTime},
		{"trash.keep", "-1d", wantTime},
		{"trash.keep", "1.5d", wantTime},
		{"trash.keep", "999999999d", wantTime},
		{"archive.keep", "0s", wantTime},
		{"sweep.every", "10ms", wantTime},
		{"sweep.grace", "-24h", wantTime},
		{"s3.presign_endpoint", "minio:9000", wantS3},
		{"replication.sources", "https://a.example/bucket", wantSources},
		{"replication.sources", "https://a.example,,https://b.example", wantSources},
		{"replication.sources", "https://u:p@a.example", wantSources},
		{"replication.sources", "*", wantSources},
		{"replication.sources", "https://:443", wantSources},
		{"replication.lifetime", "59s", wantLifetime},
		{"replication.lifetime", "25h", wantLifetime},
		{"replication.throughput", "-1", wantThroughput},
		{"replication.throughput", "1000", wantThroughput},
		{"replication.parallel_files", "0", "want a number from 1 to 64"},
		{"replication.parallel_files", "65", "want a number from 1 to 64"},
		{"addons.targets", "gitops", wantTargets},
		{"addons.targets", "{id: gitops}", wantTargets},
		{"addons.targets", "[", wantTargets},
		{"addons.deadline", "9s", wantAddonTime},
		{"addons.health_timeout", "25h", wantAddonTime},
		{"telemetry.traces.endpoint", "collector:4318", wantCollector},
		{"telemetry.traces.endpoint", "http://u:p@collector:4318", wantCollector},
		{"telemetry.traces.protocol", "http/json", "want http/protobuf or grpc"},
		{"telemetry.traces.sample_ratio", "1.01", "want a number from 0 to 1"},
		{"telemetry.traces.sample_ratio", "-1", "want a number from 0 to 1"},
		{"telemetry.traces.sample_ratio", "NaN", "want a number from 0 to 1"},
		{"telemetry.traces.sample_ratio", "10%", "want a number from 0 to 1"},
		{"log.level", "loud", "want debug, info, warn or error"},
		{"log.format", "xml", "want auto, text or json"},
		{"telemetry.metrics.addr", "9464", `want empty or host:port, such as "127.0.0.1:9464"`},
		{"telemetry.metrics.pprof", "maybe", "want true or false"},
	} {
		name, pair := env(c[0], c[1], c[2])
		cases[name] = pair
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, "", []string{c[0]}, nil, 0)
			require.EqualError(t, err, "the configuration is not right:\n  "+c[1])
		})
	}
}

func TestWhatIsWrongInAFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml, want string
		args       []string
	}{
		"unknown key":          {yaml: "htpp: {addr: x}", want: "htpp.addr (in FILE) is unknown; want a key that exists (http.addr?)"},
		"nothing like it":      {yaml: "colour: blue", want: "colour (in FILE) is unknown; want a key that exists"},
		"a section as a value": {yaml: "http: 8080", want: "http (in FILE) is unknown; want a key that exists"},
		"a list":               {yaml: "region: [a, b]", want: `region = "[a b]" (from FILE); want letters, digits and hyphens`},
		"one level too deep":   {yaml: "region: {name: x}", want: "region.name (in FILE) is unknown; want a key that exists"},
		"empty where a value must be": {
			yaml: `temporal: {namespace: ""}`, want: `temporal.namespace = "" (from FILE); want a name without blanks`,
		},
		"secret and its file": {
			yaml: "master_key: abc\nmaster_key_file: /dev/null",
			want: `master_key_file = "/dev/null" (from FILE); want one of master_key and master_key_file, not both`,
		},
		"no such secret file": {
			args: []string{"--master-key-file=/nowhere/key"},
			want: `master_key_file = "/nowhere/key" (from --master-key-file); want a file that can be read (open /nowhere/key: no such file or directory)`,
		},
		"half a pair of keys": {
			yaml: "worker: {build_id: v2}", want: `worker.build_id = "v2" (from FILE); want worker.deployment_name set as well, or neither`,
		},
		"a deployment of no version": {
			yaml: "worker: {deployment_name: a}", want: `worker.deployment_name = "a" (from FILE); want worker.build_id set as well, or neither`,
		},
		"a deployment with a dot": {
			yaml: "worker: {deployment_name: a.b, build_id: v2}",
			want: `worker.deployment_name = "a.b" (from FILE); want set together with worker.build_id; letters, digits, hyphens and underscores`,
		},
		"a drain of nothing": {
			yaml: "http: {drain_timeout: 0s}", want: `http.drain_timeout = "0s" (from FILE); want a time from 1s to 10m, such as "30s"`,
		},
		"half a key pair": {
			yaml: "s3: {access_key: AKID}", want: `s3.access_key = "[redacted]" (from FILE); want s3.secret_key set as well, or neither`,
		},
		"the other half": {
			yaml: "s3: {secret_key: hidden}", want: `s3.secret_key = "[redacted]" (from FILE); want s3.access_key set as well, or neither`,
		},
		"a database nobody serves": {
			yaml: "database: {url: 'mysql://u:hidden@h/d'}",
			want: `database.url = "mysql://u:xxxxx@h/d" (from FILE); want sqlite:<path> or postgres://user:password@host:port/database; for a first try: sqlite:assetflow.db`,
		},
		"a key ring that is none": {
			yaml: "replication: {key_ring: hidden}",
			want: "replication.key_ring = \"[redacted]\" (from FILE); want the JSON that `assetflow key-ring` prints",
		},
		"keys for payloads that are none": {
			yaml: "temporal: {payload_keys: hidden}",
			want: "temporal.payload_keys = \"[redacted]\" (from FILE); want the JSON that `assetflow key-ring --payloads` prints",
		},
		"not a URL at all": {
			yaml: "database: {url: 'host=x password=hidden'}",
			want: `database.url = "[redacted]" (from FILE); want sqlite:<path> or postgres://user:password@host:port/database; for a first try: sqlite:assetflow.db`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.yaml, nil, c.args, 0)
			var e *config.Error
			require.ErrorAs(t, err, &e)
			require.Len(t, e.Problems, 1)
			require.NotContains(t, err.Error(), "hidden")
			got := err.Error()
			if c.yaml != "" {
				got = strings.ReplaceAll(got, e.Problems[0].Origin, "FILE")
			}
			require.Equal(t, "the configuration is not right:\n  "+c.want, got)
		})
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, "http: {addr: nonsense}\ncolour: blue", []string{"ASSETFLOW_LOG_LEVEL=loud"}, []string{"--region=?"}, everything)
	var e *config.Error
	require.ErrorAs(t, err, &e)
	keys := []string{}
	for _, p := range e.Problems {
		keys = append(keys, p.Key)
	}
	require.Equal(t, []string{"colour", "http.addr", "database.url", "master_key", "region", "log.level"}, keys)
}

func TestWhatIsNeededIsDemanded(t *testing.T) {
	t.Parallel()
	_, err := load(t, "", nil, nil, config.NeedDatabase)
	require.EqualError(t, err, "the configuration is not right:\n"+
		"  database.url is not set; want sqlite:<path> or postgres://user:password@host:port/database; "+
		"set ASSETFLOW_DATABASE_URL or ASSETFLOW_DATABASE_URL_FILE; for a first try: sqlite:assetflow.db")
	_, err = load(t, "", []string{"ASSETFLOW_DATABASE_URL=sqlite:a.db"}, nil, config.NeedDatabase)
	require.NoError(t, err)
	_, err = load(t, "", []string{"ASSETFLOW_DATABASE_URL=sqlite:a.db"}, nil, everything)
	require.ErrorContains(t, err, "master_key is not set")
	require.ErrorContains(t, err, "assetflow master-key")
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	c, err := load(t, "", []string{
		"ASSETFLOW_MASTER_KEY=hidden1", "ASSETFLOW_S3_ACCESS_KEY=hidden2", "ASSETFLOW_S3_SECRET_KEY=hidden3", `ASSETFLOW_REPLICATION_KEY_RING={"primary": "hidden6"}`,
		`ASSETFLOW_TEMPORAL_PAYLOAD_KEYS={"primary": "hidden7"}`,
		"ASSETFLOW_TEMPORAL_API_KEY=hidden8", "ASSETFLOW_TELEMETRY_TRACES_HEADERS=api-key=hidden9",
		"ASSETFLOW_DATABASE_URL=postgres://u:hidden4@db/assetflow?password=hidden5",
	}, nil, everything)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "key", c.MasterKey, "url", c.Database.URL)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "key", c.MasterKey, "url", c.Database.URL)
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	shown := []string{log.String(), string(encoded), fmt.Sprint(c.Settings())}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, c), fmt.Sprintf(verb, c.MasterKey), fmt.Sprintf(verb, c.Database.URL))
	}
	for _, s := range shown {
		require.NotContains(t, s, "hidden")
		require.NotContains(t, s, fmt.Sprintf("%x", "hidden"))
	}
	require.Contains(t, string(encoded), "postgres://u:xxxxx@db/assetflow?password=xxxxx")
	require.Equal(t, "sqlite:/var/lib/a.db", config.URL("sqlite:/var/lib/a.db").String())
	require.Empty(t, config.Secret("").String())
	require.Empty(t, config.URL("").String())
}

func TestFlagsOfSecretsNameFiles(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	for _, name := range []string{"master-key", "s3-secret-key", "s3-access-key"} {
		require.Nil(t, flags.Lookup(name), name)
		require.NotNil(t, flags.Lookup(name+"-file"), name)
	}
	require.Contains(t, flags.FlagUsages(), "ASSETFLOW_TEMPORAL_ADDRESS")

	only := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlagsFor(only, config.NeedDatabase)
	names := []string{}
	only.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	require.Equal(t, []string{"database-url", "database-url-file"}, names)
}
