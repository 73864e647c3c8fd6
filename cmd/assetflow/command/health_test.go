package command

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealthOfAnAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // on stderr; empty: it is well
	}{
		"ready":        {status: http.StatusOK, body: `{"status": "ok", "checks": {"s3": "ok"}}`},
		"not ready":    {http.StatusServiceUnavailable, `{"status": "unavailable", "checks": {"temporal": "error", "s3": "ok", "database": "error"}}`, "it misses database, temporal."},
		"another cook": {http.StatusBadGateway, "<html>", "it answers 502."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := strings.TrimPrefix(service(t, routes{"GET /readyz": reply(c.status, c.body)}), "http://")
			a := newApp(t)
			a.environ = []string{"HTTP_PROXY=http://" + nobody}
			r := a.exec(t.Context(), "health", "api", "--http-addr", address)
			if c.want == "" {
				require.Equal(t, result{stdout: "The api is ready.\n"}, r)
				return
			}
			require.Equal(t, ExitUnreachable, r.code)
			require.Contains(t, r.stderr, c.want)
		})
	}
	r := newApp(t).exec(t.Context(), "health", "api", "--http-addr", nobody)
	require.Equal(t, ExitUnreachable, r.code)
	require.Contains(t, r.stderr, "The api does not answer at 127.0.0.1:")
}

func TestWhereAnAPIIsReached(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		":8080": "localhost:8080", "0.0.0.0:8080": "localhost:8080", "[::]:8080": "localhost:8080",
		"10.0.0.1:8080": "10.0.0.1:8080", "api.example.com:80": "api.example.com:80",
	} {
		require.Equal(t, want, localAddress(addr), addr)
	}
}

func TestHealthOfAWorkerWithoutTemporal(t *testing.T) {
	t.Parallel()
	r := newApp(t).exec(t.Context(), "health", "worker", "--temporal-address", nobody)
	require.Equal(t, ExitUnreachable, r.code)
	require.Contains(t, r.stderr, "Temporal does not answer at 127.0.0.1:")
}
