package devstack_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/devstack"
)

// The schedule starts the sweep by itself, and the sweep settles a job whose workflow never started.
func TestTheSweepRuns(t *testing.T) {
	s := start(t, devstack.Options{DataDir: t.TempDir(), NoUI: true, SweepEvery: time.Second})
	lost := catalog.Job{
		ID: catalog.NewID(), Kind: catalog.AssetImport, ProjectID: s.Credentials().ProjectID, InstanceID: s.Credentials().InstanceID,
		UserID: "nobody", WorkflowID: "asset-import:nobody", CreatedAt: time.Now().Add(-time.Hour),
	}
	require.NoError(t, s.Catalog().InsertJob(t.Context(), lost))
	require.Eventually(t, func() bool {
		job, err := s.Catalog().Job(t.Context(), lost.ID)
		require.NoError(t, err)
		return job.Settled && job.State == catalog.JobFailed
	}, time.Minute, 50*time.Millisecond)
}
