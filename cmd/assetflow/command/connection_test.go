package command

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// store puts a profile into the app's configuration folder.
func (a *app) store(t *testing.T, name string, p profile) string {
	t.Helper()
	path, err := a.changeProfiles(func(all map[string]profile) error { all[name] = p; return nil })
	require.NoError(t, err)
	return path
}

// develop leaves the development stack's credentials in the app's working directory.
func (a *app) develop(t *testing.T, endpoint string) string {
	t.Helper()
	path := filepath.Join(a.dir, developmentCredentials)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	content, err := json.Marshal(map[string]string{
		"endpoint": endpoint, "temporal_ui": "x", "s3_endpoint": "x", "project_id": "dev-project", "instance_id": "dev-instance",
		"domain": "default", "user": "admin", "password": "pw", "access_key": "DEVAK", "secret_key": "DEVSK",
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func TestWhereTheConnectionComesFrom(t *testing.T) {
	t.Parallel()
	stored := profile{Endpoint: "http://stored", ProjectID: "stored-project", InstanceID: "stored-instance", Token: "stored-token", ExpiresAt: now.Add(time.Hour)}
	const dev = "http://127.0.0.1:8080"
	type want struct{ endpoint, project, instance, identity, source string }
	for name, c := range map[string]struct {
		environ  []string
		flags    connectionFlags
		profile  bool // a default profile is stored
		dev      string
		want     want
		overlaid bool
	}{
		"nothing": {},
		"default profile": {
			profile: true, want: want{"http://stored", "stored-project", "stored-instance", "stored-token", `profile "default"`},
		},
		"development stack": {
			dev: dev, want: want{dev, "dev-project", "dev-instance", "DEVAK", developmentCredentials},
		},
		"development stack wins over the default profile": {
			profile: true, dev: dev, want: want{dev, "dev-project", "dev-instance", "DEVAK", developmentCredentials},
		},
		"a named profile wins over the development stack": {
			profile: true, dev: dev, flags: connectionFlags{profile: "default"},
			want: want{"http://stored", "stored-project", "stored-instance", "stored-token", `profile "default"`},
		},
		"a profile named in the environment": {
			profile: true, dev: dev, environ: []string{"ASSETFLOW_PROFILE=default"},
			want: want{"http://stored", "stored-project", "stored-instance", "stored-token", `profile "default"`},
		},
		"credentials from elsewhere are not used unasked": {
			profile: true, dev: "https://evil.example.com",
			want: want{"http://stored", "stored-project", "stored-instance", "stored-token", `profile "default"`},
		},
		"flags over environment over profile": {
			profile: true, environ: []string{"ASSETFLOW_PROJECT=env-project", "ASSETFLOW_INSTANCE=env-instance"}, flags: connectionFlags{instance: "flag-instance"},
			want: want{"http://stored", "env-project", "flag-instance", "stored-token", `profile "default"`},
		},
		"a token in the environment": {
			profile: true, dev: dev, environ: []string{"ASSETFLOW_ENDPOINT=http://env", "ASSETFLOW_TOKEN=env-token"},
			want: want{"http://env", "", "", "env-token", "the environment"},
		},
		"a key in the environment wins over a token": {
			environ: []string{"ASSETFLOW_ENDPOINT=http://env", "ASSETFLOW_TOKEN=env-token", "ASSETFLOW_ACCESS_KEY=AK", "ASSETFLOW_SECRET_KEY=SK"},
			want:    want{"http://env", "", "", "AK", "the environment"},
		},
		"a key in the environment wins over a named profile's token": {
			profile: true, flags: connectionFlags{profile: "default"}, environ: []string{"ASSETFLOW_ACCESS_KEY=AK", "ASSETFLOW_SECRET_KEY=SK"},
			want: want{"http://stored", "stored-project", "stored-instance", "AK", "the environment"},
		},
		"another endpoint does not get what is there by default": {
			profile: true, flags: connectionFlags{endpoint: "http://other"}, want: want{endpoint: "http://other"},
		},
		"nor the development stack's": {
			dev: dev, environ: []string{"ASSETFLOW_ENDPOINT=http://other"}, want: want{endpoint: "http://other"},
		},
		"the same endpoint does": {
			dev: dev, flags: connectionFlags{endpoint: dev + "/"}, want: want{dev + "/", "dev-project", "dev-instance", "DEVAK", developmentCredentials},
		},
		"another endpoint with a named profile": {
			profile: true, flags: connectionFlags{endpoint: "http://other", profile: "default"}, overlaid: true,
			want: want{"http://other", "stored-project", "stored-instance", "stored-token", `profile "default"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			a.environ = c.environ
			if c.profile {
				a.store(t, "default", stored)
			}
			if c.dev != "" {
				a.develop(t, c.dev)
			}
			got, err := a.resolve(&c.flags)
			require.NoError(t, err)
			identity := got.AccessKey
			if identity == "" {
				identity = got.Token
			}
			if c.want.source == "" {
				got.source = ""
			}
			require.Equal(t, c.want, want{got.Endpoint, got.ProjectID, got.InstanceID, identity, got.source})
			require.Equal(t, c.overlaid, got.overridden)
		})
	}
}

func TestCredentialsFile(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	path := a.develop(t, "https://elsewhere.example.com")
	got, err := a.resolve(&connectionFlags{credentials: path})
	require.NoError(t, err)
	require.Equal(t, profile{
		Endpoint: "https://elsewhere.example.com", ProjectID: "dev-project", InstanceID: "dev-instance",
		Domain: "default", User: "admin", AccessKey: "DEVAK", SecretKey: "DEVSK",
	}, got.profile)
	a.environ = []string{"ASSETFLOW_CREDENTIALS=" + path}
	fromEnvironment, err := a.resolve(&connectionFlags{})
	require.NoError(t, err)
	require.Equal(t, got.profile, fromEnvironment.profile)

	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	_, err = a.resolve(&connectionFlags{credentials: path})
	require.ErrorContains(t, err, path)
}

func TestADevelopmentStackIsNamedToAPerson(t *testing.T) {
	t.Parallel()
	var signed bool
	endpoint := service(t, routes{"GET /api/v1/projects/dev-project/jobs": func(w http.ResponseWriter, r *http.Request) {
		signed = strings.HasPrefix(r.Header.Get("Authorization"), "SDK-HMAC-SHA256 Access=DEVAK")
		reply(200, `{"jobs":[]}`)(w, r)
	}})
	a := newApp(t)
	a.develop(t, endpoint)
	r := a.exec(t.Context(), "job", "list", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.True(t, signed)
	require.Empty(t, r.stderr)
	r = a.exec(t.Context(), "job", "list")
	require.Equal(t, "No jobs.\n", r.stderr, "a log is not told")
	a.terminal = func(any) bool { return true }
	r = a.exec(t.Context(), "job", "list")
	require.Equal(t, "Using the development stack at "+endpoint+" (.assetflow/credentials.json).\nNo jobs.\n", r.stderr)
}

func TestARefusedIdentityIsTracedToItsSource(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{
		"GET /api/v1/projects/dev-project/jobs":       reply(401, `{"detail":"ak not exist","code":"auth.key_unknown"}`),
		"GET /api/v1/projects/" + projectID + "/jobs": reply(401, `{"detail":"decrypt token fail","code":"auth.token_invalid"}`),
	})
	a := newApp(t)
	a.develop(t, endpoint)
	r := a.exec(t.Context(), "job", "list")
	require.Equal(t, ExitForbidden, r.code)
	require.Contains(t, r.stderr, "The identity came from .assetflow/credentials.json. Does it belong to the stack that runs?")

	a = newApp(t)
	a.store(t, "ci", profile{Endpoint: "http://elsewhere", ProjectID: projectID, Token: "t"})
	r = a.exec(t.Context(), "job", "list", "--profile", "ci", "--endpoint", endpoint)
	require.Equal(t, ExitForbidden, r.code)
	require.Contains(t, r.stderr, "The identity came from profile \"ci\". Sign in again with `assetflow login --profile ci`. It belongs to another endpoint.")

	endpoint = service(t, routes{"GET /api/v1/projects/" + projectID + "/jobs": reply(401, `{"detail":"signature expired, …","code":"auth.signature_expired"}`)})
	r = signedIn(t, endpoint).exec(t.Context(), "job", "list")
	require.Contains(t, r.stderr, "The clocks of this machine and of the service differ")
}

func TestAnExpiredTokenIsSeenBeforeTheCall(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.store(t, "default", profile{Endpoint: "http://127.0.0.1:1", ProjectID: "p", Token: "t", ExpiresAt: now})
	r := a.exec(t.Context(), "job", "list")
	require.Equal(t, ExitForbidden, r.code)
	require.Equal(t, "assetflow: the token of profile \"default\" expired at 2026-01-02 12:00:00\nSign in again with `assetflow login`.\n", r.stderr)
}

func TestABrokenProfilesFile(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	path := a.store(t, "x", profile{})
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))
	r := a.exec(t.Context(), "job", "list")
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, path)
}
