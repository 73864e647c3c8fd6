package workflows_test

import (
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"assetflow/payload"
	assetworker "assetflow/worker"
)

// How many histories stand in testdata, and of those with encrypted payloads. One that goes missing must not go unnoticed.
const (
	recorded          = 62
	recordedEncrypted = 3
)

// Every history that a server recorded must replay on today's workflows, or running jobs would break on an upgrade.
func TestReplayRecordedHistories(t *testing.T) {
	t.Parallel()
	histories, err := filepath.Glob("testdata/*/*.json")
	require.NoError(t, err)
	require.Len(t, histories, recorded)
	for _, history := range histories {
		t.Run(history, func(t *testing.T) {
			t.Parallel()
			// A workflow's turn may take longer than a second where the machine is busy.
			replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{DisableDeadlockDetection: true})
			require.NoError(t, err)
			assetworker.RegisterWorkflows(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(nil, history))
		})
	}
}

// The same for payloads that were encrypted. Without the key nothing replays, so it is really in use.
func TestReplayEncryptedHistories(t *testing.T) {
	t.Parallel()
	histories, err := filepath.Glob("testdata/encrypted/*/*.json")
	require.NoError(t, err)
	require.Len(t, histories, recordedEncrypted)
	text, err := os.ReadFile("testdata/encrypted/payload-keys")
	require.NoError(t, err)
	replay := func(t *testing.T, history, ring string) error {
		t.Helper()
		keys, err := payload.ParseKeys(ring)
		require.NoError(t, err)
		data, failures := payload.Converters(payload.NewCodec(keys, true))
		replayer, err := worker.NewWorkflowReplayerWithOptions(worker.WorkflowReplayerOptions{
			DataConverter: data, FailureConverter: failures, DisableDeadlockDetection: true,
		})
		require.NoError(t, err)
		assetworker.RegisterWorkflows(replayer)
		return replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), history)
	}
	for _, history := range histories {
		t.Run(history, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, replay(t, history, string(text)))
			require.Error(t, replay(t, history, payload.GenerateKeys("another")))
			kept, err := os.ReadFile(history)
			require.NoError(t, err)
			for _, clear := range []string{base64.StdEncoding.EncodeToString([]byte("json/plain")), "The name is taken"} {
				require.False(t, strings.Contains(string(kept), clear), clear)
			}
		})
	}
}
