// Package s3 runs an S3 server inside the process, for development and tests: a versitygw gateway over a folder.
//
// # The working directory
//
// The gateway's posix backend addresses every file relative to the working directory of the process: it changes to
// its data folder when it starts and must find itself there as long as it runs. Start therefore changes the working
// directory of the whole process, and it cannot be put back before Stop. Whoever runs an embedded server keeps to
// absolute paths from then on and makes the paths it was given absolute before Start. Stop puts the old working
// directory back.
//
// # One per process
//
// The gateway keeps package-level state, so one runs per process at a time; a second Start is refused. After Stop a
// new one may start, also on the same data. Two regions are two buckets, or two processes.
//
// # Data
//
// <DataDir>/objects holds a folder per bucket and in it the objects as plain files. What S3 knows beyond the bytes
// (content type, checksums, unfinished uploads) stands in extended attributes of the files, or under
// <DataDir>/metadata where the file system has none. The choice is made once per data folder.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

const (
	// A single PUT and the source of a copy end at 5 GiB, as in S3. The gateway's library has no default for it:
	// zero would refuse every copy.
	copyObjectThreshold = 5 << 30
	// As in S3.
	multipartMaxParts = 10_000

	// Bounds for a development machine. A request over the limit is answered with SlowDown, so it lies far above
	// what one process sends to itself.
	maxConnections = 4096
	maxRequests    = 2048

	// Small, because the gateway pools one such buffer per request in flight.
	ioBufferSize = 256 << 10

	// An underscore cannot stand in a bucket's name, so the path hides no bucket.
	healthPath = "/_health"

	// How long Stop lets the answers of cancelled requests go out before it closes the connections.
	drainTime = 2 * time.Second
	// How long Stop waits for handlers after that.
	endTime = 5 * time.Second
	// lingerTime is how long Stop then waits for the gateway to return.
	lingerTime = time.Second
)

// ErrRunning says that this process already runs a server.
var ErrRunning = errors.New("an embedded S3 server already runs in this process, and only one can: stop it first")

// running is held by the one server of the process.
var running sync.Mutex

// lingering is closed when the gateway of the server that was stopped last has returned; nil before the first. It is
// read and written by who holds running.
var lingering <-chan struct{}

// Options says where the server listens and where its data lies. Every field but Region is needed.
type Options struct {
	Addr      string // "127.0.0.1:9000"; port 0 takes a free one
	DataDir   string // made where it does not exist; a relative path is made absolute
	Region    string // empty: us-east-1
	AccessKey string // the one account, which may do everything
	SecretKey string
}

// Server is a running S3 server.
type Server struct {
	addr     string
	cancel   context.CancelFunc
	done     chan struct{} // closed when the gateway has returned
	err      error         // what it returned; read after done
	requests *requests
	dir      string // the working directory while the server runs
	previous string // the working directory before
	stop     sync.Once
}

// Start starts the server and returns when it answers requests. It changes the working directory of the process
// until Stop (see the package comment). ctx bounds the start only: the server runs until Stop. The error is
// ErrRunning where another server runs in this process.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if opts.Addr == "" || opts.DataDir == "" || opts.AccessKey == "" || opts.SecretKey == "" {
		return nil, errors.New("start embedded S3: Addr, DataDir, AccessKey and SecretKey are needed")
	}
	if !running.TryLock() {
		return nil, ErrRunning
	}
	s, err := startAfter(ctx, lingering, opts)
	if err != nil {
		running.Unlock()
		return nil, fmt.Errorf("start embedded S3: %w", err)
	}
	return s, nil
}

