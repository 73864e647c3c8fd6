package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// signInService answers sign-ins of ada with the password "secret", and of the access key AK.
func signInService(t *testing.T) string {
	t.Helper()
	return service(t, routes{
		"POST /v3/auth/tokens": func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if !strings.Contains(string(body), `"password":"secret"`) || !strings.Contains(string(body), `"name":"ada"`) {
				reply(401, `{"error":{"code":401,"message":"The username or password is wrong."}}`)(w, r)
				return
			}
			w.Header().Set("X-Subject-Token", "fresh-token")
			reply(201, `{"token":{"expires_at":"2026-01-03T12:00:00.000000Z"}}`)(w, r)
		},
		"GET /api/v1/me": func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Header.Get("X-Auth-Token") == "fresh-token":
				reply(200, `{"user_id":"u1","user_name":"ada","domain_id":"d","domain_name":"acme","project_id":"`+projectID+`","method":"token"}`)(w, r)
			case strings.HasPrefix(r.Header.Get("Authorization"), "SDK-HMAC-SHA256 Access=AK,"):
				reply(200, `{"user_id":"u2","user_name":"ci","domain_id":"d","domain_name":"acme","method":"aksk"}`)(w, r)
			default:
				reply(401, `{"detail":"ak not exist","code":"auth.key_unknown"}`)(w, r)
			}
		},
	})
}

// stored reads the profiles back from their file.
func (a *app) stored(t *testing.T) map[string]profile {
	t.Helper()
	p, path, err := a.loadProfiles()
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside the file")
	return p.Profiles
}

func TestLoginWithAPassword(t *testing.T) {
	t.Parallel()
	endpoint := signInService(t)
	a := newApp(t)
	a.stdin = strings.NewReader("secret\nnot this\n")
	r := a.exec(t.Context(), "login", "--endpoint", endpoint, "--user", "ada", "--domain", "acme", "--project", "shop", "--instance", "i1", "--password-stdin")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, map[string]profile{"default": {
		Endpoint: endpoint, ProjectID: projectID, InstanceID: "i1", Domain: "acme", User: "ada",
		Token: "fresh-token", ExpiresAt: time.Date(2026, 1, 3, 12, 0, 0, 0, time.UTC),
	}}, a.stored(t))
	require.Contains(t, r.stdout, "Signed in to "+endpoint+" as ada of domain acme.\nThe token is valid until 2026-01-03 12:00:00.\nStored as profile \"default\" in ")
	require.NotContains(t, r.stdout+r.stderr, "fresh-token")

	// Again, with nothing but the password.
	a.stdin = strings.NewReader("secret")
	r = a.exec(t.Context(), "login", "--password-stdin", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	var shown map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &shown))
	require.Equal(t, "ada", shown["user"])
	require.Equal(t, "2026-01-03T12:00:00Z", shown["expires_at"])
	require.Equal(t, "i1", a.stored(t)["default"].InstanceID)

	// A wrong password leaves the profile as it was.
	a.stdin = strings.NewReader("wrong")
	r = a.exec(t.Context(), "login", "--password-stdin")
	require.Equal(t, ExitForbidden, r.code)
	require.Contains(t, r.stderr, "The username or password is wrong.")
	require.Contains(t, r.stderr, "Check user, domain, project and password.")
	require.Equal(t, "fresh-token", a.stored(t)["default"].Token)
}

func TestLoginWithAnAccessKey(t *testing.T) {
	t.Parallel()
	endpoint := signInService(t)
	a := newApp(t)
	a.stdin = strings.NewReader("SK\r\n")
	r := a.exec(t.Context(), "login", "--profile", "ci", "--endpoint", endpoint, "--access-key", "AK", "--secret-key-stdin", "--project", projectID)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, map[string]profile{"ci": {
		Endpoint: endpoint, ProjectID: projectID, Domain: "acme", User: "ci", AccessKey: "AK", SecretKey: "SK",
	}}, a.stored(t))
	require.Contains(t, r.stdout, "sign in again with --instance")
	require.NotContains(t, r.stdout+r.stderr, "SK\n")

	// The key is there: another instance takes nothing else.
	r = a.exec(t.Context(), "login", "--profile", "ci", "--instance", "i2")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "i2", a.stored(t)["ci"].InstanceID)

	// A user in place of the key.
	a.stdin = strings.NewReader("secret")
	r = a.exec(t.Context(), "login", "--profile", "ci", "--user", "ada", "--password-stdin")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Empty(t, a.stored(t)["ci"].SecretKey)

	// Another service: nothing of the old one goes there.
	r = a.exec(t.Context(), "login", "--profile", "ci", "--endpoint", signInService(t))
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "who are you?")

	a.stdin = strings.NewReader("SK")
	r = a.exec(t.Context(), "login", "--endpoint", endpoint, "--access-key", "OTHER", "--secret-key-stdin")
	require.Equal(t, ExitForbidden, r.code)
	require.Contains(t, r.stderr, "Check access key and secret key.")
	require.NotContains(t, a.stored(t), "default")
}

