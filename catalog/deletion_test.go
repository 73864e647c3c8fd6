package catalog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

// deletion makes a job and a deletion in the scene's names.
func deletion(t *testing.T, s catalogtest.Scene, applications, tasks []string) catalog.Deletion {
	t.Helper()
	return catalog.Deletion{
		JobID: s.NewJob(t), ProjectID: s.Project.ID, InstanceID: s.Instance.ID, UserID: s.User.ID, Applications: applications, Tasks: tasks,
	}
}

func deleteAll(t *testing.T, s catalogtest.Scene, result catalog.ImportResult) {
	t.Helper()
	var d catalog.Deletion
	for _, a := range result.Assets {
		if a.Kind == catalog.KindTask {
			d.Tasks = append(d.Tasks, a.ID)
		} else {
			d.Applications = append(d.Applications, a.ID)
		}
	}
	_, err := s.Catalog.CommitDeletion(ctx, deletion(t, s, d.Applications, d.Tasks))
	require.NoError(t, err)
}

func trash(t *testing.T, s catalogtest.Scene) []string {
	t.Helper()
	assets, _, err := s.Catalog.ListTrash(ctx, catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID, Limit: 500})
	require.NoError(t, err)
	found := make([]string, len(assets))
	for i, a := range assets {
		found[i] = fmt.Sprintf("%s %s v%d", a.Kind, a.Name, a.VersionNumber)
	}
	return found
}

func TestDeletionMovesToTheTrash(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		app, task := made.Assets[0].ID, made.Assets[1].ID
		d := deletion(t, s, []string{app, app}, []string{task})
		reasons, err := c.PlanDeletion(ctx, d)
		require.NoError(t, err)
		require.Empty(t, reasons)
		result, err := c.CommitDeletion(ctx, d)
		require.NoError(t, err)
		require.Equal(t, catalog.DeletionResult{Deleted: 2, Assets: []catalog.DeletedAsset{
			{ID: app, Kind: catalog.KindApplication, Name: "shop"}, {ID: task, Kind: catalog.KindTask, Name: "nightly"},
		}}, result)
		require.Empty(t, names(t, s))
		_, err = c.Asset(ctx, s.Project.ID, s.Instance.ID, app)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")

		job, err := c.Job(ctx, d.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobSucceeded, job.State)
		var kept catalog.DeletionResult
		require.NoError(t, json.Unmarshal(job.Result, &kept))
		require.Equal(t, result, kept)

		trashed, _, err := c.ListTrash(ctx, catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID, Kind: catalog.KindTask})
		require.NoError(t, err)
		require.Len(t, trashed, 1)
		require.Equal(t, task, trashed[0].ID)
		require.Equal(t, s.User.ID, trashed[0].DeletedBy)
		require.Equal(t, *job.EndedAt, trashed[0].DeletedAt)

		// Once: the same assets under the same names, imported meanwhile, are left alone.
		s.Import(t, shop())
		again, err := c.CommitDeletion(ctx, d)
		require.NoError(t, err)
		require.Equal(t, result, again)
		require.Len(t, names(t, s), 2)

		none, err := c.CommitDeletion(ctx, deletion(t, s, nil, nil))
		require.NoError(t, err)
		require.Zero(t, none.Deleted)
	})
}

func TestDeletionIsAllOrNothing(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop(func(imp *catalog.Import) {
			for i := range 6 {
				imp.Tasks = append(imp.Tasks, catalog.ImportAsset{Name: fmt.Sprint("other-", i), Applications: []string{"shop"}})
			}
		}))
		app, task := made.Assets[0].ID, made.Assets[1].ID
		theirs := other.Import(t, shop()).Assets[1].ID
		d := deletion(t, s, []string{app, task, "no id"}, []string{task, theirs, app})
		planned, err := c.PlanDeletion(ctx, d)
		require.NoError(t, err)
		_, err = c.CommitDeletion(ctx, d)
		var conflicts *catalog.ConflictsError
		require.ErrorAs(t, err, &conflicts)
		requireFault(t, err, fault.Conflict, "catalog.deletion_conflicts")
		require.Contains(t, err.Error(), "the deletion conflicts")
		require.Equal(t, planned, conflicts.Reasons)
		var got []string
		for _, r := range conflicts.Reasons {
			got = append(got, fmt.Sprintf("%s %s %s", r.Code, r.ResourceType, r.ResourceName))
		}
		require.Equal(t, []string{
			"unknown_asset application " + task, "unknown_asset application no id", "unknown_asset task " + theirs, "unknown_asset task " + app,
			"in_use application shop",
		}, got)
		require.Contains(t, conflicts.Reasons[4].Message, `"other-0", "other-1", "other-2", "other-3", "other-4" and 1 more`)
		require.Len(t, names(t, s), 8)
		require.Empty(t, trash(t, s))
		job, err := c.Job(ctx, d.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobRunning, job.State)

		// Only current versions count.
		s.Import(t, shop(merge, func(imp *catalog.Import) {
			imp.Tasks[0].Applications = nil
			for i := range 6 {
				imp.Tasks = append(imp.Tasks, catalog.ImportAsset{Name: fmt.Sprint("other-", i)})
			}
		}))
		result, err := c.CommitDeletion(ctx, deletion(t, s, []string{app}, nil))
		require.NoError(t, err)
		require.Equal(t, 1, result.Deleted)
		require.Len(t, names(t, s), 7)
	})
}

