// Package process runs the service and what it stands on as processes of their own, for tests that kill, stop and replace
// them. They are re-executions of the running binary, so its main function (or TestMain) calls Main first.
package process

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/embedded/s3"
	"assetflow/embedded/temporal"
	"assetflow/fault"
	"assetflow/workflows"
)

// Role is what a process plays.
type Role string

// The roles.
const (
	Temporal Role = "temporal"
	S3       Role = "s3"
	Worker   Role = "worker"
	API      Role = "api"
)

// Roles are all of them, in the order in which they start.
var Roles = []Role{Temporal, S3, Worker, API}

// roleEnv carries a spec to the process that plays a role.
const roleEnv = "ASSETFLOW_TEST_ROLE"

// readyTimeout is how long a process may take until it works.
const readyTimeout = 3 * time.Minute

// restartPause is what a supervisor waits before it starts a process again.
const restartPause = 200 * time.Millisecond

// ready is what a process writes when it works.
const ready = "ready"

// Spec tells a process what to play.
type Spec struct {
	Role    Role
	Name    string    // of the process; the role's own where empty. Its log is <name>.log
	Dir     string    // for data and logs
	Addr    string    // where it listens; empty for a worker
	Keys    [2]string // of the S3 server
	Environ []string  // settings of the service
}

// Main plays a role and ends the process where the environment names one; otherwise it returns at once.
func Main() {
	text := os.Getenv(roleEnv)
	if text == "" {
		return
	}
	var s Spec
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		go func() { // whoever started the process has died
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		if err = s.play(ctx); err == nil {
			stop()
			os.Exit(0)
		}
	}
	fmt.Fprintln(os.Stderr, s.Role, "ended:", err)
	os.Exit(1)
}

func (s Spec) name() string { return cmp.Or(s.Name, string(s.Role)) }

// play returns nil when ctx has ended and the role has drained, an error when it cannot be played any longer.
func (s Spec) play(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	switch s.Role {
	case Temporal:
		server, err := temporal.Start(ctx, temporal.Options{
			Addr: s.Addr, DataDir: s.Dir, SearchAttributes: workflows.SearchAttributeNames(), Logger: logger,
		})
		if err != nil {
			return err
		}
		announce()
		<-server.Failed()
		return server.Err()
	case S3:
		_, err := s3.Start(ctx, s3.Options{Addr: s.Addr, DataDir: filepath.Join(s.Dir, "s3"), AccessKey: s.Keys[0], SecretKey: s.Keys[1]})
		if err != nil {
			return err
		}
		announce()
		<-ctx.Done()
		return ctx.Err()
	case API, Worker:
		return s.serve(ctx, logger)
	default:
		return fmt.Errorf("there is no role %q", s.Role)
	}
}

// serve plays the service's own roles, as the binary puts them together.
func (s Spec) serve(ctx context.Context, logger *slog.Logger) error {
	cfg, err := config.Load(config.Source{Environ: s.Environ}, config.NeedDatabase|config.NeedMasterKey)
	if err != nil {
		return err
	}
	b, err := serve.Open(ctx, cfg, logger)
	if err != nil {
		return err
	}
	if err := b.Check(ctx); err != nil {
		return err
	}
	if s.Role == Worker {
		announce()
		for { // as whoever supervises it starts it again where Temporal is away at its start
			if err := b.Worker(ctx); fault.KindOf(err) != fault.Unavailable {
				return err
			}
			select {
			case <-time.After(restartPause):
			case <-ctx.Done():
				return nil
			}
		}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	announce()
	return b.API(ctx, ln, "test")
}

func announce() { _, _ = fmt.Fprintln(os.Stdout, ready) }

// Process is a running role.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	killed atomic.Bool
	ended  chan struct{}
	err    error // read after ended
}

// Start starts a role and returns when it works. unexpected is called when it ends without having been told to.
func Start(ctx context.Context, s Spec, unexpected func(error)) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, s.name()+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	// Not bound to ctx: who ends it says so.
	p := &Process{cmd: exec.CommandContext(context.WithoutCancel(ctx), self), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	works := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() == ready {
				works <- true
			}
		}
		p.err = p.cmd.Wait()
		close(p.ended)
		if !p.killed.Load() {
			unexpected(fmt.Errorf("the process %s ended by itself (%w); see %s.log", s.name(), orEOF(p.err), s.name()))
		}
	}()
	timer := time.NewTimer(readyTimeout)
	defer timer.Stop()
	select {
	case <-works:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("start %s: %w; see %[1]s.log", s.name(), orEOF(p.err))
	case <-timer.C:
		p.Kill()
		return nil, fmt.Errorf("start %s: it did not become ready in %s; see %[1]s.log", s.name(), readyTimeout)
	case <-ctx.Done():
		p.Kill()
		return nil, context.Cause(ctx)
	}
}

func orEOF(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// Stop tells the process to end, with SIGTERM, and returns when it is gone. The error says that it did not end well, or not
// within the given time; it is killed then.
func (p *Process) Stop(within time.Duration) error {
	p.killed.Store(true)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-p.ended:
		_ = p.stdin.Close()
		return p.err
	case <-late.C:
		p.Kill()
		return fmt.Errorf("the process did not end within %s of SIGTERM", within)
	}
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (p *Process) Kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // one that has ended already is what we want
	<-p.ended
	_ = p.stdin.Close()
}
