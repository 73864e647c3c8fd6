package catalog_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestVersions(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		id, task := made.Assets[0].ID, made.Assets[1].ID
		first, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, id)
		require.NoError(t, err)
		changed := s.Fill(t, shop(merge, func(imp *catalog.Import) {
			imp.VersionLabel = "2.0.0"
			a := &imp.Applications[0]
			a.Description, a.Definition, a.DataSources, a.Files = "another", nil, nil, a.Files[:1]
		}))
		_, err = c.CommitImport(ctx, changed)
		require.NoError(t, err)
		second, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, id)
		require.NoError(t, err)

		at := func(version int) catalog.AssetDetail {
			detail, err := c.AssetAt(ctx, s.Project.ID, s.Instance.ID, id, version)
			require.NoError(t, err)
			return detail
		}
		require.Equal(t, first, at(1))
		require.Equal(t, second, at(2))

		editor, err := c.CreateUser(ctx, "acme", "editor", "")
		require.NoError(t, err)
		restored, err := c.RestoreVersion(ctx, s.Project.ID, s.Instance.ID, id, 1, editor.ID)
		require.NoError(t, err)
		require.Equal(t, 3, restored.VersionNumber)
		require.Equal(t, "1.0.0", restored.VersionLabel)
		require.Equal(t, first.Digest, restored.Digest)
		require.Equal(t, editor.ID, restored.UpdatedBy)
		require.Empty(t, restored.JobID)
		third, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, id)
		require.NoError(t, err)
		require.Equal(t, restored, third.Asset)
		third.Asset = first.Asset
		require.Equal(t, first, third, "the same content")
		require.Equal(t, second, at(2), "older versions never change")

		again, err := c.RestoreVersion(ctx, s.Project.ID, s.Instance.ID, id, 1, editor.ID)
		require.NoError(t, err)
		require.Equal(t, restored, again, "equal to the current content: nothing changes")
		require.Equal(t, []string{"asset.version_restored"}, trail(t, c, id))
		require.Equal(t, 2, s.Import(t, shop(merge)).Unchanged)

		versions, err := c.ListVersions(ctx, s.Project.ID, s.Instance.ID, id)
		require.NoError(t, err)
		require.Len(t, versions, 3)
		require.Equal(t, catalog.AssetVersion{
			Number: 2, Label: "2.0.0", Digest: second.Digest, CreatedBy: s.User.ID, JobID: changed.JobID, CreatedAt: second.UpdatedAt,
		}, versions[1])
		require.Equal(t, 3, versions[0].Number)
		require.Equal(t, editor.ID, versions[0].CreatedBy)

		for _, at := range [][3]string{
			{other.Project.ID, s.Instance.ID, id}, {other.Project.ID, other.Instance.ID, id}, {s.Project.ID, s.Instance.ID, "no id"},
		} {
			_, err = c.ListVersions(ctx, at[0], at[1], at[2])
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
			_, err = c.AssetAt(ctx, at[0], at[1], at[2], 1)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
			_, err = c.RestoreVersion(ctx, at[0], at[1], at[2], 1, editor.ID)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		}
		for _, number := range []int{0, -1, 4} {
			_, err = c.AssetAt(ctx, s.Project.ID, s.Instance.ID, id, number)
			requireFault(t, err, fault.NotFound, "catalog.version_not_found")
			_, err = c.RestoreVersion(ctx, s.Project.ID, s.Instance.ID, id, number, editor.ID)
			requireFault(t, err, fault.NotFound, "catalog.version_not_found")
		}

		// The first version of the task uses an application that is in the trash.
		s.Import(t, shop(merge, func(imp *catalog.Import) { imp.Tasks[0].Applications = nil }))
		_, err = c.CommitDeletion(ctx, deletion(t, s, []string{id}, nil))
		require.NoError(t, err)
		_, err = c.RestoreVersion(ctx, s.Project.ID, s.Instance.ID, task, 1, editor.ID)
		requireFault(t, err, fault.Conflict, "catalog.reference_deleted")
		_, err = c.ListVersions(ctx, s.Project.ID, s.Instance.ID, id)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.RestoreAsset(ctx, s.Project.ID, s.Instance.ID, id, editor.ID)
		require.NoError(t, err)
		asset, err := c.RestoreVersion(ctx, s.Project.ID, s.Instance.ID, task, 1, editor.ID)
		require.NoError(t, err)
		require.Equal(t, 3, asset.VersionNumber)
		detail, err := c.Asset(ctx, s.Project.ID, s.Instance.ID, task)
		require.NoError(t, err)
		require.Equal(t, []catalog.AssetReference{{ID: id, Name: "shop"}}, detail.Applications)
	})
}

