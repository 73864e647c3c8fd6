package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
	"assetflow/devstack"
	"assetflow/telemetry/collectortest"
)

// asCommand makes the test binary be the command.
const asCommand = "ASSETFLOW_DEV_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// command prepares the command on free ports.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"--data-dir", dir, "--http-addr", ":0", "--temporal-addr", ":0", "--ui-addr", ":0", "--s3-addr", ":0"}, args...)
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "ASSETFLOW_LOG_LEVEL=warn")
	return cmd
}

// startReady starts the command and waits until it has said that it is ready.
func startReady(t *testing.T, cmd *exec.Cmd) (announced string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	begin := time.Now()
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	for !strings.Contains(announced, "Ctrl-C stops it.") {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, announced)
		announced += line
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	t.Logf("ready %s after the process started", time.Since(begin).Round(time.Millisecond))
	return announced
}

func readCredentials(t *testing.T, dir string) devstack.Credentials {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	var c devstack.Credentials
	require.NoError(t, json.Unmarshal(text, &c))
	return c
}

func login(t *testing.T, c devstack.Credentials) {
	t.Helper()
	_, _, err := client.New(client.Config{Endpoint: c.Endpoint}).Login(t.Context(), c.Domain, c.User, c.Password, c.ProjectID)
	require.NoError(t, err)
}

func TestCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's data")
	collector := collectortest.Start(t)
	cmd := command(t, dir, "--telemetry-traces-endpoint", collector.URL)
	text := startReady(t, cmd)
	c := readCredentials(t, dir)

	t.Run("says where everything is, and no secret", func(t *testing.T) {
		for _, want := range []string{
			c.Endpoint, c.TemporalUI, c.S3Endpoint, c.ProjectID, c.InstanceID, dir,
			`import examples/shop.zip --wait --credentials '`, `/it'\''s data/credentials.json'`,
		} {
			require.Contains(t, text, want)
		}
		for _, secret := range []string{c.Password, c.SecretKey, c.AccessKey} {
			require.NotContains(t, text, secret)
		}
	})
	t.Run("keeps its data to itself", func(t *testing.T) {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				err = fmt.Errorf("%s has mode %s", path, info.Mode())
			}
			return err
		}))
	})
	t.Run("what is printed for curl works", func(t *testing.T) {
		script := text[strings.Index(text, "  field()"):strings.Index(text, "Ctrl-C stops")]
		script = strings.Replace(script, "examples/shop.zip", filepath.Join(t.TempDir(), "shop.zip"), 1)
		zip := script[strings.Index(script, "Body=@")+len("Body=@") : strings.Index(script, ";type=")]
		require.NoError(t, os.WriteFile(zip, []byte("not a zip, but it starts a job"), 0o600))
		answer, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
		require.NoError(t, err, string(answer))
		require.Contains(t, string(answer), `"type":"importAsset"`)
	})
	t.Run("refuses a second process on the folder", func(t *testing.T) {
		second := command(t, dir)
		output, err := second.CombinedOutput()
		requireExit(t, 1, err)
		require.Contains(t, string(output), fmt.Sprintf("is in use by process %d", cmd.Process.Pid))
		require.Contains(t, string(output), "--data-dir")
		require.NotContains(t, string(output), "Usage:")
	})
	t.Run("names the flag of a taken address", func(t *testing.T) {
		second := command(t, t.TempDir(), "--ui-addr", strings.TrimPrefix(c.TemporalUI, "http://"))
		output, err := second.CombinedOutput()
		requireExit(t, 1, err)
		require.Contains(t, string(output), "choose another with --ui-addr (or ASSETFLOW_DEV_UI_ADDR)")
	})
	t.Run("ends cleanly", func(t *testing.T) {
		begin := time.Now()
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait())
		t.Logf("ended after %s", time.Since(begin).Round(time.Millisecond))
		require.Less(t, time.Since(begin), 10*time.Second)
		_, err := net.Dial("tcp", strings.TrimPrefix(c.S3Endpoint, "http://"))
		require.Error(t, err)
	})
	t.Run("has sent its traces by then", func(t *testing.T) {
		spans := collectortest.Named(collector.Spans(), "POST /v3/auth/tokens")
		require.NotEmpty(t, spans, "of the script above")
		require.Equal(t, "assetflow-dev", spans[0].Resource["service.name"])
	})
}

