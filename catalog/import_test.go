package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

var ctx = context.Background()

// shop is a package of one application and one task that uses it.
func shop(change ...func(*catalog.Import)) catalog.Import {
	orders := catalog.ImportDataSource{Name: "orders-db", Type: "mysql", Description: "orders", Settings: json.RawMessage(`{"pool": 5}`)}
	imp := catalog.Import{
		VersionLabel: "1.0.0",
		Applications: []catalog.ImportAsset{{
			SourceID: "a1", Name: "shop", Description: "A shop", Definition: json.RawMessage(`{ "b": 1, "a": [1.0, "é<"] }`),
			DataSources: []catalog.ImportDataSource{orders},
			Files:       []catalog.File{catalogtest.File("apps/shop/b.txt", "b"), catalogtest.File("apps/shop/a.txt", "a")},
		}},
		Tasks: []catalog.ImportAsset{{
			SourceID: "t1", Name: "nightly", Applications: []string{"shop"}, DataSources: []catalog.ImportDataSource{orders},
			Files: []catalog.File{catalogtest.File("tasks/nightly/a.txt", "a")},
		}},
	}
	for _, c := range change {
		c(&imp)
	}
	return imp
}

func merge(imp *catalog.Import) { imp.Mode = catalog.Merge }

func reasonsOf(t *testing.T, err error) []catalog.Reason {
	t.Helper()
	var conflicts *catalog.ConflictsError
	require.ErrorAs(t, err, &conflicts)
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	require.Equal(t, "catalog.import_conflicts", fault.CodeOf(err))
	return conflicts.Reasons
}

func names(t *testing.T, s catalogtest.Scene) []string {
	t.Helper()
	assets, _, err := s.Catalog.ListAssets(ctx, catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID, Limit: 500})
	require.NoError(t, err)
	found := make([]string, len(assets))
	for i, a := range assets {
		found[i] = fmt.Sprintf("%s %s v%d", a.Kind, a.Name, a.VersionNumber)
	}
	return found
}

func TestImportMakesWhatThePackageHolds(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		result, err := c.CommitImport(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, 2, result.Created)
		require.Equal(t, 1, result.DataSourcesCreated)
		require.Len(t, result.Assets, 2)

		app, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[0].ID)
		require.NoError(t, err)
		require.Equal(t, "shop", app.Name)
		require.Equal(t, catalog.KindApplication, app.Kind)
		require.Equal(t, "A shop", app.Description)
		require.Equal(t, 1, app.VersionNumber)
		require.Equal(t, "1.0.0", app.VersionLabel)
		require.Equal(t, s.User.ID, app.UpdatedBy)
		require.Equal(t, imp.JobID, app.JobID)
		require.Equal(t, "a1", app.SourceID)
		require.Len(t, app.Digest, 64)
		require.Equal(t, `{"b":1,"a":[1.0,"é<"]}`, string(app.Definition))
		require.Equal(t, []catalog.File{catalogtest.File("apps/shop/a.txt", "a"), catalogtest.File("apps/shop/b.txt", "b")}, app.Files)
		require.Empty(t, app.Applications)
		require.Len(t, app.DataSources, 1)
		require.Equal(t, `{"pool":5}`, string(app.DataSources[0].Settings))
		require.False(t, app.CreatedAt.IsZero())
		require.Equal(t, app.CreatedAt, app.UpdatedAt)

		task, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[1].ID)
		require.NoError(t, err)
		require.Nil(t, task.Definition)
		require.Equal(t, []catalog.AssetReference{{ID: app.ID, Name: "shop"}}, task.Applications)
		require.Equal(t, app.DataSources, task.DataSources)

		sources, err := c.ListDataSources(ctx, s.Project.ID, s.Instance.ID)
		require.NoError(t, err)
		require.Equal(t, app.DataSources, sources)
		require.Equal(t, imp.JobID, sources[0].JobID)

		job, err := c.Job(ctx, imp.JobID)
		require.NoError(t, err)
		require.Equal(t, catalog.JobSucceeded, job.State)
		require.NotNil(t, job.EndedAt)
		require.False(t, job.Settled)
		var kept catalog.ImportResult
		require.NoError(t, json.Unmarshal(job.Result, &kept))
		require.Equal(t, result, kept)
	})
}

func TestCommitTwiceHasOneEffect(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		first, err := c.CommitImport(ctx, imp)
		require.NoError(t, err)
		second, err := c.CommitImport(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))
	})
}

