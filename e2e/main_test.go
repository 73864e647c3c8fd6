// Package e2e tests the service through HTTP on the real stack: a real Temporal server, a real S3 server and a real
// database, all in this process. The tests share one stack; each has a project, an instance and a user of its own.
package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.temporal.io/sdk/interceptor"

	"assetflow/devstack"
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
	stack *devstack.Stack
	steps = newHolds()
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "assetflow-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	stack, err = devstack.Start(ctx, devstack.Options{
		DataDir: dir, NoUI: true, Interceptors: []interceptor.WorkerInterceptor{steps},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the stack:", err)
		return 1
	}
	code := m.Run()
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := stack.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop the stack:", err)
		return 1
	}
	return code
}
