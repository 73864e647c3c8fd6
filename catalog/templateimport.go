package catalog

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// plannedTemplate is what would become of one template of a package.
type plannedTemplate struct {
	ImportedTemplate
	action   TemplateAction
	existing templateRow // but for TemplateCreate
}

// CompareTemplates says what stands in the way of an import of service templates now; nothing does when there are no
// reasons. It only reads; imp.JobID and imp.UserID are not looked at. NotFound "catalog.project_not_found"; Invalid
// "catalog.bad_template", "catalog.bad_name", "catalog.bad_blob".
func (c *Catalog) CompareTemplates(ctx context.Context, imp TemplateImport) ([]Reason, error) {
	if err := checkTemplates(imp.Templates); err != nil {
		return nil, err
	}
	var reasons []Reason
	err := c.read(ctx, "compare the service templates", func(tx bun.Tx) error {
		known, err := tx.NewSelect().Model((*projectRow)(nil)).Where("id = ?", imp.ProjectID).Exists(ctx)
		if err != nil || !known {
			return either(err, noProject())
		}
		_, reasons, err = planTemplates(ctx, tx, imp)
		return err
	})
	return reasons, err
}

// CommitTemplates makes the templates of a package the project's, in one transaction and exactly once: a second call with
// the same job id returns the first one's result. A debug build gives way to what comes after it, as a new version of the
// same asset; a template equal byte for byte stays as it is. It ends the job as succeeded. Every blob must have been
// touched with TouchBlobs, after the job began, and stored.
//
// Errors, each leaving nothing behind: *ConflictsError; Conflict "catalog.job_ended" when the job has ended otherwise;
// NotFound "catalog.blobs_not_found", "catalog.job_not_found" (also for a job of another project),
// "catalog.project_not_found"; Invalid "catalog.bad_template", "catalog.bad_name", "catalog.bad_blob".
func (c *Catalog) CommitTemplates(ctx context.Context, imp TemplateImport) (TemplateImportResult, error) {
	if err := checkTemplates(imp.Templates); err != nil {
		return TemplateImportResult{}, err
	}
	return commitOnce(ctx, c, "commit the service templates", imp.JobID, imp.ProjectID, func(tx bun.Tx, at stamp) (TemplateImportResult, error) {
		result := TemplateImportResult{Templates: make([]TemplateImportItem, 0, len(imp.Templates))}
		if err := c.lockProject(ctx, tx, imp.ProjectID); err != nil {
			return result, err
		}
		plan, reasons, err := planTemplates(ctx, tx, imp)
		if err != nil {
			return result, err
		}
		if len(reasons) > 0 {
			return result, &ConflictsError{Reasons: reasons, place: "project"}
		}
		if err := c.requireTemplateBlobs(ctx, tx, plan, at); err != nil {
			return result, err
		}
		by := maker{userID: imp.UserID, jobID: imp.JobID, at: at}
		for _, p := range plan {
			row, err := c.writeTemplate(ctx, tx, imp.ProjectID, p, by)
			if err != nil {
				return result, err
			}
			result.add(row, p)
		}
		return result, c.failpoint("templates")
	})
}

func (r *TemplateImportResult) add(row templateRow, p plannedTemplate) {
	switch p.action {
	case TemplateCreate:
		r.Created++
	case TemplateReplace:
		r.Replaced++
	default:
		r.Unchanged++
	}
	r.Templates = append(r.Templates, TemplateImportItem{
		Number: row.Number, AssetID: row.AssetID, FileName: p.FileName, VendorID: row.VendorID, KeyName: row.KeyName, Version: row.Version,
		Action: p.action,
	})
}

// planTemplates compares a package with the project.
func planTemplates(ctx context.Context, db bun.IDB, imp TemplateImport) ([]plannedTemplate, []Reason, error) {
	names := make([]bun.TupleValues, len(imp.Templates))
	for i, t := range imp.Templates {
		names[i] = bun.Tuple([]any{t.VendorID, t.KeyName, t.Version})
	}
	var rows []templateRow
	err := selectTemplates(db, &rows, imp.ProjectID).Where("(t.vendor_id, t.key_name, t.version) IN (VALUES ?)", bun.List(names)).
		Where("a.deleted_at IS NULL").Scan(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("find the templates of the same names: %w", err)
	}
	existing := make(map[templateKey]templateRow, len(rows))
	for _, r := range rows {
		existing[r.key()] = r
	}
	var reasons []Reason
	conflict := func(t ImportedTemplate, code, format string, args ...any) {
		reasons = append(reasons, Reason{
			ResourceType: string(KindServiceTemplate), ResourceName: t.FileName, Code: code, Message: fmt.Sprintf(format, args...),
		})
	}
	first := make(map[templateKey]string, len(imp.Templates)) // file names
	plan := make([]plannedTemplate, len(imp.Templates))
	for i, t := range imp.Templates {
		key := templateKey{t.VendorID, t.KeyName, t.Version}
		name := fmt.Sprintf("%s of vendor %s in version %s", t.KeyName, t.VendorID, t.Version)
		if other, twice := first[key]; twice {
			conflict(t, ReasonDuplicateTemplate, "The package has the service template %s twice; the other one is %s.", name, other)
			continue
		}
		first[key] = t.FileName
		plan[i] = plannedTemplate{ImportedTemplate: t, action: TemplateCreate}
		row, known := existing[key]
		if !known {
			continue
		}
		plan[i].existing, plan[i].action = row, TemplateReplace
		switch {
		case row.SHA256 == t.SHA256:
			plan[i].action = TemplateUnchanged
		case row.ReleaseState != ReleaseDebug:
			conflict(t, ReasonReleaseDiffers,
				"The service template %s is there already as a release with other content. Give it another version, or delete the other one first.", name)
		}
	}
	return plan, reasons, nil
}

