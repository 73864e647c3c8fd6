package command

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// clientCommands are all commands that call the service, as they are typed.
func clientCommands(t *testing.T) map[string][]string {
	t.Helper()
	return map[string][]string{
		"import":           {"import", packageFile(t, "PK")},
		"import --wait":    {"import", packageFile(t, "PK"), "--wait"},
		"job show":         {"job", "show", jobUUID},
		"job watch":        {"job", "watch", jobUUID},
		"job list":         {"job", "list"},
		"job list mine":    {"job", "list", "--mine"},
		"job cancel":       {"job", "cancel", jobUUID},
		"assets list":      {"assets", "list"},
		"assets show":      {"assets", "show", assetUUID},
		"import --dry-run": {"import", packageFile(t, "PK"), "--dry-run"},
		"export":           {"export", "--task", "Orders", "--out", filepath.Join(t.TempDir(), "x.zip")},
		"export by id":     {"export", "--task", assetUUID, "--out", filepath.Join(t.TempDir(), "x.zip")},
		"export all":       {"export", "--all", "--out", filepath.Join(t.TempDir(), "x.zip")},
		"export of before": {"export", "--job", jobHex, "--out", filepath.Join(t.TempDir(), "x.zip")},
		"assets by name":   {"assets", "show", "Orders"},
		"assets version":   {"assets", "show", assetUUID, "--version", "2"},
		"assets versions":  {"assets", "versions", assetUUID},
		"assets restore":   {"assets", "restore", assetUUID},
		"version restore":  {"assets", "restore", assetUUID, "--version", "2"},
		"assets delete":    {"assets", "delete", assetUUID},
		"trash list":       {"trash", "list"},
		"trash restore":    {"trash", "restore", assetUUID, assetUUID},
		"trash purge":      {"trash", "purge", "Orders"},
		"audit list":       {"audit", "list"},
		"digital list":     {"assets", "list", "--digital"},
		"digital show":     {"assets", "show", "--digital", assetUUID},
		"digital by name":  {"assets", "show", "--digital", "Ava"},
		"digital versions": {"assets", "versions", "--digital", assetUUID},
		"digital version":  {"assets", "show", "--digital", assetUUID, "--version", "2"},
		"digital of old":   {"assets", "restore", "--digital", assetUUID, "--version", "2"},
		"digital delete":   {"assets", "delete", "--digital", assetUUID},
		"digital purge":    {"assets", "delete", "--digital", "--force", "Ava"},
		"digital restore":  {"assets", "restore", "--digital", assetUUID},
		"digital create":   {"assets", "create", "Ava", "--type", "VIDEO"},
		"digital update":   {"assets", "update", assetUUID, "--description", "x"},
		"digital upload":   {"assets", "upload", assetUUID, packageFile(t, "PK")},
		"digital download": {"assets", "download", assetUUID, "--dir", t.TempDir()},
		"remove-file":      {"assets", "remove-file", assetUUID, "a.mp4"},
		"replication-info": {"assets", "replication-info", assetUUID},
		"copy":             {"assets", "copy", infoFile(t)},
		"job leave":        {"job", "cancel", "--leave", jobUUID},
		"env create":       {"environment", "create", "test"},
		"env list":         {"environment", "list"},
		"env show":         {"environment", "show", environmentUUID},
		"env by name":      {"environment", "show", "test"},
		"env update":       {"environment", "update", environmentUUID, "--name", "x"},
		"env delete":       {"environment", "delete", environmentUUID},
		"addon push":       {"addon", "push", chartFile(t)},
		"addon charts":     {"addon", "charts"},
		"addon versions":   {"addon", "charts", "demo"},
		"addon pull":       {"addon", "pull", "demo", "--version", "1.2.0", "--out", filepath.Join(t.TempDir(), "x.tgz")},
		"addon pull last":  {"addon", "pull", "demo", "--out", filepath.Join(t.TempDir(), "x.tgz")},
		"delete-chart":     {"addon", "delete-chart", "demo", "1.2.0"},
		"addon targets":    {"addon", "targets"},
		"addon install":    {"addon", "install", "demo", "--environment", environmentUUID, "--target", "gitops", "--wait"},
		"addon install 1":  {"addon", "install", "demo"},
		"addon list":       {"addon", "list", "--environment", environmentUUID},
		"addon show":       {"addon", "show", addonUUID, "--environment", environmentUUID},
		"addon by name":    {"addon", "show", "demo", "--environment", environmentUUID},
		"addon redeploy":   {"addon", "redeploy", addonUUID, "--environment", environmentUUID, "--wait"},
		"addon restart":    {"addon", "restart", addonUUID, "--environment", environmentUUID},
		"addon uninstall":  {"addon", "uninstall", addonUUID, "--environment", environmentUUID},
		"login":            {"login", "--access-key", "AK", "--secret-key-stdin"},
	}
}

