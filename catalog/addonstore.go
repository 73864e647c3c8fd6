package catalog

import (
	"context"

	"github.com/uptrace/bun"
)

// ListAddons gives the add-ons of an environment by creation. NotFound "catalog.environment_not_found".
func (c *Catalog) ListAddons(ctx context.Context, projectID, environmentID string) ([]Addon, error) {
	var rows []addonRow
	err := c.read(ctx, "list the add-ons", func(tx bun.Tx) error {
		if err := requireEnvironment(ctx, tx, projectID, environmentID); err != nil {
			return err
		}
		return selectAddons(tx, &rows, projectID).Where("ad.environment_id = ?", environmentID).Order("ad.created_at", "ad.id").Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	addons := make([]Addon, len(rows))
	for i, r := range rows {
		addons[i] = r.addon()
	}
	return addons, nil
}

// Addon finds an add-on. NotFound "catalog.environment_not_found", "catalog.addon_not_found".
func (c *Catalog) Addon(ctx context.Context, projectID, environmentID, id string) (Addon, error) {
	var row addonRow
	err := c.read(ctx, "read the add-on", func(tx bun.Tx) error {
		if err := requireEnvironment(ctx, tx, projectID, environmentID); err != nil {
			return err
		}
		var err error
		row, err = readAddon(ctx, tx, projectID, environmentID, id)
		return err
	})
	return row.addon(), err
}

func readAddon(ctx context.Context, db bun.IDB, projectID, environmentID, id string) (addonRow, error) {
	var row addonRow
	if !isDigitalID(id) {
		return row, noAddon()
	}
	err := selectAddons(db, &row, projectID).Where("ad.environment_id = ?", environmentID).Where("ad.id = ?", id).Scan(ctx)
	return row, orAbsent(err, noAddon())
}
