package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// CreateDigitalAsset makes a digital asset without files, in state CREATING. Conflict "catalog.name_taken" where a
// living digital asset of the project has the name; NotFound "catalog.project_not_found"; Invalid "catalog.bad_name",
// "catalog.bad_asset".
func (c *Catalog) CreateDigitalAsset(ctx context.Context, userID, projectID string, m DigitalMetadata) (DigitalAsset, error) {
	m, err := prepareMetadata(m)
	if err != nil {
		return DigitalAsset{}, err
	}
	row := digitalRow{AssetID: NewID(), ProjectID: projectID, State: string(DigitalCreating)}
	err = c.write(ctx, "create the digital asset", func(tx bun.Tx) error {
		return c.insertDigital(ctx, tx, &row, m, maker{userID: userID, at: now()})
	})
	if err != nil {
		return DigitalAsset{}, err
	}
	return row.digital()
}

// insertDigital adds an asset without files in its first version. The row gives id, project and state.
func (c *Catalog) insertDigital(ctx context.Context, tx bun.Tx, row *digitalRow, m DigitalMetadata, by maker) error {
	row.VersionNumber, row.CreatedAt, row.UpdatedAt = 1, by.at, by.at
	asset := assetRow{ID: row.AssetID, ProjectID: row.ProjectID, Kind: string(KindDigital), Name: m.Name, VersionNumber: 1, CreatedAt: by.at}
	// Nobody but a copy to another project can have taken the id meanwhile.
	n, err := changed(tx.NewInsert().Model(&asset).On("CONFLICT (id) DO NOTHING").Exec(ctx))
	switch {
	case isDuplicate(err):
		return nameTaken(m.Name)
	case isDangling(err):
		return noProject()
	case err != nil:
		return fmt.Errorf("write the asset: %w", err)
	case n == 0:
		return elsewhere()
	}
	if err := c.writeVersion(ctx, tx, row, newDigitalContent(m, nil), by); err != nil {
		return err
	}
	if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
		return fmt.Errorf("write the digital asset: %w", err)
	}
	if err := writeTags(ctx, tx, row.AssetID, m.Tags); err != nil {
		return err
	}
	return writeAudit(ctx, tx, assetEntry(AssetAdded, by.userID, row.current(), facts(by)))
}

// facts begins the details of an audit entry.
func facts(by maker) map[string]any {
	if by.jobID == "" {
		return nil
	}
	return map[string]any{"job_id": by.jobID}
}

// DigitalAsset gives one digital asset with its files, in the trash as well. NotFound "catalog.asset_not_found".
func (c *Catalog) DigitalAsset(ctx context.Context, projectID, id string) (DigitalAsset, error) {
	var asset DigitalAsset
	err := c.read(ctx, "read the digital asset", func(tx bun.Tx) error {
		var err error
		asset, err = readDigital(ctx, tx, projectID, id)
		return err
	})
	return asset, err
}

const (
	defaultDigitalPage = 10
	maxDigitalPage     = 100
)

// digitalOrders are the columns that digital assets can be sorted by.
var digitalOrders = map[string]string{"": "created_at", "create_time": "created_at", "update_time": "updated_at", "asset_order": "position"}

