// Package e2e tests the service through HTTP on a real stack: a real Temporal server, a real S3 server and a real database,
// all in this process, or as processes with the servers of production (`make test-production`). The tests share one stack;
// each has a project, an instance and a user of its own.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/devstack"
	"assetflow/devstack/folder"
	"assetflow/prodstack"
	"assetflow/storage"
	"assetflow/worker/workertest"
)

// root is the repository's folder. The embedded S3 server changes the working directory, so it is found before.
var root = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// stack is what the tests run on; steps holds its jobs where a test says.
var (
	stack interface {
		Credentials() folder.Credentials
		Temporal() client.Client
		Catalog() *catalog.Catalog
		Storage() *storage.Store
		Auth() *auth.Service
	}
	steps = workertest.NewHolds()
)

// holdsVariable makes the test binary a worker of the production stack, and says where it asks about holds.
const holdsVariable = "ASSETFLOW_TEST_HOLDS"

func TestMain(m *testing.M) {
	if url := os.Getenv(holdsVariable); url != "" {
		os.Exit(work(url))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "assetflow-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	start := startEmbedded
	if os.Getenv(prodstack.ProgramsVariable) != "" {
		start = startProduction
	}
	stop, err := start(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the stack:", err)
		return 1
	}
	code := m.Run()
	ctx, cancel = context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop the stack:", err)
		return 1
	}
	return code
}

// startEmbedded starts everything in this process.
func startEmbedded(ctx context.Context, dir string) (stop func(context.Context) error, err error) {
	s, err := devstack.Start(ctx, devstack.Options{
		DataDir: dir, NoUI: true, Interceptors: []interceptor.WorkerInterceptor{steps.Interceptor()},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return nil, err
	}
	stack = s
	return s.Stop, nil
}

// startProduction starts the servers of production, two APIs and three workers, each as a process of its own. The workers
// are this binary, so that their steps can be held; all else is as it is delivered.
func startProduction(ctx context.Context, dir string) (stop func(context.Context) error, err error) {
	holds := httptest.NewServer(steps)
	s, err := prodstack.Start(ctx, prodstack.Options{
		DataDir: dir, Programs: os.Getenv(prodstack.ProgramsVariable), APIs: 2, Workers: 3, Volatile: true,
		Worker: []string{os.Args[0]}, WorkerEnviron: []string{holdsVariable + "=" + holds.URL},
	})
	if err != nil {
		holds.Close()
		return nil, err
	}
	stack = s
	return func(ctx context.Context) error {
		s.Stop(ctx)
		holds.CloseClientConnections()
		holds.Close()
		return s.Err() // a process that ended by itself
	}, nil
}

// work is `assetflow worker` with steps that can be held.
func work(url string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	err := func() error {
		cfg, err := config.Load(config.Source{Environ: os.Environ()}, config.NeedDatabase)
		if err != nil {
			return err
		}
		b, err := serve.Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
		if err != nil {
			return err
		}
		b.Interceptors = []interceptor.WorkerInterceptor{workertest.RemoteInterceptor(url)}
		return errors.Join(b.Check(ctx), b.Worker(ctx), b.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