// infoFile writes a file that stands for a replication info.
func infoFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "info.json")
	require.NoError(t, os.WriteFile(path, []byte(sealed), 0o600))
	return path
}

// TestEveryRefusalHasItsExitCode runs every client command against a service that refuses everything.
func TestEveryRefusalHasItsExitCode(t *testing.T) {
	t.Parallel()
	roma := func(code, message, details string) string {
		return `{"error_code":"` + code + `","error_msg":"` + message + `","error_details":"` + details + `","request_id":"r-1"}`
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   int
		says   []string
	}{
		"token unknown": {reply(401, roma("APIGW.0301", "Incorrect IAM authentication information: decrypt token fail", "")), ExitForbidden,
			[]string{"decrypt token fail", "r-1"}},
		"no role":          {reply(403, roma("ROMA.1006", "No permission.", "")), ExitForbidden, []string{"No permission.", "assetflow user role grant"}},
		"not found":        {reply(404, roma("ROMA.1007", "Invalid request URL.", "")), ExitNotFound, []string{"Check the ids"}},
		"job runs":         {reply(403, roma("ROMA.10012", "Running.", jobHex)), ExitConflict, []string{"assetflow job watch " + jobUUID, "assetflow job cancel " + jobUUID}},
		"conflict":         {reply(409, `{"detail":"The job has ended.","code":"job.ended"}`), ExitConflict, []string{"The job has ended."}},
		"bad name":         {reply(400, roma("ROMA.10013", "Only .zip files.", "")), ExitFailure, []string{"Only .zip files. (ROMA.10013, HTTP 400, request r-1)"}},
		"too large":        {reply(413, roma("ROMA.13000", "Too large.", "")), ExitFailure, []string{"ASSETFLOW_MAX_UPLOAD_BYTES"}},
		"its own failure":  {reply(500, roma("ROMA.10010", "Internal.", "")), ExitFailure, []string{"request r-1", "service's log"}},
		"a dependency":     {reply(503, roma("ROMA.10010", "Away.", "")), ExitUnreachable, []string{"Try again"}},
		"a proxy's 502":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, ExitUnreachable, []string{"A proxy answers"}},
		"another service":  {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusNotFound) }, ExitFailure, []string{"Is the endpoint right?"}},
		"all fine but odd": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ExitFailure, []string{"Is the endpoint right?"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.answer)
			t.Cleanup(server.Close)
			for command, args := range clientCommands(t) {
				if (name == "a dependency" || name == "a proxy's 502") && command != "import" && command != "job list" {
					continue // reads are repeated before they give up: that takes its time
				}
				t.Run(command, func(t *testing.T) {
					t.Parallel()
					a := signedIn(t, server.URL)
					a.stdin = strings.NewReader("SK\n")
					r := a.exec(t.Context(), args...)
					require.Equal(t, c.code, r.code, r.stderr)
					require.Empty(t, r.stdout)
					for _, text := range c.says {
						require.Contains(t, r.stderr, text)
					}
					require.NotContains(t, r.stderr, "t0ken", "a token is not shown")
				})
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	const endpoint = "http://" + nobody
	for command, args := range clientCommands(t) {
		a := signedIn(t, endpoint)
		a.stdin = strings.NewReader("SK\n")
		r := a.exec(t.Context(), args...)
		require.Equal(t, ExitUnreachable, r.code, command)
		require.Contains(t, r.stderr, "assetflow: cannot reach "+endpoint+": connection refused\nIs the service running? Start it with `assetflow api`", command)
	}
}

func TestOtherWaysNotToReachTheService(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(reply(200, "{}"))
	t.Cleanup(plain.Close)
	encrypted := httptest.NewTLSServer(reply(200, "{}"))
	t.Cleanup(encrypted.Close)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(broken.Close)
	for name, c := range map[string]struct{ endpoint, says string }{
		"no TLS there":      {strings.Replace(plain.URL, "http:", "https:", 1), "Should the endpoint begin with http://"},
		"unknown authority": {encrypted.URL, "SSL_CERT_FILE"},
		"no such host":      {"http://assetflow.invalid", "the name assetflow.invalid cannot be resolved\nCheck the endpoint."},
		"broken connection": {broken.URL, "Try again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, c.endpoint).exec(t.Context(), "job", "show", jobUUID)
			require.Equal(t, ExitUnreachable, r.code)
			require.Contains(t, r.stderr, c.says)
		})
	}
}

