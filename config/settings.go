package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"
)

// setting describes one setting: everything about it stands in this one place.
type setting struct {
	key    string
	def    string
	redact func(v string) string // how to show it; nil: as it is. A redacted setting can be read from a file
	noFlag bool                  // has no flag of its own: command lines are public
	need   Need                  // the part for which it must be set; 0: may be empty
	want   string                // what is allowed, to follow "want"
	help   string                // one line
	hint   string                // how to get a value, shown when it is missing or wrong
	list   bool                  // a file may give it as a list, which is the same as its elements with commas between
	tree   bool                  // a file may give it as a list or a map, which is the same as its JSON. It can be read from a file of its own
	set    func(c *Config, v string) error
	show   func(c *Config) string
}

// maxObject is the largest object S3 takes: 5 TiB.
const maxObject = 5 << 40

var settings = []setting{
	{
		key: "http.addr", def: ":8080", help: "address the API listens on",
		want: `host:port, such as ":8080" or "127.0.0.1:8080"`,
		set:  func(c *Config, v string) error { c.HTTP.Addr = v; return hostPort(v, true) },
		show: func(c *Config) string { return c.HTTP.Addr },
	},
	{
		key: "http.shutdown_delay", def: "5s", help: "how long the API goes on taking requests once it is told to stop, while /readyz fails: longer than what spreads requests takes to notice",
		want: wantStopTime,
		set:  func(c *Config, v string) error { return setStopTime(&c.HTTP.ShutdownDelay, 0, v) },
		show: func(c *Config) string { return showDuration(c.HTTP.ShutdownDelay) },
	},
	{
		key: "http.drain_timeout", def: "15s", help: "how long requests under way may go on after that, before those that are left are answered with an error, or cut off",
		want: wantStopTimeNotZero,
		set:  func(c *Config, v string) error { return setStopTime(&c.HTTP.DrainTimeout, time.Second, v) },
		show: func(c *Config) string { return showDuration(c.HTTP.DrainTimeout) },
	},
	{
		key: "database.url", need: NeedDatabase, redact: redactURL, help: "the catalog's database",
		want: `sqlite:<path> or postgres://user:password@host:port/database`,
		hint: "for a first try: sqlite:assetflow.db",
		set:  func(c *Config, v string) error { c.Database.URL = URL(v); return databaseURL(v) },
		show: func(c *Config) string { return c.Database.URL.String() },
	},
	{
		key: "s3.endpoint", help: "base URL of the S3 service; empty for AWS",
		want: `empty or a URL such as "https://minio.example.com:9000"`,
		set: func(c *Config, v string) error {
			c.S3.Endpoint = strings.TrimRight(v, "/")
			return baseURL(v)
		},
		show: func(c *Config) string { return c.S3.Endpoint },
	},
	{
		key: "s3.region", def: "us-east-1", help: "region of the bucket",
		want: "letters, digits and hyphens",
		set:  func(c *Config, v string) error { c.S3.Region = v; return match(regionName, v) },
		show: func(c *Config) string { return c.S3.Region },
	},
	{
		key: "s3.bucket", def: "assetflow", help: "bucket of packages and blobs",
		want: "3 to 63 lower-case letters, digits, dots and hyphens",
		set:  func(c *Config, v string) error { c.S3.Bucket = v; return match(bucketName, v) },
		show: func(c *Config) string { return c.S3.Bucket },
	},
	{
		key: "s3.access_key", redact: redactAll, noFlag: true, help: "access key; empty for the AWS SDK's usual chain (environment, profile, instance role)",
		want: "set together with s3.secret_key",
		set:  func(c *Config, v string) error { c.S3.AccessKey = Secret(v); return nil },
		show: func(c *Config) string { return c.S3.AccessKey.String() },
	},
	{
		key: "s3.secret_key", redact: redactAll, noFlag: true, help: "secret key that belongs to the access key",
		want: "set together with s3.access_key",
		set:  func(c *Config, v string) error { c.S3.SecretKey = Secret(v); return nil },
		show: func(c *Config) string { return c.S3.SecretKey.String() },
	},
	{
		key: "s3.path_style", def: "auto", help: "the bucket stands in the path, not in the host's name; auto: where an endpoint is set",
		want: "auto, true or false",
		set: func(c *Config, v string) error {
			if v == "auto" {
				c.S3.PathStyle = c.S3.Endpoint != "" // the table sets the endpoint before
				return nil
			}
			var err error
			c.S3.PathStyle, err = strconv.ParseBool(v)
			return err
		},
		show: func(c *Config) string { return strconv.FormatBool(c.S3.PathStyle) },
	},
	{
		key: "s3.presign_endpoint", help: "base URL under which clients and other regions reach the S3 service, for presigned URLs; empty for s3.endpoint",
		want: `empty or a URL such as "https://minio.example.com:9000"`,
		set: func(c *Config, v string) error {
			c.S3.PresignEndpoint = strings.TrimRight(v, "/")
			return baseURL(v)
		},
		show: func(c *Config) string { return c.S3.PresignEndpoint },
	},
	{
		key: "temporal.address", def: "127.0.0.1:7233", help: "address of the Temporal frontend",
		want: `host:port, such as "temporal:7233"`,
		set:  func(c *Config, v string) error { c.Temporal.Address = v; return hostPort(v, false) },
		show: func(c *Config) string { return c.Temporal.Address },
	},
	{
		key: "temporal.namespace", def: "default", help: "Temporal namespace",
		want: "a name without blanks",
		set:  func(c *Config, v string) error { c.Temporal.Namespace = v; return match(noBlanks, v) },
		show: func(c *Config) string { return c.Temporal.Namespace },
	},
	{
		key: "temporal.api_key", redact: redactAll, noFlag: true, help: "API key that Temporal asks for; empty: none",
		want: "a text without blanks",
		set:  func(c *Config, v string) error { c.Temporal.APIKey = Secret(v); return match(noBlanks, v) },
		show: func(c *Config) string { return c.Temporal.APIKey.String() },
	},
	{
		key: "temporal.tls.server_name", help: "name that Temporal's certificate must have; empty for the host of temporal.address",
		want: "the name of a host",
		set:  func(c *Config, v string) error { c.Temporal.TLS.ServerName = v; return match(hostName, v) },
		show: func(c *Config) string { return c.Temporal.TLS.ServerName },
	},
	{
		key: "temporal.tls.ca", redact: redactAll, noFlag: true, help: "authorities that Temporal's certificate may come from; empty for those that the system trusts",
		want: wantCertificates,
		set:  func(c *Config, v string) error { return setCertificates(&c.Temporal.TLS.CA, v) },
		show: func(c *Config) string { return showCertificates(c.Temporal.TLS.CA) },
	},
	{
		key: "temporal.tls.certificate", redact: redactAll, noFlag: true, help: "certificate that is shown to Temporal, with those that lead to its authority; empty: none",
		want: wantCertificates,
		set:  func(c *Config, v string) error { return setCertificates(&c.Temporal.TLS.Certificate, v) },
		show: func(c *Config) string { return showCertificates(c.Temporal.TLS.Certificate) },
	},
	{
		key: "temporal.tls.key", redact: redactAll, noFlag: true, help: "private key of that certificate",
		want: "a private key in PEM form, not encrypted",
		set:  func(c *Config, v string) error { c.Temporal.TLS.Key = Secret(v); return privateKey(v) },
		show: func(c *Config) string { return c.Temporal.TLS.Key.String() },
	},
	{
		key: "temporal.tls.enabled", def: "auto", help: "the connection to Temporal is encrypted; auto: where temporal.api_key or another setting of temporal.tls is set",
		want: "auto, true or false",
		set: func(c *Config, v string) error {
			t := &c.Temporal.TLS
			if v == "auto" { // the table sets the others before
				t.Enabled = c.Temporal.APIKey != "" || t.ServerName != "" || t.CA != "" || t.Certificate != "" || t.Key != ""
				return nil
			}
			var err error
			t.Enabled, err = strconv.ParseBool(v)
			return err
		},
		show: func(c *Config) string { return strconv.FormatBool(c.Temporal.TLS.Enabled) },
	},
	{
		key: "temporal.tls.verify", def: "true", help: "Temporal's certificate is checked; false lets anybody pass for Temporal who can get between",
		want: "true or false",
		set: func(c *Config, v string) error {
			verify, err := strconv.ParseBool(v)
			c.Temporal.TLS.Insecure = !verify
			return err
		},
		show: func(c *Config) string { return strconv.FormatBool(!c.Temporal.TLS.Insecure) },
	},
	{
		key: "temporal.payload_keys", redact: redactAll, noFlag: true, help: "keys that what Temporal keeps of jobs is encrypted with, the same ones for every api and worker; empty: it is kept in clear",
		want: "the JSON that `assetflow key-ring --payloads` prints",
		set: func(c *Config, v string) error {
			c.Temporal.PayloadKeys = Secret(v)
			if !json.Valid([]byte(v)) {
				return errors.New("not JSON")
			}
			return nil
		},
		show: func(c *Config) string { return c.Temporal.PayloadKeys.String() },
	},
	{
		key: "temporal.encrypt_payloads", def: "true", help: "with keys: whether anything new is encrypted; false for the time that encryption is switched on or off, when what is encrypted is read all the same",
		want: "true or false",
		set: func(c *Config, v string) (err error) {
			c.Temporal.EncryptPayloads, err = strconv.ParseBool(v)
			return err
		},
		show: func(c *Config) string { return strconv.FormatBool(c.Temporal.EncryptPayloads) },
	},
	{
		key: "temporal.payload_readers", list: true, help: "users who may have what is encrypted shown in the Temporal UI and command line, that of every project; empty: nobody",
		want: "ids of users, as `assetflow user list` prints them, with commas between",
		set: func(c *Config, v string) (err error) {
			c.Temporal.PayloadReaders, err = userIDs(v)
			return err
		},
		show: func(c *Config) string { return strings.Join(c.Temporal.PayloadReaders, ",") },
	},
	{
		key: "temporal.ui_origins", list: true, help: "where the Temporal UI is, whose pages may have shown what is encrypted",
		want: `URLs without a path, with commas between, such as "https://temporal.example.com"`,
		set: func(c *Config, v string) (err error) {
			c.Temporal.UIOrigins, err = Origins(v)
			return err
		},
		show: func(c *Config) string { return strings.Join(c.Temporal.UIOrigins, ",") },
	},
	{
		key: "master_key", need: NeedMasterKey, redact: redactAll, noFlag: true, help: "32 bytes that seal secret keys and sign tokens, in text form",
		want: "the output of `assetflow master-key`",
		hint: "make one with `assetflow master-key` and keep it: what it sealed can be opened with nothing else",
		set:  func(c *Config, v string) error { c.MasterKey = Secret(v); return nil },
		show: func(c *Config) string { return c.MasterKey.String() },
	},
	{
		key: "max_upload_bytes", def: "5GiB", help: "the largest package that is taken",
		want: "a number of bytes from 1 to 5TiB, also with KiB, MiB, GiB or TiB",
		set: func(c *Config, v string) error {
			var err error
			c.MaxUploadBytes, err = parseBytes(v)
			if err == nil && (c.MaxUploadBytes < 1 || c.MaxUploadBytes > maxObject) {
				err = errors.New("out of range")
			}
			return err
		},
		show: func(c *Config) string { return strconv.FormatInt(c.MaxUploadBytes, 10) },
	},
	{
		key: "region", def: "local", help: "name of the region this service stands for",
		want: "letters, digits and hyphens",
		set:  func(c *Config, v string) error { c.Region = v; return match(regionName, v) },
		show: func(c *Config) string { return c.Region },
	},
	{
		key: "jobs.queue_length", def: "20", help: "how many jobs of a kind may wait for one user in one project",
		want: "a number from 1 to 1000",
		set: func(c *Config, v string) (err error) {
			c.Jobs.QueueLength, err = strconv.Atoi(v)
			if err == nil && (c.Jobs.QueueLength < 1 || c.Jobs.QueueLength > 1000) {
				err = errors.New("out of range")
			}
			return err
		},
		show: func(c *Config) string { return strconv.Itoa(c.Jobs.QueueLength) },
	},
	{
		key: "jobs.import_wait", def: "30s", help: "how long the answer to an import of service templates waits for its end",
		want: wantDuration,
		set:  func(c *Config, v string) error { return setDuration(&c.Jobs.ImportWait, v) },
		show: func(c *Config) string { return showDuration(c.Jobs.ImportWait) },
	},
	{
		key: "worker.stop_timeout", def: "15s", help: "how long a worker that is told to stop lets steps under way finish, before it hands them over to others",
		want: wantStopTimeNotZero,
		set:  func(c *Config, v string) error { return setStopTime(&c.Worker.StopTimeout, time.Second, v) },
		show: func(c *Config) string { return showDuration(c.Worker.StopTimeout) },
	},
	{
		key: "worker.deployment_name", help: "name of the Worker Deployment that a worker belongs to; empty: workers have no versions",
		want: "set together with worker.build_id; letters, digits, hyphens and underscores",
		set: func(c *Config, v string) error {
			c.Worker.DeploymentName = v
			return match(deploymentName, v)
		},
		show: func(c *Config) string { return c.Worker.DeploymentName },
	},
	{
		key: "worker.build_id", help: "version of a worker in its Worker Deployment, another one for every program that is released",
		want: "set together with worker.deployment_name; letters, digits, dots, hyphens, underscores and pluses",
		set:  func(c *Config, v string) error { c.Worker.BuildID = v; return match(buildID, v) },
		show: func(c *Config) string { return c.Worker.BuildID },
	},
	{
		key: "trash.keep", def: "30d", help: "how long a deleted asset can be restored",
		want: wantDuration,
		set:  func(c *Config, v string) error { return setDuration(&c.Trash.Keep, v) },
		show: func(c *Config) string { return showDuration(c.Trash.Keep) },
	},
	{
		key: "archive.keep", def: "24h", help: "how long the archive of an export waits for its download",
		want: wantDuration,
		set:  func(c *Config, v string) error { return setDuration(&c.Archive.Keep, v) },
		show: func(c *Config) string { return showDuration(c.Archive.Keep) },
	},
	{
		key: "sweep.every", def: "1h", help: "how often the service looks for what jobs have left behind",
		want: wantDuration,
		set:  func(c *Config, v string) error { return setDuration(&c.Sweep.Every, v) },
		show: func(c *Config) string { return showDuration(c.Sweep.Every) },
	},
	{
		key: "sweep.grace", def: "24h", help: "how old a leftover must be before it is removed; longer than any upload takes",
		want: wantDuration,
		set:  func(c *Config, v string) error { return setDuration(&c.Sweep.Grace, v) },
		show: func(c *Config) string { return showDuration(c.Sweep.Grace) },
	},
	{
		key: "replication.key_ring", redact: redactAll, noFlag: true, help: "keys that replication infos are sealed with, the same ones in all regions; empty: this region takes part in no copies",
		want: "the JSON that `assetflow key-ring` prints",
		set: func(c *Config, v string) error {
			c.Replication.KeyRing = Secret(v)
			if !json.Valid([]byte(v)) {
				return errors.New("not JSON")
			}
			return nil
		},
		show: func(c *Config) string { return c.Replication.KeyRing.String() },
	},
	{
		key: "replication.sources", list: true, help: "S3 endpoints of the regions that may be copied from, as their presigned URLs begin; nothing else is fetched from",
		want: `URLs without a path, with commas between, such as "https://s3.north.example.com,https://s3.south.example.com:9000"`,
		set: func(c *Config, v string) (err error) {
			c.Replication.Sources, err = Origins(v)
			return err
		},
		show: func(c *Config) string { return strings.Join(c.Replication.Sources, ",") },
	},
	{
		key: "replication.lifetime", def: "1h", help: "how long a replication info is good: a copy must have been started by then",
		want: `a time from 1m to 24h, such as "90m"`,
		set: func(c *Config, v string) error {
			if err := setDuration(&c.Replication.Lifetime, v); err != nil {
				return err
			}
			if c.Replication.Lifetime < time.Minute || c.Replication.Lifetime > day {
				return errors.New("out of range")
			}
			return nil
		},
		show: func(c *Config) string { return showDuration(c.Replication.Lifetime) },
	},
	{
		key: "replication.throughput", def: "0", help: "bytes a second that the copies of one worker fetch together; 0: no limit",
		want: "0 or a number of bytes from 1KiB, also with KiB, MiB, GiB or TiB",
		set: func(c *Config, v string) error {
			var err error
			c.Replication.Throughput, err = parseBytes(v)
			if n := c.Replication.Throughput; err == nil && n != 0 && n < 1<<10 {
				err = errors.New("out of range")
			}
			return err
		},
		show: func(c *Config) string { return strconv.FormatInt(c.Replication.Throughput, 10) },
	},
	{
		key: "replication.parallel_files", def: "4", help: "how many files one copy fetches at the same time",
		want: "a number from 1 to 64",
		set: func(c *Config, v string) error {
			var err error
			c.Replication.ParallelFiles, err = strconv.Atoi(v)
			if n := c.Replication.ParallelFiles; err == nil && (n < 1 || n > 64) {
				err = errors.New("out of range")
			}
			return err
		},
		show: func(c *Config) string { return strconv.Itoa(c.Replication.ParallelFiles) },
	},
	{
		key: "addons.targets", tree: true, help: "where add-ons can be delivered to; empty: nowhere",
		want: "a list of targets in JSON or YAML, as docs/addons.md describes it",
		set: func(c *Config, v string) error {
			c.Addons.Targets = v
			return yaml.Unmarshal([]byte(v), new([]map[string]any))
		},
		show: func(c *Config) string { return c.Addons.Targets },
	},
	{
		key: "addons.deadline", def: "1h", help: "how long the delivery of an add-on is tried, while its target is away for example, before it is given up",
		want: wantAddonTime,
		set:  func(c *Config, v string) error { return setAddonTime(&c.Addons.Deadline, v) },
		show: func(c *Config) string { return showDuration(c.Addons.Deadline) },
	},
	{
		key: "addons.health_timeout", def: "10m", help: "how long an add-on may take to become healthy once it was applied, before it is rolled back",
		want: wantAddonTime,
		set:  func(c *Config, v string) error { return setAddonTime(&c.Addons.HealthTimeout, v) },
		show: func(c *Config) string { return showDuration(c.Addons.HealthTimeout) },
	},
	{
		key: "log.level", def: "info", help: "least level that is logged",
		want: "debug, info, warn or error",
		set: func(c *Config, v string) error {
			c.Log.Level = strings.ToLower(v)
			return oneOf(c.Log.Level, "debug", "info", "warn", "error")
		},
		show: func(c *Config) string { return c.Log.Level },
	},
	{
		key: "log.format", def: "auto", help: "form of the log; auto: text on a terminal, JSON elsewhere",
		want: "auto, text or json",
		set: func(c *Config, v string) error {
			c.Log.Format = strings.ToLower(v)
			return oneOf(c.Log.Format, "auto", "text", "json")
		},
		show: func(c *Config) string { return c.Log.Format },
	},
	{
		key: "telemetry.metrics.addr", help: "address that api and worker answer operators on, who are not asked who they are: /metrics, /healthz, /readyz; empty: none",
		want: `empty or host:port, such as "127.0.0.1:9464"`,
		set:  func(c *Config, v string) error { c.Telemetry.Metrics.Addr = v; return hostPort(v, true) },
		show: func(c *Config) string { return c.Telemetry.Metrics.Addr },
	},
	{
		key: "telemetry.metrics.pprof", def: "false", help: "profiles can be taken there, under /debug/pprof/; whoever may sees memory, secrets included, and slows the process down",
		want: "true or false",
		set: func(c *Config, v string) (err error) {
			c.Telemetry.Metrics.Pprof, err = strconv.ParseBool(v)
			return err
		},
		show: func(c *Config) string { return strconv.FormatBool(c.Telemetry.Metrics.Pprof) },
	},
	{
		key: "telemetry.traces.endpoint", help: "OpenTelemetry collector that traces are sent to; empty: nothing is traced",
		want: `empty or a URL such as "http://collector:4318"; over HTTP /v1/traces follows where it has no path`,
		set:  func(c *Config, v string) error { c.Telemetry.Traces.Endpoint = v; return baseURL(v) },
		show: func(c *Config) string { return c.Telemetry.Traces.Endpoint },
	},
	{
		key: "telemetry.traces.protocol", def: "http/protobuf", help: "how the collector is spoken to",
		want: "http/protobuf or grpc",
		set: func(c *Config, v string) error {
			c.Telemetry.Traces.Protocol = strings.ToLower(v)
			return oneOf(c.Telemetry.Traces.Protocol, "http/protobuf", "grpc")
		},
		show: func(c *Config) string { return c.Telemetry.Traces.Protocol },
	},
	{
		key: "telemetry.traces.headers", redact: redactAll, noFlag: true, help: "headers that the collector asks for, such as one with a key; empty: none",
		want: `name=value with commas between, special characters percent-encoded, such as "api-key=abc,tenant=a%20b"`,
		set: func(c *Config, v string) (err error) {
			c.Telemetry.Traces.Headers, err = headers(v)
			return err
		},
		show: func(*Config) string { return redacted },
	},
	{
		key: "telemetry.traces.sample_ratio", def: "1", help: "which part of the requests and jobs that begin here is traced; what a caller traces is, and what it does not trace is not",
		want: "a number from 0 to 1",
		set: func(c *Config, v string) (err error) {
			c.Telemetry.Traces.SampleRatio, err = strconv.ParseFloat(v, 64)
			if n := c.Telemetry.Traces.SampleRatio; err == nil && !(n >= 0 && n <= 1) { // NaN is neither
				err = errors.New("out of range")
			}
			return err
		},
		show: func(c *Config) string { return strconv.FormatFloat(c.Telemetry.Traces.SampleRatio, 'f', -1, 64) },
	},
}

