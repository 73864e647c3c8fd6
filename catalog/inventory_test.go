package catalog_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
)

func TestKeptBlobs(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		scene, store := catalogtest.NewScene(t, c), new(objects)
		chart := scene.AddChart(t, "hello", "1.0.0", "chart")
		files := []catalog.File{catalogtest.File("a", "one"), catalogtest.File("b", "two")}
		imported := scene.Import(t, catalog.Import{Applications: []catalog.ImportAsset{{SourceID: "a", Name: "A", Files: files}}})
		unused := leftover(t, c, store, "nobody stored it")

		want := []catalog.KeptBlob{
			{Blob: catalog.Blob{SHA256: chart.SHA256, Size: chart.Size}, Used: true},
			{Blob: catalog.Blob{SHA256: files[0].SHA256, Size: 3}, Used: true},
			{Blob: catalog.Blob{SHA256: files[1].SHA256, Size: 3}, Used: true},
		}
		slices.SortFunc(want, func(a, b catalog.KeptBlob) int { return cmp.Compare(a.SHA256, b.SHA256) })
		require.Equal(t, want, kept(t, c))
		_, keeps, err := c.KeepsBlob(ctx, unused.SHA256)
		require.NoError(t, err)
		require.False(t, keeps, "no commit has said that it is stored")

		// What was used counts as stored until a sweep condemns it.
		deleteAll(t, scene, imported)
		n, err := c.PurgeAssets(ctx, scene.Project.ID, scene.Instance.ID, []string{imported.Assets[0].ID}, scene.User.ID)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		want = slices.DeleteFunc(want, func(b catalog.KeptBlob) bool { return b.SHA256 == chart.SHA256 })
		for i := range want {
			want[i].Used = false
		}
		library := catalog.KeptBlob{Blob: catalog.Blob{SHA256: chart.SHA256, Size: chart.Size}, Used: true}
		require.ElementsMatch(t, append(want, library), kept(t, c))

		// What is missing is stored by whoever brings it next.
		gone := catalog.Blob{SHA256: files[0].SHA256, Size: 3}
		missing, err := c.TouchBlobs(ctx, []catalog.Blob{gone})
		require.NoError(t, err)
		require.Empty(t, missing)
		require.NoError(t, c.MissBlob(ctx, gone.SHA256))
		_, keeps, err = c.KeepsBlob(ctx, gone.SHA256)
		require.NoError(t, err)
		require.False(t, keeps)
		require.NoError(t, c.MissBlob(ctx, chart.SHA256))
		blob, keeps, err := c.KeepsBlob(ctx, chart.SHA256)
		require.NoError(t, err)
		require.True(t, keeps, "what is used must be there whatever is noted")
		require.Equal(t, catalog.KeptBlob{Blob: catalog.Blob{SHA256: chart.SHA256, Size: chart.Size}, Used: true}, blob)
		missing, err = c.TouchBlobs(ctx, []catalog.Blob{gone, blob.Blob})
		require.NoError(t, err)
		require.ElementsMatch(t, []catalog.Blob{gone, blob.Blob}, missing)
	})
}

// kept gives all that must be there, in pages of two.
func kept(t *testing.T, c *catalog.Catalog) []catalog.KeptBlob {
	t.Helper()
	var all []catalog.KeptBlob
	for after := ""; ; {
		page, err := c.KeptBlobs(ctx, after, 2)
		require.NoError(t, err)
		all = append(all, page...)
		if len(page) < 2 {
			return all
		}
		after = page[1].SHA256
	}
}

func TestWaitingArchives(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		scene := catalogtest.NewScene(t, c)
		var ids []string
		for _, lives := range []time.Duration{time.Hour, time.Hour, -time.Hour, time.Hour} {
			job := scene.NewJob(t)
			sum := catalogtest.File("", job)
			_, err := c.CommitExport(ctx, catalog.ExportCommit{JobID: job, ProjectID: scene.Project.ID, Archive: catalog.Archive{
				ID: job, InstanceID: scene.Instance.ID, UserID: scene.User.ID, FileName: "a.zip", SHA256: sum.SHA256, Size: sum.Size,
				ExpiresAt: time.Now().Add(lives),
			}})
			require.NoError(t, err)
			ids = append(ids, job)
		}
		taken, err := c.RecordDelivery(ctx, ids[1], 0, int64(len(ids[1])))
		require.NoError(t, err)
		require.True(t, taken)
		page, err := c.WaitingArchives(ctx, "", 1)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, ids[0], page[0].ID)
		page, err = c.WaitingArchives(ctx, ids[0], 10)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, ids[3], page[0].ID)
	})
}
