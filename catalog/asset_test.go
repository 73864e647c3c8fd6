package catalog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestListAssetsPagesAreStable(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		var imp catalog.Import
		for i := range 12 {
			imp.Applications = append(imp.Applications, catalog.ImportAsset{Name: fmt.Sprintf("m-%02d", i)})
			imp.Tasks = append(imp.Tasks, catalog.ImportAsset{Name: fmt.Sprintf("m-%02d", i)})
		}
		s.Import(t, imp)
		other.Import(t, imp)

		var seen []string
		filter := catalog.AssetFilter{ProjectID: s.Project.ID, InstanceID: s.Instance.ID, Limit: 5}
		for page := 0; ; page++ {
			assets, next, err := c.ListAssets(ctx, filter)
			require.NoError(t, err)
			for _, a := range assets {
				require.Equal(t, s.Project.ID, a.ProjectID)
				seen = append(seen, fmt.Sprintf("%s %s", a.Kind, a.Name))
			}
			if next == "" {
				break
			}
			filter.Cursor = next
			// Before the cursor: never seen, and never shifts what comes.
			s.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{Name: fmt.Sprintf("a-%d", page)}}})
		}
		var want []string
		for _, kind := range []string{"application", "task"} {
			for i := range 12 {
				want = append(want, fmt.Sprintf("%s m-%02d", kind, i))
			}
		}
		require.Equal(t, want, seen)

		for _, cursor := range []string{"?", "e30", "WyJhIl0"} {
			filter.Cursor = cursor
			_, _, err := c.ListAssets(ctx, filter)
			requireFault(t, err, fault.Invalid, "catalog.bad_cursor")
		}
	})
}

func TestListAssetsFilters(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		s.Import(t, catalog.Import{
			Applications: []catalog.ImportAsset{{Name: "shop"}, {Name: "Shop"}, {Name: "100%_!\\'?"}, {Name: "École"}, {Name: "zoo"}},
			Tasks:        []catalog.ImportAsset{{Name: "shop"}},
		})
		tests := map[string]struct {
			filter catalog.AssetFilter
			want   []string
		}{
			"all, bytes in order":   {catalog.AssetFilter{}, []string{`application 100%_!\'?`, "application Shop", "application shop", "application zoo", "application École", "task shop"}},
			"kind":                  {catalog.AssetFilter{Kind: catalog.KindTask}, []string{"task shop"}},
			"exact name":            {catalog.AssetFilter{Name: "Shop"}, []string{"application Shop"}},
			"name of kind":          {catalog.AssetFilter{Kind: catalog.KindTask, Name: "shop"}, []string{"task shop"}},
			"part, whatever case":   {catalog.AssetFilter{NameContains: "HO"}, []string{"application Shop", "application shop", "task shop"}},
			"percent is itself":     {catalog.AssetFilter{NameContains: "%"}, []string{`application 100%_!\'?`}},
			"underscore is itself":  {catalog.AssetFilter{NameContains: "_"}, []string{`application 100%_!\'?`}},
			"special characters":    {catalog.AssetFilter{NameContains: `!\'?`}, []string{`application 100%_!\'?`}},
			"letters beyond ASCII":  {catalog.AssetFilter{NameContains: "É"}, []string{"application École"}},
			"their case is not":     {catalog.AssetFilter{NameContains: "é"}, nil},
			"part that is not":      {catalog.AssetFilter{NameContains: "nope"}, nil},
			"an overlong part":      {catalog.AssetFilter{NameContains: fmt.Sprintf("%060000d", 0)}, nil},
			"a prefix is not exact": {catalog.AssetFilter{Name: "sho"}, nil},
		}
		for name, test := range tests {
			test.filter.ProjectID, test.filter.InstanceID = s.Project.ID, s.Instance.ID
			assets, next, err := c.ListAssets(ctx, test.filter)
			require.NoError(t, err, name)
			require.Empty(t, next, name)
			var got []string
			for _, a := range assets {
				got = append(got, fmt.Sprintf("%s %s", a.Kind, a.Name))
			}
			require.Equal(t, test.want, got, name)
		}
	})
}

