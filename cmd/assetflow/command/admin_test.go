package command

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/auth"
)

// administered gives a command line with a migrated database and a master key.
func administered(t *testing.T) *app {
	t.Helper()
	a := newApp(t)
	a.now = time.Now
	a.environ = []string{
		"ASSETFLOW_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "assetflow.db"),
		"ASSETFLOW_MASTER_KEY=" + auth.GenerateMasterKey(),
	}
	r := a.exec(t.Context(), "migrate", "--database-only")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "The database is up to date.\n", r.stdout)
	return a
}

// made runs a command and gives its JSON result.
func (a *app) made(t *testing.T, args ...string) map[string]any {
	t.Helper()
	r := a.exec(t.Context(), append(args, "-o", "json")...)
	require.Equal(t, ExitOK, r.code, r.stderr)
	var v map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v), r.stdout)
	return v
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	a := administered(t)

	project := a.made(t, "project", "add", "shop")
	require.Equal(t, "assetflow", project["domain"])
	require.Regexp(t, `^[0-9a-f]{32}$`, project["id"])
	instance := a.made(t, "instance", "add", "test", "--project", "shop")
	require.Equal(t, project["id"], instance["project_id"])
	a.made(t, "instance", "add", "live", "--project", project["id"].(string))
	a.made(t, "project", "add", "other", "--domain", "acme")

	a.stdin = strings.NewReader("correct horse battery\n")
	user := a.made(t, "user", "add", "ada", "--password-stdin")
	a.stdin = strings.NewReader("another long password\n")
	require.Equal(t, "ada", user["name"])
	a.made(t, "user", "passwd", "ada", "--password-stdin")

	for _, ref := range []string{"ada", user["id"].(string)} {
		granted := a.made(t, "user", "role", "grant", ref, "Develop", "--project", "shop")
		require.Equal(t, map[string]any{"user_id": user["id"], "project_id": project["id"], "role": "Develop"}, granted)
	}
	a.made(t, "user", "role", "grant", "ada", "Submit", "--project", "shop")
	a.made(t, "user", "role", "revoke", "ada", "Submit", "--project", "shop")

	key := a.made(t, "user", "key", "add", "ada")
	require.NotEmpty(t, key["access_key"])
	require.NotEmpty(t, key["secret_key"])
	spare := a.made(t, "user", "key", "add", "ada")
	a.made(t, "user", "key", "revoke", spare["access_key"].(string))

	keys := a.made(t, "user", "key", "list", "ada")["access_keys"].([]any)
	require.Len(t, keys, 2)
	require.NotContains(t, fmt.Sprint(keys), key["secret_key"])
	require.NotContains(t, keys[0], "revoked_at")
	require.Contains(t, keys[1], "revoked_at")

	users := a.made(t, "user", "list")["users"].([]any)
	require.Len(t, users, 1)
	require.Equal(t, []any{map[string]any{"project_id": project["id"], "project": "shop", "role": "Develop"}}, users[0].(map[string]any)["roles"])

	text := func(args ...string) string {
		r := a.exec(t.Context(), args...)
		require.Equal(t, ExitOK, r.code, r.stderr)
		return r.stdout
	}
	require.Contains(t, text("user", "list"), "Develop in shop")
	require.Regexp(t, `(?m)^\w+\s+assetflow\s+shop\s`, text("project", "list"))
	require.Regexp(t, `(?m)^\w+\s+acme\s+other\s`, text("project", "list"))
	require.Equal(t, 3, strings.Count(text("instance", "list"), "\n"))
	require.Regexp(t, `(?s)shop\s+live.*shop\s+test`, text("instance", "list", "--project", "shop"))
	require.Contains(t, text("user", "key", "list", "ada"), "revoked 2")
	require.Contains(t, text("user", "key", "add", "ada"), "Secret key  ")
}

func TestEmptyLists(t *testing.T) {
	t.Parallel()
	a := administered(t)
	for _, list := range []string{"user list", "project list", "instance list"} {
		r := a.exec(t.Context(), strings.Fields(list)...)
		require.Equal(t, ExitOK, r.code, r.stderr)
		require.Empty(t, r.stdout)
		require.Regexp(t, `^No \w+\.\n$`, r.stderr)
		noun := strings.Fields(list)[0] + "s"
		require.Equal(t, map[string]any{noun: []any{}}, a.made(t, strings.Fields(list)...))
	}
}