// ListDigitalAssets gives a page of a project's digital assets with their files, and how many there are on all pages.
// Those that are equal in the sort key come by id. Invalid "catalog.bad_filter" for an unknown sort key, or
// what is not text.
func (c *Catalog) ListDigitalAssets(ctx context.Context, filter DigitalFilter) (assets []DigitalAsset, total int, err error) {
	column, known := digitalOrders[filter.SortKey]
	if !known {
		return nil, 0, fault.New(fault.Invalid, "catalog.bad_filter", "digital assets cannot be sorted by %q", filter.SortKey)
	}
	for _, text := range slices.Concat([]string{filter.Name, filter.Tag}, filter.Types, filter.IDs) {
		if !isText(text) {
			return nil, 0, fault.New(fault.Invalid, "catalog.bad_filter", "a filter is not valid text")
		}
	}
	if len(filter.Name) > maxName {
		return []DigitalAsset{}, 0, nil // longer than any name
	}
	limit := defaultDigitalPage
	if filter.Limit > 0 {
		limit = min(filter.Limit, maxDigitalPage)
	}
	direction := "ASC"
	if filter.Descending {
		direction = "DESC"
	}
	err = c.read(ctx, "list the digital assets", func(tx bun.Tx) error {
		total, err = tx.NewSelect().TableExpr("digital_assets AS d").Join("JOIN assets AS a ON a.id = d.asset_id").
			Where("d.project_id = ?", filter.ProjectID).Apply(filter.matching).Count(ctx)
		if err != nil {
			return err
		}
		var rows []digitalRow
		err = selectDigital(tx, &rows, filter.ProjectID).Apply(filter.matching).
			OrderExpr("d.? ?, d.asset_id ?", bun.Ident(column), bun.Safe(direction), bun.Safe(direction)).
			Limit(limit).Offset(max(0, filter.Offset)).Scan(ctx)
		if err != nil {
			return err
		}
		assets, err = withFiles(ctx, tx, rows)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return assets, total, nil
}

// matching narrows a selection of digital assets of a project down to what the filter says.
func (f DigitalFilter) matching(q *bun.SelectQuery) *bun.SelectQuery {
	if f.Name != "" {
		q = q.Where(`lower(a.name) LIKE ? ESCAPE '!'`, "%"+escapeLike(lowerASCII(f.Name))+"%")
	}
	if f.Tag != "" {
		q = q.Where("EXISTS (SELECT 1 FROM digital_tags AS dt WHERE dt.asset_id = d.asset_id AND dt.tag = ?)", f.Tag)
	}
	if len(f.Types) > 0 {
		q = q.Where("d.type IN (?)", bun.List(f.Types))
	}
	if len(f.IDs) > 0 {
		q = q.Where("d.asset_id IN (?)", bun.List(f.IDs))
	}
	switch trash := slices.Contains(f.States, DigitalDeleting); {
	case len(f.States) == 0:
		q = q.Where("a.deleted_at IS NULL")
	case trash:
		q = q.Where("a.deleted_at IS NOT NULL OR d.state IN (?)", bun.List(f.States))
	default:
		q = q.Where("a.deleted_at IS NULL").Where("d.state IN (?)", bun.List(f.States))
	}
	return q
}

// UpdateDigitalAsset gives a living digital asset the metadata that change makes of the current one, as a new version;
// where nothing differs, nothing changes. change may be called again, and an error of it comes back. NotFound
// "catalog.asset_not_found"; Conflict "catalog.name_taken"; Invalid "catalog.bad_name", "catalog.bad_asset".
func (c *Catalog) UpdateDigitalAsset(ctx context.Context, userID, projectID, id string, change func(*DigitalMetadata) error) (DigitalAsset, error) {
	var asset DigitalAsset
	err := c.write(ctx, "update the digital asset", func(tx bun.Tx) error {
		row, err := c.lockLiving(ctx, tx, projectID, id)
		if err != nil {
			return err
		}
		m, err := row.metadata()
		if err != nil {
			return err
		}
		if err := change(&m); err != nil {
			return err
		}
		if m, err = prepareMetadata(m); err != nil {
			return err
		}
		files, err := readFiles(ctx, tx, id, FileCreated)
		if err != nil {
			return err
		}
		content := newDigitalContent(m, files)
		if _, digest := content.definition(); digest != row.Digest {
			if err := c.writeContent(ctx, tx, &row, content, maker{userID: userID, at: now()}); err != nil {
				return err
			}
			err := writeAudit(ctx, tx, assetEntry(AssetChanged, userID, row.current(), map[string]any{"version": row.VersionNumber}))
			if err != nil {
				return err
			}
		}
		asset, err = readDigital(ctx, tx, projectID, id)
		return err
	})
	if err != nil {
		return DigitalAsset{}, err
	}
	return asset, nil
}