// startAfter waits for the last gateway to return, for up to the ten seconds that it may take, and starts the next.
func startAfter(ctx context.Context, last <-chan struct{}, opts Options) (*Server, error) {
	if last != nil {
		select {
		case <-last:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return start(ctx, opts)
}

func start(ctx context.Context, opts Options) (*Server, error) {
	previous, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	dataDir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(dataDir, "objects")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	store, err := openMetadata(root, filepath.Join(dataDir, "metadata"))
	if err != nil {
		return nil, err
	}

	const tries = 5 // for a free port that somebody takes between our look and the gateway's bind
	for try := 1; ; try++ {
		addr, chosen, err := resolveAddr(ctx, opts.Addr)
		if err != nil {
			return nil, err
		}
		backend, err := posix.New(root, store, posix.PosixOpts{
			CopyObjectThreshold: copyObjectThreshold,
			IOBufferSize:        ioBufferSize,
		})
		if err != nil {
			_ = os.Chdir(previous)
			return nil, err
		}
		s := &Server{addr: addr, requests: newRequests(), dir: root, previous: previous}
		err = s.run(ctx, backend, opts)
		if err == nil {
			return s, nil
		}
		_ = os.Chdir(previous)
		if !chosen || try == tries || ctx.Err() != nil {
			return nil, err
		}
	}
}

// run starts the gateway and waits until it answers.
func (s *Server) run(ctx context.Context, backend *posix.Posix, opts Options) error {
	root := auth.Account{Access: opts.AccessKey, Secret: opts.SecretKey, Role: auth.RoleAdmin}
	gwCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.done = make(chan struct{})
	bound := make(chan struct{})
	go func() {
		defer close(s.done)
		s.err = embedgw.RunVersityGW(gwCtx, backend, &embedgw.Config{
			RootUserAccess:    opts.AccessKey,
			RootUserSecret:    opts.SecretKey,
			Region:            opts.Region,
			Ports:             []string{s.addr},
			MaxConnections:    maxConnections,
			MaxRequests:       maxRequests,
			MultipartMaxParts: multipartMaxParts,
			KeepAlive:         true,
			Quiet:             true,
			IAMService:        auth.NewIAMServiceSingle(root), // the default, named so that it is not announced on stdout
			HealthPath:        healthPath,
			S3Options: []s3api.Option{
				s3api.WithOnListen(func() { close(bound) }),
				s3api.WithMiddleware("/", s.requests.track),
			},
		})
	}()
	err := func() error {
		select {
		case <-bound:
			return awaitHealth(ctx, s.Endpoint()+healthPath)
		case <-s.done:
			return fmt.Errorf("listen on %s: %w", s.addr, s.err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}()
	if err != nil {
		cancel()
		<-s.done
	}
	return err
}

// Endpoint gives the URL, http://host:port.
func (s *Server) Endpoint() string { return "http://" + s.addr }

// Stop ends the server and returns when its port is free: requests in flight are cancelled, and connections that
// are still open after two seconds are closed. It puts the working directory back to what it was before Start.
// Calling it again does nothing.
func (s *Server) Stop() {
	s.stop.Do(func() {
		s.cancel()
		ended := s.requests.end(s.done)
		// A handler that still runs (one that hangs in a file operation) would write into whatever folder the
		// process stands in, so the working directory and the right to start again are kept from everybody then.
		if !ended {
			return
		}
		if wd, err := os.Getwd(); err != nil || wd == s.dir {
			_ = os.Chdir(s.previous)
		}
		lingering = s.done
		running.Unlock()
	})
}

// resolveAddr gives the address to listen on and whether its port was chosen here. The gateway takes an address,
// not a listener, and does not say which port it got, so a free one is looked up and given up again for it.
func resolveAddr(ctx context.Context, addr string) (string, bool, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", false, fmt.Errorf("address %q: %w", addr, err)
	}
	if host == "" {
		host = "127.0.0.1" // never open to the network because a host was forgotten
	}
	if port != "0" {
		return net.JoinHostPort(host, port), false, nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return "", false, err
	}
	defer func() { _ = ln.Close() }() // it has only found the port
	_, port, err = net.SplitHostPort(ln.Addr().String())
	return net.JoinHostPort(host, port), true, err
}
