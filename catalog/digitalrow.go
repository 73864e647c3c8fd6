package catalog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// digitalRow is what a digital asset has besides its row in assets: what its current version says, in a form that can
// be listed, and where it stands.
type digitalRow struct {
	bun.BaseModel `bun:"table:digital_assets,alias:d"`

	AssetID   string `bun:"asset_id,pk"`
	ProjectID string `bun:"project_id"`
	Type      string `bun:"type"`
	Position  int64  `bun:"position"`
	Metadata  string `bun:"metadata"` // JSON of DigitalMetadata
	State     string `bun:"state"`
	Reason    string `bun:"reason"`
	CopyJobID string `bun:"copy_job_id"` // the copy that began last; empty where none did
	Copying   bool   `bun:"copying"`     // that copy has not ended
	CreatedAt stamp  `bun:"created_at"`
	UpdatedAt stamp  `bun:"updated_at"`

	Name          string `bun:"name,scanonly"`
	VersionNumber int    `bun:"version_number,scanonly"`
	Digest        string `bun:"digest,scanonly"`
	DeletedAt     stamp  `bun:"deleted_at,scanonly"` // null outside the trash
}

type digitalTagRow struct {
	bun.BaseModel `bun:"table:digital_tags,alias:dt"`

	AssetID string `bun:"asset_id,pk"`
	Tag     string `bun:"tag,pk"`
}

type digitalFileRow struct {
	bun.BaseModel `bun:"table:digital_files,alias:df"`

	ID        string `bun:"id,pk"`
	AssetID   string `bun:"asset_id"`
	ProjectID string `bun:"project_id"`
	Name      string `bun:"name"`
	MD5       string `bun:"md5"`
	Type      string `bun:"type"`
	Category  string `bun:"category"`
	Size      int64  `bun:"size"`
	State     string `bun:"state"`
	SHA256    string `bun:"sha256"`
	CreatedAt stamp  `bun:"created_at"`
	UpdatedAt stamp  `bun:"updated_at"`
}

func (r digitalFileRow) file() DigitalFile {
	return DigitalFile{
		ID: r.ID, AssetID: r.AssetID, ProjectID: r.ProjectID, Name: r.Name, MD5: r.MD5, Type: r.Type, Category: r.Category, Size: r.Size,
		State: FileState(r.State), SHA256: r.SHA256, CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at,
	}
}

// digital is the asset without its files.
func (r digitalRow) digital() (DigitalAsset, error) {
	a := DigitalAsset{
		ID: r.AssetID, ProjectID: r.ProjectID, State: DigitalState(r.State), Reason: r.Reason, VersionNumber: r.VersionNumber, Digest: r.Digest,
		Files: []DigitalFile{}, CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at, DeletedAt: r.DeletedAt.pointer(),
	}
	if a.DeletedAt != nil {
		a.State = DigitalDeleting
	}
	var err error
	a.DigitalMetadata, err = r.metadata()
	return a, err
}

func (r digitalRow) metadata() (DigitalMetadata, error) {
	m, err := readMetadata(r.Metadata)
	if err != nil {
		return m, fmt.Errorf("read the metadata of asset %s: %w", r.AssetID, err)
	}
	return m, nil
}

func readMetadata(text string) (DigitalMetadata, error) {
	var m DigitalMetadata
	err := json.Unmarshal([]byte(text), &m)
	if string(m.ExtraMeta) == "null" {
		m.ExtraMeta = nil
	}
	return m, err
}

// current is the asset as the trash and the audit trail see assets of every kind.
func (r digitalRow) current() currentRow {
	return currentRow{
		ID: r.AssetID, ProjectID: r.ProjectID, Kind: string(KindDigital), Name: r.Name, VersionNumber: r.VersionNumber, DeletedAt: r.DeletedAt,
	}
}

func noDigital() error {
	return fault.New(fault.NotFound, "catalog.asset_not_found", "the project has no such asset")
}

