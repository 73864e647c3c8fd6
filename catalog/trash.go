package catalog

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// TrashedAsset is a deleted asset that can still be restored.
type TrashedAsset struct {
	Asset
	DeletedAt time.Time
	DeletedBy string // id of the user who deleted it
}

// ListTrash gives a page of an instance's deleted assets, the last deleted first, and the cursor of the next page
// (empty at the end). Assets that come or go meanwhile never shift a page. Invalid "catalog.bad_cursor".
func (c *Catalog) ListTrash(ctx context.Context, filter AssetFilter) (assets []TrashedAsset, next string, err error) {
	if len(filter.NameContains) > maxName {
		return nil, "", nil // longer than any name
	}
	limit := pageSize(filter.Limit)
	var rows []currentRow
	q := selectAssets(c.reader, &rows, filter.ProjectID, filter.InstanceID).Where("a.deleted_at IS NOT NULL").Apply(filter.matching)
	if filter.Cursor != "" {
		at, id, err := decodeTimeCursor(filter.Cursor)
		if err != nil {
			return nil, "", err
		}
		q = q.Where("(a.deleted_at, a.id) < (?, ?)", at, id)
	}
	if err := q.Order("a.deleted_at DESC", "a.id DESC").Limit(limit + 1).Scan(ctx); err != nil {
		return nil, "", failed(ctx, "list the trash", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = encodeTimeCursor(rows[limit-1].DeletedAt, rows[limit-1].ID)
	}
	assets = make([]TrashedAsset, len(rows))
	for i, r := range rows {
		assets[i] = TrashedAsset{Asset: r.asset(), DeletedAt: r.DeletedAt.at, DeletedBy: r.DeletedBy}
	}
	return assets, next, nil
}

// RestoreAsset brings an asset back from the trash with all its versions. NotFound "catalog.asset_not_found" when it is
// not there; Conflict "catalog.name_taken" when a living asset has its name by now, "catalog.reference_deleted" when an
// application that its current version uses is in the trash.
func (c *Catalog) RestoreAsset(ctx context.Context, projectID, instanceID, assetID, userID string) (Asset, error) {
	var asset Asset
	err := c.write(ctx, "restore the asset", func(tx bun.Tx) error {
		if err := c.lockInstance(ctx, tx, projectID, instanceID); err != nil {
			return noAssetIn(err)
		}
		var row currentRow
		err := selectAssets(tx, &row, projectID, instanceID).Where("a.deleted_at IS NOT NULL").Where("a.id = ?", assetID).Scan(ctx)
		if err != nil {
			return orAbsent(err, noAsset())
		}
		asset = row.asset()
		taken, err := tx.NewSelect().Model((*assetRow)(nil)).Where("a.instance_id = ?", instanceID).Where("a.kind = ?", row.Kind).
			Where("a.name = ?", row.Name).Where("a.deleted_at IS NULL").Exists(ctx)
		if err != nil {
			return err
		}
		if taken {
			return fault.New(fault.Conflict, "catalog.name_taken", "the instance has another %s named %q by now: delete that one first", row.Kind, row.Name)
		}
		if err := requireReferences(ctx, tx, assetID, row.VersionNumber); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model((*assetRow)(nil)).Set("deleted_at = NULL").Set("deleted_by = NULL").Where("id = ?", assetID).Exec(ctx)
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, assetEntry(AssetRestored, userID, row, nil))
	})
	if err != nil {
		return Asset{}, err
	}
	return asset, nil
}

// noAssetIn turns a missing instance into a missing asset: whoever names an asset need not be told which of the two.
func noAssetIn(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return noAsset()
	}
	return err
}