func TestConcurrentCommitsOfOneJobHaveOneEffect(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		// Merge would make versions 2 to 8 if a second commit did anything.
		imp := s.Fill(t, shop(merge))
		results := make([]catalog.ImportResult, 8)
		errs := make([]error, len(results))
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				own := imp
				own.Applications = append([]catalog.ImportAsset{}, imp.Applications...)
				own.Applications[0].Description = fmt.Sprintf("as caller %d has it", i)
				results[i], errs[i] = c.CommitImport(ctx, own)
			})
		}
		all.Wait()
		for i := range results {
			require.NoError(t, errs[i])
			require.Equal(t, results[0], results[i])
		}
		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))
	})
}

func TestCommitStoppedAtAnyStepLeavesNothing(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		killed := errors.New("killed")
		steps := []string{"assets", "versions", "files", "references", "references to data sources", "effect", "job"}
		for _, at := range steps {
			reached := false
			c.SetFailpoint(func(step string) error {
				if step == at {
					reached = true
					return killed
				}
				return nil
			})
			_, err := c.CommitImport(ctx, imp)
			require.ErrorIs(t, err, killed, at)
			require.True(t, reached, at)
			require.Empty(t, names(t, s), at)
			sources, err := c.ListDataSources(ctx, s.Project.ID, s.Instance.ID)
			require.NoError(t, err)
			require.Empty(t, sources, at)
			job, err := c.Job(ctx, imp.JobID)
			require.NoError(t, err)
			require.Equal(t, catalog.JobRunning, job.State, at)
			require.Nil(t, job.Result, at)
		}
		missing, err := c.TouchBlobs(ctx, []catalog.Blob{{SHA256: imp.Tasks[0].Files[0].SHA256, Size: 1}})
		require.NoError(t, err)
		require.Len(t, missing, 1, "no blob is marked stored")

		// Killed after the commit, before the caller learned of it.
		c.SetFailpoint(func(step string) error {
			if step == "committed" {
				return killed
			}
			return nil
		})
		_, err = c.CommitImport(ctx, imp)
		require.ErrorIs(t, err, killed)
		c.SetFailpoint(func(string) error { return nil })
		result, err := c.CommitImport(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, 2, result.Created)
		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))
	})
}

func TestCommitAfterTheJobEndedIsRefused(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for _, state := range []catalog.JobState{catalog.JobCancelled, catalog.JobFailed} {
			s := catalogtest.NewScene(t, c)
			imp := s.Fill(t, shop())
			_, err := c.EndJob(ctx, imp.JobID, catalog.JobOutcome{State: state})
			require.NoError(t, err)
			_, err = c.CommitImport(ctx, imp)
			require.Equal(t, "catalog.job_ended", fault.CodeOf(err))
			require.Equal(t, fault.Conflict, fault.KindOf(err))
			require.Empty(t, names(t, s))
			job, err := c.Job(ctx, imp.JobID)
			require.NoError(t, err)
			require.Equal(t, state, job.State)
		}
	})
}

func TestEndAfterTheCommitChangesNothing(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := s.Fill(t, shop())
		_, err := c.CommitImport(ctx, imp)
		require.NoError(t, err)
		before, err := c.Job(ctx, imp.JobID)
		require.NoError(t, err)
		job, err := c.EndJob(ctx, imp.JobID, catalog.JobOutcome{State: catalog.JobCancelled, Reasons: []catalog.Reason{{Code: "cancelled"}}})
		require.NoError(t, err)
		require.Equal(t, before, job)
		require.Equal(t, catalog.JobSucceeded, job.State)
	})
}

// Whoever comes first of commit and cancel, the job tells the truth about the assets.
func TestCommitAndEndAtOnceAgree(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for range 20 {
			s := catalogtest.NewScene(t, c)
			imp := s.Fill(t, shop())
			var both sync.WaitGroup
			var commitErr, endErr error
			var ended catalog.Job
			both.Go(func() { _, commitErr = c.CommitImport(ctx, imp) })
			both.Go(func() {
				ended, endErr = c.EndJob(ctx, imp.JobID, catalog.JobOutcome{State: catalog.JobCancelled})
			})
			both.Wait()
			require.NoError(t, endErr)
			if commitErr == nil {
				require.Equal(t, catalog.JobSucceeded, ended.State)
				require.Len(t, names(t, s), 2)
			} else {
				require.Equal(t, "catalog.job_ended", fault.CodeOf(commitErr))
				require.Equal(t, catalog.JobCancelled, ended.State)
				require.Empty(t, names(t, s))
			}
		}
	})
}

