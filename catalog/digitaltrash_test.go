package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
)

func TestDigitalTrash(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")
		addFile(t, s, asset.ID, "MAIN", "body")
		before := readDigital(t, s, asset.ID)
		remove := func(projectID string) error { return c.DeleteDigitalAsset(ctx, s.User.ID, projectID, asset.ID) }
		restore := func(projectID string) error {
			_, err := c.RestoreDigitalAsset(ctx, s.User.ID, projectID, asset.ID)
			return err
		}
		requireFault(t, remove(other.Project.ID), fault.NotFound, "catalog.asset_not_found")
		requireFault(t, restore(s.Project.ID), fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, remove(s.Project.ID))
		trashed := readDigital(t, s, asset.ID)
		require.Equal(t, catalog.DigitalDeleting, trashed.State)
		require.NotNil(t, trashed.DeletedAt)
		require.NoError(t, remove(s.Project.ID))
		require.Equal(t, trashed, readDigital(t, s, asset.ID))
		_, err := c.ListDigitalVersions(ctx, s.Project.ID, asset.ID)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.DigitalAssetAt(ctx, s.Project.ID, asset.ID, 1)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, asset.ID, 1)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")

		again := newDigital(t, s, "Anna")
		requireFault(t, restore(s.Project.ID), fault.Conflict, "catalog.name_taken")
		requireFault(t, restore(other.Project.ID), fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, c.PurgeDigitalAsset(ctx, s.User.ID, s.Project.ID, again.ID), "from outside the trash as well")
		require.NoError(t, restore(s.Project.ID))
		require.Equal(t, before, readDigital(t, s, asset.ID))
		require.Equal(t, []string{"asset.added", "file.added", "file.completed", "asset.deleted", "asset.restored"}, trail(t, c, asset.ID))

		require.NoError(t, remove(s.Project.ID))
		purge := func(projectID string) error { return c.PurgeDigitalAsset(ctx, s.User.ID, projectID, asset.ID) }
		requireFault(t, purge(other.Project.ID), fault.NotFound, "catalog.asset_not_found")
		require.NoError(t, purge(s.Project.ID))
		requireFault(t, purge(s.Project.ID), fault.NotFound, "catalog.asset_not_found")
		_, err = c.DigitalAsset(ctx, s.Project.ID, asset.ID)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		_, err = c.DigitalFile(ctx, s.Project.ID, before.Files[0].ID)
		requireFault(t, err, fault.NotFound, "catalog.file_not_found")
		entries, _, err := c.ListAudit(ctx, catalog.AuditFilter{ResourceID: asset.ID, Limit: 1})
		require.NoError(t, err)
		require.Equal(t, catalog.AssetPurged, entries[0].Action)
		require.Equal(t, s.User.ID, entries[0].ActorID)
		require.Equal(t, "digital-asset", entries[0].ResourceKind)
		require.Equal(t, s.Project.ID, entries[0].ProjectID)
		require.Empty(t, entries[0].InstanceID)
		require.JSONEq(t, `{"name":"Anna"}`, string(entries[0].Details))
	})
}

func TestPurgeTrashTakesDigitalAssets(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		one, two := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		deleteAll(t, one, one.Import(t, shop()))
		var ids []string
		for i := range 6 {
			s := []catalogtest.Scene{one, two}[i%2]
			a := newDigital(t, s, fmt.Sprint("asset ", i))
			addFile(t, s, a.ID, "MAIN", fmt.Sprint("body ", i))
			newFile(t, s, a.ID, "PAGE", "page")
			require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, a.ID))
			ids = append(ids, a.ID)
		}
		living := newDigital(t, one, "living")
		_, err := c.RestoreDigitalAsset(ctx, two.User.ID, two.Project.ID, ids[5])
		require.NoError(t, err)

		n, err := c.PurgeTrash(ctx, time.Now().Add(-time.Hour), 100)
		require.NoError(t, err)
		require.Zero(t, n)
		after := soon()
		n, err = c.PurgeTrash(ctx, after, 4) // task, application, and two of ours
		require.NoError(t, err)
		require.Equal(t, 4, n)
		n, err = c.PurgeTrash(ctx, after, 100)
		require.NoError(t, err)
		require.Equal(t, 3, n)
		n, err = c.PurgeTrash(ctx, after, 100)
		require.NoError(t, err)
		require.Zero(t, n)
		readDigital(t, one, living.ID)
		require.Equal(t, catalog.DigitalActived, readDigital(t, two, ids[5]).State)
		require.Equal(t, []string{"asset.added", "file.added", "file.completed", "file.added", "asset.deleted", "asset.purged"}, trail(t, c, ids[0]))
	})
}

