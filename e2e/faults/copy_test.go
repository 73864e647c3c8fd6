package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"assetflow/activities"
	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/jobs"
	"assetflow/storage"
)

// copier is somebody who copies assets into a project of their own.
type copier struct {
	t                    *testing.T
	project, user        string
	accessKey, secretKey string
}

func newCopier(t *testing.T) *copier {
	t.Helper()
	project, err := stack.Catalog().CreateProject(t.Context(), "faults", "p-"+uuid.NewString())
	require.NoError(t, err)
	user, err := stack.Auth().AddUser(t.Context(), "faults", "u-"+uuid.NewString(), "pass-"+uuid.NewString())
	require.NoError(t, err)
	require.NoError(t, stack.Auth().GrantRole(t.Context(), user.ID, project.ID, string(auth.RoleDevelop)))
	c := &copier{t: t, project: project.ID, user: user.ID}
	c.accessKey, c.secretKey, err = stack.Auth().AddAccessKey(t.Context(), user.ID)
	require.NoError(t, err)
	return c
}

// call makes a signed request and gives the answer, whose body is decoded into into unless that is nil.
func (c *copier) call(method, path, body string, into any) *http.Response {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, stack.Credentials().Endpoint+path, strings.NewReader(body))
	require.NoError(c.t, err)
	request.Header.Set("Content-Type", "application/json")
	require.NoError(c.t, signature.Sign(request, c.accessKey, c.secretKey, time.Now()))
	answer, err := http.DefaultClient.Do(request)
	require.NoError(c.t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(c.t, err)
	require.Less(c.t, answer.StatusCode, 300, "%s %s: %s", method, path, text)
	if into != nil {
		require.NoError(c.t, json.Unmarshal(text, into))
	}
	return answer
}

// start starts a copy and gives the job's id.
func (c *copier) start(info string) string {
	c.t.Helper()
	return c.call("POST", "/v1/"+c.project+"/digital-assets-by-replication-info", info, nil).Header.Get("X-Job-Id")
}

type nativeJob struct {
	State   string
	Result  catalog.CopyResult
	Reasons []struct{ Message string }
}

func (c *copier) job(id string) (job nativeJob) {
	c.t.Helper()
	c.call("GET", "/api/v1/jobs/"+id, "", &job)
	return job
}

// await waits until a job has ended.
func (c *copier) await(id string) (job nativeJob) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		job = c.job(id)
		return job.State != string(catalog.JobRunning)
	}, 3*time.Minute, 50*time.Millisecond, "the job does not end")
	return job
}

// requireCopied proves that there is the asset in its first version with all its bytes, and nothing else of the copy.
func (c *copier) requireCopied(assetID string, files []copyFile) {
	c.t.Helper()
	ctx := c.t.Context()
	asset, err := stack.Catalog().DigitalAsset(ctx, c.project, assetID)
	require.NoError(c.t, err)
	require.Equal(c.t, catalog.DigitalActived, asset.State)
	require.Equal(c.t, 2, asset.VersionNumber, "it began without files, and has been committed once")
	require.JSONEq(c.t, `{"a":"<b>"}`, string(asset.ExtraMeta))
	require.Len(c.t, asset.Files, len(files))
	for _, f := range files {
		blob, size, err := stack.Storage().OpenBlob(ctx, f.sha256)
		require.NoError(c.t, err)
		require.EqualValues(c.t, len(f.content), size)
		content, err := io.ReadAll(blob)
		require.NoError(c.t, err)
		require.NoError(c.t, blob.Close())
		require.True(c.t, bytes.Equal(f.content, content))
	}
	c.requireNothingLeft(files)
}

// requireNothingLeft proves that neither staging nor unfinished uploads are left.
func (c *copier) requireNothingLeft(files []copyFile) {
	c.t.Helper()
	for object, err := range stack.Storage().ListStaged(c.t.Context(), "staging/"+c.project+"/") {
		require.NoError(c.t, err)
		require.Fail(c.t, "left in staging", object.Key)
	}
	for upload, err := range stack.Storage().ListUnfinishedUploads(c.t.Context(), "blobs/") {
		require.NoError(c.t, err)
		for _, f := range files {
			require.NotEqual(c.t, storage.BlobKey(f.sha256), upload.Key, "left as an upload")
		}
	}
}

// The kills of a copy, at requests to the target region's own store and when effects are not told yet.
var copyKills = []kill{
	{Step: "ReadManifest"},
	{Step: "CopyFiles", Request: 9, When: "sent"},
	{Step: "CopyFiles"},
	{Step: "CommitCopy"},
	{Step: "EndJob", Request: 2, When: "answered"},
}

