package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// DeleteServiceTemplate moves a service template to the trash, with all its versions. NotFound
// "catalog.template_not_found" when it is not there, or is there already.
func (c *Catalog) DeleteServiceTemplate(ctx context.Context, userID, projectID string, number int64) error {
	return c.write(ctx, "delete the service template", func(tx bun.Tx) error {
		row, err := c.lockTemplate(ctx, tx, projectID, number)
		if err != nil {
			return err
		}
		if !row.DeletedAt.IsZero() {
			return noTemplate()
		}
		_, err = tx.NewUpdate().Model((*assetRow)(nil)).Set("deleted_at = ?", now()).Set("deleted_by = ?", userID).Where("id = ?", row.AssetID).Exec(ctx)
		if err != nil {
			return err
		}
		if err := settleLatest(ctx, tx, projectID, row.VendorID, row.KeyName); err != nil {
			return err
		}
		return writeAudit(ctx, tx, assetEntry(AssetDeleted, userID, row.current(), nil))
	})
}

// RestoreServiceTemplate brings a service template back from the trash. NotFound "catalog.template_not_found" when it is
// not there; Conflict "catalog.name_taken" when there is a living one of its name and version by now.
func (c *Catalog) RestoreServiceTemplate(ctx context.Context, userID, projectID string, number int64) (ServiceTemplate, error) {
	var restored ServiceTemplate
	err := c.write(ctx, "restore the service template", func(tx bun.Tx) error {
		row, err := c.lockTemplate(ctx, tx, projectID, number)
		if err != nil {
			return err
		}
		if row.DeletedAt.IsZero() {
			return noTemplate()
		}
		_, err = tx.NewUpdate().Model((*assetRow)(nil)).Set("deleted_at = NULL").Set("deleted_by = NULL").Where("id = ?", row.AssetID).Exec(ctx)
		if isDuplicate(err) {
			return fault.New(fault.Conflict, "catalog.name_taken",
				"the project has another service template %s by now: delete that one first", row.key().assetName())
		}
		if err != nil {
			return err
		}
		if err := settleLatest(ctx, tx, projectID, row.VendorID, row.KeyName); err != nil {
			return err
		}
		if err := writeAudit(ctx, tx, assetEntry(AssetRestored, userID, row.current(), nil)); err != nil {
			return err
		}
		var now templateRow
		err = selectTemplates(tx, &now, projectID).Where("t.number = ?", number).Scan(ctx)
		restored = now.template()
		return err
	})
	if err != nil {
		return ServiceTemplate{}, err
	}
	return restored, nil
}

// PurgeServiceTemplate removes a service template from the trash for good, with all its versions. Blobs stay until a sweep
// finds them unused. NotFound "catalog.template_not_found" when it is not in the trash.
func (c *Catalog) PurgeServiceTemplate(ctx context.Context, userID, projectID string, number int64) error {
	return c.write(ctx, "purge the service template", func(tx bun.Tx) error {
		row, err := c.lockTemplate(ctx, tx, projectID, number)
		if err != nil {
			return err
		}
		if row.DeletedAt.IsZero() {
			return noTemplate()
		}
		return c.purge(ctx, tx, []currentRow{row.current()}, userID)
	})
}

// purgeTemplates purges those service templates of a project that are still in the trash since before the given time.
func (c *Catalog) purgeTemplates(ctx context.Context, projectID string, ids []string, deletedBefore time.Time) (int, error) {
	var purged int
	err := c.write(ctx, "purge the trash", func(tx bun.Tx) error {
		purged = 0
		if err := c.lockProject(ctx, tx, projectID); err != nil {
			return err
		}
		var rows []templateRow
		err := selectTemplates(tx, &rows, projectID).Where("t.asset_id IN (?)", bun.List(ids)).Where("a.deleted_at < ?", stampOf(deletedBefore)).
			Order("t.number").Scan(ctx)
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
