package auth_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/telemetry"
)

func TestLockOutsAreCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	metrics, err := telemetry.NewMetrics(telemetry.MetricsOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, metrics.Close(context.Background())) })
	auth.WithMetrics(metrics)(f.Service)
	counted := func(keys, passwords string) func() bool {
		return func() bool {
			return testutil.GatherAndCompare(metrics.Registry(), strings.NewReader(`
# HELP assetflow_auth_lockouts_total Failures that locked an access key or a user's password, for the first time or anew.
# TYPE assetflow_auth_lockouts_total counter
assetflow_auth_lockouts_total{of="access_key"} `+keys+`
assetflow_auth_lockouts_total{of="password"} `+passwords+"\n"), "assetflow_auth_lockouts_total") == nil
		}
	}
	ak, _ := f.key(t)
	for range auth.MaxKeyFailures {
		_, err := f.signed(ak, "wrong")
		require.Error(t, err)
	}
	require.True(t, counted("0", "0")())
	for range 3 { // the first locks it, the others are not looked at
		_, err := f.signed(ak, "wrong")
		require.Error(t, err)
	}
	require.True(t, counted("1", "0")())
	f.advance(auth.KeyLockTime)
	_, err = f.signed(ak, "wrong")
	require.Error(t, err)
	require.True(t, counted("2", "0")())

	for i := range auth.MaxPasswordFailures + 1 {
		require.True(t, counted("2", "0")())
		_, err := f.tool(t, "Authorization", basic("anna", "wrong"))
		require.Error(t, err)
		f.waitForFailures(t, f.anna.ID, i+1)
	}
	require.Eventually(t, counted("2", "1"), time.Minute, 2*time.Millisecond) // the caller has its answer already
}