// Nothing of a project is reached with the ids of another.
func TestProjectsAreApart(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		asset := made.Assets[0].ID
		for _, at := range [][2]string{{other.Project.ID, s.Instance.ID}, {s.Project.ID, other.Instance.ID}, {other.Project.ID, other.Instance.ID}, {"", s.Instance.ID}, {s.Project.ID, ""}} {
			assets, _, err := c.ListAssets(ctx, catalog.AssetFilter{ProjectID: at[0], InstanceID: at[1]})
			require.NoError(t, err)
			require.Empty(t, assets)
			sources, err := c.ListDataSources(ctx, at[0], at[1])
			require.NoError(t, err)
			require.Empty(t, sources)
			_, err = c.Asset(ctx, at[0], at[1], asset)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		}
		// Neither a name, a data source nor an application of the one is in the way of, or in reach of, the other.
		plan, err := c.PlanImport(ctx, other.Fill(t, shop()))
		require.NoError(t, err)
		require.Empty(t, plan.Conflicts)
		require.Equal(t, catalog.ActionCreate, plan.DataSources[0].Action)
		plan, err = c.PlanImport(ctx, other.Fill(t, catalog.Import{Tasks: []catalog.ImportAsset{{Name: "t", Applications: []string{"shop"}}}}))
		require.NoError(t, err)
		require.Len(t, plan.Conflicts, 1)
		crossed := other.Fill(t, shop())
		crossed.InstanceID = s.Instance.ID
		_, err = c.PlanImport(ctx, crossed)
		requireFault(t, err, fault.NotFound, "catalog.instance_not_found")

		// A second instance of the same project is apart too.
		second, err := c.CreateInstance(ctx, s.Project.ID, "second")
		require.NoError(t, err)
		_, err = c.Asset(ctx, s.Project.ID, second.ID, asset)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		beside := s
		beside.Instance = second
		require.Equal(t, 2, beside.Import(t, shop()).Created)
	})
}

func TestTouchBlobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		imp := shop()
		a, b := imp.Applications[0].Files[1], imp.Applications[0].Files[0] // the digest of a sorts behind the one of b
		blobs := []catalog.Blob{{SHA256: a.SHA256, Size: 1}, {SHA256: b.SHA256, Size: 1}, {SHA256: a.SHA256, Size: 1}}
		for range 2 {
			missing, err := c.TouchBlobs(ctx, blobs)
			require.NoError(t, err)
			require.ElementsMatch(t, blobs[:2], missing, "each once, until a commit says that they are stored")
		}
		s.Import(t, imp)
		missing, err := c.TouchBlobs(ctx, blobs)
		require.NoError(t, err)
		require.Empty(t, missing)
		missing, err = c.TouchBlobs(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, missing)
		for _, bad := range []catalog.Blob{{SHA256: "ab"}, {SHA256: fmt.Sprintf("%064X", 11)}, {SHA256: fmt.Sprintf("%064d", 1), Size: -1}} {
			_, err = c.TouchBlobs(ctx, []catalog.Blob{bad})
			requireFault(t, err, fault.Invalid, "catalog.bad_blob")
		}
		// A blob that a version uses cannot be forgotten, whoever tries.
		require.Error(t, c.SQL("DELETE FROM blobs"))
	})
}

func TestBlobsTouchedByManyAtOnce(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		const callers = 8
		errs := make(chan error, callers)
		for i := range callers {
			blobs := make([]catalog.Blob, 3000)
			for j := range blobs { // each caller has another order
				blobs[j] = catalog.Blob{SHA256: fmt.Sprintf("%064x", (j*7919+i*101)%len(blobs)), Size: 1}
			}
			go func() {
				_, err := c.TouchBlobs(ctx, blobs)
				errs <- err
			}()
		}
		for range callers {
			require.NoError(t, <-errs)
		}
	})
}
