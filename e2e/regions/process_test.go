// Package regions copies digital assets between two whole stacks. Each is a process of its own (a re-execution of the test
// binary), with its own data folder, and they share nothing but a key ring and that the one may read from the other's S3
// server.
package regions

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/devstack"
	"assetflow/freeport"
)

// regionEnv carries the options of its stack to the process that plays a region.
const regionEnv = "ASSETFLOW_TEST_REGION"

// spec is what a region is started with.
type spec struct {
	DataDir, Region, HTTPAddr, S3Addr, KeyRing string
	Sources                                    []string
	CopyThroughput                             int64
}

// north is copied from, south copies. The south's throughput makes a copy last long enough to do something meanwhile.
var north, south *region

const throughput = 8 << 20

// ring gives the text of a key ring of some of the keys, the first of which is the primary one.
func ring(ids ...string) string {
	keys := map[string]string{"1": "AAECAwQFBgcICQoLDA0ODw==", "2": "EBESExQVFhcYGRobHB0eHw=="}
	chosen := map[string]string{}
	for _, id := range ids {
		chosen[id] = keys[id]
	}
	text, _ := json.Marshal(map[string]any{"primary": ids[0], "keys": chosen})
	return string(text)
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if text := os.Getenv(regionEnv); text != "" {
		if err := play(text); err != nil {
			fmt.Fprintln(os.Stderr, "region:", err)
			return 1
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "assetflow-regions-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, r := range map[string]**region{"north": &north, "south": &south} {
		if *r, err = newRegion(context.Background(), dir, name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	south.spec.Sources, south.spec.CopyThroughput = []string{"http://" + north.spec.S3Addr}, throughput
	for _, r := range []*region{north, south} {
		if err := r.start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer r.kill()
	}
	return m.Run()
}

// play is the process of a region. It ends when whoever started it has.
func play(text string) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	ctx := context.Background()
	stack, err := devstack.Start(ctx, devstack.Options{
		DataDir: s.DataDir, Region: s.Region, HTTPAddr: s.HTTPAddr, S3Addr: s.S3Addr, KeyRing: s.KeyRing, Sources: s.Sources,
		CopyThroughput: s.CopyThroughput, NoUI: true,
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(os.Stdout, "ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return stack.Stop(ctx)
}

// region is a region's process.
type region struct {
	spec    spec
	logFile string
	cmd     *exec.Cmd
	stdin   io.Closer
}

func newRegion(ctx context.Context, dir, name string) (_ *region, err error) {
	r := &region{logFile: filepath.Join(dir, name+".log")}
	r.spec = spec{DataDir: filepath.Join(dir, name), Region: name, KeyRing: ring("1")}
	for _, addr := range []*string{&r.spec.HTTPAddr, &r.spec.S3Addr} {
		if *addr, err = freeport.Addr(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// start starts the process and returns when the region answers.
func (r *region) start() error {
	text, err := json.Marshal(r.spec)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(r.logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	r.cmd = exec.Command(os.Args[0], "-test.run=^$")
	r.cmd.Env = append(os.Environ(), regionEnv+"="+string(text))
	r.cmd.Stderr = log
	if r.stdin, err = r.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan error, 1)
	go func() {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err == nil && line != "ready\n" {
			err = errors.New(line)
		}
		ready <- err
	}()
	select {
	case err = <-ready:
	case <-time.After(3 * time.Minute):
		err = errors.New("it does not become ready")
	}
	if err != nil {
		r.kill()
		text, _ := os.ReadFile(r.logFile)
		return fmt.Errorf("start the region %s: %w\n%s", r.spec.Region, err, text)
	}
	return nil
}

// kill ends the process at once, as a power failure does.
func (r *region) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	_ = r.stdin.Close()
}

// restart ends the process as an operator does, and starts it with another key ring.
func (r *region) restart(t *testing.T, keyRing string) {
	t.Helper()
	require.NoError(t, r.stdin.Close())
	require.NoError(t, r.cmd.Wait())
	r.spec.KeyRing = keyRing
	require.NoError(t, r.start())
}
