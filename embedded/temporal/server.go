// Package temporal runs a Temporal server inside this process: all four services, SQLite for persistence and
// visibility, one history shard, tuned to be quick on one machine.
//
// It is meant for development and tests. Nothing authenticates a caller, every service listens on the loopback
// interface (the frontend where Options.Addr says), and with a data folder the file is opened with WAL and
// synchronous=NORMAL: a crash of the process loses nothing, a power failure may lose the last transactions.
//
// The server itself never upgrades the schema of an existing SQLite file. Start therefore records the schema's
// version when it makes a file and refuses a file of another version, see SchemaError.
package temporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/temporal"
)

const (
	// defaultNamespace is the namespace the SDK uses when it is told nothing.
	defaultNamespace = "default"
	// defaultRetention is how long the server keeps the history of an ended workflow.
	defaultRetention = 7 * 24 * time.Hour
	// databaseFile is the name of the database in Options.DataDir.
	databaseFile = "temporal.db"
	// stopTimeout bounds Stop: what has not ended by then is left behind, and said in the log.
	stopTimeout = 8 * time.Second
)

// Options says how a server is started. The zero value is a server in memory on a free port.
type Options struct {
	// Addr is where the frontend listens, as host:port. Without a host it listens on 127.0.0.1, with port 0 (or
	// an empty Addr) on a free port: see Server.Addr.
	Addr string
	// DataDir is the folder that holds temporal.db; it is made when missing. Empty: everything is in memory and
	// gone with the server.
	DataDir string
	// Namespace is made when the database does not have it; "default" when empty.
	Namespace string
	// Retention is how long the history of an ended workflow is kept; 7 days when zero. A later start with
	// another value changes the namespace.
	Retention time.Duration
	// SearchAttributes are the namespace's custom search attributes, all of type Keyword, at most 10. Those that an
	// existing namespace lacks are added; none is ever removed.
	SearchAttributes []string
	// Logger receives the server's warnings and errors; slog.Default() when nil.
	Logger *slog.Logger
	// Verbose lets the Logger also have what is below a warning. It is a lot.
	Verbose bool
}

// Server is a running Temporal server. Its methods may be called at the same time.
type Server struct {
	addr   string
	server temporal.Server
	store  *config.SQL
	log    *logAdapter
	stop   sync.Once
}

// Start starts a server and returns when its frontend answers for the namespace, its history shard is owned and its
// matching service accepts pollers. A *SchemaError means that the database was made by another version of the server;
// an error that wraps syscall.EADDRINUSE that Options.Addr is taken. When ctx ends before the server is ready, the
// server is stopped and the error wraps the context's.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts = withDefaults(opts)
	addr, err := frontendAddress(opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("temporal address %q: %w", opts.Addr, err)
	}
	cfg, hosts, err := serverConfig(addr)
	if err != nil {
		return nil, fmt.Errorf("configure the temporal server: %w", err)
	}
	store := sqlConfig("")
	if opts.DataDir != "" {
		if store, err = openFolder(ctx, opts.DataDir); err != nil {
			return nil, err
		}
	}
	cfg.Persistence = persistenceConfig(store)
	if err := ensureNamespace(ctx, store, opts); err != nil {
		return nil, fmt.Errorf("prepare the temporal namespace %q: %w", opts.Namespace, err)
	}

	s := &Server{addr: addr.String(), store: store, log: newLogAdapter(opts.Logger, opts.Verbose)}
	s.server, err = s.run(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(s.log),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamicConfig()),
	)
	if err != nil {
		return nil, fmt.Errorf("start the temporal server: %w", err)
	}
	if err := waitReady(ctx, s.Addr(), opts.Namespace); err != nil {
		s.Stop() //nolint:contextcheck // it ends also when ctx has ended
		return nil, fmt.Errorf("wait for the temporal server at %s: %w", s.Addr(), err)
	}
	return s, nil
}

// Addr is the frontend's host:port, with a host that can be dialled from this machine.
func (s *Server) Addr() string { return s.addr }

// Failed is closed when the server has met an error after which it cannot go on; Err then says which. A server that
// fails must still be stopped.
func (s *Server) Failed() <-chan struct{} { return s.log.fatal.done }

// Err is the error that closed Failed, nil while the server runs.
func (s *Server) Err() error { return s.log.fatal.err() }

// Stop ends the server within 8 seconds, usually in less than 2, and writes the database's log back into its file.
// Running workflows stay in the database: the next Start on the same folder goes on with them. Further calls wait for
// the first one.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.log.stopping.Store(true)
		ended := make(chan error, 1)
		go func() { ended <- s.server.Stop() }()
		select {
		case err := <-ended:
			if err != nil {
				s.log.logger.Error("stop the temporal server", "error", err)
			}
		case <-time.After(stopTimeout):
			s.log.logger.Error("the temporal server did not stop in time", "timeout", stopTimeout)
		}
		if err := closeDatabase(s.store); err != nil {
			s.log.logger.Warn("write back the temporal database's log", "error", err)
		}
	})
}

// run builds and starts the server in a goroutine of its own: the server reports what it cannot survive with
// Logger.Fatal, which the adapter answers by ending the goroutine.
func (s *Server) run(opts ...temporal.ServerOption) (temporal.Server, error) {
	type result struct {
		server temporal.Server
		err    error
	}
	results := make(chan result, 1)
	go func() {
		res := result{err: errors.New("the server gave up without saying why")}
		defer func() {
			if fatal := s.log.fatal.err(); fatal != nil {
				res.err = fatal // fx only knows that a hook ended
			}
			results <- res
		}()
		server, err := temporal.NewServer(opts...)
		if err == nil {
			err = server.Start()
		}
		res = result{server, err}
	}()
	res := <-results
	return res.server, res.err
}

func withDefaults(opts Options) Options {
	if opts.Namespace == "" {
		opts.Namespace = defaultNamespace
	}
	if opts.Retention == 0 {
		opts.Retention = defaultRetention
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	return opts
}

// openFolder makes the folder and its database when they are missing and checks the schema's version when not.
func openFolder(ctx context.Context, dir string) (*config.SQL, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("temporal data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the temporal data folder: %w", err)
	}
	store := sqlConfig(escapePath(filepath.Join(dir, databaseFile)))
	if err := ensureSchema(ctx, store.DatabaseName); err != nil {
		return nil, fmt.Errorf("open the temporal database %s: %w", store.DatabaseName, err)
	}
	return store, nil
}

// frontendAddress turns host:port into an address with a host and a port, both of which the server needs to know
// before it listens. The port of the result was free a moment ago.
func frontendAddress(addr string) (*net.TCPAddr, error) {
	if addr == "" {
		addr = ":0"
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	if tcp.IP == nil {
		tcp.IP = net.IPv4(127, 0, 0, 1)
	}
	return reservePort(tcp)
}
