package catalog_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

const queueID = "asset-import:p:u"

// newQueued makes a job that may wait.
func newQueued(s catalogtest.Scene, subject string, replaces bool) catalog.QueuedJob {
	return catalog.QueuedJob{
		Job: catalog.Job{
			ID: catalog.NewID(), Kind: catalog.AssetImport, ProjectID: s.Project.ID, InstanceID: s.Instance.ID,
			UserID: s.User.ID, WorkflowID: queueID, Subject: subject,
		},
		Replaces: replaces, Start: json.RawMessage(fmt.Sprintf(`{"subject":%q}`, subject)),
	}
}

func requireNext(t *testing.T, c *catalog.Catalog, want catalog.QueuedJob) {
	t.Helper()
	next, err := c.FirstQueued(ctx, want.WorkflowID)
	require.NoError(t, err)
	require.Equal(t, want.ID, next.ID)
	require.Equal(t, want.Replaces, next.Replaces)
	require.JSONEq(t, string(want.Start), string(next.Start))
	require.Equal(t, catalog.JobQueued, next.State)
}

func TestAQueue(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		_, err := c.FirstQueued(ctx, queueID)
		requireFault(t, err, fault.NotFound, "catalog.queue_empty")

		first, second, other := newQueued(s, "first", false), newQueued(s, "second", false), newQueued(s, "other", false)
		other.WorkflowID = "asset-import:p:other"
		for _, job := range []catalog.QueuedJob{first, second, other} {
			replaced, err := c.EnqueueJob(ctx, job, 3)
			require.NoError(t, err)
			require.Empty(t, replaced)
		}
		_, err = c.EnqueueJob(ctx, first, 3)
		requireFault(t, err, fault.Conflict, "catalog.job_exists")
		requireNext(t, c, first)
		requireNext(t, c, other)

		// Nobody overtakes those that wait.
		impatient := newQueued(s, "impatient", false).Job
		err = c.InsertJob(ctx, impatient)
		requireFault(t, err, fault.Conflict, "catalog.jobs_queued")
		refusal, _ := fault.As(err)
		require.Equal(t, first.ID, refusal.Details)
		_, err = c.Job(ctx, impatient.ID)
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")

		// One that replaces comes first, and makes an earlier one superfluous; both count.
		replaces, again := newQueued(s, "replaces", true), newQueued(s, "again", true)
		_, err = c.EnqueueJob(ctx, replaces, 3)
		require.NoError(t, err)
		requireNext(t, c, replaces)
		_, err = c.EnqueueJob(ctx, newQueued(s, "too many", false), 3)
		requireFault(t, err, fault.Conflict, "catalog.queue_full")
		replaced, err := c.EnqueueJob(ctx, again, 3)
		require.NoError(t, err)
		require.Len(t, replaced, 1)
		require.Equal(t, replaces.ID, replaced[0].ID)
		requireNext(t, c, again)
		gone, err := c.Job(ctx, replaces.ID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobCancelled, gone.State)
		require.Contains(t, gone.Reasons[0].Message, again.ID)

		for state, want := range map[catalog.JobState]int{
			catalog.JobQueued: 4, catalog.JobRunning: 0, catalog.JobCancelled: 1, "": 5,
		} {
			jobs, _, err := c.ListJobs(ctx, catalog.JobFilter{ProjectID: s.Project.ID, State: state})
			require.NoError(t, err)
			require.Len(t, jobs, want, string(state))
		}

		// One that was started runs, and can have its effect.
		require.NoError(t, c.DequeueJob(ctx, again.ID))
		require.NoError(t, c.DequeueJob(ctx, again.ID))
		running, err := c.Job(ctx, again.ID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobRunning, running.State)
		requireNext(t, c, first)
		waited, err := c.EndQueuedJob(ctx, again.ID, catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		require.False(t, waited)

		// One that is given up leaves the queue.
		waited, err = c.EndQueuedJob(ctx, first.ID, catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		require.True(t, waited)
		_, err = c.EndQueuedJob(ctx, second.ID, catalog.JobOutcome{State: catalog.JobRunning})
		requireFault(t, err, fault.Invalid, "catalog.bad_outcome")
		requireNext(t, c, second)
		_, err = c.EndJob(ctx, second.ID, catalog.JobOutcome{State: catalog.JobFailed})
		require.NoError(t, err)
		_, err = c.FirstQueued(ctx, queueID)
		requireFault(t, err, fault.NotFound, "catalog.queue_empty")
		require.NoError(t, c.DeleteJob(ctx, other.ID))
		_, err = c.FirstQueued(ctx, other.WorkflowID)
		requireFault(t, err, fault.NotFound, "catalog.queue_empty")
		require.NoError(t, c.InsertJob(ctx, impatient))
	})
}

// Of many at once as many are taken as may wait, and those that replace leave one of them.
func TestManyEnqueueAtOnce(t *testing.T) {
	t.Parallel()
	for name, replaces := range map[string]bool{"wait": false, "replace": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
				s := catalogtest.NewScene(t, c)
				var wg sync.WaitGroup
				refusals := make([]error, 20)
				for i := range refusals {
					wg.Go(func() { _, refusals[i] = c.EnqueueJob(ctx, newQueued(s, fmt.Sprint(i), replaces), 5) })
				}
				wg.Wait()
				taken := 0
				for _, err := range refusals {
					if err == nil {
						taken++
						continue
					}
					requireFault(t, err, fault.Conflict, "catalog.queue_full")
				}
				waiting, _, err := c.ListJobs(ctx, catalog.JobFilter{ProjectID: s.Project.ID, State: catalog.JobQueued})
				require.NoError(t, err)
				if replaces {
					require.Equal(t, 20, taken)
					require.Len(t, waiting, 1)
				} else {
					require.Equal(t, 5, taken)
					require.Len(t, waiting, 5)
				}
			})
		})
	}
}
