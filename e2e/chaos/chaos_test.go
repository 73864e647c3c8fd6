package chaos_test

import (
	"log/slog"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/e2e/chaos"
)

// seedEnv repeats a run: what users do and who is killed; when things happen beside each other is not repeated.
const seedEnv = "ASSETFLOW_CHAOS_SEED"

const rounds = 12

func TestMain(m *testing.M) {
	chaos.Main()
	os.Exit(m.Run())
}

func TestKillsLoseNothingAndDoNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	var seed uint64
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedEnv)
	}
	report, err := chaos.Run(t.Context(), chaos.Options{
		Rounds: rounds, Seed: seed, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	t.Logf("%s=%d repeats this run\n%s", seedEnv, report.Seed, report)
	require.NoError(t, err)
	require.Equal(t, rounds, report.Rounds)
	require.Positive(t, report.Succeeded)
}