// requireReferences is an error where a version uses an application that is in the trash.
func requireReferences(ctx context.Context, db bun.IDB, assetID string, version int) error {
	var names []string
	err := db.NewSelect().Model((*applicationUseRow)(nil)).ColumnExpr("a.name").Join("JOIN assets AS a ON a.id = va.application_id").
		Where("va.asset_id = ?", assetID).Where("va.version_number = ?", version).Where("a.deleted_at IS NOT NULL").Order("a.name").Scan(ctx, &names)
	if err != nil || len(names) == 0 {
		return err
	}
	return fault.New(fault.Conflict, "catalog.reference_deleted", "%s that it uses must be restored first", listNames("application", names))
}

func assetEntry(action AuditAction, userID string, asset currentRow, facts map[string]any) AuditEntry {
	if facts == nil {
		facts = make(map[string]any, 1)
	}
	facts["name"] = asset.Name
	return AuditEntry{
		ActorID: userID, Action: action, ProjectID: asset.ProjectID, InstanceID: asset.InstanceID, ResourceKind: asset.Kind,
		ResourceID: asset.ID, Details: auditDetails(facts),
	}
}

// PurgeAssets removes assets from the trash for good, with all their versions, and says how many; all or none. Ids that
// are not in the instance's trash are passed over, so again is no error. Blobs stay until a sweep finds them unused.
// Conflict "catalog.in_use" when a version of a task that stays refers to one of the applications.
func (c *Catalog) PurgeAssets(ctx context.Context, projectID, instanceID string, ids []string, userID string) (int, error) {
	var purged int
	err := c.write(ctx, "purge the assets", func(tx bun.Tx) error {
		trashed, err := c.lockTrashed(ctx, tx, projectID, instanceID, ids)
		if err != nil || len(trashed) == 0 {
			return err
		}
		used, err := referredTo(ctx, tx, idsOf(trashed))
		if err != nil {
			return err
		}
		if len(used) > 0 {
			var names []string
			for _, a := range trashed {
				if used[a.ID] {
					names = append(names, a.Name)
				}
			}
			return fault.New(fault.Conflict, "catalog.in_use", "versions of tasks still refer to %s", listNames("application", names))
		}
		purged = len(trashed)
		return c.purge(ctx, tx, trashed, userID)
	})
	if err != nil {
		return 0, err
	}
	return purged, nil
}

// PurgeTrash removes what was deleted before the given time for good, in all projects, at most limit assets, tasks
// before applications before digital assets before service templates; applications that a remaining version refers to stay. It says how many went.
func (c *Catalog) PurgeTrash(ctx context.Context, deletedBefore time.Time, limit int) (int, error) {
	purged := 0
	for _, kind := range []AssetKind{KindTask, KindApplication, KindDigital, KindServiceTemplate} {
		var old []assetRow
		err := c.reader.NewSelect().Model(&old).Column("id", "project_id", "instance_id").Where("a.deleted_at < ?", stampOf(deletedBefore)).
			Where("a.kind = ?", string(kind)).Where("NOT EXISTS (SELECT 1 FROM version_applications AS va WHERE va.application_id = a.id)").
			Order("a.deleted_at", "a.id").Limit(max(0, limit-purged)).Scan(ctx)
		if err != nil {
			return purged, failed(ctx, "find what to purge", err)
		}
		for len(old) > 0 && purged < limit {
			// One transaction for each instance, so that no lock is held while another is waited for; and for each project,
			// for what belongs to no instance.
			at, ids, rest := old[0], []string{}, []assetRow{}
			for _, a := range old {
				if a.InstanceID == at.InstanceID && a.ProjectID == at.ProjectID && len(ids) < rowsPerStatement {
					ids = append(ids, a.ID)
				} else {
					rest = append(rest, a)
				}
			}
			var n int
			switch kind {
			case KindDigital:
				n, err = c.purgeDigital(ctx, at.ProjectID, ids, deletedBefore)
			case KindServiceTemplate:
				n, err = c.purgeTemplates(ctx, at.ProjectID, ids, deletedBefore)
			default:
				n, err = c.purgeUnused(ctx, at.ProjectID, at.InstanceID, ids, deletedBefore)
			}
			purged += n
			if err != nil {
				return purged, err
			}
			old = rest
		}
	}
	return purged, nil
}

