package workflows_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"

	assetworker "assetflow/worker"
)

// recorded is how many histories stand in testdata. A history that goes missing must not go unnoticed.
const recorded = 36

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
