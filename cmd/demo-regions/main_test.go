package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asCommand makes the test binary be the command.
const asCommand = "DEMO_REGIONS_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// binaries compiles what the demonstration runs.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "assetflow/cmd/assetflow", "assetflow/cmd/assetflow-dev").CombinedOutput()
	require.NoError(t, err, string(text))
	return dir
}

func TestDemonstration(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and runs two stacks")
	}
	bin := binaries(t)
	t.Run("copies, compares and leaves nothing", func(t *testing.T) {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		t.Setenv("ASSETFLOW_ENDPOINT", "http://127.0.0.1:1") // is somebody else's
		var stdout, stderr bytes.Buffer
		code := command([]string{"--bin", bin, "--size", "1"}, &stdout, &stderr)
		require.Zero(t, code, "%s%s", stdout.String(), stderr.String())
		require.Equal(t, 3, strings.Count(stdout.String(), "  equal\n"), stdout.String())
		require.Contains(t, stdout.String(), "Copied and verified: Ava")
		require.Contains(t, stdout.String(), "Nothing to copy, it was equal already: Ava")
		require.Contains(t, stdout.String(), "API http://127.0.0.1:")
		require.NotContains(t, stdout.String()+stderr.String(), "X-Amz-Signature")
		require.NotContains(t, stdout.String()+stderr.String(), "asset_info")
		requireNothingLeft(t, tmp, stdout.String())
	})
	for after, c := range map[string]struct {
		args  []string
		twice bool
		code  int
	}{
		"1. Two regions":                    {code: 130}, // while the first one starts
		"$ assetflow asset upload":          {code: 130},
		"$ assetflow asset copy":            {code: 130, twice: true},
		"Both regions run until Ctrl-C. In": {args: []string{"--stay"}, code: 0},
	} {
		t.Run("interrupted after "+after, func(t *testing.T) {
			tmp := t.TempDir()
			cmd := exec.CommandContext(t.Context(), os.Args[0], append([]string{"--bin", bin, "--size", "8"}, c.args...)...)
			cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+tmp)
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr")) // a file can be read while it is written
			require.NoError(t, err)
			defer func() { require.NoError(t, stderr.Close()) }()
			complaints := func() string {
				text, err := os.ReadFile(stderr.Name())
				require.NoError(t, err)
				return string(text)
			}
			cmd.Stderr = stderr
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines, said := bufio.NewReader(out), ""
			for !strings.Contains(said, after) {
				line, err := lines.ReadString('\n')
				said += line
				require.NoError(t, err, "%s%s", said, complaints())
			}
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			if c.twice {
				require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			}
			rest, err := io.ReadAll(lines)
			require.NoError(t, err)
			err = cmd.Wait()
			var exit *exec.ExitError
			if c.code != 0 {
				require.True(t, errors.As(err, &exit), "%v\n%s%s%s", err, said, rest, complaints())
				require.Equal(t, c.code, exit.ExitCode(), complaints())
				require.Contains(t, complaints(), "interrupted; both regions have ended")
			} else {
				require.NoError(t, err, complaints())
			}
			requireNothingLeft(t, tmp, said+string(rest))
		})
	}
}

// requireNothingLeft looks for what the demonstration might have left: folders, and processes that use them.
func requireNothingLeft(t *testing.T, tmp, said string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`\(process (\d+)\)`).FindAllStringSubmatch(said, -1) {
		pid, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is left", pid)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline") // none where there is no /proc
	require.NoError(t, err)
	for _, path := range commands {
		line, _ := os.ReadFile(path) // it may have ended meanwhile
		require.NotContains(t, string(line), tmp+"/assetflow-regions-", path)
	}
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	for _, entry := range left {
		require.False(t, strings.HasPrefix(entry.Name(), "assetflow-regions-"), "%s is left", entry.Name())
	}
}

func TestWrongCommandLines(t *testing.T) {
	for args, says := range map[string]string{
		"x":              `takes no arguments, got "x"`,
		"--size 0":       "--size 0: a file has from 1 to 5120 MiB",
		"--size 6000":    "--size 6000",
		"--nope":         "not defined: -nope",
		"--bin /nowhere": "build it with `make build`",
	} {
		var stdout, stderr bytes.Buffer
		code := command(strings.Fields(args), &stdout, &stderr)
		require.NotZero(t, code, args)
		require.Contains(t, stderr.String(), says, args)
		require.Empty(t, stdout.String())
	}
	var stderr bytes.Buffer
	require.Zero(t, command([]string{"--help"}, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "Ctrl-C ends everything.")
}

// A region that cannot start is said so, and nothing waits for it.
func TestARegionThatDoesNotStart(t *testing.T) {
	bin, tmp := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", tmp)
	script := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	}
	script("assetflow", "echo '{}'")
	script("assetflow-dev", "echo 'no ports are left' >&2; exit 1")
	var stdout, stderr bytes.Buffer
	begin := time.Now()
	require.Equal(t, 1, command([]string{"--bin", bin}, &stdout, &stderr))
	require.Less(t, time.Since(begin), startPatience)
	require.Contains(t, stderr.String(), "region north did not start:\nno ports are left")
	logs, err := filepath.Glob(filepath.Join(tmp, "assetflow-regions-*"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	require.Contains(t, stderr.String(), fmt.Sprintf("the logs are in %s", logs[0]))
}

// A region that does not end by itself is ended.
func TestARegionThatDoesNotStop(t *testing.T) {
	bin, tmp := t.TempDir(), t.TempDir()
	text := `trap '' TERM INT
while [ "$1" != --data-dir ]; do shift; done
mkdir -p "$2" && echo '{"endpoint":"http://127.0.0.1:1"}' > "$2/credentials.json"
echo 'Assetflow is ready (0s).'
exec sleep 1000`
	require.NoError(t, os.WriteFile(filepath.Join(bin, "assetflow-dev"), []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	r, err := startRegion(t.Context(), bin, tmp, north, "ring")
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1", r.addresses.Endpoint)
	hurry, cancel := context.WithCancel(t.Context())
	cancel() // somebody pressed Ctrl-C twice
	require.NoError(t, r.stop(hurry))
	require.ErrorIs(t, syscall.Kill(r.cmd.Process.Pid, 0), syscall.ESRCH)
}