func TestAddNewConflicts(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		many := catalog.Import{}
		for i := range 12 {
			many.Applications = append(many.Applications, catalog.ImportAsset{Name: fmt.Sprintf("app-%02d", i)})
		}
		s.Import(t, many)
		before := names(t, s)

		again := many
		again.Applications = append(append([]catalog.ImportAsset{}, many.Applications...), catalog.ImportAsset{Name: "new"})
		again.Tasks = []catalog.ImportAsset{{Name: "app-00"}} // the name of an application is free for a task
		again = s.Fill(t, again)
		plan, err := c.PlanImport(ctx, again)
		require.NoError(t, err)
		require.Len(t, plan.Conflicts, 12, "the plan gives all of them")
		_, err = c.CommitImport(ctx, again)
		reasons := reasonsOf(t, err)
		require.Equal(t, plan.Conflicts, reasons)
		for i, r := range reasons {
			require.Equal(t, catalog.ReasonNameTaken, r.Code)
			require.Equal(t, "application", r.ResourceType)
			require.Equal(t, fmt.Sprintf("app-%02d", i), r.ResourceName)
			require.NotEmpty(t, r.Message)
		}
		require.Equal(t, before, names(t, s))

		job, err := c.EndJob(ctx, again.JobID, catalog.JobOutcome{State: catalog.JobFailed, Reasons: reasons})
		require.NoError(t, err)
		require.Equal(t, reasons[:catalog.MaxReasons], job.Reasons)
	})
}

func TestMerge(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.Import(t, shop())
		s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: "other"}}})

		// Equal content in other words: white space, order of keys and files, another id and version label.
		same := shop(merge, func(imp *catalog.Import) {
			imp.VersionLabel = "1.0.1"
			a := &imp.Applications[0]
			a.SourceID, a.Definition = "z9", json.RawMessage(`{"a":[1.0,"\u00e9<"],"b":1}`)
			a.Files[0], a.Files[1] = a.Files[1], a.Files[0]
		})
		result := s.Import(t, same)
		require.Equal(t, 2, result.Unchanged)
		require.Equal(t, 1, result.DataSourcesKept)
		require.Equal(t, []string{"application other v1", "application shop v1", "task nightly v1"}, names(t, s))
		before, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[0].ID)
		require.NoError(t, err)
		require.Equal(t, "1.0.0", before.VersionLabel)

		changes := map[string]func(*catalog.ImportAsset){
			"description": func(a *catalog.ImportAsset) { a.Description = "another" },
			"definition":  func(a *catalog.ImportAsset) { a.Definition = json.RawMessage(`{"a":[1],"b":1}`) },
			"file":        func(a *catalog.ImportAsset) { a.Files[0] = catalogtest.File(a.Files[0].Path, "changed") },
			"path":        func(a *catalog.ImportAsset) { a.Files[0].Path += "x" },
			"less files":  func(a *catalog.ImportAsset) { a.Files = a.Files[:1] },
			"no source":   func(a *catalog.ImportAsset) { a.DataSources = nil },
		}
		version := 1
		for what, change := range changes {
			version++
			result := s.Import(t, shop(merge, func(imp *catalog.Import) { change(&imp.Applications[0]) }))
			require.Equal(t, 1, result.NewVersions, what)
			require.Equal(t, 1, result.Unchanged, what)
			require.Equal(t, catalog.ActionNewVersion, result.Assets[0].Action, what)
			require.Equal(t, version, result.Assets[0].VersionNumber, what)
			require.Equal(t, before.ID, result.Assets[0].ID, what)
		}
		after, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, before.ID)
		require.NoError(t, err)
		require.Equal(t, before.CreatedAt, after.CreatedAt)
		require.True(t, after.UpdatedAt.After(before.UpdatedAt))
		require.Contains(t, names(t, s), "application other v1")
	})
}

