// Package devstack assembles Assetflow with everything it needs in one process: Temporal with its UI, an S3 server, a
// SQLite catalog, the API and a worker. cmd/assetflow-dev, the end-to-end tests and the benchmarks start it.
//
// One stack runs per process at a time, because one embedded S3 server does. While it runs, the working directory of
// the process is the server's, see package embedded/s3.
//
// The data folder holds
//
//	credentials.json  addresses and the first user's secrets, for people and scripts
//	master.key        what tokens are signed and secret keys are sealed with
//	s3-root.json      the key pair of the S3 server
//	key-ring.json     what replication infos are sealed with, unless Options.KeyRing names another
//	catalog.db        the catalog
//	temporal.db       running and recently ended workflows
//	s3/               objects
//	lock              held while a process uses the folder
package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/devstack/folder"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
)

// Options says how a stack is started. An address is host:port; without a host it stands for 127.0.0.1, with port 0 (or
// when it is empty) for a free port.
type Options struct {
	// DataDir holds everything that survives a restart; it is made when missing. Required.
	DataDir string
	// Database is the URL of the catalog's database; catalog.db in DataDir when empty.
	Database string
	// HTTPAddr is where the API listens, TemporalAddr the Temporal frontend, UIAddr its web UI, S3Addr the S3 server.
	HTTPAddr, TemporalAddr, UIAddr, S3Addr string
	// Region is the name of the S3 region and of the region the API shows; "region-a" when empty.
	Region string
	// KeyRing is the replication key ring in text form; the folder's own when empty. Stacks that copy from one another
	// need the same.
	KeyRing string
	// Sources are the base URLs of the S3 servers that digital assets may be copied from; none when empty.
	Sources []string
	// CopyThroughput is how many bytes a second copies fetch together; no limit when zero.
	CopyThroughput int64
	// Targets are those that add-ons can be delivered to, in the form of addons.ParseTargets; DefaultTargets when empty.
	Targets string
	// DeliveryDeadline is how long a delivery is tried while its target is away, HealthTimeout how long an add-on may take
	// to become healthy; the job service's own defaults when zero.
	DeliveryDeadline, HealthTimeout time.Duration
	// PresignEndpoint is the base URL that presigned URLs begin with; the S3 server's own when empty.
	PresignEndpoint string
	// MaxUploadBytes is the largest package the API takes; the API's own default when zero.
	MaxUploadBytes int64
	// KeepTrash is how long a deleted asset can be restored; 30 days when zero.
	KeepTrash time.Duration
	// KeepArchives is how long an archive waits for its download, SweepGrace how old a leftover must be before a sweep
	// takes it; the worker's own defaults when zero.
	KeepArchives, SweepGrace time.Duration
	// SweepEvery is from one sweep to the next; one hour when zero.
	SweepEvery time.Duration
	// NoWorker leaves the worker out: jobs start, and wait for one.
	NoWorker bool
	// NoUI leaves the Temporal UI out.
	NoUI bool
	// Interceptors see every workflow and step of the worker: for tests that hold a step.
	Interceptors []interceptor.WorkerInterceptor
	// Traces makes the spans of what requests and jobs do; none when nil. Whoever has made it sends them.
	Traces trace.TracerProvider
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
	// Version is the program's version, for the API to show.
	Version string
}

// DefaultTargets is a target of kind bucket, which needs no cluster: the manifests of add-ons are published in the bucket
// of the stack itself.
const DefaultTargets = `[{"id": "gitops", "kind": "bucket", "prefix": "gitops/"}]`

// Credentials is what a person, a script or a test needs to use the stack.
type Credentials = folder.Credentials

// LockedError says that another process uses the data folder.
type LockedError = folder.LockedError

// What holds where Options says nothing.
const (
	defaultRegion     = "region-a"
	defaultSweepEvery = time.Hour
	defaultKeepTrash  = 30 * 24 * time.Hour
)