func TestWrongCommandLines(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"jbo":                          `unknown command "jbo"; did you mean job?`,
		"job shw":                      `unknown command "shw" for job; did you mean show?`,
		"frobnicate":                   `unknown command "frobnicate"` + "\n",
		"version 1":                    `version takes no arguments, got "1"`,
		"import":                       "import needs FILE",
		"import a.zip b.zip":           `import takes FILE, got "b.zip" as well`,
		"user role grant ada":          "user role grant needs ROLE",
		"job list --nope":              "unknown flag: --nope",
		"job list --limit x":           `invalid argument "x" for "--limit"`,
		"job list --limit 0":           "--limit 0: must be at least 1",
		"job list --limit 1 --all":     "cannot be used together",
		"job list --state ended":       `--state "ended": must be queued or running or succeeded or failed or cancelled`,
		"assets list --kind car":       `--kind "car": must be application or task`,
		"assets create Ava":            "--type is needed",
		"assets create Ava --type CAR": `--type "CAR": must be HUMAN_MODEL or`,
		"assets create Ava --type VIDEO --meta [1]": "--meta is no JSON object",
		"assets update Ava":                         "nothing is to be changed",
		"assets update Ava --tag a --no-tags":       "cannot be used together",
		"assets upload Ava":                         "assets upload needs FILE",
		"assets upload Ava /x --category SIDE":      `--category "SIDE": must be MAIN or`,
		"assets list --tag x":                       "--tag is for digital assets: use it with --digital",
		"assets list --state ACTIVED":               "--state is for digital assets",
		"assets list --digital --kind task":         "cannot be used together",
		"assets list --digital --state DONE":        `--state "DONE": must be CREATING or`,
		"assets list --digital --type CAR":          `--type "CAR"`,
		"assets list --digital --sort size":         `--sort "size": must be create_time or`,
		"assets show --digital --version 0 A":       "versions are counted from 1",
		"assets delete --force Shop":                "--force is for digital assets",
		"assets delete --digital --wait Ava":        "cannot be used together",
		"assets download Ava --out a --dir b":       "cannot be used together",
		"import a.zip --type New":                   `--type "New": must be AddNew or Merge`,
		"version -o xml":                            `--output "xml": must be text or json`,
		"job show 1234":                             "a job id is a UUID or 32 hex digits",
		"job watch 1234":                            "a job id is a UUID or 32 hex digits",
		"job cancel 1234":                           "a job id is a UUID or 32 hex digits",
		"environment update a":                      "nothing is to be changed",
		"env update a --label x=y --no-labels":      "cannot be used together",
		"addon instal demo":                         `unknown command "instal" for addon; did you mean install?`,
		"addon install":                             "addon install needs NAME",
		"addon install demo --on-conflict queue":    "unknown flag: --on-conflict",
		"addon delete-chart demo":                   "addon delete-chart needs VERSION",
		"job list --profile a --credentials b":      "cannot be used together",
		"login --user a --access-key b":             "cannot be used together",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, "http://127.0.0.1:1").exec(t.Context(), strings.Fields(args)...)
			require.Equal(t, ExitUsage, r.code, r.stderr)
			require.Contains(t, r.stderr, says)
			require.True(t, strings.HasPrefix(r.stderr, "assetflow: "), r.stderr)
			require.Empty(t, r.stdout)
		})
	}
}