func TestAKilledWorkerLosesNoCopy(t *testing.T) {
	for _, k := range enough(copyKills) {
		t.Run(k.String(), func(t *testing.T) {
			c := newCopier(t)
			assetID, info, files := source.newAsset(t, 9<<20, 20<<20, 300_000, 0, 1)
			id := c.start(info)
			killed := startWorker(t, k)
			require.Error(t, killed.Wait(), "the worker did not come to the point where it kills itself")
			require.Equal(t, syscall.SIGKILL, killed.ProcessState.Sys().(syscall.WaitStatus).Signal())
			require.Equal(t, string(catalog.JobRunning), c.job(id).State)

			healthy := startWorker(t, kill{})
			job := c.await(id)
			require.NoError(t, healthy.Process.Signal(syscall.SIGTERM))
			require.NoError(t, healthy.Wait())
			require.Equal(t, string(catalog.JobSucceeded), job.State, "%+v", job.Reasons)
			require.Equal(t, 2, job.Result.VersionNumber)
			if k.When == "sent" {
				// An upload that was made and not noted yet is nobody's: the sweep's.
				sweepUploads(t)
			}
			c.requireCopied(assetID, files)
		})
	}
}

// sweepUploads runs the sweep's own step at a time at which everything is past its grace.
func sweepUploads(t *testing.T) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	sweep := &activities.Sweep{
		Catalog: stack.Catalog(), Storage: stack.Storage(), Logger: slog.New(slog.DiscardHandler), Grace: time.Hour,
		Now: func() time.Time { return time.Now().Add(24 * time.Hour) },
	}
	env.RegisterActivity(sweep)
	_, err := env.ExecuteActivity(sweep.AbortUploads)
	require.NoError(t, err)
}

const mib = 1 << 20

// A worker is killed in the middle of a large file. Its successor asks the source for nothing that was stored.
func TestAKilledCopyGoesOnWhereItWas(t *testing.T) {
	c := newCopier(t)
	assetID, info, files := source.newAsset(t, 200_000, 6*storage.PartSize-mib, 3*mib)
	large := files[1]
	// The first three parts arrive, and the small files; then the source says nothing more.
	source.holdBack(func(r ranged) bool { return isBlob(r.path) && r.off >= 3*storage.PartSize })
	id := c.start(info)
	killed := startWorker(t, kill{})
	c.awaitHeartbeat(id, func(state heartbeat) bool {
		return state.Next == 1 && state.Uploads[large.sha256].Parts == 3 &&
			state.Done == int64(len(files[0].content)+3*storage.PartSize+len(files[2].content))
	})
	missing := []int64{3 * storage.PartSize, 4 * storage.PartSize, 5 * storage.PartSize}
	source.awaitHeld(t, large, missing...)
	require.Equal(t, []int64{0, storage.PartSize, 2 * storage.PartSize}, source.requests(large)[:3])
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	source.release()

	healthy := startWorker(t, kill{})
	job := c.await(id)
	require.NoError(t, healthy.Process.Signal(syscall.SIGTERM))
	require.NoError(t, healthy.Wait())
	require.Equal(t, string(catalog.JobSucceeded), job.State, "%+v", job.Reasons)
	require.Equal(t, missing, source.requests(large))
	require.Empty(t, source.requests(files[0]))
	require.Empty(t, source.requests(files[2]))
	c.requireCopied(assetID, files)
}

// A copy is cancelled while no worker lives: whoever cleans up knows the uploads that were begun.
func TestACancelledCopyLeavesNothing(t *testing.T) {
	c := newCopier(t)
	assetID, info, files := source.newAsset(t, 4*storage.PartSize)
	source.holdBack(func(r ranged) bool { return isBlob(r.path) && r.off >= 2*storage.PartSize })
	id := c.start(info)
	killed := startWorker(t, kill{})
	c.awaitHeartbeat(id, func(state heartbeat) bool { return state.Uploads[files[0].sha256].Parts == 2 })
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	c.call("POST", "/api/v1/jobs/"+id+"/cancel", "", nil)
	healthy := startWorker(t, kill{})
	job := c.await(id)
	require.NoError(t, healthy.Process.Signal(syscall.SIGTERM))
	require.NoError(t, healthy.Wait())
	source.release()
	require.Equal(t, string(catalog.JobCancelled), job.State)
	asset, err := stack.Catalog().DigitalAsset(t.Context(), c.project, assetID)
	require.NoError(t, err)
	require.Equal(t, catalog.DigitalFailed, asset.State)
	require.Contains(t, asset.Reason, "cancelled")
	require.Empty(t, asset.Files)
	has, err := stack.Storage().HasBlob(t.Context(), files[0].sha256)
	require.NoError(t, err)
	require.False(t, has)
	c.requireNothingLeft(files)
}

// heartbeat is what the step that copies tells.
type heartbeat struct {
	Done, Total int64
	Next        int
	Uploads     map[string]struct{ Parts int }
}

// awaitHeartbeat waits until the server has been told such a heartbeat.
func (c *copier) awaitHeartbeat(jobID string, like func(heartbeat) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	var last heartbeat
	for {
		desc, err := stack.Temporal().DescribeWorkflowExecution(ctx, jobs.WorkflowID(catalog.AssetCopy, c.project, c.user), "")
		require.NoError(c.t, err, "last: %+v", last)
		for _, pending := range desc.GetPendingActivities() {
			details := pending.GetHeartbeatDetails()
			if pending.GetActivityType().GetName() != "CopyFiles" || details == nil {
				continue
			}
			last = heartbeat{}
			require.NoError(c.t, converter.GetDefaultDataConverter().FromPayloads(details, &last))
			if like(last) {
				return
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			require.Fail(c.t, "no such heartbeat", "job %s, last: %+v", jobID, last)
		}
	}
}
