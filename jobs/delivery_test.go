package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/jobs"
)

func TestStartDelivery(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, in := newTemporal(t)
	scene := catalogtest.NewScene(t, catalogtest.New(t))
	service := jobs.NewService(c, scene.Catalog, emptyStore(t), quiet, in, jobs.WithDelivery(30*time.Minute, time.Minute))

	sub := jobs.DeliverySubmission{
		JobID: jobs.NewID(), ProjectID: scene.Project.ID, UserID: scene.User.ID, UserName: scene.User.Name, Action: catalog.AddonInstall,
		EnvironmentID: "e1", EnvironmentName: "development", AddonID: "a1", Name: "hello", TargetID: "gitops", CSEID: "c1",
	}
	for range 2 { // there is no worker: it runs for ever
		job, err := service.StartDelivery(ctx, sub)
		require.NoError(t, err)
		require.Equal(t, sub.JobID, job.ID)
		require.Equal(t, catalog.JobRunning, job.State)
	}
	row, err := scene.Catalog.Job(ctx, sub.JobID)
	require.NoError(t, err)
	require.Equal(t, catalog.AddonDelivery, row.Kind)
	require.Equal(t, jobs.DeliveryWorkflowID(sub.ProjectID, "e1", "gitops", "hello"), row.WorkflowID)
	require.JSONEq(t, `{"action": "install", "environment_id": "e1", "environment_name": "development", "addon_id": "a1",
		"name": "hello", "cce_id": "gitops", "cse_id": "c1"}`, string(row.Request))

	desc, err := c.DescribeWorkflow(ctx, row.WorkflowID, "")
	require.NoError(t, err)
	summary, err := desc.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "Install hello on gitops in development", summary)
	event, err := c.GetWorkflowHistory(ctx, row.WorkflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	require.NoError(t, err)
	started := event.GetWorkflowExecutionStartedEventAttributes()
	require.Equal(t, "DeliverAddon", started.GetWorkflowType().GetName())
	var input, want json.RawMessage
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(started.GetInput(), &input))
	want, err = json.Marshal(activities.DeliveryJob{
		JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, Action: sub.Action, EnvironmentID: "e1", EnvironmentName: "development",
		AddonID: "a1", Name: "hello", TargetID: "gitops", CSEID: "c1", Deadline: 30 * time.Minute, HealthTimeout: time.Minute,
		CreatedAt: inputOf(t, input).CreatedAt,
	})
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(input))
	require.WithinDuration(t, row.CreatedAt, inputOf(t, input).CreatedAt, time.Millisecond, "the job's own time")

	// What a terminated delivery has done to its target nobody undoes, and the job does not claim so.
	require.NoError(t, c.TerminateWorkflow(ctx, row.WorkflowID, "", "the operator's wish"))
	job, err := service.Await(ctx, sub.ProjectID, sub.JobID, time.Minute)
	require.NoError(t, err)
	require.Equal(t, catalog.JobFailed, job.State)
	require.Equal(t, []catalog.Reason{{
		ResourceType: "addon", ResourceName: "hello", Code: "abandoned",
		Message: "The job was terminated by an operator; what it had done to its target stays as it is. Ask the operator why, and submit it again.",
	}}, job.Reasons)
}

func inputOf(t *testing.T, text []byte) (job activities.DeliveryJob) {
	t.Helper()
	require.NoError(t, json.Unmarshal(text, &job))
	return job
}
