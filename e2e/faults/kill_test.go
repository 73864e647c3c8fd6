// Package faults kills worker processes in the middle of every step and proves that the job goes on elsewhere, with
// exactly one effect; and API processes in the middle of a submission, which made again starts the job once.
package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/addons/clustertest"
	"assetflow/assetpackage/packagetest"
	"assetflow/auth"
	"assetflow/client"
	"assetflow/devstack"
)

// stack has no worker of its own; dataDir is its folder.
var (
	stack   *devstack.Stack
	dataDir string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if spec := os.Getenv(workerEnv); spec != "" {
		if err := runWorker(spec); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			return 1
		}
		return 0
	}
	if os.Getenv(apiEnv) != "" {
		fmt.Fprintln(os.Stderr, "API ended:", runAPI())
		return 1
	}
	var err error
	if source, err = startSource(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer source.stop()
	dataDir, err = os.MkdirTemp("", "assetflow-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dataDir) }()
	if err := os.WriteFile(kubeconfig(), []byte(noCluster), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	stack, err = devstack.Start(ctx, devstack.Options{
		DataDir: dataDir, NoUI: true, NoWorker: true, KeyRing: keyRing, Sources: []string{source.url},
		Targets: targets(), HealthTimeout: healthTimeout,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the stack:", err)
		return 1
	}
	if err := source.open(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "open the source region:", err)
		return 1
	}
	code := clustertest.Run(m)
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := stack.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop the stack:", err)
		return 1
	}
	return code
}

// The kills: each step at its first and at a later request to the store, and when its effect was made but not yet told.
var kills = []kill{
	{Step: "InspectPackage", Request: 1, When: "answered"},
	{Step: "InspectPackage"},
	{Step: "StoreFiles", Request: 3, When: "answered"},
	{Step: "StoreFiles", Request: 6, When: "sent"},
	{Step: "StoreFiles"},
	{Step: "CommitImport", Request: 1, When: "answered"},
	{Step: "CommitImport"},
	{Step: "EndJob", Request: 1, When: "answered"},
	{Step: "EndJob"},
}

// One after the other: the worker that kills itself would take the steps of other jobs along.
func TestAKilledWorkerLosesNothing(t *testing.T) {
	for i, k := range enough(kills) {
		t.Run(k.String(), func(t *testing.T) {
			c, project := newCaller(t)
			// The files are large enough to go to the store in several parts, and no two cases share one, or there would
			// be nothing to store.
			pkg := packagetest.Spec{Name: "kill", Applications: 1, Tasks: 1, FilesPerAsset: 2, FileBytes: 9 << 20, Seed: uint64(i)}.Bytes()
			id, err := c.Import(t.Context(), "kill.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
			require.NoError(t, err)

			job := killAndGoOn(t, c, k, id)

			require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
			requireOneEffect(t, c, 2)
			for object, err := range stack.Storage().ListStaged(t.Context(), "staging/"+project+"/") {
				require.NoError(t, err)
				require.Fail(t, "left in staging", object.Key)
			}
		})
	}
}

// A job that is cancelled while its worker is dead ends as cancelled: the step has timed out by then.
func TestAJobIsCancelledWhileItsWorkerIsDead(t *testing.T) {
	c, project := newCaller(t)
	pkg := packagetest.Spec{Name: "dead", Applications: 1, FilesPerAsset: 2, FileBytes: 9 << 20, Seed: 77}.Bytes()
	id, err := c.Import(t.Context(), "dead.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	require.NoError(t, err)
	killIn(t, c, kill{Step: "StoreFiles", Request: 3, When: "answered"}, id)
	_, err = c.CancelJob(t.Context(), id)
	require.NoError(t, err)
	goOn(t, c, id)
	job, err := c.ShowJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, client.JobCancelled, job.State, "%+v", job.Reasons)
	requireOneEffect(t, c, 0)
	for object, err := range stack.Storage().ListStaged(t.Context(), "staging/"+project+"/") {
		require.NoError(t, err)
		require.Fail(t, "left in staging", object.Key)
	}
}

// killAndGoOn lets a worker kill itself in the job, and another one end it.
func killAndGoOn(t *testing.T, c *client.Client, k kill, id string) client.Job {
	t.Helper()
	killIn(t, c, k, id)
	return goOn(t, c, id)
}

// killIn lets a worker kill itself in the job.
func killIn(t *testing.T, c *client.Client, k kill, id string) {
	t.Helper()
	killWorker(t, k)
	job, err := c.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, client.Running, job.Status)
}

// killWorker lets a worker kill itself.
func killWorker(t *testing.T, k kill) {
	t.Helper()
	killed := startWorker(t, k)
	require.Error(t, killed.Wait(), "the worker did not come to the point where it kills itself")
	status, ok := killed.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal())
}

