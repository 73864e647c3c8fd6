package main

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
)

// A stack that is stopped, or killed, in the middle of a job goes on with it at the next start.
func TestARestartGoesOnWithARunningJob(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first := command(t, dir)
			startReady(t, first)
			c := connect(t, dir)
			// Large enough that storing it takes a while.
			pkg := packagetest.Spec{Name: "restart", Applications: 50, FilesPerAsset: 2, FileBytes: 3 << 20}
			size, err := pkg.Size(t.Context())
			require.NoError(t, err)
			body := pkg.Reader(t.Context())
			id, err := c.Import(t.Context(), "restart.zip", body, size, client.ImportOptions{})
			require.NoError(t, err)
			require.NoError(t, body.Close())
			require.Eventually(t, func() bool {
				job, err := c.ShowJob(t.Context(), id)
				require.NoError(t, err)
				require.Equal(t, client.JobRunning, job.State, "the job ended too early for this test")
				return job.Step == "Store the files" && job.Progress > 0.25
			}, time.Minute, time.Millisecond)

			require.NoError(t, first.Process.Signal(signal))
			ended := first.Wait()
			require.Equal(t, signal == syscall.SIGTERM, ended == nil, "%v", ended)

			startReady(t, command(t, dir))
			c = connect(t, dir)
			job, err := c.WaitJob(t.Context(), id, nil)
			require.NoError(t, err)
			require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)
			page, err := c.ListAssets(t.Context(), client.AssetFilter{Limit: 500})
			require.NoError(t, err)
			require.Len(t, page.Assets, 50)
			for _, a := range page.Assets {
				require.Equal(t, 1, a.VersionNumber)
			}
		})
	}
}

func connect(t *testing.T, dir string) *client.Client {
	t.Helper()
	credentials := readCredentials(t, dir)
	c := client.New(client.Config{
		Endpoint: credentials.Endpoint, ProjectID: credentials.ProjectID, InstanceID: credentials.InstanceID,
		AccessKey: credentials.AccessKey, SecretKey: credentials.SecretKey,
	})
	t.Cleanup(c.Close)
	return c
}
