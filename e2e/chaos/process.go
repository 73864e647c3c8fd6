package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
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
	roleTemporal Role = "temporal"
	roleS3       Role = "s3"
	roleWorker   Role = "worker"
	roleAPI      Role = "api"
)

// roles are all of them, in the order in which they start.
var roles = []Role{roleTemporal, roleS3, roleWorker, roleAPI}

// roleEnv carries a spec to the process that plays a role.
const roleEnv = "ASSETFLOW_CHAOS_ROLE"

// readyTimeout is how long a process may take until it works.
const readyTimeout = 3 * time.Minute

// restartPause is what a supervisor waits before it starts a process again.
const restartPause = 200 * time.Millisecond

// ready is what a process writes when it works.
const ready = "ready"

// spec tells a process what to play.
type spec struct {
	Role    Role
	Dir     string
	Addr    string    // where it listens; empty for the worker
	Keys    [2]string // of the S3 server
	Environ []string  // settings of the service
}

// Main plays a role and ends the process where the environment names one; otherwise it returns at once.
func Main() {
	text := os.Getenv(roleEnv)
	if text == "" {
		return
	}
	var s spec
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		go func() { // whoever started the process has died
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
		err = s.play(context.Background())
	}
	fmt.Fprintln(os.Stderr, s.Role, "ended:", err)
	os.Exit(1)
}

// play returns only when the role cannot be played any longer.
func (s spec) play(ctx context.Context) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	switch s.Role {
	case roleTemporal:
		server, err := temporal.Start(ctx, temporal.Options{
			Addr: s.Addr, DataDir: s.Dir, SearchAttributes: workflows.SearchAttributeNames(), Logger: logger,
		})
		if err != nil {
			return err
		}
		announce()
		<-server.Failed()
		return server.Err()
	case roleS3:
		_, err := s3.Start(ctx, s3.Options{Addr: s.Addr, DataDir: filepath.Join(s.Dir, "s3"), AccessKey: s.Keys[0], SecretKey: s.Keys[1]})
		if err != nil {
			return err
		}
		announce()
		<-ctx.Done()
		return ctx.Err()
	case roleAPI, roleWorker:
		return s.serve(ctx, logger)
	default:
		return fmt.Errorf("there is no role %q", s.Role)
	}
}

// serve plays the service's own roles, as the binary puts them together.
func (s spec) serve(ctx context.Context, logger *slog.Logger) error {
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
	if s.Role == roleWorker {
		announce()
		for { // as whoever supervises it starts it again where Temporal is away at its start
			if err := b.Worker(ctx); fault.KindOf(err) != fault.Unavailable {
				return err
			}
			if err := pause(ctx, restartPause); err != nil {
				return err
			}
		}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return err
	}
	announce()
	return b.API(ctx, ln, "chaos")
}

func announce() { _, _ = fmt.Fprintln(os.Stdout, ready) }

// process is a running role.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	killed atomic.Bool
	ended  chan struct{}
	err    error // read after ended
}

// startProcess starts a role and returns when it works. unexpected is called when it ends without having been killed.
func startProcess(ctx context.Context, s spec, unexpected func(error)) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(s.Dir, string(s.Role)+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	// Not bound to ctx: who ends it says so.
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(ctx), self), ended: make(chan struct{})}
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
			unexpected(fmt.Errorf("the process %s ended by itself (%w); see %s.log", s.Role, orEOF(p.err), s.Role))
		}
	}()
	timer := time.NewTimer(readyTimeout)
	defer timer.Stop()
	select {
	case <-works:
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("start %s: %w; see %[1]s.log", s.Role, orEOF(p.err))
	case <-timer.C:
		p.kill()
		return nil, fmt.Errorf("start %s: it did not become ready in %s; see %[1]s.log", s.Role, readyTimeout)
	case <-ctx.Done():
		p.kill()
		return nil, context.Cause(ctx)
	}
}

func orEOF(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // one that has ended already is what we want
	<-p.ended
	_ = p.stdin.Close()
}
