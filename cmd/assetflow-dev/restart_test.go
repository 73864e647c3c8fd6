package main

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
)

// A stack that is stopped, or killed, in the middle of a job goes on with it at the next start, and with those that wait
// behind it in their order.
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
			waiting := make([]string, 4)
			for i := range waiting {
				pkg := packagetest.Spec{Name: fmt.Sprintf("waiting %d", i), Applications: 1}.Bytes()
				waiting[i], err = c.Import(t.Context(), "waiting.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{OnConflict: client.Queue})
				require.NoError(t, err)
			}
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
			require.GreaterOrEqual(t, len(page.Assets), 50)
			for _, a := range page.Assets {
				require.Equal(t, 1, a.VersionNumber)
			}
			requireInOrder(t, c, append([]string{id}, waiting...))
		})
	}
}

// requireInOrder waits for the end of jobs that must succeed one after the other.
func requireInOrder(t *testing.T, c *client.Client, ids []string) {
	t.Helper()
	var last time.Time
	for _, id := range ids {
		job, err := c.WatchJob(t.Context(), id, nil)
		require.NoError(t, err)
		require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
		require.True(t, job.EndedAt.After(last), "job %s overtook", id)
		last = *job.EndedAt
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