func TestDeletionStoppedAtAnyStepLeavesEverything(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		d := deletion(t, s, []string{made.Assets[0].ID}, []string{made.Assets[1].ID})
		killed := errors.New("killed")
		for _, at := range []string{"trash", "effect", "job", "committed"} {
			c.SetFailpoint(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
			_, err := c.CommitDeletion(ctx, d)
			require.ErrorIs(t, err, killed, at)
			if at != "committed" {
				require.Len(t, names(t, s), 2, at)
				require.Empty(t, trash(t, s), at)
				require.Equal(t, []string{"job.started"}, trail(t, c, d.JobID))
			}
		}
		c.SetFailpoint(func(string) error { return nil })
		result, err := c.CommitDeletion(ctx, d)
		require.NoError(t, err)
		require.Equal(t, 2, result.Deleted)
		require.Len(t, trash(t, s), 2)

		ended := deletion(t, s, nil, nil)
		_, err = c.EndJob(ctx, ended.JobID, catalog.JobOutcome{State: catalog.JobCancelled})
		require.NoError(t, err)
		_, err = c.CommitDeletion(ctx, ended)
		requireFault(t, err, fault.Conflict, "catalog.job_ended")
		elsewhere := deletion(t, s, nil, nil)
		elsewhere.ProjectID = "another"
		_, err = c.CommitDeletion(ctx, elsewhere)
		requireFault(t, err, fault.NotFound, "catalog.job_not_found")
		lost := deletion(t, s, nil, nil)
		lost.InstanceID = "another"
		_, err = c.CommitDeletion(ctx, lost)
		requireFault(t, err, fault.NotFound, "catalog.instance_not_found")
		_, err = c.PlanDeletion(ctx, lost)
		requireFault(t, err, fault.NotFound, "catalog.instance_not_found")
	})
}

// An import that begins to use an application and the deletion of it come one after the other.
func TestDeletionAndImportAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for range 20 {
			s := catalogtest.NewScene(t, c)
			app := s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: "shop"}}}).Assets[0].ID
			imp := s.Fill(t, catalog.Import{Tasks: []catalog.ImportAsset{{Name: "nightly", Applications: []string{"shop"}}}})
			d := deletion(t, s, []string{app}, nil)
			var both sync.WaitGroup
			var importErr, deletionErr error
			both.Go(func() { _, importErr = c.CommitImport(ctx, imp) })
			both.Go(func() { _, deletionErr = c.CommitDeletion(ctx, d) })
			both.Wait()
			require.NotEqual(t, importErr == nil, deletionErr == nil, "%v, %v", importErr, deletionErr)
			if importErr == nil {
				require.Len(t, names(t, s), 2)
			} else {
				require.Empty(t, names(t, s))
			}
		}
	})
}

func TestRestoreAsset(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		app, task := made.Assets[0].ID, made.Assets[1].ID
		before, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, app)
		require.NoError(t, err)
		deleteAll(t, s, made)

		restore := func(id string) error {
			_, err := c.RestoreAsset(ctx, s.Project.ID, s.Instance.ID, id, s.User.ID)
			return err
		}
		requireFault(t, restore(task), fault.Conflict, "catalog.reference_deleted")
		_, err = c.RestoreAsset(ctx, other.Project.ID, other.Instance.ID, app, s.User.ID)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.RestoreAsset(ctx, other.Project.ID, s.Instance.ID, app, s.User.ID)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")

		again := s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: "shop"}}})
		require.NotEqual(t, app, again.Assets[0].ID)
		requireFault(t, restore(app), fault.Conflict, "catalog.name_taken")
		deleteAll(t, s, again)

		restored, err := c.RestoreAsset(ctx, s.Project.ID, s.Instance.ID, app, s.User.ID)
		require.NoError(t, err)
		require.Equal(t, before.Asset, restored)
		after, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, app)
		require.NoError(t, err)
		require.Equal(t, before, after)
		requireFault(t, restore(app), fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, restore(task))
		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))
		require.Equal(t, []string{"application shop v1"}, trash(t, s), "the later one")
		require.Equal(t, []string{"asset.restored"}, trail(t, c, app))
	})
}