// Wherever the first start is killed, the next one lets the person in.
func TestKilledFirstStart(t *testing.T) {
	dir := t.TempDir()
	for after := 150 * time.Millisecond; after < 900*time.Millisecond; after += 150 * time.Millisecond {
		cmd := command(t, dir)
		require.NoError(t, cmd.Start())
		kill := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
	}
	cmd := command(t, dir)
	startReady(t, cmd)
	c := readCredentials(t, dir)
	login(t, c)
	_, err := client.New(client.Config{
		Endpoint: c.Endpoint, ProjectID: c.ProjectID, InstanceID: c.InstanceID, AccessKey: c.AccessKey, SecretKey: c.SecretKey,
	}).ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	ready, err := http.Get(c.Endpoint + "/readyz")
	require.NoError(t, err)
	require.NoError(t, ready.Body.Close())
	require.Equal(t, http.StatusOK, ready.StatusCode)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
}

func TestFlags(t *testing.T) {
	for _, f := range flags(&devstack.Options{}, nil) {
		if f.name != "log-level" {
			require.Equal(t, "ASSETFLOW_DEV_"+strings.ToUpper(strings.ReplaceAll(f.name, "-", "_")), f.variable)
		}
	}
	var got devstack.Options
	var help bytes.Buffer
	execute := func(args ...string) error {
		cmd := newCommand(func(_ context.Context, _, _ io.Writer, opts devstack.Options) error {
			got = opts
			return nil
		})
		cmd.SetArgs(args)
		cmd.SetOut(&help)
		cmd.SetErr(io.Discard)
		return cmd.Execute()
	}
	require.NoError(t, execute())
	require.Equal(t, "127.0.0.1:7233", got.TemporalAddr)
	require.Equal(t, "region-a", got.Region)
	t.Setenv("ASSETFLOW_DEV_REGION", "from-the-environment")
	t.Setenv("ASSETFLOW_DEV_S3_ADDR", "127.0.0.1:1")
	require.NoError(t, execute("--region", "from-the-flag"))
	require.Equal(t, "from-the-flag", got.Region)
	require.Equal(t, "127.0.0.1:1", got.S3Addr)
	require.Error(t, execute("--log-level", "loud"))
	require.Error(t, execute("surplus"))

	ring := filepath.Join(t.TempDir(), "ring.json")
	require.NoError(t, os.WriteFile(ring, []byte("of the file"), 0o600))
	t.Setenv(keyRingVariable, "of the environment")
	t.Setenv(sourcesVariable, "https://a.example")
	require.NoError(t, execute())
	require.Equal(t, "of the environment", got.KeyRing)
	require.Equal(t, []string{"https://a.example"}, got.Sources)
	require.NoError(t, execute("--replication-key-ring-file", ring, "--replication-sources", "http://127.0.0.1:9000, https://b.example"))
	require.Equal(t, "of the file", got.KeyRing, "the flag wins")
	require.Equal(t, []string{"http://127.0.0.1:9000", "https://b.example"}, got.Sources)
	require.ErrorIs(t, execute("--replication-key-ring-file", "/nowhere/ring"), os.ErrNotExist)
	require.ErrorContains(t, execute("--replication-sources", "a.example"), "--replication-sources")

	require.NoError(t, execute("--help"))
	for _, f := range flags(&devstack.Options{}, nil) {
		require.Contains(t, help.String(), "--"+f.name+" ")
		require.Contains(t, help.String(), "(or "+f.variable+")")
	}
}

func requireExit(t *testing.T, code int, err error) {
	t.Helper()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v", err)
	require.Equal(t, code, exit.ExitCode())
}
