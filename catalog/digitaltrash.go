package catalog

import (
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// DeleteDigitalAsset moves a digital asset to the trash, with all its versions and files; again is no error. NotFound
// "catalog.asset_not_found".
func (c *Catalog) DeleteDigitalAsset(ctx context.Context, userID, projectID, id string) error {
	return c.write(ctx, "delete the digital asset", func(tx bun.Tx) error {
		row, err := c.lockDigital(ctx, tx, projectID, id)
		if err != nil || !row.DeletedAt.IsZero() {
			return err
		}
		_, err = tx.NewUpdate().Model((*assetRow)(nil)).Set("deleted_at = ?", now()).Set("deleted_by = ?", userID).Where("id = ?", id).Exec(ctx)
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, assetEntry(AssetDeleted, userID, row.current(), nil))
	})
}

// RestoreDigitalAsset brings a digital asset back from the trash, in the state in which it was deleted. NotFound
// "catalog.asset_not_found" when it is not there; Conflict "catalog.name_taken" when a living one has its name by now.
func (c *Catalog) RestoreDigitalAsset(ctx context.Context, userID, projectID, id string) (DigitalAsset, error) {
	var asset DigitalAsset
	err := c.write(ctx, "restore the digital asset", func(tx bun.Tx) error {
		row, err := c.lockDigital(ctx, tx, projectID, id)
		if err != nil {
			return err
		}
		if row.DeletedAt.IsZero() {
			return noDigital()
		}
		if err := takeOut(ctx, tx, row, maker{userID: userID}); err != nil {
			return err
		}
		asset, err = readDigital(ctx, tx, projectID, id)
		return err
	})
	if err != nil {
		return DigitalAsset{}, err
	}
	return asset, nil
}

// takeOut takes a held asset out of the trash.
func takeOut(ctx context.Context, tx bun.Tx, row digitalRow, by maker) error {
	_, err := tx.NewUpdate().Model((*assetRow)(nil)).Set("deleted_at = NULL").Set("deleted_by = NULL").Where("id = ?", row.AssetID).Exec(ctx)
	if isDuplicate(err) {
		return nameTaken(row.Name)
	}
	if err != nil {
		return err
	}
	return writeAudit(ctx, tx, assetEntry(AssetRestored, by.userID, row.current(), facts(by)))
}

// PurgeDigitalAsset removes a digital asset for good, in the trash or not, with all its versions. Blobs stay until a
// sweep finds them unused. NotFound "catalog.asset_not_found".
func (c *Catalog) PurgeDigitalAsset(ctx context.Context, userID, projectID, id string) error {
	return c.write(ctx, "purge the digital asset", func(tx bun.Tx) error {
		row, err := c.lockDigital(ctx, tx, projectID, id)
		if err != nil {
			return err
		}
		return c.purge(ctx, tx, []currentRow{row.current()}, userID)
	})
}

// purgeDigital purges those digital assets of a project that are still in the trash since before the given time.
func (c *Catalog) purgeDigital(ctx context.Context, projectID string, ids []string, deletedBefore time.Time) (int, error) {
	var purged int
	ids = slices.Sorted(slices.Values(ids)) // everybody who holds several holds them in this order
	err := c.write(ctx, "purge the trash", func(tx bun.Tx) error {
		var held []string
		err := tx.NewSelect().Model((*digitalRow)(nil)).Column("asset_id").Where("d.asset_id IN (?)", bun.List(ids)).
			Where("d.project_id = ?", projectID).Order("d.asset_id").Apply(c.lock("d")).Scan(ctx, &held)
		purged = 0
		if err != nil || len(held) == 0 {
			return err
		}
		var rows []digitalRow
		err = selectDigital(tx, &rows, projectID).Where("d.asset_id IN (?)", bun.List(held)).Where("a.deleted_at < ?", stampOf(deletedBefore)).
			Order("a.name", "a.id").Scan(ctx)
		if err != nil {
			return err
		}
		trashed := make([]currentRow, len(rows))
		for i, r := range rows {
			trashed[i] = r.current()
		}
		purged = len(trashed)
		return c.purge(ctx, tx, trashed, "")
	})
	if err != nil {
		return 0, err
	}
	return purged, nil
}