func TestWhatIsMissingToConnect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		args    string
		code    int
		says    string
	}{
		"everything":     {nil, "job list", ExitUsage, "where is the service?"},
		"identity":       {[]string{"ASSETFLOW_ENDPOINT=http://x"}, "job list", ExitForbidden, "not signed in to http://x\nSign in with `assetflow login`"},
		"scheme":         {[]string{"ASSETFLOW_ENDPOINT=127.0.0.1:8080"}, "job list", ExitUsage, "did you mean http://127.0.0.1:8080?"},
		"project":        {[]string{"ASSETFLOW_ENDPOINT=http://x", "ASSETFLOW_TOKEN=t"}, "job list", ExitUsage, "which project?"},
		"instance":       {[]string{"ASSETFLOW_ENDPOINT=http://x", "ASSETFLOW_TOKEN=t", "ASSETFLOW_PROJECT=p"}, "assets list", ExitUsage, "which instance?"},
		"secret key":     {[]string{"ASSETFLOW_ACCESS_KEY=a"}, "job list", ExitUsage, "ASSETFLOW_SECRET_KEY is not"},
		"access key":     {[]string{"ASSETFLOW_SECRET_KEY=a"}, "job list", ExitUsage, "ASSETFLOW_ACCESS_KEY is not"},
		"profile":        {nil, "job list --profile ci", ExitForbidden, `there is no profile "ci"`},
		"profile by env": {[]string{"ASSETFLOW_PROFILE=ci"}, "job list", ExitForbidden, "assetflow login --profile ci"},
		"both by env":    {[]string{"ASSETFLOW_PROFILE=ci", "ASSETFLOW_CREDENTIALS=x"}, "job list", ExitUsage, "unset one of them"},
		"credentials":    {nil, "job list --credentials /nowhere/c.json", ExitNotFound, "open /nowhere/c.json: no such file or directory"},
		"package":        {[]string{"ASSETFLOW_ENDPOINT=http://x", "ASSETFLOW_TOKEN=t", "ASSETFLOW_PROJECT=p", "ASSETFLOW_INSTANCE=i"}, "import /nowhere/a.zip", ExitNotFound, "open /nowhere/a.zip: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			a.environ = c.environ
			r := a.exec(t.Context(), strings.Fields(c.args)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
		})
	}
}

func TestAFolderIsNoPackage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := signedIn(t, "http://127.0.0.1:1").exec(t.Context(), "import", dir)
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "assetflow package pack "+dir)
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	for command, args := range clientCommands(t) {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				cancel()
				<-over
			}))
			t.Cleanup(server.Close)
			t.Cleanup(func() { close(over) })
			a := signedIn(t, server.URL)
			a.stdin = strings.NewReader("SK\n")
			r := a.exec(ctx, args...)
			require.Equal(t, ExitInterrupted, r.code, r.stderr)
			require.Contains(t, r.stderr, "assetflow: interrupted")
		})
	}
}

// TestEveryCommandIsExplained keeps the help complete.
func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		require.NotEmpty(t, cmd.Short, cmd.CommandPath())
		require.NotEmpty(t, cmd.Long, cmd.CommandPath())
		require.False(t, strings.HasSuffix(cmd.Short, "."), cmd.CommandPath())
		if !cmd.HasSubCommands() {
			require.NotEmpty(t, cmd.Example, cmd.CommandPath())
			require.NotNil(t, cmd.Args, cmd.CommandPath())
		}
		for _, line := range strings.Split(cmd.Long+"\n"+cmd.Example, "\n") {
			require.LessOrEqual(t, len(line), 130, "%s: %s", cmd.CommandPath(), line)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newApp(t).root())

	r := newApp(t).exec(t.Context(), "--help")
	require.Equal(t, ExitOK, r.code)
	require.Contains(t, r.stdout, "130  interrupted")
	require.Contains(t, r.stdout, "ASSETFLOW_SECRET_KEY")
	r = newApp(t).exec(t.Context(), "job")
	require.Equal(t, ExitOK, r.code)
	require.Contains(t, r.stdout, "watch")
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := newApp(t).exec(t.Context(), "completion", shell)
		require.Equal(t, ExitOK, r.code)
		require.Contains(t, r.stdout, "assetflow")
	}
	r := newApp(t).exec(t.Context(), "__complete", "user", "role", "grant", "ada", "")
	require.Contains(t, r.stdout, "Develop")
	r = newApp(t).exec(t.Context(), "__complete", "import", "--type", "")
	require.Contains(t, r.stdout, "Merge")
}

func TestRunUsesTheProcess(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("ASSETFLOW_PROFILE", "nobody")
	var stdout, stderr lockedBuffer
	code := Run(t.Context(), []string{"job", "list"}, strings.NewReader(""), &stdout, &stderr)
	require.Equal(t, ExitForbidden, code)
	require.Contains(t, stderr.String(), filepath.Join(home, "assetflow", "profiles.json"))
}

func TestAnErrorOfNobodysIsAFailure(t *testing.T) {
	t.Parallel()
	text, _, code := explain(t.Context(), &cobra.Command{}, errors.New("odd"))
	require.Equal(t, "odd", text)
	require.Equal(t, ExitFailure, code)
}
