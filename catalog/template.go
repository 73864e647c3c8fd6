package catalog

import (
	"time"

	"assetflow/hql"
)

// ReleaseState says whether a service template is finished. The values are those of the contract.
type ReleaseState = string

// The states.
const (
	ReleaseDebug ReleaseState = "debug" // it is being developed: another one may take its place
	ReleaseFinal ReleaseState = "release"
)

// MaxServiceTemplates is how many templates one import brings at most.
const MaxServiceTemplates = 1000

// ServiceTemplate is an asset of a project as a whole. VendorID, KeyName and Version together name a living one.
type ServiceTemplate struct {
	Number                int64  `json:"number"` // what the contract calls it by; never given twice
	AssetID               string `json:"asset_id"`
	ProjectID             string `json:"project_id"`
	KeyName               string `json:"key_name"`
	DisplayName           string `json:"display_name"`
	VendorID              string `json:"vendor_id"`
	VendorName            string `json:"vendor_name"`
	Version               string `json:"version"` // aa.bb.cc
	Description           string `json:"description"`
	ReleaseState          string `json:"release_state"` // ReleaseDebug or ReleaseFinal
	SupportedScheduleType string `json:"supported_schedule_type"`
	// Tags, UsedServices and UsedTemplates are without commas.
	Tags          []string   `json:"tags"`
	UsedServices  []string   `json:"used_services"`
	UsedTemplates []string   `json:"used_templates"`
	Latest        bool       `json:"latest"` // no living template of the vendor and key name has a higher version
	SHA256        string     `json:"sha256"` // of the .st file
	Size          int64      `json:"size"`   // of the .st file, in bytes
	VersionNumber int        `json:"version_number"`
	CreatedAt     time.Time  `json:"created_at"`           // whole milliseconds, as the next
	UpdatedAt     time.Time  `json:"updated_at"`           // when another debug build took its place
	DeletedAt     *time.Time `json:"deleted_at,omitempty"` // nil outside the trash
}

// TemplatePath is the path of a template's one file in its version.
const TemplatePath = "template.st"

// TemplateImport is what a package brings into a project. Everything in it was validated by its format already.
type TemplateImport struct {
	JobID     string
	ProjectID string
	UserID    string // who is written down as the maker of the versions
	Templates []ImportedTemplate
}

// ImportedTemplate is a template of a package. Of ServiceTemplate, what the file says: the rest is the catalog's.
type ImportedTemplate struct {
	FileName string // of the .st, without folders: how reasons name it
	ServiceTemplate
}

// The codes of conflicts of service templates.
const (
	ReasonReleaseDiffers    = "release_differs"    // a release of the same name and version has other content
	ReasonDuplicateTemplate = "duplicate_template" // the package has two templates of one name and version
)

// TemplateAction says what an import does with one service template.
type TemplateAction string

// The actions.
const (
	TemplateCreate    TemplateAction = "create"
	TemplateReplace   TemplateAction = "replace"   // it takes the place of a debug build
	TemplateUnchanged TemplateAction = "unchanged" // it is there already, byte for byte
)

// TemplateImportResult is what an import of service templates did. It is the Result of its job, as JSON.
type TemplateImportResult struct {
	Created   int                  `json:"created"`
	Replaced  int                  `json:"replaced"`
	Unchanged int                  `json:"unchanged"`
	Templates []TemplateImportItem `json:"templates,omitempty"` // in the package's order
}

// TemplateImportItem is what became of one template of the package.
type TemplateImportItem struct {
	Number   int64          `json:"number"`
	AssetID  string         `json:"asset_id"`
	FileName string         `json:"file_name"`
	VendorID string         `json:"vendor_id"`
	KeyName  string         `json:"key_name"`
	Version  string         `json:"version"`
	Action   TemplateAction `json:"action"`
}

// TemplateFilter chooses service templates of one project. Empty fields choose all.
type TemplateFilter struct {
	ProjectID string   // required
	Q         string   // each of its words is somewhere in names, vendor, tags or description, whatever the case
	Tags      []string // it has each of them
	VendorID  string   // exact, as the next two
	KeyName   string
	Version   string
	Where     hql.Expr   // over TemplateFields; nil: all
	Sort      []hql.Sort // over TemplateFields; by number where they are equal
	Trash     bool       // those in the trash instead of the living ones
	Limit     int        // 1 to 1000; 0 means 1000
	Offset    int
}

// TemplateFields are the fields that an expression over service templates may name, as the contract calls them. Those that
// are lists are text with commas.
func TemplateFields() map[string]hql.Type {
	fields := make(map[string]hql.Type, len(templateColumns))
	for name, column := range templateColumns {
		fields[name] = column.holds
	}
	return fields
}
