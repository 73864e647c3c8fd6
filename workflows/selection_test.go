package workflows_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/workflows"
)

var selectionJob = activities.SelectionJob{
	JobID: "0192f000-0000-7000-8000-000000000002", ProjectID: "p1", InstanceID: "i1", UserID: "u1",
	Applications: []string{"a1"}, Tasks: []string{"t1", "t2"}, ArchiveKey: "archives/p1/j2/package.zip",
}

func endsSelectionAs(state catalog.JobState, archiveKey string) any {
	return mock.MatchedBy(func(e activities.Ending) bool {
		return e.State == state && e.JobID == selectionJob.JobID && e.ArchiveKey == archiveKey && e.StagedKey == ""
	})
}

func TestDeleteAssets(t *testing.T) {
	t.Parallel()
	inUse := catalog.Reason{ResourceType: "application", ResourceName: "orders", Code: "in_use", Message: "It is in use."}
	for name, test := range map[string]struct {
		err  error
		want catalog.JobState
	}{
		"succeeds":        {nil, catalog.JobSucceeded},
		"an asset in use": {rejection(inUse), catalog.JobFailed},
		"cancelled":       {temporal.NewCanceledError(), catalog.JobCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := importEnvironment(t)
			env.RegisterActivity(&activities.Delete{})
			if test.want == catalog.JobCancelled {
				env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
			}
			env.OnActivity("CommitDeletion", mock.Anything, selectionJob).After(time.Hour).Return(catalog.DeletionResult{Deleted: 3}, test.err).Once()
			env.OnActivity("EndJob", mock.Anything, endsSelectionAs(test.want, "")).Return(answer(test.want)).Once()

			env.ExecuteWorkflow(workflows.DeleteAssets, selectionJob)

			require.Equal(t, test.err == nil, env.GetWorkflowError() == nil, "%v", env.GetWorkflowError())
		})
	}
}

// Whatever happens to an export, its clean-up knows the archive: it removes the object unless the job has succeeded.
func TestExportAssets(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		write, commit error
		cancel        bool
		ends, really  catalog.JobState
	}{
		"succeeds":                   {ends: catalog.JobSucceeded, really: catalog.JobSucceeded},
		"an unknown asset":           {write: rejection(catalog.Reason{Message: "unknown"}), ends: catalog.JobFailed, really: catalog.JobFailed},
		"the commit is given up":     {commit: errors.New("away"), ends: catalog.JobFailed, really: catalog.JobFailed},
		"cancelled in the commit":    {commit: temporal.NewCanceledError(), cancel: true, ends: catalog.JobCancelled, really: catalog.JobCancelled},
		"cancelled after the commit": {commit: temporal.NewCanceledError(), cancel: true, ends: catalog.JobCancelled, really: catalog.JobSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := importEnvironment(t)
			env.RegisterActivity(&activities.Export{})
			written := activities.WrittenArchive{Size: 7, Files: 2}
			env.OnActivity("WriteArchive", mock.Anything, selectionJob).Return(written, test.write)
			if test.write == nil {
				env.OnActivity("CommitExport", mock.Anything, selectionJob, written).After(time.Hour).Return(activities.Archived{Size: 7}, test.commit)
			}
			if test.cancel {
				env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
			}
			env.OnActivity("EndJob", mock.Anything, endsSelectionAs(test.ends, selectionJob.ArchiveKey)).Return(answer(test.really)).Once()

			env.ExecuteWorkflow(workflows.ExportAssets, selectionJob)

			require.Equal(t, test.really == catalog.JobSucceeded, env.GetWorkflowError() == nil, "%v", env.GetWorkflowError())
		})
	}
}