func TestAdministrationIsRefused(t *testing.T) {
	t.Parallel()
	a := administered(t)
	a.made(t, "project", "add", "shop")
	a.made(t, "instance", "add", "test", "--project", "shop")
	a.stdin = strings.NewReader("correct horse battery")
	a.made(t, "user", "add", "ada", "--password-stdin")

	for name, c := range map[string]struct {
		args  string
		stdin string
		code  int
		says  string
	}{
		"user twice":        {"user add ada --password-stdin", "correct horse battery", ExitConflict, `already has a user named "ada"`},
		"weak password":     {"user add bob --password-stdin", "x", ExitUsage, "password"},
		"no password":       {"user add bob --password-stdin", "", ExitUsage, "stdin holds no password"},
		"no terminal":       {"user add bob", "", ExitUsage, "--password-stdin"},
		"unknown user":      {"user passwd bob --password-stdin", "x", ExitNotFound, `there is no user "bob" in the domain "assetflow"`},
		"unknown domain":    {"user key list ada --domain acme", "", ExitNotFound, `there is no user "ada" in the domain "acme"`},
		"unknown id":        {"user key add 0194f7a0aaaa7000800000000000aaaa", "", ExitNotFound, "there is no user"},
		"unknown role":      {"user role grant ada King --project shop", "", ExitUsage, "Admin, Develop, Modify, Submit"},
		"role without":      {"user role grant ada Admin", "", ExitUsage, "--project is needed"},
		"role not held":     {"user role revoke ada Admin --project shop", "", ExitNotFound, "ada does not have the role Admin in shop"},
		"unknown project":   {"user role grant ada Admin --project x", "", ExitNotFound, `there is no project "x" in the domain "assetflow"`},
		"project twice":     {"project add shop", "", ExitConflict, `already has a project named "shop"`},
		"instance twice":    {"instance add test --project shop", "", ExitConflict, `already has an instance named "test"`},
		"instance without":  {"instance add test", "", ExitUsage, "--project is needed"},
		"instances of none": {"instance list --project x", "", ExitNotFound, `there is no project "x"`},
		"unknown key":       {"user key revoke AKX", "", ExitNotFound, `there is no access key "AKX"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := *a
			b.stdin = strings.NewReader(c.stdin)
			r := b.exec(t.Context(), strings.Fields(c.args)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Empty(t, r.stdout)
		})
	}
}

func TestPasswordsAreAskedForTwice(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{
		"correct horse battery\ncorrect horse battery\n": ExitOK,
		"correct horse battery\ncorrect horse battrey\n": ExitUsage,
		"\n": ExitUsage,
	} {
		a := administered(t)
		keyboard, terminal := openTerminal(t)
		a.stdin, a.terminal = terminal, func(stream any) bool { return stream == any(terminal) }
		_, err := keyboard.WriteString(typed)
		require.NoError(t, err)
		r := a.exec(t.Context(), "user", "add", "ada")
		require.Equal(t, want, r.code, r.stderr)
		require.NotContains(t, r.stderr, "battery")
	}
}

func TestADatabaseThatIsNotReady(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	r := a.exec(t.Context(), "user", "list")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "database.url is not set")

	path := filepath.Join(t.TempDir(), "empty.db")
	r = a.exec(t.Context(), "user", "list", "--database-url", "sqlite:"+path)
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, `run "assetflow migrate"`)

	r = a.exec(t.Context(), "user", "list", "--database-url", "postgres://u:hidden@127.0.0.1:1/x?connect_timeout=2")
	require.Equal(t, ExitUnreachable, r.code, r.stderr)
	require.NotContains(t, r.stderr, "hidden")

	r = a.exec(t.Context(), "user", "key", "add", "ada", "--database-url", "sqlite:"+path)
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "master_key is not set")
	a.environ = []string{"ASSETFLOW_MASTER_KEY=hidden"}
	r = a.exec(t.Context(), "user", "key", "add", "ada", "--database-url", "sqlite:"+path)
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "want the output of `assetflow master-key`")
	require.NotContains(t, r.stderr, "hidden")
}

func TestMasterKey(t *testing.T) {
	t.Parallel()
	r := newApp(t).exec(t.Context(), "master-key")
	require.Equal(t, ExitOK, r.code)
	_, err := auth.ParseMasterKey(strings.TrimSuffix(r.stdout, "\n"))
	require.NoError(t, err)
	require.NotEqual(t, r.stdout, newApp(t).exec(t.Context(), "master-key").stdout)
}

func TestConfigShowsSettingsWithoutSecrets(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	path := filepath.Join(t.TempDir(), "a.yaml")
	require.NoError(t, os.WriteFile(path, []byte("http: {addr: ':9'}\ndatabase: {url: 'postgres://u:hidden@db/x'}\n"), 0o600))
	a.environ = []string{"ASSETFLOW_MASTER_KEY=hidden"}
	r := a.exec(t.Context(), "config", "--config", path, "--log-level", "warn")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Regexp(t, `(?m)^http\.addr\s+:9\s+`+path+`$`, r.stdout)
	require.Regexp(t, `(?m)^log\.level\s+warn\s+--log-level$`, r.stdout)
	require.Regexp(t, `(?m)^master_key\s+\[redacted\]\s+ASSETFLOW_MASTER_KEY$`, r.stdout)
	require.NotContains(t, r.stdout, "hidden")
	a.made(t, "config", "--config", path)

	r = a.exec(t.Context(), "config", "--config", "/nowhere/a.yaml")
	require.Equal(t, ExitNotFound, r.code)
	r = a.exec(t.Context(), "config", "--log-level", "loud")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, `log.level = "loud" (from --log-level); want debug, info, warn or error`)
}