// Stack is a running stack. Its methods may be called at the same time.
type Stack struct {
	credentials Credentials
	running     parts
	failed      chan struct{}
	fail        sync.Once
	failure     error // read after failed
	stop        sync.Once
	stopped     error // what Stop returned, read after stop
}

// Start starts a stack and returns when it is ready. ctx bounds the start only. A *LockedError says that another process
// uses the folder, an *AddressError which address cannot be used, a *temporal.SchemaError that temporal.db was made by
// another version.
func Start(ctx context.Context, opts Options) (*Stack, error) {
	if opts.DataDir == "" {
		return nil, errors.New("start the stack: no data folder is named")
	}
	dir, err := filepath.Abs(opts.DataDir) // the working directory is about to change
	if err != nil {
		return nil, fmt.Errorf("start the stack: %w", err)
	}
	opts.DataDir = dir
	if opts.Region == "" {
		opts.Region = defaultRegion
	}
	if opts.KeepTrash == 0 {
		opts.KeepTrash = defaultKeepTrash
	}
	if opts.Targets == "" {
		opts.Targets = DefaultTargets
	}
	opts.DeliveryDeadline = cmp.Or(opts.DeliveryDeadline, jobs.DefaultDeliveryDeadline)
	opts.HealthTimeout = cmp.Or(opts.HealthTimeout, jobs.DefaultHealthTimeout)
	if opts.SweepEvery == 0 {
		opts.SweepEvery = defaultSweepEvery
	}
	if opts.Traces == nil {
		opts.Traces = noop.NewTracerProvider()
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Stack{failed: make(chan struct{})}
	if s.credentials, err = s.running.start(ctx, opts, s.setFailed); err != nil {
		s.running.stop(opts.Logger) //nolint:contextcheck // what runs ends also when ctx has ended
		return nil, err
	}
	return s, nil
}

// Stop drains the stack and ends it: the API accepts nothing more and finishes its requests, the worker its steps, for
// at most 4 s each; then Temporal, S3 and the database end. It returns early with an error when ctx ends first. Further
// calls wait for the first one and return the same.
func (s *Stack) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		ended := make(chan struct{})
		go func() { //nolint:contextcheck // it goes on when ctx ends and nobody waits any more
			defer close(ended)
			s.running.stop(s.running.logger)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
			s.stopped = fmt.Errorf("stop the stack: %w", context.Cause(ctx))
		}
	})
	return s.stopped
}

// Failed is closed when a part of the stack has failed in a way that it cannot go on from; Err then says how.
func (s *Stack) Failed() <-chan struct{} { return s.failed }

// Err is the error that closed Failed, nil before.
func (s *Stack) Err() error {
	select {
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}

func (s *Stack) setFailed(err error) {
	s.fail.Do(func() {
		s.failure = err
		close(s.failed)
	})
}

// Credentials are the addresses and the first user's secrets, as they stand in credentials.json.
func (s *Stack) Credentials() Credentials { return s.credentials }

// TemporalAddr is the host:port of the Temporal frontend.
func (s *Stack) TemporalAddr() string { return s.running.temporal.Addr() }

// Temporal is a client of the Temporal server, in the namespace of the jobs. It is closed by Stop.
func (s *Stack) Temporal() client.Client { return s.running.client }

// Catalog is the stack's catalog. It is closed by Stop.
func (s *Stack) Catalog() *catalog.Catalog { return s.running.catalog }

// Storage is the stack's bucket.
func (s *Stack) Storage() *storage.Store { return s.running.storage }

// KeyRing is the stack's replication key ring.
func (s *Stack) KeyRing() *replication.KeyRing { return s.running.keyRing }

// Auth knows the stack's users.
func (s *Stack) Auth() *auth.Service { return s.running.auth }

// drainTime is how long requests and steps may go on after Stop was called.
const drainTime = 4 * time.Second