func TestDigitalVersions(t *testing.T) {
	t.Parallel()
	catalogtest.Each(t, func(t *testing.T, c *catalog.Catalog) {
		s, other := catalogtest.NewScene(t, c), catalogtest.NewScene(t, c)
		asset := newDigital(t, s, "Anna")
		main := addFile(t, s, asset.ID, "MAIN", "body")
		second := readDigital(t, s, asset.ID)
		_, err := c.UpdateDigitalAsset(ctx, s.User.ID, s.Project.ID, asset.ID, func(m *catalog.DigitalMetadata) error { m.Name = "Bea"; return nil })
		require.NoError(t, err)
		require.NoError(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, main.ID))

		versions, err := c.ListDigitalVersions(ctx, s.Project.ID, asset.ID)
		require.NoError(t, err)
		require.Len(t, versions, 4)
		for i, v := range versions {
			require.Equal(t, 4-i, v.Number)
			require.Equal(t, s.User.ID, v.CreatedBy)
			require.Empty(t, v.JobID)
		}
		require.Equal(t, second.Digest, versions[2].Digest)
		for _, project := range []string{other.Project.ID, ""} {
			_, err = c.ListDigitalVersions(ctx, project, asset.ID)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
			_, err = c.DigitalAssetAt(ctx, project, asset.ID, 1)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
			_, err = c.RestoreDigitalVersion(ctx, s.User.ID, project, asset.ID, 1)
			requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		}
		_, err = c.ListDigitalVersions(ctx, s.Project.ID, "a\x00")
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")
		app := s.Import(t, shop()).Assets[0].ID
		_, err = c.ListDigitalVersions(ctx, s.Project.ID, app)
		requireFault(t, err, fault.NotFound, "catalog.asset_not_found")

		at, err := c.DigitalAssetAt(ctx, s.Project.ID, asset.ID, 3)
		require.NoError(t, err)
		require.Equal(t, "Bea", at.Name)
		require.Equal(t, catalog.DigitalCreating, at.State)
		require.Equal(t, main.SHA256, at.Files[0].SHA256)
		_, err = c.DigitalAssetAt(ctx, s.Project.ID, asset.ID, 9)
		requireFault(t, err, fault.NotFound, "catalog.version_not_found")
		_, err = c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, asset.ID, 9)
		requireFault(t, err, fault.NotFound, "catalog.version_not_found")

		// The name comes back with the version, unless it is given away.
		taken := newDigital(t, s, "Anna")
		before := readDigital(t, s, asset.ID)
		_, err = c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, asset.ID, 2)
		requireFault(t, err, fault.Conflict, "catalog.name_taken")
		require.Equal(t, before, readDigital(t, s, asset.ID))
		require.NoError(t, c.DeleteDigitalAsset(ctx, s.User.ID, s.Project.ID, taken.ID))
		restored, err := c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, asset.ID, 2)
		require.NoError(t, err)
		require.Equal(t, 5, restored.VersionNumber)
		require.Equal(t, second.Digest, restored.Digest)
		require.Equal(t, second.DigitalMetadata, restored.DigitalMetadata)
		require.Equal(t, catalog.DigitalActived, restored.State)
		require.Equal(t, main.ID, restored.Files[0].ID)
		require.Equal(t, main.SHA256, restored.Files[0].SHA256)
		require.Equal(t, restored, readDigital(t, s, asset.ID))
		same, err := c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, asset.ID, 5)
		require.NoError(t, err)
		require.Equal(t, restored, same)
		require.Contains(t, trail(t, c, asset.ID), "asset.version_restored")

		// A main file that is being uploaded beside the restored one cannot be completed.
		require.NoError(t, c.DeleteDigitalFile(ctx, s.User.ID, s.Project.ID, main.ID))
		rival := newFile(t, s, asset.ID, "MAIN", "rival")
		_, err = c.RestoreDigitalVersion(ctx, s.User.ID, s.Project.ID, asset.ID, 2)
		require.NoError(t, err)
		_, err = c.CompleteDigitalFile(ctx, s.User.ID, s.Project.ID, rival.ID, touchContent(t, c, "rival"))
		requireFault(t, err, fault.Conflict, "catalog.main_exists")
	})
}
