package catalog

import "context"

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
	panic("not built yet")
}
