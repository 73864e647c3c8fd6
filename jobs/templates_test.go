package jobs_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/workflows"
)

func TestStartTemplateImportAndAwait(t *testing.T) {
	t.Parallel()
	ctx, quiet := t.Context(), slog.New(slog.DiscardHandler)
	c, in := newTemporal(t)
	scene := catalogtest.NewScene(t, catalogtest.New(t))
	service := jobs.NewService(c, scene.Catalog, storeOfNothing(t), quiet, in)

	sub := jobs.TemplateSubmission{
		JobID: jobs.NewID(), ProjectID: scene.Project.ID, UserID: scene.User.ID, UserName: scene.User.Name, FileName: "a.st",
		Staged: storage.Staged{Key: "staging/k", Size: 7, SHA256: "ab"},
	}
	for range 2 { // there is no worker yet: it runs
		job, err := service.StartTemplateImport(ctx, sub)
		require.NoError(t, err)
		require.Equal(t, sub.JobID, job.ID)
		require.Equal(t, catalog.JobRunning, job.State)
	}
	err := service.CheckFree(ctx, catalog.ServiceTemplateImport, sub.ProjectID, sub.UserID)
	require.Equal(t, jobs.CodeRunning, fault.CodeOf(err))
	second := sub
	second.JobID = jobs.NewID()
	_, err = service.StartTemplateImport(ctx, second)
	require.Equal(t, jobs.CodeRunning, fault.CodeOf(err))
	row, err := scene.Catalog.Job(ctx, sub.JobID)
	require.NoError(t, err)
	require.Equal(t, catalog.ServiceTemplateImport, row.Kind)
	require.Equal(t, "template-import:"+sub.ProjectID+":"+sub.UserID, row.WorkflowID)
	require.JSONEq(t, `{"file_sha256": "ab", "file_size": 7}`, string(row.Request))

	job, err := service.Await(ctx, sub.ProjectID, sub.JobID, 50*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, catalog.JobRunning, job.State, "the time is over")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = service.Await(ended, sub.ProjectID, sub.JobID, time.Minute)
	require.ErrorIs(t, err, context.Canceled)
	_, err = service.Await(ctx, "another", sub.JobID, time.Minute)
	require.Equal(t, jobs.CodeNotFound, fault.CodeOf(err))

	// With a worker it ends, which somebody hears who has started it, and somebody sees who has not.
	elsewhere := jobs.NewService(c, scene.Catalog, storeOfNothing(t), quiet, in)
	type outcome struct {
		job jobs.Job
		err error
	}
	answers := make(chan outcome, 2)
	for _, s := range []*jobs.Service{service, elsewhere} {
		go func() {
			job, err := s.Await(ctx, sub.ProjectID, sub.JobID, time.Minute)
			answers <- outcome{job, err}
		}()
	}
	w := worker.New(c, workflows.DataQueue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context, job activities.TemplateJob) error {
		end := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
		return workflow.ExecuteActivity(end, "EndJob", activities.Ending{
			JobID: job.JobID, State: catalog.JobFailed, Reasons: []catalog.Reason{{Code: "not_a_template", Message: "It is none."}},
		}).Get(end, nil)
	}, workflow.RegisterOptions{Name: "ImportServiceTemplates"})
	w.RegisterActivity(&activities.End{Catalog: scene.Catalog, Storage: storeOfNothing(t), Logger: quiet})
	require.NoError(t, w.Start())
	for range 2 {
		o := <-answers
		require.NoError(t, o.err)
		require.Equal(t, catalog.JobFailed, o.job.State)
		require.Equal(t, "not_a_template", o.job.Reasons[0].Code)
	}
	require.NoError(t, service.CheckFree(ctx, catalog.ServiceTemplateImport, sub.ProjectID, sub.UserID), "the next one can start")
	_, err = service.Await(ctx, sub.ProjectID, sub.JobID, 0)
	require.NoError(t, err)

	// What an operator terminates is told as what it was.
	w.Stop()
	_, err = service.StartTemplateImport(ctx, second)
	require.NoError(t, err)
	require.NoError(t, c.TerminateWorkflow(ctx, row.WorkflowID, "", "the operator's wish"))
	job, err = service.Await(ctx, sub.ProjectID, second.JobID, time.Minute)
	require.NoError(t, err)
	require.Equal(t, catalog.JobFailed, job.State)
	require.Equal(t, string(catalog.KindServiceTemplate), job.Reasons[0].ResourceType)
}

// storeOfNothing is a store that holds nothing.
func storeOfNothing(t *testing.T) *storage.Store {
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