func TestPrefixAndReferences(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		first := s.Import(t, shop())
		billing := s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: "billing"}}})

		copied := shop(func(imp *catalog.Import) {
			imp.Prefix = "eu-"
			imp.Tasks[0].Applications = []string{"shop", "billing"}
		})
		result := s.Import(t, copied)
		require.Equal(t, []string{
			"application billing v1", "application eu-shop v1", "application shop v1", "task eu-nightly v1", "task nightly v1",
		}, names(t, s))
		task, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[1].ID)
		require.NoError(t, err)
		require.Equal(t, []catalog.AssetReference{
			{ID: billing.Assets[0].ID, Name: "billing"}, // not in the package: the instance's, without the prefix
			{ID: result.Assets[0].ID, Name: "eu-shop"},
		}, task.Applications)
		require.NotEqual(t, first.Assets[0].ID, result.Assets[0].ID)

		unknown := s.Fill(t, shop(func(imp *catalog.Import) {
			imp.Prefix = "us-"
			imp.Tasks[0].Applications = []string{"missing", "shop", "nightly"} // nightly is a task, not an application
		}))
		_, err = c.CommitImport(ctx, unknown)
		reasons := reasonsOf(t, err)
		require.Len(t, reasons, 2)
		for i, name := range []string{"missing", "nightly"} {
			require.Equal(t, catalog.ReasonUnknownReference, reasons[i].Code)
			require.Equal(t, "task", reasons[i].ResourceType)
			require.Equal(t, "us-nightly", reasons[i].ResourceName)
			require.Contains(t, reasons[i].Message, name)
		}
	})
}

func TestDataSources(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		one := func(name string, d catalog.ImportDataSource) catalog.Import {
			return catalog.Import{Applications: []catalog.ImportAsset{{Name: name, DataSources: []catalog.ImportDataSource{d}}}}
		}
		old := catalog.ImportDataSource{Name: "db", Type: "mysql", Description: "old", Settings: json.RawMessage(`{"a":1}`)}
		changed := catalog.ImportDataSource{Name: "db", Type: "oracle", Description: "new"}
		s.Import(t, one("a", old))
		before, err := c.ListDataSources(ctx, s.Project.ID, s.Instance.ID)
		require.NoError(t, err)

		result := s.Import(t, one("b", changed))
		require.Equal(t, 1, result.DataSourcesKept)
		kept, err := c.ListDataSources(ctx, s.Project.ID, s.Instance.ID)
		require.NoError(t, err)
		require.Equal(t, before, kept)

		overwrite := one("c", changed)
		overwrite.OverwriteDataSources = true
		result = s.Import(t, overwrite)
		require.Equal(t, 1, result.DataSourcesOverwritten)
		after, err := c.ListDataSources(ctx, s.Project.ID, s.Instance.ID)
		require.NoError(t, err)
		require.Len(t, after, 1)
		require.Equal(t, before[0].ID, after[0].ID)
		require.Equal(t, "oracle", after[0].Type)
		require.Equal(t, "new", after[0].Description)
		require.Nil(t, after[0].Settings)
		require.Equal(t, before[0].CreatedAt, after[0].CreatedAt)
		require.True(t, after[0].UpdatedAt.After(before[0].UpdatedAt))
		require.NotEqual(t, before[0].JobID, after[0].JobID)

		// Two assets of one package that contradict each other about it.
		torn := one("d", old)
		torn.Applications = append(torn.Applications, catalog.ImportAsset{Name: "e", DataSources: []catalog.ImportDataSource{changed}})
		_, err = c.CommitImport(ctx, s.Fill(t, torn))
		reasons := reasonsOf(t, err)
		require.Len(t, reasons, 1)
		require.Equal(t, catalog.ReasonDataSourceDiffers, reasons[0].Code)
		require.Equal(t, "e", reasons[0].ResourceName)
	})
}

func TestPlanOnlyReads(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		imp := s.Fill(t, shop(merge, func(imp *catalog.Import) {
			imp.OverwriteDataSources = true
			imp.Applications[0].Description = "changed"
			imp.Applications = append(imp.Applications, catalog.ImportAsset{Name: "new", DataSources: []catalog.ImportDataSource{{Name: "cache"}}})
		}))
		want := catalog.ImportPlan{
			Assets: []catalog.PlannedAsset{
				{Kind: catalog.KindApplication, Name: "shop", Action: catalog.ActionNewVersion, AssetID: made.Assets[0].ID},
				{Kind: catalog.KindApplication, Name: "new", Action: catalog.ActionCreate},
				{Kind: catalog.KindTask, Name: "nightly", Action: catalog.ActionUnchanged, AssetID: made.Assets[1].ID},
			},
			DataSources: []catalog.PlannedDataSource{
				{Name: "orders-db", Action: catalog.ActionOverwrite}, {Name: "cache", Action: catalog.ActionCreate},
			},
			Conflicts: []catalog.Reason{},
		}
		for range 2 {
			plan, err := c.PlanImport(ctx, imp)
			require.NoError(t, err)
			require.Equal(t, want, plan)
		}
		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))

		imp.InstanceID = catalog.NewID()
		_, err := c.PlanImport(ctx, imp)
		require.Equal(t, "catalog.instance_not_found", fault.CodeOf(err))
	})
}

