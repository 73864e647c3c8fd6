package catalog_test

import (
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
)

// watched is what a catalog has told of jobs.
type watched struct {
	mu  sync.Mutex
	all []catalog.JobChange
}

func (w *watched) see(c catalog.JobChange) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, c)
}

// take gives what was told since it was asked last, without the times, which it checks.
func (w *watched) take(t *testing.T) []catalog.JobChange {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	for i := range all {
		require.GreaterOrEqual(t, all[i].After, time.Duration(0))
		require.Less(t, all[i].After, time.Hour)
		all[i].After = 0
	}
	return all
}

func TestJobWatch(t *testing.T) {
	t.Parallel()
	catalogtest.EachURL(t, func(t *testing.T, url string) {
		require.NoError(t, catalogtest.Open(t, url).Migrate(ctx))
		var w watched
		c, err := catalog.Open(ctx, url, slog.New(slog.DiscardHandler), catalog.WithJobWatch(w.see))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		s := catalogtest.NewScene(t, c)
		const kind = catalog.AssetImport
		written := catalog.JobChange{Kind: kind, Event: catalog.JobWritten}
		ended := func(state catalog.JobState) catalog.JobChange {
			return catalog.JobChange{Kind: kind, Event: catalog.JobHasEnded, State: state}
		}

		// A commit that fails at its end, one that succeeds, and one that comes again; then the end of the job.
		imp := s.Fill(t, catalog.Import{JobID: s.NewJob(t), Mode: catalog.Merge})
		require.Equal(t, []catalog.JobChange{written}, w.take(t))
		c.SetFailpoint(func(step string) error {
			if step == "job" {
				return errors.New("just before the commit")
			}
			return nil
		})
		_, err = c.CommitImport(ctx, imp)
		require.Error(t, err)
		require.Empty(t, w.take(t), "nothing was committed")
		c.SetFailpoint(func(string) error { return nil })
		for range 2 {
			_, err = c.CommitImport(ctx, imp)
			require.NoError(t, err)
		}
		for range 2 {
			_, err = c.EndJob(ctx, imp.JobID, catalog.JobOutcome{State: catalog.JobFailed})
			require.NoError(t, err)
		}
		require.Equal(t, []catalog.JobChange{ended(catalog.JobSucceeded)}, w.take(t), "once, whatever is tried again")

		// Many who end the same job.
		id := s.NewJob(t)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { _, _ = c.EndJob(ctx, id, catalog.JobOutcome{State: catalog.JobCancelled}) })
		}
		all.Wait()
		require.Equal(t, []catalog.JobChange{written, ended(catalog.JobCancelled)}, w.take(t))

		// A job that was refused, and one that is there already.
		refused := s.NewJob(t)
		require.Error(t, c.InsertJob(ctx, catalog.Job{ID: refused, Kind: kind, ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID}))
		for range 2 {
			require.NoError(t, c.DeleteJob(ctx, refused))
		}
		forgotten := w.take(t)
		require.Len(t, forgotten, 2)
		require.Equal(t, catalog.JobForgotten, forgotten[1].Event)

		// The queue: one has its turn, one is cancelled, one is replaced by the next.
		first, second := newQueued(s, "first", false), newQueued(s, "second", false)
		replaces, again := newQueued(s, "replaces", true), newQueued(s, "again", true)
		for _, job := range []catalog.QueuedJob{first, second, replaces} {
			_, err := c.EnqueueJob(ctx, job, 3)
			require.NoError(t, err)
		}
		_, err = c.EnqueueJob(ctx, newQueued(s, "too many", false), 3)
		require.Error(t, err)
		require.Equal(t, []catalog.JobChange{written, written, written}, w.take(t))
		open, err := c.CountOpenJobs(ctx)
		require.NoError(t, err)
		require.Len(t, open, len(catalog.JobKinds()))
		require.Contains(t, open, catalog.OpenJobs{Kind: kind, Queued: 3})
		_, err = c.EnqueueJob(ctx, again, 3)
		require.NoError(t, err)
		require.Equal(t, []catalog.JobChange{ended(catalog.JobCancelled), written}, w.take(t))
		for range 2 {
			require.NoError(t, c.DequeueJob(ctx, first.ID))
			_, err := c.EndQueuedJob(ctx, second.ID, catalog.JobOutcome{State: catalog.JobCancelled})
			require.NoError(t, err)
		}
		turn := w.take(t)
		require.Len(t, turn, 2)
		require.Equal(t, catalog.JobHasTurn, turn[0].Event)
		require.Equal(t, ended(catalog.JobCancelled), turn[1])
		open, err = c.CountOpenJobs(ctx)
		require.NoError(t, err)
		require.Contains(t, open, catalog.OpenJobs{Kind: kind, Running: 1, Queued: 1})
		require.Contains(t, open, catalog.OpenJobs{Kind: catalog.AssetExport})
	})
}

func TestPools(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for name, pool := range c.Pools() {
			require.NoError(t, pool.PingContext(ctx), name)
			require.Positive(t, pool.Stats().MaxOpenConnections, name)
		}
	})
}
