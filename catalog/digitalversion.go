package catalog

import (
	"context"

	"github.com/uptrace/bun"
)

// ListDigitalVersions gives all versions of a living digital asset, newest first. NotFound "catalog.asset_not_found".
func (c *Catalog) ListDigitalVersions(ctx context.Context, projectID, id string) ([]AssetVersion, error) {
	var rows []versionRow
	if !isDigitalID(id) {
		return nil, noDigital()
	}
	err := c.reader.NewSelect().Model(&rows).Column("number", "label", "digest", "created_by", "job_id", "created_at").
		Join("JOIN assets AS a ON a.id = v.asset_id").Where("a.id = ?", id).Where("a.project_id = ?", projectID).
		Where("a.kind = ?", string(KindDigital)).Where("a.deleted_at IS NULL").Order("v.number DESC").Scan(ctx)
	if err != nil {
		return nil, failed(ctx, "list the versions", err)
	}
	if len(rows) == 0 { // an asset has at least one
		return nil, noDigital()
	}
	return versionsOf(rows), nil
}

// DigitalAssetAt gives a living digital asset as it was in the given version: with the files that were stored then, and
// its state of today. NotFound "catalog.asset_not_found", "catalog.version_not_found".
func (c *Catalog) DigitalAssetAt(ctx context.Context, projectID, id string, version int) (DigitalAsset, error) {
	var asset DigitalAsset
	err := c.read(ctx, "read the asset's version", func(tx bun.Tx) error {
		var err error
		if asset, err = readDigital(ctx, tx, projectID, id); err != nil {
			return err
		}
		if asset.DeletedAt != nil {
			return noDigital()
		}
		row, content, err := readDigitalVersion(ctx, tx, id, version)
		if err != nil {
			return err
		}
		asset.DigitalMetadata, asset.Files = content.DigitalMetadata, []DigitalFile{}
		asset.VersionNumber, asset.Digest, asset.UpdatedAt = row.Number, row.Digest, row.CreatedAt.at
		for _, f := range content.rows(asset.ID, projectID, row.CreatedAt) {
			asset.Files = append(asset.Files, f.file())
		}
		return nil
	})
	return asset, err
}

func readDigitalVersion(ctx context.Context, db bun.IDB, assetID string, number int) (versionRow, digitalContent, error) {
	var version versionRow
	err := db.NewSelect().Model(&version).Where("v.asset_id = ?", assetID).Where("v.number = ?", number).Scan(ctx)
	if err != nil {
		return version, digitalContent{}, orAbsent(err, noVersion())
	}
	content, err := readDefinition(version.Definition)
	return version, content, err
}

// rows are the files as they are stored with their asset.
func (d digitalContent) rows(assetID, projectID string, at stamp) []digitalFileRow {
	rows := make([]digitalFileRow, len(d.Files))
	for i, f := range d.Files {
		rows[i] = digitalFileRow{
			ID: f.ID, AssetID: assetID, ProjectID: projectID, Name: f.Name, MD5: f.MD5, Type: f.Type, Category: f.Category, Size: f.Size,
			State: string(FileCreated), SHA256: f.SHA256, CreatedAt: at, UpdatedAt: at,
		}
	}
	return rows
}

// RestoreDigitalVersion makes a new version with the content of an older one, its name included, and gives the asset as
// it is then: ACTIVED where the version has a main file, also after a copy that failed, and CREATING otherwise. Where the
// current content is equal there is no new version. NotFound "catalog.asset_not_found", "catalog.version_not_found";
// Conflict "catalog.name_taken", "catalog.file_elsewhere".
func (c *Catalog) RestoreDigitalVersion(ctx context.Context, userID, projectID, id string, version int) (DigitalAsset, error) {
	var asset DigitalAsset
	err := c.write(ctx, "restore the asset's version", func(tx bun.Tx) error {
		row, err := c.lockLiving(ctx, tx, projectID, id)
		if err != nil {
			return err
		}
		old, content, err := readDigitalVersion(ctx, tx, id, version)
		if err != nil {
			return err
		}
		if err := c.restoreContent(ctx, tx, row, old, content, maker{userID: userID, at: now()}); err != nil {
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

func (c *Catalog) restoreContent(ctx context.Context, tx bun.Tx, row digitalRow, old versionRow, content digitalContent, by maker) error {
	before := row.State
	row.settle(content)
	if old.Digest == row.Digest {
		if row.State == before {
			return nil
		}
		row.UpdatedAt = by.at
		if err := writeState(ctx, tx, row); err != nil {
			return err
		}
	} else {
		// The older version uses the blobs already, so none of them can be condemned.
		if err := replaceFiles(ctx, tx, row.AssetID, content.rows(row.AssetID, row.ProjectID, by.at)); err != nil {
			return err
		}
		if err := c.writeContent(ctx, tx, &row, content, by); err != nil {
			return err
		}
	}
	return writeAudit(ctx, tx, assetEntry(VersionRestored, by.userID, row.current(), map[string]any{"from_version": old.Number, "version": row.VersionNumber}))
}