// Two jobs want the same free names at the same moment.
func TestRacingImportsOfOneName(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		for range 10 {
			s := catalogtest.NewScene(t, c)
			const racers = 4
			errs := make([]error, racers)
			var all sync.WaitGroup
			for i := range racers {
				imp := s.Fill(t, shop())
				all.Go(func() { _, errs[i] = c.CommitImport(ctx, imp) })
			}
			all.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
					continue
				}
				require.Len(t, reasonsOf(t, err), 2)
			}
			require.Equal(t, 1, won)
			require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))
		}
	})
}

// Merges of one name at the same moment make one version after the other and lose none.
func TestRacingMerges(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		const racers = 8
		numbers, errs := make([]int, racers), make([]error, racers)
		var all sync.WaitGroup
		for i := range racers {
			imp := s.Fill(t, shop(merge, func(imp *catalog.Import) { imp.Applications[0].Description = fmt.Sprint(i) }))
			all.Go(func() {
				result, err := c.CommitImport(ctx, imp)
				if errs[i] = err; err == nil {
					numbers[i] = result.Assets[0].VersionNumber
				}
			})
		}
		all.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
		require.ElementsMatch(t, []int{1, 2, 3, 4, 5, 6, 7, 8}, numbers)
		require.Equal(t, []string{"application shop v8", "task nightly v1"}, names(t, s))
	})
}

func TestImportsThatCannotBe(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		tests := map[string]struct {
			change func(*catalog.Import)
			code   string
		}{
			"unknown mode":          {func(i *catalog.Import) { i.Mode = "Replace" }, "catalog.bad_import"},
			"unknown job":           {func(i *catalog.Import) { i.JobID = catalog.NewID() }, "catalog.job_not_found"},
			"another project's job": {func(i *catalog.Import) { i.JobID = other.NewJob(t) }, "catalog.job_not_found"},
			"another's instance":    {func(i *catalog.Import) { i.InstanceID = other.Instance.ID }, "catalog.instance_not_found"},
			"the same name twice":   {func(i *catalog.Import) { i.Applications = append(i.Applications, i.Applications[0]) }, "catalog.bad_import"},
			"no name":               {func(i *catalog.Import) { i.Tasks[0].Name = "" }, "catalog.bad_name"},
			"a name with NUL":       {func(i *catalog.Import) { i.Tasks[0].Name = "a\x00b" }, "catalog.bad_name"},
			"broken UTF-8":          {func(i *catalog.Import) { i.Tasks[0].Description = "\xff" }, "catalog.bad_import"},
			"a definition in half":  {func(i *catalog.Import) { i.Tasks[0].Definition = json.RawMessage(`{"a"`) }, "catalog.bad_import"},
			"two definitions":       {func(i *catalog.Import) { i.Tasks[0].Definition = json.RawMessage(`{}{}`) }, "catalog.bad_import"},
			"a file twice":          {func(i *catalog.Import) { i.Tasks[0].Files = append(i.Tasks[0].Files, i.Tasks[0].Files[0]) }, "catalog.bad_import"},
			"a bad digest":          {func(i *catalog.Import) { i.Tasks[0].Files[0].SHA256 = "AB" }, "catalog.bad_blob"},
			"an untouched blob":     {func(i *catalog.Import) { i.Tasks[0].Files[0] = catalogtest.File("x", "never touched") }, "catalog.blobs_not_found"},
		}
		for what, test := range tests {
			imp := s.Fill(t, shop())
			test.change(&imp)
			_, err := c.CommitImport(ctx, imp)
			require.Equal(t, test.code, fault.CodeOf(err), "%s: %v", what, err)
			require.Empty(t, names(t, s), what)
			require.Empty(t, names(t, other), what)
		}
	})
}
