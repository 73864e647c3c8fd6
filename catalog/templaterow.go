package catalog

import (
	"context"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// templateRow is what a service template has besides its row in assets: what its current version says, in a form that can
// be listed.
type templateRow struct {
	bun.BaseModel `bun:"table:service_templates,alias:t"`

	Number                int64  `bun:"number,pk,autoincrement"`
	AssetID               string `bun:"asset_id"`
	ProjectID             string `bun:"project_id"`
	KeyName               string `bun:"key_name"`
	DisplayName           string `bun:"display_name"`
	VendorID              string `bun:"vendor_id"`
	VendorName            string `bun:"vendor_name"`
	Version               string `bun:"version"`
	Tags                  string `bun:"tags"` // a list with commas, as the last two
	Description           string `bun:"description"`
	ReleaseState          string `bun:"release_state"`
	Latest                bool   `bun:"latest"`
	SupportedScheduleType string `bun:"supported_schedule_type"`
	UsedServices          string `bun:"used_services"`
	UsedTemplates         string `bun:"used_templates"`
	Search                string `bun:"search"` // what the full text search looks through, in lower case
	SHA256                string `bun:"sha256"`
	Size                  int64  `bun:"size"`
	CreatedAt             stamp  `bun:"created_at"`
	UpdatedAt             stamp  `bun:"updated_at"`

	VersionNumber int   `bun:"version_number,scanonly"`
	DeletedAt     stamp `bun:"deleted_at,scanonly"` // null outside the trash
}

type templateTagRow struct {
	bun.BaseModel `bun:"table:service_template_tags,alias:tt"`

	AssetID string `bun:"asset_id,pk"`
	Tag     string `bun:"tag,pk"`
}

// newTemplateRow is the row of a new template, but for what makes it one of many.
func newTemplateRow(t ServiceTemplate, at stamp) templateRow {
	at = stampOf(at.at.Truncate(time.Millisecond)) // what the contract shows, so that a filter by what was shown finds it
	return templateRow{
		KeyName: t.KeyName, DisplayName: t.DisplayName, VendorID: t.VendorID, VendorName: t.VendorName, Version: t.Version,
		Tags: strings.Join(t.Tags, ","), Description: t.Description, ReleaseState: t.ReleaseState,
		SupportedScheduleType: t.SupportedScheduleType, UsedServices: strings.Join(t.UsedServices, ","),
		UsedTemplates: strings.Join(t.UsedTemplates, ","), Search: searchText(t), SHA256: t.SHA256, Size: t.Size,
		CreatedAt: at, UpdatedAt: at,
	}
}

// searchText joins the fields by what no word of a search has in it.
func searchText(t ServiceTemplate) string {
	fields := append([]string{t.KeyName, t.DisplayName, t.VendorID, t.VendorName, t.Description}, t.Tags...)
	return strings.ToLower(strings.Join(fields, "\n"))
}

func (r templateRow) template() ServiceTemplate {
	return ServiceTemplate{
		Number: r.Number, AssetID: r.AssetID, ProjectID: r.ProjectID, KeyName: r.KeyName, DisplayName: r.DisplayName, VendorID: r.VendorID,
		VendorName: r.VendorName, Version: r.Version, Description: r.Description, ReleaseState: r.ReleaseState,
		SupportedScheduleType: r.SupportedScheduleType, Tags: splitList(r.Tags), UsedServices: splitList(r.UsedServices),
		UsedTemplates: splitList(r.UsedTemplates), Latest: r.Latest, SHA256: r.SHA256, Size: r.Size, VersionNumber: r.VersionNumber,
		CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at, DeletedAt: r.DeletedAt.pointer(),
	}
}

func splitList(text string) []string {
	if text == "" {
		return []string{}
	}
	return strings.Split(text, ",")
}

// templateKey names a living template of a project.
type templateKey struct{ vendorID, keyName, version string }

// assetName is the name of the asset; no part of it has a slash.
func (k templateKey) assetName() string { return k.vendorID + "/" + k.keyName + "/" + k.version }

func (r templateRow) key() templateKey { return templateKey{r.VendorID, r.KeyName, r.Version} }

// current is the template as the trash and the audit trail see assets of every kind.
func (r templateRow) current() currentRow {
	return currentRow{
		ID: r.AssetID, ProjectID: r.ProjectID, Kind: string(KindServiceTemplate), Name: r.key().assetName(), VersionNumber: r.VersionNumber,
		DeletedAt: r.DeletedAt,
	}
}

func noTemplate() error {
	return fault.New(fault.NotFound, "catalog.template_not_found", "the project has no such service template")
}

// selectTemplates selects service templates of a project, the trash included.
func selectTemplates(db bun.IDB, rows any, projectID string) *bun.SelectQuery {
	return db.NewSelect().Model(rows).ColumnExpr("?TableColumns, a.version_number, a.deleted_at").
		Join("JOIN assets AS a ON a.id = t.asset_id").Where("t.project_id = ?", projectID)
}

// lockTemplate holds the project and reads one of its templates, in the trash or not. Whatever changes the service
// templates of one project comes one after the other, so that one of each name is the latest.
func (c *Catalog) lockTemplate(ctx context.Context, tx bun.Tx, projectID string, number int64) (templateRow, error) {
	var row templateRow
	if err := c.lockProjectOr(ctx, tx, projectID, noTemplate()); err != nil {
		return row, err
	}
	err := selectTemplates(tx, &row, projectID).Where("t.number = ?", number).Scan(ctx)
	return row, orAbsent(err, noTemplate())
}

// settleLatest marks the highest version among the living templates of a name, and no other. The project must be held.
func settleLatest(ctx context.Context, tx bun.Tx, projectID, vendorID, keyName string) error {
	newest := tx.NewSelect().TableExpr("service_templates AS l").ColumnExpr("l.asset_id").Join("JOIN assets AS a ON a.id = l.asset_id").
		Where("l.project_id = ?", projectID).Where("l.vendor_id = ?", vendorID).Where("l.key_name = ?", keyName).
		Where("a.deleted_at IS NULL").OrderExpr("l.version DESC").Limit(1) // of fixed width: text sorts as numbers do
	_, err := tx.NewUpdate().Model((*templateRow)(nil)).Set("latest = COALESCE(t.asset_id = (?), FALSE)", newest).
		Where("t.project_id = ?", projectID).Where("t.vendor_id = ?", vendorID).Where("t.key_name = ?", keyName).Exec(ctx)
	return err
}

func writeTemplateTags(ctx context.Context, tx bun.Tx, assetID string, tags []string) error {
	seen := make(map[string]bool, len(tags))
	rows := make([]templateTagRow, 0, len(tags))
	for _, tag := range tags {
		if !seen[tag] {
			seen[tag] = true
			rows = append(rows, templateTagRow{AssetID: assetID, Tag: tag})
		}
	}
	return insertAll(ctx, tx, rows)
}
