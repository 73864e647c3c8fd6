package catalog_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// Adding a chart has no job to hold sweeps off: it is refused what a sweep has condemned, and what a chart uses no sweep
// condemns.
func TestChartsAndSweeps(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, store := catalogtest.NewScene(t, c), new(objects)
		blob := leftover(t, c, store, "one")
		require.Len(t, sweep(t, c), 1)
		_, _, err := c.AddChart(ctx, s.User.ID, s.Chart("redis", "1.0.0", "one"))
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")
		gone, err := c.RemoveBlob(ctx, blob.SHA256, store.remove)
		require.NoError(t, err)
		require.True(t, gone)
		_, _, err = c.AddChart(ctx, s.User.ID, s.Chart("redis", "1.0.0", "one"))
		requireFault(t, err, fault.NotFound, "catalog.blobs_not_found")

		require.True(t, touch(t, c, blob))
		store.put(blob.SHA256)
		s.AddChart(t, "redis", "1.0.0", "one")
		require.False(t, touch(t, c, blob), "known to be stored")
		require.Empty(t, sweep(t, c))

		// What an add-on consists of, and what a job is about to deliver, stay with their charts.
		e := s.NewEnvironment(t)
		a := s.Deliver(t, s.NewDelivery(t, e, "redis"), "r1")
		next := s.AddChart(t, "redis", "2.0.0", "two")
		redeploy := s.NextDelivery(t, a, catalog.AddonRedeploy)
		beginDelivery(t, c, redeploy)
		for _, version := range []string{"1.0.0", "2.0.0"} {
			requireFault(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", version), fault.Conflict, "catalog.chart_in_use")
		}
		require.Empty(t, sweep(t, c))
		endAs(t, c, redeploy.JobID, catalog.JobFailed)
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "2.0.0"))
		require.Equal(t, []catalog.Blob{{SHA256: next.SHA256, Size: next.Size}}, sweep(t, c))

		// As if the clocks were wrong by a year: a condemned blob that a chart uses is not removed, whoever asks.
		digest := touchContent(t, c, "three")
		require.NoError(t, c.SQL("UPDATE blobs SET condemned_at = '2026-01-01 00:00:00.000000+00:00'"))
		_, _, err = c.AddChart(ctx, s.User.ID, s.Chart("redis", "3.0.0", "three"))
		require.NoError(t, err, "it was touched after it was condemned")
		require.NoError(t, c.SQL("UPDATE blobs SET touched_at = '2025-01-01 00:00:00.000000+00:00'"))
		gone, err = c.RemoveBlob(ctx, digest, store.remove)
		require.NoError(t, err)
		require.False(t, gone)
	})
}

// A sweep that has found the blob unused waits for the push that holds it, and looks again.
func TestASweepDuringAPush(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		digest := touchContent(t, c, "one")
		type outcome struct {
			blobs []catalog.Blob
			err   error
		}
		swept := make(chan outcome, 1)
		c.SetFailpoint(func(step string) error {
			if step != "chart" {
				return nil
			}
			go func() {
				blobs, err := c.SweepBlobs(ctx, soon(), 100)
				swept <- outcome{blobs, err}
			}()
			select {
			case o := <-swept:
				swept <- o
				return errors.New("the sweep did not wait")
			case <-time.After(200 * time.Millisecond):
				return nil
			}
		})
		_, added, err := c.AddChart(ctx, s.User.ID, s.Chart("redis", "1.0.0", "one"))
		require.NoError(t, err)
		require.True(t, added)
		require.Equal(t, outcome{}, <-swept)
		require.False(t, touch(t, c, catalog.Blob{SHA256: digest, Size: 3}))
	})
}

// takeAll sweeps once and removes what it finds.
func takeAll(c *catalog.Catalog, store *objects) error {
	blobs, err := c.SweepBlobs(ctx, soon(), 100)
	for _, b := range blobs {
		_, removeErr := c.RemoveBlob(ctx, b.SHA256, store.remove)
		err = errors.Join(err, removeErr)
	}
	return err
}

// A sweep comes at any moment of pushes, deliveries and deletions; whatever wins, what a chart uses has an object.
func TestChartsAmongSweeps(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		c.SetClockSkew(0)
		s, store := catalogtest.NewScene(t, c), new(objects)
		e := s.NewEnvironment(t)
		pushes, removals := 0, 0
		for range 20 {
			name := "c" + catalog.NewID()
			chart := s.Chart(name, "1.0.0", name)
			leftover(t, c, store, name)
			var both sync.WaitGroup
			var pushErr, sweepErr error
			both.Go(func() { _, _, pushErr = c.AddChart(ctx, s.User.ID, chart) })
			both.Go(func() { sweepErr = takeAll(c, store) })
			both.Wait()
			require.NoError(t, sweepErr)
			if pushErr != nil {
				requireFault(t, pushErr, fault.NotFound, "catalog.blobs_not_found")
				require.False(t, store.has(chart.SHA256))
				removals++
				continue
			}
			pushes++
			require.True(t, store.has(chart.SHA256))

			// The chart is delivered while somebody deletes it and another one sweeps.
			d := s.NewDelivery(t, e, name)
			var begun, deleted error
			both.Go(func() { _, _, begun = c.BeginDelivery(ctx, d) })
			both.Go(func() {
				deleted = c.DeleteChart(ctx, s.User.ID, s.Project.ID, name, "1.0.0")
				sweepErr = takeAll(c, store)
			})
			both.Wait()
			require.NoError(t, sweepErr)
			if begun == nil {
				requireFault(t, deleted, fault.Conflict, "catalog.chart_in_use")
				require.True(t, store.has(chart.SHA256))
			} else {
				requireFault(t, begun, fault.NotFound, "catalog.chart_not_found")
				require.NoError(t, deleted)
			}
			endAs(t, c, d.JobID, catalog.JobFailed)
		}
		t.Logf("%d pushes, %d removals", pushes, removals)
	})
}

// The sweep of a program from before there were charts passes over their blobs.
func TestAnOlderSweepSparesCharts(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		chart := s.AddChart(t, "redis", "1.0.0", "one")
		unused := leftover(t, c, new(objects), "left over")
		require.NoError(t, c.SQL("UPDATE blobs SET stored_at = touched_at"))
		const older = "UPDATE blobs SET condemned_at = '2100-01-01 00:00:00.000000+00:00', stored_at = NULL, removing_until = NULL " +
			"WHERE NOT EXISTS (SELECT 1 FROM version_files AS f WHERE f.sha256 = blobs.sha256)"
		require.NoError(t, c.SQL(older))
		require.False(t, touch(t, c, catalog.Blob{SHA256: chart.SHA256, Size: chart.Size}))
		require.True(t, touch(t, c, unused))
		require.NoError(t, c.DeleteChart(ctx, s.User.ID, s.Project.ID, "redis", "1.0.0"))
		require.NoError(t, c.SQL(older))
		require.True(t, touch(t, c, catalog.Blob{SHA256: chart.SHA256, Size: chart.Size}))
	})
}