func TestCompareImport(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s := catalogtest.NewScene(t, c)
		made := s.Import(t, shop())
		imp := shop(merge, func(imp *catalog.Import) {
			a := &imp.Applications[0]
			a.Definition = json.RawMessage(`{"b":2}`)
			a.Files = []catalog.File{catalogtest.File("apps/shop/a.txt", "longer"), catalogtest.File("apps/shop/c.txt", "cc")}
			imp.Applications = append(imp.Applications, catalog.ImportAsset{Name: "new", Files: []catalog.File{catalogtest.File("n.txt", "nnn")}})
		})
		imp.ProjectID, imp.InstanceID = s.Project.ID, s.Instance.ID // without a job, and its blobs unheard of
		differences, plan, err := c.CompareImport(ctx, imp)
		require.NoError(t, err)
		planned, err := c.PlanImport(ctx, imp)
		require.NoError(t, err)
		require.Equal(t, planned, plan)
		none, noFiles := []string{}, []catalog.FileChange{}
		require.Equal(t, []catalog.AssetDifference{
			{
				PlannedAsset: plan.Assets[0], Fields: []string{"definition"}, FilesAdded: []catalog.FileChange{{Path: "apps/shop/c.txt", NewSize: 2}},
				FilesRemoved: []catalog.FileChange{{Path: "apps/shop/b.txt", OldSize: 1}},
				FilesChanged: []catalog.FileChange{{Path: "apps/shop/a.txt", OldSize: 1, NewSize: 6}},
			},
			{
				PlannedAsset: plan.Assets[1], Fields: none, FilesAdded: []catalog.FileChange{{Path: "n.txt", NewSize: 3}},
				FilesRemoved: noFiles, FilesChanged: noFiles,
			},
			{PlannedAsset: plan.Assets[2], Fields: none, FilesAdded: noFiles, FilesRemoved: noFiles, FilesChanged: noFiles},
		}, differences)
		require.Equal(t, catalog.ActionUnchanged, differences[2].Action)

		// A name that is taken is compared too.
		conflicting := shop(func(imp *catalog.Import) {
			imp.Tasks[0].Description, imp.Tasks[0].Applications, imp.Tasks[0].DataSources = "changed", nil, nil
		})
		conflicting.Mode, conflicting.ProjectID, conflicting.InstanceID = catalog.AddNew, s.Project.ID, s.Instance.ID
		differences, plan, err = c.CompareImport(ctx, conflicting)
		require.NoError(t, err)
		require.Len(t, plan.Conflicts, 2)
		require.Empty(t, differences[0].Fields)
		require.Equal(t, made.Assets[1].ID, differences[1].AssetID)
		require.Equal(t, []string{"description", "applications", "data_sources"}, differences[1].Fields)

		require.Equal(t, []string{"application shop v1", "task nightly v1"}, names(t, s))
		imp.InstanceID = catalog.NewID()
		_, _, err = c.CompareImport(ctx, imp)
		requireFault(t, err, fault.NotFound, "catalog.instance_not_found")
		imp.Mode = "x"
		_, _, err = c.CompareImport(ctx, imp)
		requireFault(t, err, fault.Invalid, "catalog.bad_import")
	})
}
