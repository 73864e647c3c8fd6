// Package prodstack runs Assetflow as it runs in production, as processes on this machine: PostgreSQL with the catalog,
// a Temporal server on it, MinIO, any number of APIs behind a proxy, and any number of workers. The tests of `make
// test-production`, the benchmark of its scale and cmd/assetflow-production start it; docker-compose.yml is the same in
// containers.
//
// The programs are those that `make production-programs` builds, and the PostgreSQL of the machine. They listen on
// loopback alone, and end with the process that started them, whatever becomes of that.
//
// The data folder holds what package folder keeps there, and
//
//	postgresql/   the databases of the catalog and of Temporal
//	minio/        objects
//	temporal.yaml and temporal-dynamic.yaml
//	              the settings of the Temporal server, written at each start
//	logs/         what the processes write, a file each
package prodstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/cmd/assetflow/serve"
	"assetflow/devstack/folder"
	"assetflow/freeport"
	"assetflow/storage"
)

// Credentials is what a person, a script or a test needs to use the stack.
type Credentials = folder.Credentials

// Options says how a stack is started. An address is host:port on loopback; a free port is taken where it is empty.
type Options struct {
	// DataDir holds everything that survives a restart; it is made when missing. Required.
	DataDir string
	// Programs is the folder that `make production-programs` builds into. Required.
	Programs string
	// APIs and Workers are how many there are at first.
	APIs, Workers int
	// HTTPAddr is where the proxy listens, TemporalAddr the Temporal frontend, S3Addr MinIO.
	HTTPAddr, TemporalAddr, S3Addr string
	// HistoryShards are those of Temporal, which it keeps for ever once the folder is made; 4 where zero, as in the server's
	// image.
	HistoryShards int
	// TemporalSettings is the text of Temporal's dynamic configuration; DefaultTemporalSettings where empty.
	TemporalSettings string
	// Settings are further ones of APIs and workers, as variables of the environment.
	Settings []string
	// Worker is run in the place of `assetflow worker`, with WorkerEnviron in its environment: for tests that hold a step.
	Worker, WorkerEnviron []string
	// Fill is called when PostgreSQL and MinIO run and before anything uses them, to restore a backup: there are the roles, the
	// catalog's database, and, in a new folder, nothing else.
	Fill func(ctx context.Context, s *Stack) error
	// Volatile lets PostgreSQL not wait for the disk: a test's data need not survive a power failure.
	Volatile bool
	// Logger hears of what goes wrong; slog.Default() where nil.
	Logger *slog.Logger
}

const (
	defaultShards = 4
	maxAPIs       = 8
)

// Stack is a running stack. Its methods may be called at the same time.
type Stack struct {
	opts        Options
	logs        string
	logger      *slog.Logger
	quiet       *slog.Logger // for clients of ours, whose complaints during a start are no news
	lock        *folder.Lock
	secrets     folder.Secrets
	credentials Credentials
	addrs       struct{ http, temporal, s3, console, postgres string }

	postgres *postgreSQL
	minio    *process
	temporal *process
	client   client.Client // in the default namespace, for the start
	backends *serve.Backends
	auth     *auth.Service
	proxy    *proxy
	scaling  sync.Mutex
	apiAddrs []string
	apis     []*process
	workers  []*process

	fail    sync.Once
	failed  chan struct{}
	failure error // read after failed
	stopped sync.Once
}

