package catalog_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestAJobFromStartToEnd(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		job := catalog.Job{
			ID: catalog.NewID(), Kind: catalog.AssetImport, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID,
			WorkflowID: "asset-import:p:u", Subject: `it's "quoted" \ ? é.zip`, State: catalog.JobFailed,
			Request: json.RawMessage(`{"mode":"Merge","prefix":"\\?"}`),
		}
		require.NoError(t, c.InsertJob(ctx, job))
		requireFault(t, c.InsertJob(ctx, job), fault.Conflict, "catalog.job_exists")
		read, err := c.Job(ctx, job.ID)
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), read.CreatedAt, time.Minute)
		job.State, job.UserName, job.CreatedAt = catalog.JobRunning, s.User.Name, read.CreatedAt
		require.Equal(t, job, read)
		requireFault(t, c.SettleJob(ctx, job.ID), fault.Conflict, "catalog.job_running")

		_, err = c.EndJob(ctx, job.ID, catalog.JobOutcome{State: catalog.JobRunning})
		requireFault(t, err, fault.Invalid, "catalog.bad_outcome")
		var reasons []catalog.Reason
		for i := range 12 {
			reasons = append(reasons, catalog.Reason{ResourceType: "task", ResourceName: fmt.Sprint(i), Code: "bad", Message: "it's bad"})
		}
		ended, err := c.EndJob(ctx, job.ID, catalog.JobOutcome{State: catalog.JobFailed, Reasons: reasons})
		require.NoError(t, err)
		require.Equal(t, catalog.JobFailed, ended.State)
		require.Equal(t, reasons[:10], ended.Reasons)
		require.NotNil(t, ended.EndedAt)
		again, err := c.EndJob(ctx, job.ID, catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		require.Equal(t, ended, again, "the first end wins")

		require.NoError(t, c.DeleteJob(ctx, job.ID), "no error, and no effect")
		require.NoError(t, c.SettleJob(ctx, job.ID))
		require.NoError(t, c.SettleJob(ctx, job.ID))
		read, err = c.Job(ctx, job.ID)
		require.NoError(t, err)
		ended.Settled = true
		require.Equal(t, ended, read)
	})
}

func TestJobsThatAreNotThere(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		id := s.NewJob(t)
		require.NoError(t, c.DeleteJob(ctx, id))
		require.NoError(t, c.DeleteJob(ctx, id))
		_, err := c.Job(ctx, id)
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		_, err = c.EndJob(ctx, id, catalog.JobOutcome{State: catalog.JobFailed})
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		requireFault(t, c.SettleJob(ctx, id), fault.NotFound, "catalog.job_not_found")
	})
}

// insertJobs makes jobs a second apart, oldest first.
func insertJobs(t *testing.T, s catalogtest.Scene, n int, change func(i int, job *catalog.Job)) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range n {
		job := catalog.Job{
			ID: catalog.NewID(), Kind: catalog.AssetImport, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID,
			CreatedAt: time.Date(2026, 1, 1, 0, 0, i/2, 0, time.UTC), // two of the same moment each
		}
		if change != nil {
			change(i, &job)
		}
		ids[i] = job.ID
		require.NoError(t, s.Catalog.InsertJob(ctx, job))
	}
	return ids
}

func TestListJobsPagesAreStable(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		ids := insertJobs(t, s, 25, nil)
		insertJobs(t, other, 3, nil)
		var seen []string
		filter := catalog.JobFilter{ProjectID: s.Project.ID, Limit: 10}
		for page := 0; ; page++ {
			jobs, next, err := c.ListJobs(ctx, filter)
			require.NoError(t, err)
			for _, j := range jobs {
				seen = append(seen, j.ID)
			}
			if next == "" {
				require.Equal(t, 2, page)
				break
			}
			require.Len(t, jobs, 10)
			filter.Cursor = next
			insertJobs(t, s, 5, func(_ int, j *catalog.Job) { j.CreatedAt = time.Now() })
		}
		for i := range ids {
			require.Equal(t, ids[len(ids)-1-i], seen[i])
		}
		require.Len(t, seen, len(ids))

		for _, cursor := range []string{"?", "e30", "WyJhIl0", "WyJhIiwiYiJd"} {
			filter.Cursor = cursor
			_, _, err := c.ListJobs(ctx, filter)
			requireFault(t, err, fault.Invalid, "catalog.bad_cursor")
		}
	})
}

func TestListJobsFilters(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		ids := insertJobs(t, s, 4, func(i int, j *catalog.Job) {
			switch i {
			case 0:
				j.UserID = "somebody"
			case 1:
				j.InstanceID = "elsewhere"
			case 2:
				j.Kind = "asset-export"
			}
		})
		_, err := c.EndJob(ctx, ids[3], catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		tests := map[string]struct {
			filter catalog.JobFilter
			want   []string
		}{
			"all":       {catalog.JobFilter{}, []string{ids[3], ids[2], ids[1], ids[0]}},
			"user":      {catalog.JobFilter{UserID: "somebody"}, []string{ids[0]}},
			"instance":  {catalog.JobFilter{InstanceID: "elsewhere"}, []string{ids[1]}},
			"kind":      {catalog.JobFilter{Kind: "asset-export"}, []string{ids[2]}},
			"state":     {catalog.JobFilter{State: catalog.JobCancelled}, []string{ids[3]}},
			"together":  {catalog.JobFilter{UserID: s.User.ID, State: catalog.JobRunning, Kind: catalog.AssetImport}, []string{ids[1]}},
			"no match":  {catalog.JobFilter{UserID: "somebody", State: catalog.JobFailed}, nil},
			"injection": {catalog.JobFilter{UserID: "' OR '1'='1"}, nil},
		}
		for name, test := range tests {
			test.filter.ProjectID = s.Project.ID
			jobs, next, err := c.ListJobs(ctx, test.filter)
			require.NoError(t, err, name)
			require.Empty(t, next, name)
			var got []string
			for _, j := range jobs {
				got = append(got, j.ID)
			}
			require.Equal(t, test.want, got, name)
		}
		jobs, _, err := c.ListJobs(ctx, catalog.JobFilter{})
		require.NoError(t, err)
		require.Empty(t, jobs, "without a project there is nothing to see")
	})
}

func TestListUnsettledJobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		mine, theirs := insertJobs(t, s, 4, nil), insertJobs(t, other, 1, nil)
		for _, id := range []string{mine[1], mine[2]} {
			_, err := c.EndJob(ctx, id, catalog.JobOutcome{State: catalog.JobFailed})
			require.NoError(t, err)
		}
		require.NoError(t, c.SettleJob(ctx, mine[1]))
		list := func(before time.Time, limit int) (ids []string) {
			jobs, err := c.ListUnsettledJobs(ctx, before, limit)
			require.NoError(t, err)
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			return ids
		}
		require.Equal(t, []string{mine[0], theirs[0], mine[2], mine[3]}, list(time.Now(), 10))
		require.Equal(t, []string{mine[0], theirs[0]}, list(time.Date(2026, 1, 1, 0, 0, 1, 0, time.UTC), 10))
		require.Equal(t, []string{mine[0]}, list(time.Now(), 1))
	})
}