// requireTemplateBlobs holds the blobs of what is about to be written.
func (c *Catalog) requireTemplateBlobs(ctx context.Context, tx bun.Tx, plan []plannedTemplate, at stamp) error {
	var files []definedFile
	for _, p := range plan {
		if p.action != TemplateUnchanged {
			files = append(files, definedFile{SHA256: p.SHA256, Size: p.Size})
		}
	}
	return c.requireBlobs(ctx, tx, files, at)
}

// writeTemplate carries out the plan for one template, and gives its row as it is then.
func (c *Catalog) writeTemplate(ctx context.Context, tx bun.Tx, projectID string, p plannedTemplate, by maker) (templateRow, error) {
	if p.action == TemplateUnchanged {
		return p.existing, nil
	}
	row := newTemplateRow(p.ServiceTemplate, by.at)
	row.ProjectID = projectID
	if p.action == TemplateCreate {
		row.AssetID, row.VersionNumber = NewID(), 1
		asset := assetRow{
			ID: row.AssetID, ProjectID: projectID, Kind: string(KindServiceTemplate), Name: row.key().assetName(), VersionNumber: 1, CreatedAt: by.at,
		}
		if _, err := tx.NewInsert().Model(&asset).Exec(ctx); err != nil {
			return row, fmt.Errorf("write the asset: %w", err)
		}
	} else {
		row.Number, row.AssetID, row.CreatedAt = p.existing.Number, p.existing.AssetID, p.existing.CreatedAt
		row.VersionNumber = p.existing.VersionNumber + 1
		_, err := tx.NewUpdate().Model((*assetRow)(nil)).Set("version_number = ?", row.VersionNumber).Where("id = ?", row.AssetID).Exec(ctx)
		if err != nil {
			return row, fmt.Errorf("raise the version: %w", err)
		}
	}
	version := versionRow{
		AssetID: row.AssetID, Number: row.VersionNumber, Label: row.Version, Description: row.Description, Digest: row.SHA256,
		CreatedBy: by.userID, JobID: by.jobID, CreatedAt: by.at,
	}
	if _, err := tx.NewInsert().Model(&version).Exec(ctx); err != nil {
		return row, fmt.Errorf("write the version: %w", err)
	}
	file := fileRow{AssetID: row.AssetID, VersionNumber: row.VersionNumber, Path: TemplatePath, SHA256: row.SHA256, Size: row.Size}
	if _, err := tx.NewInsert().Model(&file).Exec(ctx); err != nil {
		return row, fmt.Errorf("write the file of the version: %w", err)
	}
	if err := c.failpoint("version files"); err != nil {
		return row, err
	}
	if err := replaceTemplate(ctx, tx, &row, p.action == TemplateCreate, p.Tags); err != nil {
		return row, fmt.Errorf("write the service template: %w", err)
	}
	return row, settleLatest(ctx, tx, projectID, row.VendorID, row.KeyName)
}

// replaceTemplate writes what the current version says. A new row gets its number.
func replaceTemplate(ctx context.Context, tx bun.Tx, row *templateRow, fresh bool, tags []string) error {
	if fresh {
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
	} else {
		if _, err := tx.NewUpdate().Model(row).ExcludeColumn("number", "asset_id", "project_id", "latest", "created_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*templateTagRow)(nil)).Where("asset_id = ?", row.AssetID).Exec(ctx); err != nil {
			return err
		}
	}
	return writeTemplateTags(ctx, tx, row.AssetID, tags)
}

// maxTemplateTags is how many tags a template has at most.
const maxTemplateTags = 64

var templateVersion = regexp.MustCompile(`^\d\d\.\d\d\.\d\d$`)

func badTemplate(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_template", format, args...)
}

// checkTemplates checks what the schema relies on. What makes a good template was checked when the package was opened.
func checkTemplates(templates []ImportedTemplate) error {
	if len(templates) == 0 || len(templates) > MaxServiceTemplates {
		return badTemplate("an import brings 1 to %d service templates", MaxServiceTemplates)
	}
	for _, t := range templates {
		if err := checkTemplate(t); err != nil {
			return err
		}
	}
	return nil
}

func checkTemplate(t ImportedTemplate) error {
	if err := checkNames(t.FileName, t.VendorID, t.KeyName, templateKey{t.VendorID, t.KeyName, t.Version}.assetName()); err != nil {
		return err
	}
	switch {
	case strings.Contains(t.VendorID, "/") || strings.Contains(t.KeyName, "/"):
		return badTemplate("the vendor id and the key name of a service template have no slash")
	case !templateVersion.MatchString(t.Version):
		return badTemplate("the version of a service template is aa.bb.cc")
	case t.ReleaseState != ReleaseDebug && t.ReleaseState != ReleaseFinal:
		return badTemplate("a service template is %s or %s", ReleaseDebug, ReleaseFinal)
	case len(t.Tags) > maxTemplateTags:
		return badTemplate("a service template has at most %d tags", maxTemplateTags)
	}
	for _, item := range slices.Concat(t.Tags, t.UsedServices, t.UsedTemplates) {
		if item == "" || strings.Contains(item, ",") {
			return badTemplate("what stands in a list of a service template is not empty and has no comma")
		}
	}
	for _, tag := range t.Tags {
		if utf8.RuneCountInString(tag) > MaxTag {
			return badTemplate("a tag has at most %d characters", MaxTag)
		}
	}
	texts := []string{t.DisplayName, t.VendorName, t.Description, t.SupportedScheduleType}
	for _, text := range slices.Concat(texts, t.Tags, t.UsedServices, t.UsedTemplates) {
		if !isText(text) {
			return badTemplate("a service template has a text that is none")
		}
	}
	return checkBlob(t.SHA256, t.Size)
}