// Start starts a stack and returns when it is ready. ctx bounds the start only. A *folder.LockedError says that another
// process uses the folder.
func Start(ctx context.Context, opts Options) (_ *Stack, err error) {
	for _, dir := range []*string{&opts.DataDir, &opts.Programs} {
		if *dir == "" {
			return nil, errors.New("start the production stack: its folders are not named")
		}
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"assetflow", "temporal-server", "temporal-sql-tool", "minio"} {
		if _, err := os.Stat(filepath.Join(opts.Programs, name)); err != nil {
			return nil, fmt.Errorf("start the production stack: %w: run `make production-programs`", err)
		}
	}
	if opts.APIs > maxAPIs {
		return nil, fmt.Errorf("start the production stack: %d APIs are more than %d", opts.APIs, maxAPIs)
	}
	opts.HistoryShards = cmp.Or(opts.HistoryShards, defaultShards)
	opts.TemporalSettings = cmp.Or(opts.TemporalSettings, DefaultTemporalSettings)
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	s := &Stack{
		opts: opts, logs: filepath.Join(opts.DataDir, "logs"), logger: opts.Logger, quiet: slog.New(slog.DiscardHandler),
		failed: make(chan struct{}),
	}
	if err := s.start(ctx); err != nil {
		s.Stop(ctx)
		return nil, fmt.Errorf("start the production stack: %w", err)
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	if err := s.openFolder(); err != nil {
		return err
	}
	for _, a := range []struct {
		addr  *string
		given string
	}{
		{&s.addrs.http, s.opts.HTTPAddr}, {&s.addrs.temporal, s.opts.TemporalAddr}, {&s.addrs.s3, s.opts.S3Addr},
		{&s.addrs.console, ""}, {&s.addrs.postgres, ""},
	} {
		if *a.addr = a.given; a.given == "" {
			var err error
			if *a.addr, err = freeport.Addr(ctx); err != nil {
				return err
			}
		}
	}
	for range maxAPIs {
		addr, err := freeport.Addr(ctx)
		if err != nil {
			return err
		}
		s.apiAddrs = append(s.apiAddrs, addr)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addrs.http)
	if err != nil {
		return err
	}
	s.proxy = startProxy(ln, s.logger)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startPostgreSQL(groupCtx) })
	group.Go(func() error { return s.startMinIO(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if s.opts.Fill != nil {
		if err := s.opts.Fill(ctx, s); err != nil {
			return fmt.Errorf("fill it: %w", err)
		}
	}
	if err := s.startTemporal(ctx); err != nil {
		return err
	}
	if err := s.prepareService(ctx); err != nil {
		return err
	}
	return s.Scale(ctx, s.opts.APIs, s.opts.Workers)
}

// openFolder takes the data folder. The user that PostgreSQL runs as must get through it, and sees nothing of it.
func (s *Stack) openFolder() error {
	var err error
	if s.lock, err = folder.Take(s.opts.DataDir); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Chmod(s.opts.DataDir, 0o711); err != nil { //nolint:gosec // G302: see above
			return err
		}
	}
	if err := os.MkdirAll(s.logs, 0o700); err != nil {
		return err
	}
	s.secrets, err = folder.LoadSecrets(s.opts.DataDir, "postgresql")
	return err
}

// begin starts a process without which the stack cannot go on.
func (s *Stack) begin(c command) (*process, error) { return begin(c, s.logs, s.setFailed) }

func (s *Stack) program(name string) string { return filepath.Join(s.opts.Programs, name) }

func (s *Stack) setFailed(err error) {
	s.fail.Do(func() {
		s.failure = err
		close(s.failed)
	})
}

// Stop ends the stack: first what takes work from outside, then what that needs. What does not end in time is ended. When
// ctx ends, requests under way are not waited for.
func (s *Stack) Stop(ctx context.Context) {
	s.stopped.Do(func() {
		if s.proxy != nil {
			limited, cancel := context.WithTimeout(ctx, grace)
			s.proxy.stop(limited)
			cancel()
		}
		s.scaling.Lock()
		endAll(append(append([]*process{}, s.apis...), s.workers...))
		s.scaling.Unlock()
		if s.backends != nil {
			if err := s.backends.Close(); err != nil { //nolint:contextcheck // also after ctx has ended
				s.logger.ErrorContext(ctx, "close the catalog", "error", err)
			}
		}
		if s.client != nil {
			s.client.Close()
		}
		var servers []*process
		for _, p := range []*process{s.temporal, s.minio} {
			if p != nil {
				servers = append(servers, p)
			}
		}
		endAll(servers)
		if s.postgres != nil && s.postgres.process != nil {
			s.postgres.end(postgresGrace)
		}
		if s.lock != nil {
			s.lock.Release()
		}
	})
}

// Failed is closed when a process of the stack has ended by itself; Err then says how.
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

// Credentials are the addresses and the first user's secrets, as they stand in credentials.json.
func (s *Stack) Credentials() Credentials { return s.credentials }

// TemporalAddr is the host:port of the Temporal frontend.
func (s *Stack) TemporalAddr() string { return s.addrs.temporal }

// PostgresURL leads the superuser to PostgreSQL.
func (s *Stack) PostgresURL() string { return s.postgres.url(superuser, superuser) }

// Bucket is where the stack's bucket is.
func (s *Stack) Bucket() storage.Config {
	return storage.Config{
		Endpoint: "http://" + s.addrs.s3, Region: region, Bucket: bucket, PathStyle: true,
		AccessKey: s.secrets.S3.AccessKey, SecretKey: s.secrets.S3.SecretKey,
	}
}

// Logs is the folder with the logs of the processes.
func (s *Stack) Logs() string { return s.logs }

// Temporal is a client of the Temporal server, in the namespace of the jobs. It is closed by Stop.
func (s *Stack) Temporal() client.Client { return s.backends.Temporal }

// Catalog is the stack's catalog. It is closed by Stop.
func (s *Stack) Catalog() *catalog.Catalog { return s.backends.Catalog }

// Storage is the stack's bucket.
func (s *Stack) Storage() *storage.Store { return s.backends.Storage }

// Auth knows the stack's users.
func (s *Stack) Auth() *auth.Service { return s.auth }

// Processes are the stack's, in the order of their start.
func (s *Stack) Processes() []Process {
	s.scaling.Lock()
	defer s.scaling.Unlock()
	all := append([]*process{s.postgres.process, s.minio, s.temporal}, s.apis...)
	all = append(all, s.workers...)
	list := make([]Process, 0, len(all))
	for _, p := range all {
		list = append(list, Process{Name: p.name, PID: p.cmd.Process.Pid})
	}
	return list
}

// TestEnviron are the variables that tell the tests of single rooms where the servers are.
func (s *Stack) TestEnviron() []string {
	return []string{
		"ASSETFLOW_TEST_POSTGRES_URL=" + s.PostgresURL(),
		"ASSETFLOW_TEST_S3_ENDPOINT=http://" + s.addrs.s3,
		"ASSETFLOW_TEST_S3_ACCESS_KEY=" + s.secrets.S3.AccessKey, "ASSETFLOW_TEST_S3_SECRET_KEY=" + s.secrets.S3.SecretKey,
		"ASSETFLOW_TEST_TEMPORAL_ADDRESS=" + s.addrs.temporal,
	}
}
