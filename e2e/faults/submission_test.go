package faults

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/catalog"
	"assetflow/client"
	"assetflow/devstack"
	"assetflow/workflows"
)

// death is a moment in a submission with an idempotency key at which the API is killed.
type death struct {
	name string
	// What holds the submission there: the store's or Temporal's answer, or the catalog.
	store, temporal func(*http.Request) bool
	when            string
	catalog         bool

	claimed bool // the key is claimed by then
	row     bool // and the job's row is there
	ended   bool // the job ends before the request is made again
	queue   bool // the submission may wait: it is the queue's workflow that is started
}

func stagesPackage(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/staging/")
}

func startsWorkflow(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/StartWorkflowExecution") || strings.HasSuffix(r.URL.Path, "/SignalWithStartWorkflowExecution")
}

var deaths = []death{
	{name: "staged and not claimed", store: stagesPackage, when: "answered"},
	{name: "claimed and no row", catalog: true, claimed: true},
	{name: "row and no workflow", temporal: startsWorkflow, when: "sent", claimed: true, row: true},
	{name: "workflow and no answer", temporal: startsWorkflow, when: "answered", claimed: true, row: true},
	{name: "job ended and no answer", temporal: startsWorkflow, when: "answered", claimed: true, row: true, ended: true},
	{name: "queued and not woken", temporal: startsWorkflow, when: "sent", claimed: true, row: true, queue: true},
	{name: "queued and no answer", temporal: startsWorkflow, when: "answered", claimed: true, row: true, queue: true},
}

// One after the other, as all tests here: there is one write lock on the catalog, which one of the cases holds.
func TestAKilledAPIStartsAKeyedJobOnce(t *testing.T) {
	for i, d := range deaths {
		t.Run(d.name, func(t *testing.T) {
			cfg := newConfig(t)
			c := client.New(cfg)
			t.Cleanup(c.Close)
			me, err := c.Me(t.Context())
			require.NoError(t, err)
			api := newAPI(t)
			pkg := packagetest.Spec{Name: "keyed", Applications: 2, Tasks: 1, FilesPerAsset: 1, FileBytes: 1 << 10, Seed: uint64(i)}.Bytes()
			cfg.Endpoint = api.endpoint
			options := client.ImportOptions{IdempotencyKey: key}
			if d.queue {
				options.OnConflict = client.Queue
			}
			submit := func() (answer, error) { return submitKeyed(t, cfg, pkg, options) }

			dieIn(t, api, d, me.UserID, submit)
			known, err := c.ListJobs(t.Context(), client.JobFilter{})
			require.NoError(t, err)
			if d.row {
				require.Len(t, known.Jobs, 1)
				workflowID := known.Jobs[0].WorkflowID
				if d.queue {
					workflowID = workflows.QueueWorkflowID(workflowID)
				}
				_, err := stack.Temporal().DescribeWorkflowExecution(t.Context(), workflowID, "")
				require.Equal(t, d.when == "answered", err == nil, "%v", err)
			} else {
				require.Empty(t, known.Jobs)
			}
			if d.ended {
				work(t, c, known.Jobs[0].ID)
			}
			if d.claimed {
				// As if the lease had run out: nobody waits for a minute here.
				require.NoError(t, stack.Catalog().RenewSubmission(t.Context(), me.UserID, key, time.Now().Add(-2*catalog.SubmissionLease)))
			}

			api.start(t, stack.Credentials().S3Endpoint, stack.TemporalAddr())
			second, err := submit()
			require.NoError(t, err)
			require.Empty(t, second.replayed, "the first answer was never given")
			third, err := submit()
			require.NoError(t, err)
			require.Equal(t, "true", third.replayed)
			third.replayed = ""
			require.Equal(t, second, third)

			if !d.ended {
				work(t, c, second.jobID)
			}
			job, err := c.Job(t.Context(), second.jobID)
			require.NoError(t, err)
			require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
			all, err := c.ListJobs(t.Context(), client.JobFilter{})
			require.NoError(t, err)
			require.Len(t, all.Jobs, 1)
			require.Equal(t, second.jobID, strings.ReplaceAll(all.Jobs[0].ID, "-", ""))
			if d.row {
				require.Equal(t, known.Jobs[0].ID, all.Jobs[0].ID)
			}
			requireOneEffect(t, c, 3)
			require.LessOrEqual(t, stagedPackages(t, cfg.ProjectID), staysBehind(d), "packages that no job was given")
		})
	}
}

