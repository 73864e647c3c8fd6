// Package config reads the settings of the service: of its api and worker processes and of the commands that work on
// the database directly.
//
// Every setting has one key, and everything else follows from it: http.addr stands as `http: {addr: …}` in the YAML
// file, as ASSETFLOW_HTTP_ADDR in the environment and as --http-addr on the command line. The command line wins over
// the environment, the environment over the file, the file over the default. Between file and default stand, for the connection to Temporal
// and for traces alone, the names that Temporal's and OpenTelemetry's own tools read. A secret has no flag of its own, because
// command lines are public on most machines; each one can be read from a file instead: master_key_file,
// ASSETFLOW_MASTER_KEY_FILE, --master-key-file.
package config

import "time"

// Config holds the settings, read and checked.
type Config struct {
	HTTP           HTTP
	Database       Database
	S3             S3
	Temporal       Temporal
	MasterKey      Secret // seals secret keys and signs tokens; the text form of 32 bytes
	MaxUploadBytes int64  // the largest package that is taken, in bytes
	Region         string // name of the region this service stands for
	Jobs           Jobs
	Worker         Worker
	Trash          Trash
	Archive        Archive
	Sweep          Sweep
	Replication    Replication
	Addons         Addons
	Log            Log
	Telemetry      Telemetry

	settings []Setting
}

// HTTP is where the API listens, and how it stops.
type HTTP struct {
	Addr          string        // host:port
	ShutdownDelay time.Duration // how long requests are taken once the end was announced
	DrainTimeout  time.Duration // how long those under way may go on after that
}

// Database is where the catalog is.
type Database struct {
	URL URL // sqlite:<path> or postgres://…
}

// S3 is where packages and blobs are.
type S3 struct {
	Endpoint  string // base URL; empty: AWS's own
	Region    string
	Bucket    string
	AccessKey Secret // empty together with SecretKey: the AWS SDK's usual chain
	SecretKey Secret
	PathStyle bool // the bucket stands in the path and not in the host's name

	PresignEndpoint string // base URL that presigned URLs begin with; empty: Endpoint
}

// Temporal is where the workflows run.
type Temporal struct {
	Address   string // host:port of the frontend
	Namespace string
	APIKey    Secret // empty: none
	TLS       TLS

	PayloadKeys     Secret   // JSON, see payload.ParseKeys; empty: Temporal keeps payloads in clear
	EncryptPayloads bool     // false: payloads that are encrypted are read, and none is made
	PayloadReaders  []string // ids of the users who may have payloads decrypted
	UIOrigins       []string // of the Temporal UI, whose pages may ask for that, scheme://host[:port]
}

// TLS is how the connection to Temporal is encrypted.
type TLS struct {
	Enabled     bool
	ServerName  string // that the server's certificate must have; empty: the host of the address
	CA          string // PEM; empty: the authorities that the system trusts
	Certificate string // PEM; empty together with Key: the client shows none
	Key         Secret // PEM
	Insecure    bool   // the server's certificate is not checked
}

// Jobs is how jobs are accepted.
type Jobs struct {
	QueueLength int // how many jobs of a kind wait for one user in one project
	// ImportWait is how long the answer to an import of service templates waits for its end.
	ImportWait time.Duration
}

// Worker is how a worker stops, and which version it is.
type Worker struct {
	StopTimeout time.Duration // how long steps under way may go on

	DeploymentName string // of the Worker Deployment; empty together with BuildID: workers have no versions
	BuildID        string
}

// Trash is what becomes of deleted assets.
type Trash struct {
	Keep time.Duration // how long a deleted asset can be restored
}

// Archive is what becomes of the archives of exports.
type Archive struct {
	Keep time.Duration // how long an archive waits for its download
}

// Sweep is how the service tidies up.
type Sweep struct {
	Every time.Duration // from one sweep to the next
	Grace time.Duration // how old a leftover must be before it is taken
}

// Replication is how digital assets are copied from region to region.
type Replication struct {
	KeyRing       Secret        // JSON, see replication.ParseKeyRing; empty: this region takes part in no copies
	Sources       []string      // base URLs of the S3 endpoints that may be copied from, scheme://host[:port]
	Lifetime      time.Duration // how long a replication info is good
	Throughput    int64         // bytes a second that all copies of a worker fetch together; 0: no limit
	ParallelFiles int           // files that a copy fetches at the same time
}

// Addons is how add-ons are delivered.
type Addons struct {
	Targets       string        // JSON or YAML, see addons.ParseTargets; empty: add-ons can be delivered nowhere
	Deadline      time.Duration // how long a delivery is tried before it is given up
	HealthTimeout time.Duration // how long an add-on that was applied may take to become healthy
}

// Log is how the process logs.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // auto, text, json
}

// Telemetry is what the process tells operators of itself.
type Telemetry struct {
	Metrics Metrics
	Traces  Traces
}

// Traces is where a process sends what its requests and jobs do.
type Traces struct {
	Endpoint    string            // URL of the collector; empty: nowhere
	Protocol    string            // http/protobuf, grpc
	Headers     map[string]Secret // that go with everything that is sent there
	SampleRatio float64           // which part of what begins here is traced, from 0 to 1
}

// Metrics is where operators ask an api or a worker how it is.
type Metrics struct {
	Addr  string // host:port; empty: nowhere
	Pprof bool   // profiles can be taken there
}

// Setting is one setting as it stands, for showing.
type Setting struct {
	Key    string `json:"key"`
	Value  string `json:"value"`  // redacted when the setting is a secret
	Origin string `json:"origin"` // where the value comes from: a flag, a variable, a file, or "default"
}

// Settings gives every setting with its value, secrets redacted, and where it comes from.
func (c Config) Settings() []Setting { return c.settings }
