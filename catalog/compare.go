package catalog

import (
	"bytes"
	"context"
	"slices"

	"github.com/uptrace/bun"
)

// AssetDifference is what an import would do with one asset of a package, and what it would change.
type AssetDifference struct {
	PlannedAsset
	// Fields are those that differ from the current version: "description", "definition", "applications",
	// "data_sources". Empty for a new asset.
	Fields       []string     `json:"fields"`
	FilesAdded   []FileChange `json:"files_added"` // all files of a new asset
	FilesRemoved []FileChange `json:"files_removed"`
	FilesChanged []FileChange `json:"files_changed"`
}

// FileChange is one file that an import adds, removes or changes. Sizes are in bytes, 0 where there is no file.
type FileChange struct {
	Path    string `json:"path"`
	OldSize int64  `json:"old_size"`
	NewSize int64  `json:"new_size"`
}

// CompareImport is PlanImport with what differs for each asset, in the order of the plan: an existing asset is compared
// with its current version, also where its name is a conflict. It only reads. Errors are those of PlanImport.
func (c *Catalog) CompareImport(ctx context.Context, imp Import) ([]AssetDifference, ImportPlan, error) {
	p, err := prepareImport(imp)
	if err != nil {
		return nil, ImportPlan{}, err
	}
	var plan ImportPlan
	existing := make(map[string]*AssetDetail) // by id
	err = c.read(ctx, "compare the import", func(tx bun.Tx) error {
		if plan, err = planIn(ctx, tx, p); err != nil {
			return err
		}
		var ids []string
		for _, a := range plan.Assets {
			if a.AssetID != "" && a.Action != ActionUnchanged {
				ids = append(ids, a.AssetID)
			}
		}
		if len(ids) == 0 {
			return nil
		}
		var rows []currentRow
		err := selectByID(tx, &rows, imp.ProjectID, imp.InstanceID, ids).ColumnExpr("v.definition").Scan(ctx)
		if err != nil {
			return err
		}
		details := make([]*AssetDetail, len(rows))
		for i, r := range rows {
			detail := r.detail()
			details[i], existing[r.ID] = &detail, &detail
		}
		return readContents(ctx, tx, details...)
	})
	if err != nil {
		return nil, ImportPlan{}, err
	}
	differences := make([]AssetDifference, len(plan.Assets))
	for i, planned := range plan.Assets {
		differences[i] = AssetDifference{
			PlannedAsset: planned, Fields: []string{}, FilesAdded: []FileChange{}, FilesRemoved: []FileChange{}, FilesChanged: []FileChange{},
		}
		if planned.Action != ActionUnchanged {
			differences[i].compare(existing[planned.AssetID], p.assets[i])
		}
	}
	return differences, plan, nil
}

// compare fills in what a package changes of an asset; old is nil for a new one.
func (d *AssetDifference) compare(old *AssetDetail, asset preparedAsset) {
	if old == nil {
		for _, f := range asset.files {
			d.FilesAdded = append(d.FilesAdded, FileChange{Path: f.Path, NewSize: f.Size})
		}
		return
	}
	var oldApplications, applications, oldSources []string
	for _, a := range old.Applications {
		oldApplications = append(oldApplications, a.Name)
	}
	for _, r := range asset.references {
		applications = append(applications, r.name)
	}
	for _, s := range old.DataSources {
		oldSources = append(oldSources, s.Name)
	}
	for _, field := range []struct {
		name  string
		equal bool
	}{
		{"description", old.Description == asset.description},
		{"definition", bytes.Equal(canonicalJSON(string(old.Definition)), canonicalJSON(asset.definition))},
		{"applications", slices.Equal(oldApplications, applications)},
		{"data_sources", slices.Equal(oldSources, asset.dataSources)},
	} {
		if !field.equal {
			d.Fields = append(d.Fields, field.name)
		}
	}
	d.compareFiles(old.Files, asset.files)
}

// compareFiles goes along two lists of files that are both sorted by path.
func (d *AssetDifference) compareFiles(old, files []File) {
	for len(old) > 0 || len(files) > 0 {
		switch {
		case len(files) == 0 || len(old) > 0 && old[0].Path < files[0].Path:
			d.FilesRemoved = append(d.FilesRemoved, FileChange{Path: old[0].Path, OldSize: old[0].Size})
			old = old[1:]
		case len(old) == 0 || files[0].Path < old[0].Path:
			d.FilesAdded = append(d.FilesAdded, FileChange{Path: files[0].Path, NewSize: files[0].Size})
			files = files[1:]
		default:
			if old[0].SHA256 != files[0].SHA256 {
				d.FilesChanged = append(d.FilesChanged, FileChange{Path: files[0].Path, OldSize: old[0].Size, NewSize: files[0].Size})
			}
			old, files = old[1:], files[1:]
		}
	}
}
