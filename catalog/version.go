package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// AssetVersion is one version of an asset. Versions never change.
type AssetVersion struct {
	Number    int    // 1 for the first
	Label     string // the version of the package it came in
	Digest    string // as in Asset
	CreatedBy string // id of the user who made it
	JobID     string // the job that made it; empty where an older version was restored
	CreatedAt time.Time
}

func noVersion() error {
	return fault.New(fault.NotFound, "catalog.version_not_found", "the asset has no such version")
}

// ListVersions gives all versions of a living asset, newest first. NotFound "catalog.asset_not_found".
func (c *Catalog) ListVersions(ctx context.Context, projectID, instanceID, assetID string) ([]AssetVersion, error) {
	var rows []versionRow
	err := c.reader.NewSelect().Model(&rows).Column("number", "label", "digest", "created_by", "job_id", "created_at").
		Join("JOIN assets AS a ON a.id = v.asset_id").Where("a.id = ?", assetID).Where("a.instance_id = ?", instanceID).
		Where("a.project_id = ?", projectID).Where("a.deleted_at IS NULL").Order("v.number DESC").Scan(ctx)
	if err != nil {
		return nil, failed(ctx, "list the versions", err)
	}
	if len(rows) == 0 { // an asset has at least one
		return nil, noAsset()
	}
	return versionsOf(rows), nil
}

func versionsOf(rows []versionRow) []AssetVersion {
	versions := make([]AssetVersion, len(rows))
	for i, r := range rows {
		versions[i] = AssetVersion{Number: r.Number, Label: r.Label, Digest: r.Digest, CreatedBy: r.CreatedBy, JobID: r.JobID, CreatedAt: r.CreatedAt.at}
	}
	return versions
}

// AssetAt gives a living asset as it was in the given version. The data sources are those it used, as they are now. NotFound
// "catalog.asset_not_found", "catalog.version_not_found".
func (c *Catalog) AssetAt(ctx context.Context, projectID, instanceID, assetID string, version int) (AssetDetail, error) {
	var detail AssetDetail
	err := c.read(ctx, "read the asset's version", func(tx bun.Tx) error {
		current, old, err := readVersion(ctx, tx, projectID, instanceID, assetID, version)
		if err != nil {
			return err
		}
		detail = current.at(old).detail()
		return readContents(ctx, tx, &detail)
	})
	return detail, err
}

// readVersion reads a living asset and one of its versions.
func readVersion(ctx context.Context, db bun.IDB, projectID, instanceID, assetID string, number int) (current currentRow, version versionRow, err error) {
	err = selectCurrent(db, &current, projectID, instanceID).Where("a.id = ?", assetID).Scan(ctx)
	if err != nil {
		return current, version, orAbsent(err, noAsset())
	}
	err = db.NewSelect().Model(&version).Where("v.asset_id = ?", assetID).Where("v.number = ?", number).Scan(ctx)
	return current, version, orAbsent(err, noVersion())
}

// at is the asset in another version.
func (r currentRow) at(v versionRow) currentRow {
	r.VersionNumber, r.Label, r.SourceID, r.Description, r.Definition = v.Number, v.Label, v.SourceID, v.Description, v.Definition
	r.Digest, r.UpdatedBy, r.JobID, r.UpdatedAt = v.Digest, v.CreatedBy, v.JobID, v.CreatedAt
	return r
}

// RestoreVersion makes a new version with the content of an older one, and gives the asset as it is then. Where the
// current content is equal, nothing changes. NotFound "catalog.asset_not_found", "catalog.version_not_found"; Conflict
// "catalog.reference_deleted" when the older version uses an application that is in the trash.
func (c *Catalog) RestoreVersion(ctx context.Context, projectID, instanceID, assetID string, version int, userID string) (Asset, error) {
	var asset Asset
	err := c.write(ctx, "restore the asset's version", func(tx bun.Tx) error {
		if err := c.lockInstance(ctx, tx, projectID, instanceID); err != nil {
			return noAssetIn(err)
		}
		current, old, err := readVersion(ctx, tx, projectID, instanceID, assetID, version)
		if err != nil {
			return err
		}
		if asset = current.asset(); current.Digest == old.Digest {
			return nil
		}
		if err := requireReferences(ctx, tx, assetID, version); err != nil {
			return err
		}
		restored := old
		restored.Number, restored.CreatedBy, restored.JobID, restored.CreatedAt = current.VersionNumber+1, userID, "", now()
		asset = current.at(restored).asset()
		if err := copyVersion(ctx, tx, restored, version); err != nil {
			return err
		}
		return writeAudit(ctx, tx, assetEntry(VersionRestored, userID, current, map[string]any{"from_version": version, "version": restored.Number}))
	})
	if err != nil {
		return Asset{}, err
	}
	return asset, nil
}

// copyVersion makes the version the asset's current one, with everything that hangs on the one numbered from.
func copyVersion(ctx context.Context, tx bun.Tx, version versionRow, from int) error {
	_, err := tx.NewUpdate().Model((*assetRow)(nil)).Set("version_number = ?", version.Number).Where("id = ?", version.AssetID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("raise the version: %w", err)
	}
	if _, err := tx.NewInsert().Model(&version).Exec(ctx); err != nil {
		return fmt.Errorf("write the version: %w", err)
	}
	for table, columns := range map[string]string{
		"version_files": "path, sha256, size", "version_applications": "application_id", "version_data_sources": "data_source_id",
	} {
		_, err := tx.NewRaw("INSERT INTO ?0 (asset_id, version_number, ?1) SELECT asset_id, ?2, ?1 FROM ?0 WHERE asset_id = ?3 AND version_number = ?4",
			bun.Ident(table), bun.Safe(columns), version.Number, version.AssetID, from).Exec(ctx)
		if err != nil {
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	return nil
}
