package catalog_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
)

// pack makes a package of so many assets with so many files together, all of them new; half of the assets are tasks
// that use an application each.
func pack(name string, assets, files int) catalog.Import {
	var imp catalog.Import
	for i := range assets {
		a := catalog.ImportAsset{
			SourceID: fmt.Sprint(i), Name: fmt.Sprintf("%s-%06d", name, i), Description: "An asset of usual size",
			Definition:  json.RawMessage(`{"steps":[{"name":"one","url":"/a"},{"name":"two","url":"/b"}],"timeout":30}`),
			DataSources: []catalog.ImportDataSource{{Name: fmt.Sprintf("db-%d", i%5), Type: "mysql", Settings: json.RawMessage(`{"pool":5}`)}},
		}
		for j := range files / assets {
			path := fmt.Sprintf("files/%s/%d/%d.txt", name, i, j)
			a.Files = append(a.Files, catalogtest.File(path, path))
		}
		if i%2 == 0 {
			imp.Applications = append(imp.Applications, a)
		} else {
			a.Applications = []string{imp.Applications[len(imp.Applications)-1].Name}
			imp.Tasks = append(imp.Tasks, a)
		}
	}
	return imp
}

// What a commit costs in round trips does not grow with the package.
func TestCommitTakesFewStatements(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for _, assets := range []int{4, 100} {
			imp := s.Fill(t, pack(catalog.NewID(), assets, 400))
			n := c.CountStatements()
			_, err := c.CommitImport(ctx, imp)
			require.NoError(t, err)
			require.LessOrEqual(t, n.Load(), int64(17), "%d assets", assets)
			require.Positive(t, n.Load())
		}
	})
}

func TestALargeImport(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		result, err := c.CommitImport(ctx, s.Fill(t, pack("large", 100, 20_000)))
		require.NoError(t, err)
		require.Equal(t, 100, result.Created)
		asset, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, result.Assets[99].ID)
		require.NoError(t, err)
		require.Len(t, asset.Files, 200)
	})
}

// How long these take is what bench measures.
func TestListingManyAssets(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		for i := range 4 {
			s.Import(t, pack(fmt.Sprintf("part-%02d", i), 2500, 0))
		}
		all := catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID}
		_, behind, err := c.ListAssets(ctx, catalog.AssetFilter{
			ProjectID: all.ProjectID, InstanceID: all.InstanceID, Kind: catalog.KindTask, NameContains: "part-02-001",
		})
		require.NoError(t, err)
		require.NotEmpty(t, behind)
		for what, test := range map[string]struct {
			change func(*catalog.AssetFilter)
			rows   int
		}{
			"first page":                    {func(*catalog.AssetFilter) {}, 50},
			"a page far behind":             {func(f *catalog.AssetFilter) { f.Cursor = behind }, 50},
			"a page of 500":                 {func(f *catalog.AssetFilter) { f.Cursor, f.Limit = behind, 500 }, 500},
			"one kind":                      {func(f *catalog.AssetFilter) { f.Kind = catalog.KindTask }, 50},
			"one name":                      {func(f *catalog.AssetFilter) { f.Name = "part-03-000104" }, 1},
			"part of a name, many have it":  {func(f *catalog.AssetFilter) { f.NameContains = "part" }, 50},
			"part of a name, nobody has it": {func(f *catalog.AssetFilter) { f.NameContains = "nothing" }, 0},
		} {
			filter := all
			test.change(&filter)
			assets, _, err := c.ListAssets(ctx, filter)
			require.NoError(t, err)
			require.Len(t, assets, test.rows, what)
		}
	})
}

// BenchmarkSmallImport is what one import of 5 assets with 10 files costs the catalog.
func BenchmarkSmallImport(b *testing.B) {
	for _, database := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", catalogtest.SQLiteURL}, {"postgres", catalogtest.PostgresURL}} {
		b.Run(database.name, func(b *testing.B) {
			s := catalogtest.NewScene(b, catalogtest.Open(b, database.url(b)))
			var took []time.Duration
			for b.Loop() {
				b.StopTimer()
				imp := s.Fill(b, pack(catalog.NewID(), 5, 10))
				b.StartTimer()
				began := time.Now()
				_, err := s.Catalog.CommitImport(ctx, imp)
				took = append(took, time.Since(began))
				require.NoError(b, err)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// A deletion and an export find theirs among many.
func TestJobsAmongManyAssets(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		var applications, tasks []string
		for i := range 4 {
			made := s.Import(t, pack(fmt.Sprintf("part-%02d", i), 1000, 0))
			if i == 2 { // packs have applications before tasks, and each task uses the application of its number
				for j := range 50 {
					applications = append(applications, made.Assets[j].ID)
					tasks = append(tasks, made.Assets[500+j].ID)
				}
			}
		}
		d := deletion(t, s, applications, tasks)
		_, err := c.PlanDeletion(ctx, d)
		require.NoError(t, err)
		_, _, err = c.ReadForExport(ctx, s.Project.ID, s.Instance.ID, applications, tasks)
		require.NoError(t, err)
		_, err = c.CommitDeletion(ctx, d)
		require.NoError(t, err)
		n, err := c.PurgeTrash(ctx, time.Now().Add(time.Hour), 1000)
		require.NoError(t, err)
		require.Equal(t, 100, n)
	})
}