// purgeUnused purges those that are still in the trash since before the given time and that nothing refers to.
func (c *Catalog) purgeUnused(ctx context.Context, projectID, instanceID string, ids []string, deletedBefore time.Time) (int, error) {
	var purged int
	err := c.write(ctx, "purge the trash", func(tx bun.Tx) error {
		purged = 0
		trashed, err := c.lockTrashed(ctx, tx, projectID, instanceID, ids)
		if err != nil || len(trashed) == 0 {
			return err
		}
		used, err := referredTo(ctx, tx, idsOf(trashed))
		if err != nil {
			return err
		}
		var unused []currentRow
		for _, a := range trashed {
			if !used[a.ID] && a.DeletedAt.at.Before(deletedBefore) {
				unused = append(unused, a)
			}
		}
		purged = len(unused)
		return c.purge(ctx, tx, unused, "")
	})
	if err != nil {
		return 0, err
	}
	return purged, nil
}

// lockTrashed holds the instance and gives those of the assets that are in its trash, by name; none in an unknown
// instance.
func (c *Catalog) lockTrashed(ctx context.Context, tx bun.Tx, projectID, instanceID string, ids []string) ([]currentRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := c.lockInstance(ctx, tx, projectID, instanceID); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return nil, err
	}
	var rows []currentRow
	err := selectByID(tx, &rows, projectID, instanceID, ids).Where("a.deleted_at IS NOT NULL").
		Order("a.kind", "a.name", "a.id").Scan(ctx)
	return rows, err
}

// referredTo tells which of the assets are used by versions of others than them.
func referredTo(ctx context.Context, db bun.IDB, ids []string) (map[string]bool, error) {
	var used []string
	err := db.NewSelect().Model((*applicationUseRow)(nil)).Distinct().Column("application_id").
		Where("va.application_id IN (?)", bun.List(ids)).Where("va.asset_id NOT IN (?)", bun.List(ids)).Scan(ctx, &used)
	if err != nil {
		return nil, fmt.Errorf("find who uses the applications: %w", err)
	}
	set := make(map[string]bool, len(used))
	for _, id := range used {
		set[id] = true
	}
	return set, nil
}

// purge removes assets with all that hangs on them. What refers to something goes before it.
func (c *Catalog) purge(ctx context.Context, tx bun.Tx, assets []currentRow, userID string) error {
	if len(assets) == 0 {
		return nil
	}
	ids := bun.List(idsOf(assets))
	for _, hanging := range []struct {
		what  string
		model any
		key   string
	}{
		{"files", (*fileRow)(nil), "asset_id"},
		{"references", (*applicationUseRow)(nil), "asset_id"},
		{"references to data sources", (*dataSourceUseRow)(nil), "asset_id"},
		{"uploaded files", (*digitalFileRow)(nil), "asset_id"},
		{"tags", (*digitalTagRow)(nil), "asset_id"},
		{"digital assets", (*digitalRow)(nil), "asset_id"},
		{"template tags", (*templateTagRow)(nil), "asset_id"},
		{"service templates", (*templateRow)(nil), "asset_id"},
		{"versions", (*versionRow)(nil), "asset_id"},
		{"assets", (*assetRow)(nil), "id"},
	} {
		if _, err := tx.NewDelete().Model(hanging.model).Where("? IN (?)", bun.Ident(hanging.key), ids).Exec(ctx); err != nil {
			return fmt.Errorf("purge the %s: %w", hanging.what, err)
		}
		if err := c.failpoint("purge " + hanging.what); err != nil {
			return err
		}
	}
	entries := make([]AuditEntry, len(assets))
	for i, a := range assets {
		entries[i] = assetEntry(AssetPurged, userID, a, nil)
	}
	return writeAudit(ctx, tx, entries...)
}
