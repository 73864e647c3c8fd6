package catalog

import (
	"context"
	"strings"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type assetRow struct {
	bun.BaseModel `bun:"table:assets,alias:a"`

	ID            string `bun:"id,pk"`
	ProjectID     string `bun:"project_id"`
	InstanceID    string `bun:"instance_id,nullzero"`
	Kind          string `bun:"kind"`
	Name          string `bun:"name"`
	VersionNumber int    `bun:"version_number"`
	CreatedAt     stamp  `bun:"created_at"`
}

type versionRow struct {
	bun.BaseModel `bun:"table:asset_versions,alias:v"`

	AssetID     string `bun:"asset_id,pk"`
	Number      int    `bun:"number,pk"`
	Label       string `bun:"label"`
	SourceID    string `bun:"source_id"`
	Description string `bun:"description"`
	Definition  string `bun:"definition,nullzero"` // JSON
	Digest      string `bun:"digest"`
	CreatedBy   string `bun:"created_by"`
	JobID       string `bun:"job_id"`
	CreatedAt   stamp  `bun:"created_at"`
}

type fileRow struct {
	bun.BaseModel `bun:"table:version_files,alias:f"`

	AssetID       string `bun:"asset_id,pk"`
	VersionNumber int    `bun:"version_number,pk"`
	Path          string `bun:"path,pk"`
	SHA256        string `bun:"sha256"`
	Size          int64  `bun:"size"`
}

// applicationUseRow says that a version of a task uses an application.
type applicationUseRow struct {
	bun.BaseModel `bun:"table:version_applications,alias:va"`

	AssetID       string `bun:"asset_id,pk"`
	VersionNumber int    `bun:"version_number,pk"`
	ApplicationID string `bun:"application_id,pk"`
}

// dataSourceUseRow says that a version of an asset uses a data source.
type dataSourceUseRow struct {
	bun.BaseModel `bun:"table:version_data_sources,alias:vd"`

	AssetID       string `bun:"asset_id,pk"`
	VersionNumber int    `bun:"version_number,pk"`
	DataSourceID  string `bun:"data_source_id,pk"`
}

type dataSourceRow struct {
	bun.BaseModel `bun:"table:data_sources,alias:s"`

	ID          string `bun:"id,pk"`
	ProjectID   string `bun:"project_id"`
	InstanceID  string `bun:"instance_id"`
	Name        string `bun:"name"`
	Type        string `bun:"type"`
	Description string `bun:"description"`
	Settings    string `bun:"settings,nullzero"` // JSON
	CreatedAt   stamp  `bun:"created_at"`
	UpdatedAt   stamp  `bun:"updated_at"`
	JobID       string `bun:"job_id"`
}

func (r dataSourceRow) dataSource() DataSource {
	return DataSource{
		ID: r.ID, ProjectID: r.ProjectID, InstanceID: r.InstanceID, Name: r.Name, Type: r.Type, Description: r.Description,
		Settings: rawJSON(r.Settings), CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at, JobID: r.JobID,
	}
}

func dataSourcesOf(rows []dataSourceRow) []DataSource {
	sources := make([]DataSource, len(rows))
	for i, r := range rows {
		sources[i] = r.dataSource()
	}
	return sources
}

// currentRow is an asset joined with its current version.
type currentRow struct {
	bun.BaseModel `bun:"table:assets,alias:a"`

	ID            string `bun:"id"`
	ProjectID     string `bun:"project_id"`
	InstanceID    string `bun:"instance_id"`
	Kind          string `bun:"kind"`
	Name          string `bun:"name"`
	VersionNumber int    `bun:"version_number"`
	CreatedAt     stamp  `bun:"created_at"`
	DeletedAt     stamp  `bun:"deleted_at"` // null, as the next, outside the trash
	DeletedBy     string `bun:"deleted_by"`

	Label       string `bun:"label,scanonly"`
	SourceID    string `bun:"source_id,scanonly"`
	Description string `bun:"description,scanonly"`
	Definition  string `bun:"definition,scanonly"`
	Digest      string `bun:"digest,scanonly"`
	UpdatedBy   string `bun:"updated_by,scanonly"`
	JobID       string `bun:"job_id,scanonly"`
	UpdatedAt   stamp  `bun:"updated_at,scanonly"`
}

func (r currentRow) asset() Asset {
	return Asset{
		ID: r.ID, ProjectID: r.ProjectID, InstanceID: r.InstanceID, Kind: AssetKind(r.Kind), Name: r.Name, Description: r.Description,
		VersionNumber: r.VersionNumber, VersionLabel: r.Label, Digest: r.Digest, UpdatedBy: r.UpdatedBy, JobID: r.JobID,
		CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at,
	}
}

// detail is the asset with what stands in its rows; readContents adds the rest.
func (r currentRow) detail() AssetDetail {
	return AssetDetail{Asset: r.asset(), SourceID: r.SourceID, Definition: rawJSON(r.Definition)}
}

// selectCurrent selects the living assets of an instance with their current versions, without the definitions.
func selectCurrent(db bun.IDB, rows any, projectID, instanceID string) *bun.SelectQuery {
	return selectAssets(db, rows, projectID, instanceID).Where("a.deleted_at IS NULL")
}

// selectAssets is selectCurrent with those in the trash.
func selectAssets(db bun.IDB, rows any, projectID, instanceID string) *bun.SelectQuery {
	return selectVersions(db, rows).Where("a.instance_id = ?", instanceID).Where("a.project_id = ?", projectID)
}

// selectByID selects those of the assets that are in the instance, the trash included.
func selectByID(db bun.IDB, rows any, projectID, instanceID string, ids []string) *bun.SelectQuery {
	// An expression has no index, so that SQLite looks each id up: else it goes through the whole instance.
	return selectVersions(db, rows).Where("a.id IN (?)", bun.List(ids)).Where("a.instance_id || '' = ?", instanceID).Where("a.project_id = ?", projectID)
}

func selectVersions(db bun.IDB, rows any) *bun.SelectQuery {
	return db.NewSelect().Model(rows).
		ColumnExpr("?TableColumns, v.label, v.source_id, v.description, v.digest, v.created_by AS updated_by, v.job_id, v.created_at AS updated_at").
		Join("JOIN asset_versions AS v ON v.asset_id = a.id AND v.number = a.version_number")
}

// matching narrows a selection of assets down to what the filter says of kind and name.
func (f AssetFilter) matching(q *bun.SelectQuery) *bun.SelectQuery {
	if f.Kind != "" {
		q = q.Where("a.kind = ?", string(f.Kind))
	}
	if f.Name != "" {
		// The kinds are named even where any will do: the index has the kind before the name.
		q = q.Where("a.kind IN (?)", bun.List(assetKinds)).Where("a.name = ?", f.Name)
	}
	if f.NameContains != "" {
		q = q.Where(`lower(a.name) LIKE ? ESCAPE '!'`, "%"+escapeLike(lowerASCII(f.NameContains))+"%")
	}
	return q
}

// ListAssets gives a page of an instance's assets by kind and name, and the cursor of the next page (empty at the end).
// Assets that arrive meanwhile never shift a page. Invalid "catalog.bad_cursor".
func (c *Catalog) ListAssets(ctx context.Context, filter AssetFilter) (assets []Asset, next string, err error) {
	if len(filter.NameContains) > maxName {
		return nil, "", nil // longer than any name
	}
	limit := pageSize(filter.Limit)
	var rows []currentRow
	q := selectCurrent(c.reader, &rows, filter.ProjectID, filter.InstanceID).Apply(filter.matching)
	if filter.Cursor != "" {
		key, err := decodeCursor(filter.Cursor, 2)
		if err != nil {
			return nil, "", err
		}
		q = q.Where("(a.kind, a.name) > (?, ?)", key[0], key[1])
	}
	// One row more than asked for tells whether there is a next page.
	if err := q.Order("a.kind", "a.name").Limit(limit + 1).Scan(ctx); err != nil {
		return nil, "", failed(ctx, "list the assets", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = encodeCursor(rows[limit-1].Kind, rows[limit-1].Name)
	}
	assets = make([]Asset, len(rows))
	for i, r := range rows {
		assets[i] = r.asset()
	}
	return assets, next, nil
}

// lowerASCII folds what SQL's lower folds in both databases: ASCII letters alone.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

var escapeLike = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace

func noAsset() error {
	return fault.New(fault.NotFound, "catalog.asset_not_found", "the instance has no such asset")
}

// Asset gives one asset with its content. NotFound "catalog.asset_not_found".
func (c *Catalog) Asset(ctx context.Context, projectID, instanceID, assetID string) (AssetDetail, error) {
	var detail AssetDetail
	err := c.read(ctx, "read the asset", func(tx bun.Tx) error {
		var row currentRow
		err := selectCurrent(tx, &row, projectID, instanceID).ColumnExpr("v.definition").Where("a.id = ?", assetID).Scan(ctx)
		if err != nil {
			return orAbsent(err, noAsset())
		}
		detail = row.detail()
		return readContents(ctx, tx, &detail)
	})
	return detail, err
}

// readContents fills in what hangs on the versions that the details say, in three statements however many they are. No
// asset may be there in two versions.
func readContents(ctx context.Context, tx bun.Tx, details ...*AssetDetail) error {
	if len(details) == 0 {
		return nil
	}
	byID := make(map[string]*AssetDetail, len(details))
	versions := make([]bun.TupleValues, len(details))
	for i, d := range details {
		byID[d.ID] = d
		versions[i] = bun.Tuple([]any{d.ID, d.VersionNumber})
		d.Applications, d.DataSources, d.Files = []AssetReference{}, []DataSource{}, []File{}
	}
	chosen := func(alias string) func(*bun.SelectQuery) *bun.SelectQuery {
		return func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("(?0.asset_id, ?0.version_number) IN (VALUES ?1)", bun.Ident(alias), bun.List(versions))
		}
	}
	var applications []struct {
		AssetID string `bun:"asset_id"`
		ID      string `bun:"id"`
		Name    string `bun:"name"`
	}
	err := tx.NewSelect().Model((*applicationUseRow)(nil)).ColumnExpr("va.asset_id, a.id, a.name").
		Join("JOIN assets AS a ON a.id = va.application_id").Apply(chosen("va")).Order("a.name", "a.id").Scan(ctx, &applications)
	if err != nil {
		return err
	}
	for _, a := range applications {
		d := byID[a.AssetID]
		d.Applications = append(d.Applications, AssetReference{ID: a.ID, Name: a.Name})
	}
	var sources []struct {
		AssetID string `bun:"asset_id"`
		dataSourceRow
	}
	err = tx.NewSelect().TableExpr("data_sources AS s").
		ColumnExpr("vd.asset_id, s.id, s.project_id, s.instance_id, s.name, s.type, s.description, s.settings, s.created_at, s.updated_at, s.job_id").
		Join("JOIN version_data_sources AS vd ON vd.data_source_id = s.id").Apply(chosen("vd")).Order("s.name").Scan(ctx, &sources)
	if err != nil {
		return err
	}
	for _, s := range sources {
		d := byID[s.AssetID]
		d.DataSources = append(d.DataSources, s.dataSource())
	}
	var files []fileRow
	if err := tx.NewSelect().Model(&files).Apply(chosen("f")).Order("f.path").Scan(ctx); err != nil {
		return err
	}
	for _, f := range files {
		d := byID[f.AssetID]
		d.Files = append(d.Files, File{Path: f.Path, SHA256: f.SHA256, Size: f.Size})
	}
	return nil
}

// ListDataSources gives an instance's data sources by name.
func (c *Catalog) ListDataSources(ctx context.Context, projectID, instanceID string) ([]DataSource, error) {
	var rows []dataSourceRow
	err := c.reader.NewSelect().Model(&rows).Where("s.instance_id = ?", instanceID).Where("s.project_id = ?", projectID).Order("s.name").Scan(ctx)
	if err != nil {
		return nil, failed(ctx, "list the data sources", err)
	}
	return dataSourcesOf(rows), nil
}
