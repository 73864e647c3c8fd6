package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/client"
	"assetflow/devstack/folder"
	"assetflow/prodstack"
)

// asCommand makes the test binary be the command.
const asCommand = "ASSETFLOW_PRODUCTION_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

func programs(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(prodstack.ProgramsVariable)
	if dir == "" {
		t.Skipf("%s does not name the folder of the programs: run `make test-production`", prodstack.ProgramsVariable)
	}
	return dir
}

// A person starts the stack, uses what is printed, and stops it.
func TestForAPerson(t *testing.T) {
	t.Parallel()
	cmd := command(t, "--programs", programs(t), "--http-addr", "", "--temporal-addr", "", "--s3-addr", "", "--apis", "1", "--workers", "1")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(out)
	announced := ""
	for !strings.Contains(announced, "Ctrl-C stops it.") {
		line, err := lines.ReadString('\n')
		require.NoError(t, err, announced)
		announced += line
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	data := regexp.MustCompile(`(?m)^  Data +(\S+)$`).FindStringSubmatch(announced)[1]
	c, err := folder.ReadCredentials(data)
	require.NoError(t, err)
	for _, want := range []string{c.Endpoint, c.S3Endpoint, data + "/logs", data + "/credentials.json"} {
		require.Contains(t, announced, want)
	}
	for _, secret := range []string{c.Password, c.SecretKey, c.AccessKey} {
		require.NotContains(t, announced, secret)
	}
	_, _, err = client.New(client.Config{Endpoint: c.Endpoint}).Login(t.Context(), c.Domain, c.User, c.Password, c.ProjectID)
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait())
	require.NoDirExists(t, data)
	for _, endpoint := range []string{c.Endpoint, c.S3Endpoint} {
		_, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	}
}

// A command finds the servers, and how it ends is how we do.
func TestForACommand(t *testing.T) {
	t.Parallel()
	cmd := command(t, "--programs", programs(t), "--", "sh", "-c",
		`for name in POSTGRES_URL TEMPORAL_ADDRESS S3_ENDPOINT S3_ACCESS_KEY S3_SECRET_KEY; do eval "test -n \"\$ASSETFLOW_TEST_$name\"" || exit 1; done; exit 3`)
	cmd.Env = append(cmd.Env, "ASSETFLOW_TEST_POSTGRES_URL=", "ASSETFLOW_TEST_TEMPORAL_ADDRESS=", "ASSETFLOW_TEST_S3_ENDPOINT=")
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v: %s", err, text)
	require.Equal(t, 3, exit.ExitCode(), string(text))
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"a command without the dashes": {[]string{"go", "test"}, "A command comes after --"},
		"no programs":                  {[]string{"--programs", "/nowhere"}, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := command(t, test.args...).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(text), test.want)
		})
	}
}
