package prodstack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a child process of a stack.
type Process struct {
	Name string // as its log is called
	PID  int
}

// command is what a process runs.
type command struct {
	name    string
	path    string
	args    []string
	environ []string            // all of it
	dir     string              // where it runs
	user    *syscall.Credential // who it runs as; nil: as we do
	stop    syscall.Signal      // asks it to end; SIGTERM where zero
}

// process is a command that runs.
type process struct {
	command
	cmd      *exec.Cmd
	log      string
	stopping atomic.Bool
	ended    chan struct{}
	err      error // read after ended
}

// begin starts a command whose output goes into the log folder. It ends with this process, whatever becomes of that.
// unexpected is called when it ends without having been asked.
func begin(c command, logs string, unexpected func(error)) (*process, error) {
	if c.stop == 0 {
		c.stop = syscall.SIGTERM
	}
	p := &process{command: c, log: filepath.Join(logs, c.name+".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()      // the process has its own
	p.cmd = exec.Command(c.path, c.args...) //nolint:gosec,noctx // G204: ours; it is stopped by stop
	p.cmd.Env, p.cmd.Dir = c.environ, c.dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = dependent(c.stop)
	p.cmd.SysProcAttr.Credential = c.user
	started := make(chan error)
	go func() {
		// Linux ties the child to the thread that started it, so that has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		close(p.ended)
		if !p.stopping.Load() {
			unexpected(p.failure())
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	return p, nil
}

// run runs a command to its end.
func run(ctx context.Context, c command, logs string) error {
	p, err := begin(c, logs, func(error) {})
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return p.failure()
		}
		return nil
	case <-ctx.Done():
		p.end(0)
		return fmt.Errorf("%s: %w", c.name, context.Cause(ctx))
	}
}

// failure says that the process ended, with the last lines of its log.
func (p *process) failure() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s ended by itself (%s); the end of %s is:\n%s", p.name, how, p.log, tail(p.log))
}

// end asks the process to end, and ends it after the grace. It returns when the process has ended.
func (p *process) end(grace time.Duration) {
	p.stopping.Store(true)
	_ = p.cmd.Process.Signal(p.stop) // one that has ended already is what we want
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// tailBytes is how much of a log an error shows.
const tailBytes = 2000

func tail(path string) string {
	text, err := os.ReadFile(path) //nolint:gosec // G304: a file of ours
	if err != nil {
		return ""
	}
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return strings.TrimSpace(string(text))
}

// How often something that is not ready is asked again, and how long one answer may take.
const (
	readyPoll = 50 * time.Millisecond
	readyCall = 5 * time.Second
)

// await returns when ready succeeds; with an error when the process ends or ctx does. A nil process is no condition.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	for {
		call, cancel := context.WithTimeout(ctx, readyCall)
		err := ready(call)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("%s does not become ready (%w); its last answer: %w; its log: %s", p.name, context.Cause(ctx), err, p.log)
		case <-time.After(readyPoll):
		}
	}
}

// errNotYet is an answer that is not the wanted one.
var errNotYet = errors.New("not yet")