const wantAddonTime = `a time from 10s to 24h, such as "90m"`

func setAddonTime(d *time.Duration, v string) error {
	if err := setDuration(d, v); err != nil {
		return err
	}
	if *d < 10*time.Second || *d > day {
		return errors.New("out of range")
	}
	return nil
}

const (
	wantStopTime        = `a time from 0s to 10m, such as "30s"`
	wantStopTimeNotZero = `a time from 1s to 10m, such as "30s"`
)

func setStopTime(d *time.Duration, least time.Duration, v string) error {
	var err error
	if *d, err = parseDuration(v); err != nil {
		return err
	}
	if *d < least || *d > 10*time.Minute {
		return errors.New("out of range")
	}
	return nil
}

// fromFile tells whether the value can be read from a file of its own.
func (s setting) fromFile() bool { return s.redact != nil || s.tree }

func redactAll(v string) string { return Secret(v).String() }

func redactURL(v string) string { return URL(v).String() }

// EnvPrefix stands in front of every environment variable of ours.
const EnvPrefix = "ASSETFLOW_"

// fileSuffix at a secret's key names the file the secret is read from.
const fileSuffix = "_file"

func envName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

func flagName(key string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(key) }

var (
	regionName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	// Temporal reserves dots and colons.
	deploymentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

	noBlanks = regexp.MustCompile(`^\S+$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_.])?$`)
	buildID  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$`)
	userID   = regexp.MustCompile(`^[0-9a-f]{32}$`)
)

func match(re *regexp.Regexp, v string) error {
	if !re.MatchString(v) {
		return fmt.Errorf("does not match %s", re)
	}
	return nil
}

func oneOf(v string, allowed ...string) error {
	for _, a := range allowed {
		if v == a {
			return nil
		}
	}
	return errors.New("not one of them")
}

func hostPort(v string, emptyHost bool) error {
	host, port, err := net.SplitHostPort(v)
	if err != nil {
		return err
	}
	if host == "" && !emptyHost {
		return errors.New("no host")
	}
	if strings.ContainsAny(host, "/ ") {
		return errors.New("bad host")
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

func baseURL(v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil {
		return err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("not a base URL")
	}
	return nil
}

// headers reads headers in the form that OpenTelemetry gives them in variables.
func headers(v string) (map[string]Secret, error) {
	all := map[string]Secret{}
	for _, text := range strings.Split(v, ",") {
		name, value, ok := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("not headers")
		}
		all[strings.ToLower(name)] = Secret(value)
	}
	return all, nil
}

// Origins reads base URLs without a path, scheme://host[:port], with commas between, and gives them in lower case; none for
// an empty text.
func Origins(v string) ([]string, error) {
	if v == "" {
		return nil, nil
	}
	var all []string
	for _, text := range strings.Split(v, ",") {
		text = strings.TrimRight(strings.TrimSpace(text), "/")
		u, err := url.Parse(text)
		if err != nil {
			return nil, err
		}
		if err := baseURL(text); err != nil || u.Path != "" || u.Hostname() == "" {
			return nil, fmt.Errorf("%q is not a URL of the form scheme://host[:port]", text)
		}
		all = append(all, strings.ToLower(text))
	}
	return all, nil
}

// userIDs reads ids of users with commas between.
func userIDs(v string) ([]string, error) {
	if v == "" {
		return nil, nil
	}
	var all []string
	for _, text := range strings.Split(v, ",") {
		id := strings.TrimSpace(text)
		if err := match(userID, id); err != nil {
			return nil, err
		}
		all = append(all, id)
	}
	return all, nil
}

func databaseURL(v string) error {
	if path, ok := strings.CutPrefix(v, "sqlite:"); ok {
		if path == "" {
			return errors.New("no path")
		}
		return nil
	}
	u, err := url.Parse(v)
	if err != nil {
		return err
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Opaque != "" {
		return errors.New("neither of them")
	}
	return nil
}

var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}}

func parseBytes(v string) (int64, error) {
	factor := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(v, u.suffix); ok {
			v, factor = strings.TrimSpace(number), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return 0, err
	}
	if n > math.MaxInt64/factor {
		return 0, errors.New("too large")
	}
	return n * factor, nil
}