// goOn lets another worker end the job.
func goOn(t *testing.T, c *client.Client, id string) client.Job {
	t.Helper()
	healthy := startWorker(t, kill{})
	job, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.NoError(t, healthy.Process.Signal(syscall.SIGTERM))
	require.NoError(t, healthy.Wait())
	return job
}

// The same for jobs over assets that are there: exports, and the deletion that ends the test.
func TestAKilledWorkerLosesNoSelection(t *testing.T) {
	c, project := newCaller(t)
	pkg := packagetest.Spec{Name: "kill", Applications: 1, Tasks: 1, FilesPerAsset: 2, FileBytes: 9 << 20}.Bytes()
	id, err := c.Import(t.Context(), "kill.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	require.NoError(t, err)
	worker := startWorker(t, kill{})
	job, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
	require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
	require.NoError(t, worker.Wait())
	page, err := c.ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	var chosen client.Selection
	for _, a := range page.Assets {
		if a.Kind == "task" {
			chosen.Tasks = append(chosen.Tasks, a.ID)
		} else {
			chosen.Applications = append(chosen.Applications, a.ID)
		}
	}

	for _, k := range enough([]kill{
		{Step: "WriteArchive", Request: 4, When: "answered"}, {Step: "WriteArchive"}, {Step: "CommitExport"}, {Step: "EndJob"},
	}) {
		t.Run("export/"+k.String(), func(t *testing.T) {
			id, err := c.StartExport(t.Context(), chosen, client.StartOptions{})
			require.NoError(t, err)
			job := killAndGoOn(t, c, k, id)
			require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
			var archive bytes.Buffer
			_, err = c.DownloadArchive(t.Context(), job.ArchiveID, &archive, nil)
			require.NoError(t, err)
			require.Equal(t, pkg, archive.Bytes())
			// The API removes it when it knows that the last byte has arrived.
			require.Eventually(t, func() bool {
				for _, err := range stack.Storage().ListArchives(t.Context(), "archives/"+project+"/") {
					require.NoError(t, err)
					return false
				}
				return true
			}, time.Minute, 20*time.Millisecond, "the archive stays after its download")
		})
	}
	t.Run("delete/CommitDeletion", func(t *testing.T) {
		id, err := c.StartDeletion(t.Context(), chosen, client.StartOptions{})
		require.NoError(t, err)
		job := killAndGoOn(t, c, kill{Step: "CommitDeletion"}, id)
		require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
		page, err := c.ListAssets(t.Context(), client.AssetFilter{})
		require.NoError(t, err)
		require.Empty(t, page.Assets)
	})
}

// requireOneEffect proves that there are just so many assets, each in its first version, with all their bytes.
func requireOneEffect(t *testing.T, c *client.Client, assets int) {
	t.Helper()
	page, err := c.ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	require.Len(t, page.Assets, assets)
	for _, a := range page.Assets {
		require.Equal(t, 1, a.VersionNumber)
		asset, err := c.Asset(t.Context(), a.ID)
		require.NoError(t, err)
		require.NotEmpty(t, asset.Files)
		for _, f := range asset.Files {
			blob, size, err := stack.Storage().OpenBlob(t.Context(), f.SHA256)
			require.NoError(t, err)
			require.Equal(t, f.Size, size)
			digest := sha256.New()
			_, err = io.Copy(digest, blob)
			require.NoError(t, err)
			require.NoError(t, blob.Close())
			require.Equal(t, f.SHA256, hex.EncodeToString(digest.Sum(nil)))
		}
	}
}

// newCaller makes a project of its own with a caller.
func newCaller(t *testing.T) (c *client.Client, projectID string) {
	t.Helper()
	cfg := newConfig(t)
	c = client.New(cfg)
	t.Cleanup(c.Close)
	return c, cfg.ProjectID
}

// newConfig is newCaller, for a client of one's own.
func newConfig(t *testing.T) client.Config {
	t.Helper()
	project, err := stack.Catalog().CreateProject(t.Context(), "faults", "p-"+uuid.NewString())
	require.NoError(t, err)
	instance, err := stack.Catalog().CreateInstance(t.Context(), project.ID, "main")
	require.NoError(t, err)
	user, err := stack.Auth().AddUser(t.Context(), "faults", "u-"+uuid.NewString(), "pass-"+uuid.NewString())
	require.NoError(t, err)
	require.NoError(t, stack.Auth().GrantRole(t.Context(), user.ID, project.ID, string(auth.RoleDevelop)))
	ak, sk, err := stack.Auth().AddAccessKey(t.Context(), user.ID)
	require.NoError(t, err)
	return client.Config{
		Endpoint: stack.Credentials().Endpoint, ProjectID: project.ID, InstanceID: instance.ID, AccessKey: ak, SecretKey: sk,
	}
}