func TestLoginFromACredentialsFile(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	endpoint := signInService(t)
	path := a.develop(t, endpoint)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(content), "DEVAK", "AK", 1)), 0o600))
	r := a.exec(t.Context(), "login", "--credentials", path)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, map[string]profile{"default": {
		Endpoint: endpoint, ProjectID: "dev-project", InstanceID: "dev-instance", Domain: "acme", User: "ci", AccessKey: "AK", SecretKey: "DEVSK",
	}}, a.stored(t))

	r = a.exec(t.Context(), "login", "--credentials", path, "--profile", "dev")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, a.stored(t)["default"], a.stored(t)["dev"], "under any name")
}

func TestLoginIsToldWhatIsMissing(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"login":                                                       "where is the service?",
		"login --endpoint example.com":                                "did you mean http://example.com?",
		"login --endpoint http://x":                                   "who are you?",
		"login --endpoint http://127.0.0.1 --user a":                  "there is no terminal to ask for the password: give it on stdin with --password-stdin",
		"login --endpoint http://127.0.0.1 --access-key a":            "there is no terminal to ask for the secret key: give it on stdin with --secret-key-stdin",
		"login --endpoint http://127.0.0.1 --user a --password-stdin": "stdin holds no password",
	} {
		r := newApp(t).exec(t.Context(), strings.Fields(args)...)
		require.Equal(t, ExitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, says)
	}
	a := newApp(t)
	r := a.exec(t.Context(), "login", "--endpoint", "http://assetflow.invalid", "--user", "a")
	require.Contains(t, r.stderr, "Careful: the password travels to http://assetflow.invalid without encryption.")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.store(t, "default", profile{Token: "t"})
	a.store(t, "ci", profile{Token: "t"})
	r := a.exec(t.Context(), "logout")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, `Removed profile "default" from `)
	require.Contains(t, a.stored(t), "ci")
	require.NotContains(t, a.stored(t), "default")
	r = a.exec(t.Context(), "logout")
	require.Equal(t, ExitNotFound, r.code)
	a.environ = []string{"ASSETFLOW_PROFILE=ci"}
	r = a.exec(t.Context(), "logout")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Empty(t, a.stored(t))
}

func TestPasswordsAreTypedUnseen(t *testing.T) {
	t.Parallel()
	endpoint := signInService(t)
	keyboard, terminal := openTerminal(t)
	a := newApp(t)
	a.stdin, a.terminal = terminal, func(stream any) bool { return stream == any(terminal) }
	go func() { _, _ = fmt.Fprint(keyboard, "secret\n") }()
	r := a.exec(t.Context(), "login", "--endpoint", endpoint, "--user", "ada", "--domain", "acme")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stderr, "Password of ada: \n")
	require.Equal(t, "fresh-token", a.stored(t)["default"].Token)
}

func TestCtrlCAtThePasswordLeavesTheTerminalAsItWas(t *testing.T) {
	t.Parallel()
	_, terminal := openTerminal(t)
	before := echoes(t, terminal)
	require.True(t, before)
	ctx, cancel := context.WithCancel(t.Context())
	a := newApp(t)
	a.stdin, a.terminal = terminal, func(stream any) bool { return stream == any(terminal) }
	done := make(chan result, 1)
	go func() { done <- a.exec(ctx, "login", "--endpoint", "http://127.0.0.1:1", "--user", "ada") }()
	require.Eventually(t, func() bool { return !echoes(t, terminal) }, time.Minute, time.Millisecond)
	cancel()
	r := <-done
	require.Equal(t, ExitInterrupted, r.code)
	require.True(t, echoes(t, terminal))
}
