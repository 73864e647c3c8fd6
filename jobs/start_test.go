package jobs_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/embedded/temporal/temporaltest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

var quiet = slog.New(slog.DiscardHandler)

// newTemporal connects to a Temporal server, in a namespace of the test's own without a worker, which the option names.
func newTemporal(t *testing.T) (c client.Client, in jobs.Option) {
	t.Helper()
	server := temporaltest.Prepared(t)
	c, err := client.Dial(server)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c, jobs.WithNamespace(server.Namespace)
}

// A process may die between the two steps of discarding a refused job. A row without its package would then be carried
// through by the next request of the same key, and fail; a package without its row is only swept.
func TestARefusedJobLosesItsRowBeforeItsPackage(t *testing.T) {
	t.Parallel()
	c, in := newTemporal(t)
	scene := catalogtest.NewScene(t, catalogtest.New(t))

	refused := jobs.NewID()
	var removals, tooEarly atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			_, _ = io.WriteString(w, `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`)
			return
		}
		removals.Add(1)
		if _, err := scene.Catalog.Job(r.Context(), refused); fault.KindOf(err) != fault.NotFound {
			tooEarly.Add(1)
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(store.Close)
	objects, err := storage.Open(t.Context(), storage.Config{
		Endpoint: store.URL, Region: "us-east-1", Bucket: "b", AccessKey: "ak", SecretKey: "sk", PathStyle: true,
	})
	require.NoError(t, err)
	service := jobs.NewService(c, scene.Catalog, objects, quiet, in)

	submission := jobs.ImportSubmission{
		JobID: jobs.NewID(), ProjectID: scene.Project.ID, InstanceID: scene.Instance.ID, UserID: scene.User.ID,
		FileName: "shop.zip", Mode: string(catalog.Merge),
	}
	_, err = service.StartImport(t.Context(), submission) // there is no worker: it runs for ever
	require.NoError(t, err)
	submission.JobID = refused
	_, err = service.StartImport(t.Context(), submission)
	require.Equal(t, jobs.CodeRunning, fault.CodeOf(err))
	require.EqualValues(t, 1, removals.Load())
	require.Zero(t, tooEarly.Load(), "the package went before the row")
}
