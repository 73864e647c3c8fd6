package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startPatience is how long a region may take until it is ready. It takes a second or two, and longer on a machine that
	// has much to do.
	startPatience = 2 * time.Minute
	// stopPatience is how long a region may take to end by itself; it gives itself ten seconds.
	stopPatience = 20 * time.Second
)

// region is a development stack in a process of its own.
type region struct {
	name, dir string
	addresses addresses
	cmd       *exec.Cmd
	ended     chan struct{} // closed when the process has ended
}

// addresses are what the demonstration needs of a region's credentials.json.
type addresses struct {
	Endpoint   string `json:"endpoint"`
	S3Endpoint string `json:"s3_endpoint"`
	TemporalUI string `json:"temporal_ui"`
}

// startRegion starts a region that copies from the given S3 servers and returns when it is ready. A region that is returned
// must be stopped, also with an error.
func startRegion(ctx context.Context, bin, dir, name, keyRing string, sources ...string) (*region, error) {
	r := &region{name: name, dir: filepath.Join(dir, name), ended: make(chan struct{})}
	args := []string{
		"--data-dir", r.dir, "--region", name, "--replication-key-ring-file", keyRing, "--log-level", "warn",
		"--http-addr", ":0", "--temporal-addr", ":0", "--ui-addr", ":0", "--s3-addr", ":0",
	}
	if len(sources) > 0 {
		args = append(args, "--replication-sources", strings.Join(sources, ","))
	}
	log, err := os.OpenFile(r.log(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()                                 // the process has its own
	r.cmd = exec.Command(filepath.Join(bin, "assetflow-dev"), args...) //nolint:gosec,noctx // our own program; stop ends it, also when ctx has not
	r.cmd.Env = cleanEnv()
	r.cmd.Stderr = log
	r.cmd.SysProcAttr = apart()
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ready := make(chan bool, 1)
	go r.watch(out, ready)
	select {
	case ok := <-ready:
		if !ok {
			return r, fmt.Errorf("region %s did not start:\n%s", name, r.lastWords())
		}
	case <-time.After(startPatience):
		return r, fmt.Errorf("region %s is not ready after %s:\n%s", name, startPatience, r.lastWords())
	case <-ctx.Done():
		return r, context.Cause(ctx)
	}
	content, err := os.ReadFile(r.credentials())
	if err == nil {
		err = json.Unmarshal(content, &r.addresses)
	}
	if err != nil {
		return r, fmt.Errorf("find out where %s is: %w", name, err)
	}
	return r, nil
}

// watch says when the region is ready, or that it never will be, and sees to its end.
func (r *region) watch(out io.Reader, ready chan<- bool) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Assetflow is ready") {
			ready <- true
			break
		}
	}
	_, _ = io.Copy(io.Discard, out) // it must not wait for a reader
	_ = r.cmd.Wait()                // how it ends shows in its log
	close(r.ended)
	select {
	case ready <- false:
	default:
	}
}

func (r *region) log() string         { return r.dir + ".log" }
func (r *region) credentials() string { return filepath.Join(r.dir, "credentials.json") }

// lastWords gives the end of the region's log.
func (r *region) lastWords() string {
	content, _ := os.ReadFile(r.log())
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}

// stop ends the region: in peace, or at once when that takes too long or hurry has ended. It returns when the process is
// gone.
func (r *region) stop(hurry context.Context) error {
	if r == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // one that has ended is well
	var err error
	select {
	case <-r.ended:
		return nil
	case <-hurry.Done():
	case <-time.After(stopPatience):
		err = fmt.Errorf("region %s did not end within %s:\n%s", r.name, stopPatience, r.lastWords())
	}
	_ = r.cmd.Process.Kill()
	<-r.ended
	return err
}

// stopAll ends regions at the same time.
func stopAll(hurry context.Context, regions ...*region) error {
	results := make(chan error, len(regions))
	for _, r := range regions {
		go func() { results <- r.stop(hurry) }()
	}
	var err error
	for range regions {
		err = errors.Join(err, <-results)
	}
	return err
}

// apart keeps a terminal's Ctrl-C from a process: it comes to this one only, which ends the others in order.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// cleanEnv is this process's environment without what leads Assetflow elsewhere.
func cleanEnv(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ASSETFLOW_") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}