func TestPurgeAssets(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		s.Import(t, shop(merge, func(imp *catalog.Import) { imp.Tasks[0].Description = "another" }))
		app, task := made.Assets[0].ID, made.Assets[1].ID
		purge := func(ids ...string) int {
			n, err := c.PurgeAssets(ctx, s.Project.ID, s.Instance.ID, ids, s.User.ID)
			require.NoError(t, err)
			return n
		}
		require.Zero(t, purge(app, task), "what lives is not touched")
		require.Zero(t, purge())
		deleteAll(t, s, made)
		_, err := c.PurgeAssets(ctx, s.Project.ID, s.Instance.ID, []string{app}, s.User.ID)
		requireFault(t, err, fault.Conflict, "catalog.in_use")
		for _, at := range [][2]string{{other.Project.ID, other.Instance.ID}, {other.Project.ID, s.Instance.ID}} {
			n, err := c.PurgeAssets(ctx, at[0], at[1], []string{app, task}, s.User.ID)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		killed := errors.New("killed")
		for _, at := range []string{"files", "references", "references to data sources", "versions", "assets"} {
			c.SetFailpoint(func(step string) error {
				if step == "purge "+at {
					return killed
				}
				return nil
			})
			_, err := c.PurgeAssets(ctx, s.Project.ID, s.Instance.ID, []string{app, task}, s.User.ID)
			require.ErrorIs(t, err, killed, at)
		}
		c.SetFailpoint(func(string) error { return nil })
		require.Len(t, trash(t, s), 2)
		require.Equal(t, 2, purge(app, task, "no id"))
		require.Zero(t, purge(app, task))
		require.Empty(t, trash(t, s))
		require.Equal(t, []string{"asset.purged"}, trail(t, c, app))
		require.Equal(t, 2, s.Import(t, shop()).Created)
	})
}

func TestPurgeTrash(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		deleteAll(t, other, other.Import(t, shop()))
		// An older version of a task that lives refers to this one.
		kept := s.Import(t, catalog.Import{
			Applications: []catalog.ImportAsset{{Name: "old"}}, Tasks: []catalog.ImportAsset{{Name: "living", Applications: []string{"old"}}},
		})
		s.Import(t, catalog.Import{Mode: catalog.Merge, Tasks: []catalog.ImportAsset{{Name: "living"}}})
		_, err := c.CommitDeletion(ctx, deletion(t, s, []string{kept.Assets[0].ID}, nil))
		require.NoError(t, err)
		moment := time.Now()
		deleteAll(t, s, made)

		n, err := c.PurgeTrash(ctx, moment.Add(-time.Hour), 100)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = c.PurgeTrash(ctx, moment, 1)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"application shop v1"}, trash(t, other))
		n, err = c.PurgeTrash(ctx, moment, 100)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Empty(t, trash(t, other))
		require.Len(t, trash(t, s), 3)
		n, err = c.PurgeTrash(ctx, time.Now().Add(time.Hour), 100)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, []string{"application old v1"}, trash(t, s))
		require.Equal(t, []string{"task living v2"}, names(t, s))
	})
}

func TestListTrashPages(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		var want []string
		for i := range 4 {
			var imp catalog.Import
			for j := range 3 { // three of the same moment
				imp.Applications = append(imp.Applications, catalog.ImportAsset{Name: fmt.Sprintf("app-%d-%d", i, j)})
			}
			made := s.Import(t, imp)
			deleteAll(t, s, made)
			for _, a := range made.Assets {
				want = append([]string{a.Name}, want...)
			}
		}
		filter := catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID, Limit: 5}
		var seen []string
		for {
			assets, next, err := c.ListTrash(ctx, filter)
			require.NoError(t, err)
			for _, a := range assets {
				seen = append(seen, a.Name)
			}
			if next == "" {
				break
			}
			filter.Cursor = next
			deleteAll(t, s, s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: "later"}}}))
		}
		require.Equal(t, want, seen)
		filter.Cursor = "?"
		_, _, err := c.ListTrash(ctx, filter)
		requireFault(t, err, fault.Invalid, "catalog.bad_cursor")
		for what, f := range map[string]catalog.AssetFilter{"name": {Name: "app-1-1"}, "part": {NameContains: "P-1-1"}} {
			f.ProjectID, f.InstanceID = s.Project.ID, s.Instance.ID
			assets, _, err := c.ListTrash(ctx, f)
			require.NoError(t, err)
			require.Len(t, assets, 1, what)
		}
	})
}