// key is what all submissions here carry; each of another user.
const key = "the-one-key"

// answer is what can be seen of the answer to a submission, but for its date and the request's id.
type answer struct {
	status                    int
	contentType, length, body string
	replayed                  string // the header
	jobID                     string
}

// submitKeyed submits a package as anybody would, and keeps the answer as it came.
func submitKeyed(t *testing.T, cfg client.Config, pkg []byte, options client.ImportOptions) (answer, error) {
	t.Helper()
	var a answer
	transport := &http.Transport{ExpectContinueTimeout: 3 * time.Second}
	defer transport.CloseIdleConnections()
	cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, errors.Join(err, resp.Body.Close())
		}
		a = answer{
			status: resp.StatusCode, contentType: resp.Header.Get("Content-Type"), length: resp.Header.Get("Content-Length"),
			body: string(body), replayed: resp.Header.Get("Idempotency-Replayed"),
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	})
	var err error
	a.jobID, err = client.New(cfg).Import(t.Context(), "keyed.zip", bytes.NewReader(pkg), int64(len(pkg)), options)
	return a, err
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// staysBehind is how many staged packages the sweep has to find: what the killed process staged for itself.
func staysBehind(d death) int {
	if d.claimed {
		return 0
	}
	return 1
}

func stagedPackages(t *testing.T, project string) int {
	t.Helper()
	n := 0
	for _, err := range stack.Storage().ListStaged(t.Context(), "staging/"+project+"/") {
		require.NoError(t, err)
		n++
	}
	return n
}

// dieIn has the API killed in the middle of a submission.
func dieIn(t *testing.T, api *apiProcess, d death, userID string, submit func() (answer, error)) {
	t.Helper()
	s3Endpoint, temporalAddr, held := stack.Credentials().S3Endpoint, stack.TemporalAddr(), make(chan struct{})
	release := func() {}
	switch {
	case d.store != nil:
		target, err := url.Parse(s3Endpoint)
		require.NoError(t, err)
		s3Endpoint = "http://" + (&gate{holds: d.store, when: d.when, held: held}).open(t, target)
	case d.temporal != nil:
		temporalAddr = (&gate{holds: d.temporal, when: d.when, held: held}).open(t, &url.URL{Scheme: "grpc", Host: temporalAddr})
	case d.catalog:
		release = holdJobRows(t)
	}
	api.start(t, s3Endpoint, temporalAddr)
	ended := make(chan error, 1)
	go func() {
		_, err := submit()
		ended <- err
	}()
	if d.catalog {
		db := openFile(t)
		go func() {
			awaitClaim(t.Context(), db, userID)
			close(held)
		}()
	}
	select {
	case <-held:
	case err := <-ended:
		require.Fail(t, "the submission was not held", "%v", err)
	case <-time.After(2 * time.Minute):
		require.Fail(t, "the submission did not come to its point")
	}
	api.kill(t)
	release()
	var unanswered *client.UnreachableError
	require.ErrorAs(t, <-ended, &unanswered)
}

// holdJobRows makes the catalog's file take no row of a job: whoever writes one computes for ever.
func holdJobRows(t *testing.T) (release func()) {
	t.Helper()
	db := openFile(t)
	for _, statement := range []string{
		"CREATE VIEW for_ever AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) AS i FROM n",
		"CREATE TRIGGER hold BEFORE INSERT ON jobs BEGIN SELECT i FROM for_ever; END",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	return func() {
		for _, statement := range []string{"DROP TRIGGER hold", "DROP VIEW for_ever"} {
			_, err := db.ExecContext(context.Background(), statement)
			require.NoError(t, err)
		}
	}
}

// awaitClaim returns when the user has claimed a key, or the test ends.
func awaitClaim(ctx context.Context, db *sql.DB, userID string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for claims := 0; claims == 0; <-tick.C {
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM submissions WHERE user_id = ?", userID).Scan(&claims); err != nil {
			return
		}
	}
}

// openFile opens the file of the catalog beside whoever works with it.
func openFile(t *testing.T) *sql.DB {
	t.Helper()
	attached, err := devstack.Attach(dataDir)
	require.NoError(t, err)
	db, err := sql.Open("sqlite", strings.TrimPrefix(attached.CatalogURL, "sqlite:")+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// work has a worker end a job that runs.
func work(t *testing.T, c *client.Client, id string) {
	t.Helper()
	worker := startWorker(t, kill{})
	_, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
	require.NoError(t, worker.Wait())
}
