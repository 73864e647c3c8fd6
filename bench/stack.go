package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"assetflow/auth"
	"assetflow/catalog"
	assetclient "assetflow/client"
	"assetflow/devstack"
)

// stack is a development stack in a process of its own, on a data folder of its own.
type stack struct {
	dir     string
	number  int    // of stacks that run beside each other; from 0
	binary  string // what runs
	region  string // its name; the program's own where empty
	args    []string
	process *exec.Cmd
	devstack.Attachment
	catalog  *catalog.Catalog
	auth     *auth.Service
	temporal client.Client
}

const startTimeout = 10 * time.Minute // a first compile is in it

// The ports of the first stack.
const (
	httpPort     = 18080
	temporalPort = 17233
	uiPort       = 18233
	s3Port       = 19000
)

// startStack builds and starts a stack and waits until it is ready.
func startStack(ctx context.Context) (*stack, error) { return (&stack{}).start(ctx) }

// beside starts another stack, the number-th beside this one, and waits until it is ready.
func (s *stack) beside(ctx context.Context, number int) (*stack, error) {
	return (&stack{number: number, binary: s.binary}).start(ctx)
}

// start gives itself, or an error and has stopped.
func (s *stack) start(ctx context.Context) (*stack, error) {
	var err error
	if s.dir, err = os.MkdirTemp("", "assetflow-bench-"); err != nil {
		return nil, err
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// addr is where a part listens.
func (s *stack) addr(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+s.number) }

func (s *stack) build(ctx context.Context) error {
	s.binary = filepath.Join(s.dir, "assetflow-dev")
	build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "./cmd/assetflow-dev")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the stack: %w", err)
	}
	return nil
}

func (s *stack) run(ctx context.Context) error {
	if s.binary == "" {
		if err := s.build(ctx); err != nil {
			return err
		}
	}
	data := filepath.Join(s.dir, "data")
	s.process = exec.CommandContext(ctx, s.binary, "--data-dir", data, "--http-addr", s.addr(httpPort),
		"--temporal-addr", s.addr(temporalPort), "--ui-addr", s.addr(uiPort), "--s3-addr", s.addr(s3Port))
	s.process.Args = append(s.process.Args, s.args...)
	if s.region != "" {
		s.process.Args = append(s.process.Args, "--region", s.region)
	}
	s.process.Cancel = func() error { return s.process.Process.Signal(syscall.SIGTERM) }
	s.process.WaitDelay = 15 * time.Second
	s.process.Env = append(os.Environ(), "ASSETFLOW_LOG_LEVEL=warn")
	output, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	s.process.Stdout, s.process.Stderr = output, output
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("start the stack: %w", err)
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	if s.Attachment, err = devstack.Attach(data); err != nil {
		return err
	}
	if s.region != "" {
		s.Storage.Region = s.region
	}
	keys, err := auth.ParseMasterKey(s.MasterKey)
	if err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	if s.catalog, err = catalog.Open(ctx, s.CatalogURL, quiet); err != nil {
		return err
	}
	s.auth = auth.New(s.catalog, keys)
	s.temporal, err = client.Dial(client.Options{HostPort: s.addr(temporalPort), Logger: log.NewStructuredLogger(quiet)})
	return err
}

func (s *stack) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr(httpPort)+"/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(req); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				tick.Stop()
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the stack did not become ready; its log is %s/log: %w", s.dir, ctx.Err())
		case <-tick.C:
		}
	}
}

// stop ends the process and removes its data.
func (s *stack) stop() error {
	var err error
	if s.temporal != nil {
		s.temporal.Close()
	}
	if s.catalog != nil {
		err = s.catalog.Close()
	}
	if s.process != nil && s.process.Process != nil {
		_ = s.process.Process.Signal(syscall.SIGTERM) // a process that has ended already is what we want
		if waitErr := s.process.Wait(); waitErr != nil {
			err = errors.Join(err, fmt.Errorf("the stack ended badly: %w", waitErr))
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// caller makes a user of the demo project with an access key, and a client that signs as them.
func (s *stack) caller(ctx context.Context, name string) (*assetclient.Client, string, error) {
	user, err := s.auth.AddUser(ctx, s.Credentials.Domain, name, rand.Text())
	if err != nil {
		return nil, "", err
	}
	if err := s.auth.GrantRole(ctx, user.ID, s.Credentials.ProjectID, string(auth.RoleDevelop)); err != nil {
		return nil, "", err
	}
	ak, sk, err := s.auth.AddAccessKey(ctx, user.ID)
	if err != nil {
		return nil, "", err
	}
	return assetclient.New(assetclient.Config{
		Endpoint: s.Credentials.Endpoint, ProjectID: s.Credentials.ProjectID, InstanceID: s.Credentials.InstanceID,
		AccessKey: ak, SecretKey: sk,
	}), user.ID, nil
}

// resident reads the process's resident memory in bytes: now, and at its peak since the last resetPeak.
func (s *stack) resident() (now, peak int64, err error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(file)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kib << 10
		case "VmHWM:":
			peak = kib << 10
		}
	}
	return now, peak, nil
}

// resetPeak makes the kernel count the peak of the resident memory anew.
func (s *stack) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.process.Process.Pid), []byte("5"), 0o200)
}