func nameTaken(name string) error {
	return fault.New(fault.Conflict, "catalog.name_taken", "the project has another digital asset named %q", name)
}

// selectDigital selects digital assets of a project with their current versions, the trash included.
func selectDigital(db bun.IDB, rows any, projectID string) *bun.SelectQuery {
	return db.NewSelect().Model(rows).ColumnExpr("?TableColumns, a.name, a.version_number, a.deleted_at, v.digest").
		Join("JOIN assets AS a ON a.id = d.asset_id").
		Join("JOIN asset_versions AS v ON v.asset_id = a.id AND v.number = a.version_number").
		Where("d.project_id = ?", projectID)
}

// lockDigital holds the asset until the transaction ends, and reads it: whatever changes it comes one after the other.
func (c *Catalog) lockDigital(ctx context.Context, tx bun.Tx, projectID, id string) (digitalRow, error) {
	var row digitalRow
	if !isDigitalID(id) {
		return row, noDigital()
	}
	err := tx.NewSelect().Model(&row).Column("asset_id").Where("d.asset_id = ?", id).Where("d.project_id = ?", projectID).
		Apply(c.lock("d")).Scan(ctx)
	if err != nil {
		return row, orAbsent(err, noDigital())
	}
	// A statement of its own: joined to the locking one, PostgreSQL would show the version of before the wait.
	row = digitalRow{}
	err = selectDigital(tx, &row, projectID).Where("d.asset_id = ?", id).Scan(ctx)
	return row, orAbsent(err, noDigital())
}

// lockLiving is lockDigital for an asset outside the trash.
func (c *Catalog) lockLiving(ctx context.Context, tx bun.Tx, projectID, id string) (digitalRow, error) {
	row, err := c.lockDigital(ctx, tx, projectID, id)
	if err == nil && !row.DeletedAt.IsZero() {
		err = noDigital()
	}
	return row, err
}

// readFiles gives the files of an asset that are in one of the states, by creation.
func readFiles(ctx context.Context, db bun.IDB, assetID string, states ...FileState) ([]digitalFileRow, error) {
	var rows []digitalFileRow
	err := db.NewSelect().Model(&rows).Where("df.asset_id = ?", assetID).Where("df.state IN (?)", bun.List(states)).
		Order("df.created_at", "df.id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the files: %w", err)
	}
	return rows, nil
}

// withFiles gives the assets with what hangs on them, in one statement however many they are.
func withFiles(ctx context.Context, db bun.IDB, rows []digitalRow) ([]DigitalAsset, error) {
	assets := make([]DigitalAsset, len(rows))
	if len(rows) == 0 {
		return assets, nil
	}
	index := make(map[string]int, len(rows))
	ids := make([]string, len(rows))
	for i, r := range rows {
		var err error
		if assets[i], err = r.digital(); err != nil {
			return nil, err
		}
		index[r.AssetID], ids[i] = i, r.AssetID
	}
	var files []digitalFileRow
	err := db.NewSelect().Model(&files).Where("df.asset_id IN (?)", bun.List(ids)).
		Where("df.state IN (?)", bun.List([]FileState{FileCreating, FileCreated})).Order("df.asset_id", "df.created_at", "df.id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the files: %w", err)
	}
	for _, f := range files {
		a := &assets[index[f.AssetID]]
		a.Files = append(a.Files, f.file())
	}
	return assets, nil
}

// readDigital gives one asset with its files.
func readDigital(ctx context.Context, db bun.IDB, projectID, id string) (DigitalAsset, error) {
	if !isDigitalID(id) {
		return DigitalAsset{}, noDigital()
	}
	var row digitalRow
	if err := selectDigital(db, &row, projectID).Where("d.asset_id = ?", id).Scan(ctx); err != nil {
		return DigitalAsset{}, orAbsent(err, noDigital())
	}
	assets, err := withFiles(ctx, db, []digitalRow{row})
	if err != nil {
		return DigitalAsset{}, err
	}
	return assets[0], nil
}
