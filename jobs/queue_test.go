package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/jobs"
	"assetflow/workflows"
)

// A job may be written down as waiting by a process that dies before it wakes the queue. Whoever looks at the job later,
// or the sweep, has it started.
func TestALostQueueIsWoken(t *testing.T) {
	t.Parallel()
	c, in := newTemporal(t)
	scene := catalogtest.NewScene(t, catalogtest.New(t))
	service := jobs.NewService(c, scene.Catalog, nil, quiet, in)

	for name, test := range map[string]struct {
		age  time.Duration
		open bool
	}{
		"just now": {0, false}, "long ago": {time.Hour, true},
	} {
		job := catalog.Job{
			ID: jobs.NewID(), Kind: catalog.AssetDelete, ProjectID: scene.Project.ID, InstanceID: scene.Instance.ID,
			UserID: scene.User.ID, WorkflowID: "asset-delete:" + name, CreatedAt: time.Now().Add(-test.age),
		}
		_, err := scene.Catalog.EnqueueJob(t.Context(), catalog.QueuedJob{Job: job, Start: json.RawMessage(`{}`)}, 1)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, service.Settle(t.Context(), scene.Project.ID, job.ID))
		}
		got, err := service.Get(t.Context(), scene.Project.ID, job.ID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobQueued, got.State, name)
		desc, err := c.DescribeWorkflowExecution(t.Context(), workflows.QueueWorkflowID(job.WorkflowID), "")
		require.Equal(t, test.open, err == nil && desc.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, "%s: %v", name, err)
	}
}
