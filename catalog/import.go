package catalog

import "encoding/json"

// ImportMode says what an import does with a name that is already taken. The values are those of the contract.
type ImportMode string

// The modes.
const (
	AddNew ImportMode = "AddNew" // a taken name is a conflict
	Merge  ImportMode = "Merge"  // a taken name gets a new version, unless the content is equal
)

// Import is what a package brings into an instance, and how. Everything in it was validated by its format already.
type Import struct {
	JobID                string
	ProjectID            string
	InstanceID           string
	UserID               string // who is written down as the maker of the versions
	Mode                 ImportMode
	Prefix               string // goes in front of the names of applications and tasks and of references inside the package
	OverwriteDataSources bool
	VersionLabel         string // the version of the package
	Applications         []ImportAsset
	Tasks                []ImportAsset
}

// ImportAsset is an application or task of a package, its name still without the prefix.
type ImportAsset struct {
	SourceID     string
	Name         string
	Description  string
	Definition   json.RawMessage // may be nil
	Applications []string        // tasks only: names of the applications it uses, in the package or else in the instance
	DataSources  []ImportDataSource
	Files        []File
}

// ImportDataSource is a data source that an asset of a package uses. Several assets may name the same one.
type ImportDataSource struct {
	Name        string
	Type        string
	Description string
	Settings    json.RawMessage // may be nil
}

// ImportAction says what an import does with one asset or data source.
type ImportAction string

// The actions. The first four are for assets, ActionCreate and the last two for data sources.
const (
	ActionCreate     ImportAction = "create"
	ActionNewVersion ImportAction = "new_version"
	ActionUnchanged  ImportAction = "unchanged"
	ActionConflict   ImportAction = "conflict"
	ActionKeep       ImportAction = "keep"
	ActionOverwrite  ImportAction = "overwrite"
)

// The codes of conflicts.
const (
	ReasonNameTaken        = "name_taken"        // AddNew, and the instance has an asset of that kind and name
	ReasonUnknownReference = "unknown_reference" // a task uses an application that is neither in the package nor in the instance
	// ReasonDataSourceDiffers is for two assets of a package that bring different data sources of one name.
	ReasonDataSourceDiffers = "data_source_differs"
)

// ImportPlan is what an import would do at the moment it was made.
type ImportPlan struct {
	Assets      []PlannedAsset      `json:"assets"`       // applications, then tasks, in the package's order
	DataSources []PlannedDataSource `json:"data_sources"` // in the order they first appear
	Conflicts   []Reason            `json:"conflicts"`    // all of them; the import can be done when there is none
}

// PlannedAsset is what would become of one asset of the package.
type PlannedAsset struct {
	Kind    AssetKind    `json:"kind"`
	Name    string       `json:"name"` // with the prefix
	Action  ImportAction `json:"action"`
	AssetID string       `json:"asset_id,omitempty"` // the existing asset; empty for ActionCreate
}

// PlannedDataSource is what would become of one data source of the package.
type PlannedDataSource struct {
	Name   string       `json:"name"`
	Action ImportAction `json:"action"`
}

// ImportResult is what an import did. It is the Result of its job, as JSON.
type ImportResult struct {
	Created                int             `json:"created"`
	NewVersions            int             `json:"new_versions"`
	Unchanged              int             `json:"unchanged"`
	DataSourcesCreated     int             `json:"data_sources_created"`
	DataSourcesOverwritten int             `json:"data_sources_overwritten"`
	DataSourcesKept        int             `json:"data_sources_kept"`
	Assets                 []ImportedAsset `json:"assets"` // applications, then tasks, in the package's order
}

// ImportedAsset is what became of one asset of the package.
type ImportedAsset struct {
	ID            string       `json:"id"`
	Kind          AssetKind    `json:"kind"`
	Name          string       `json:"name"`
	VersionNumber int          `json:"version_number"`
	Action        ImportAction `json:"action"`
}
