package jobs_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

func TestStartCopy(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, in := newTemporal(t)
	scene := catalogtest.NewScene(t, catalogtest.New(t))
	service := jobs.NewService(c, scene.Catalog, emptyStore(t), quiet, in)

	sub := jobs.CopySubmission{
		JobID: jobs.NewID(), ProjectID: scene.Project.ID, UserID: scene.User.ID, UserName: scene.User.Name,
		AssetID: "a1", AssetName: "the film", SourceRegion: "north",
		Staged: storage.Staged{Key: "staging/k", Size: 7, SHA256: strings.Repeat("ab", 32)},
	}
	require.NoError(t, service.CheckFree(ctx, catalog.AssetCopy, sub.ProjectID, sub.UserID))
	for range 2 { // there is no worker: it runs for ever
		job, err := service.StartCopy(ctx, sub)
		require.NoError(t, err)
		require.Equal(t, sub.JobID, job.ID)
		require.Equal(t, catalog.JobRunning, job.State)
	}
	err := service.CheckFree(ctx, catalog.AssetCopy, sub.ProjectID, sub.UserID)
	require.Equal(t, jobs.CodeRunning, fault.CodeOf(err))
	row, err := scene.Catalog.Job(ctx, sub.JobID)
	require.NoError(t, err)
	require.Equal(t, catalog.AssetCopy, row.Kind)
	require.Empty(t, row.InstanceID)
	require.Equal(t, "the film", row.Subject)
	require.JSONEq(t, `{"asset_id": "a1", "source_region": "north"}`, string(row.Request))

	// The workflow is told where the replication info is, and nothing of it.
	history := c.GetWorkflowHistory(ctx, "asset-copy:"+sub.ProjectID+":"+sub.UserID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	event, err := history.Next()
	require.NoError(t, err)
	started := event.GetWorkflowExecutionStartedEventAttributes()
	require.Equal(t, "CopyAsset", started.GetWorkflowType().GetName())
	var input json.RawMessage
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(started.GetInput(), &input))
	want, err := json.Marshal(activities.CopyJob{
		JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, AssetID: "a1", AssetName: "the film",
		Staged: activities.StagedPackage(sub.Staged),
	})
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(input))

	second := sub
	second.JobID = jobs.NewID()
	_, err = service.StartCopy(ctx, second)
	f, ok := fault.As(err)
	require.True(t, ok)
	require.Equal(t, jobs.CodeRunning, f.Code)
	require.Equal(t, sub.JobID, f.Details)
	_, err = scene.Catalog.Job(ctx, second.JobID)
	require.Equal(t, fault.NotFound, fault.KindOf(err), "nothing is left of the refused one")
}

// emptyStore is a store that holds nothing.
func emptyStore(t *testing.T) *storage.Store {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`)
	}))
	t.Cleanup(server.Close)
	store, err := storage.Open(t.Context(), storage.Config{
		Endpoint: server.URL, Region: "us-east-1", Bucket: "b", AccessKey: "ak", SecretKey: "sk", PathStyle: true,
	})
	require.NoError(t, err)
	return store
}
