package catalog

import (
	"encoding/json"
	"time"
)

// DigitalState is where a digital asset stands. The values are those of the contract.
type DigitalState string

// The states. The catalog itself gives CREATING, FAILED, ACTIVED and DELETING.
const (
	DigitalCreating      DigitalState = "CREATING" // it has no main file yet, or it is being copied
	DigitalFailed        DigitalState = "FAILED"   // the last copy failed; Reason says why
	DigitalUnactived     DigitalState = "UNACTIVED"
	DigitalActived       DigitalState = "ACTIVED"  // its main file is there
	DigitalDeleting      DigitalState = "DELETING" // it is in the trash
	DigitalDeleted       DigitalState = "DELETED"
	DigitalBlock         DigitalState = "BLOCK"
	DigitalWaitingDelete DigitalState = "WAITING_DELETE"
)

// FileState is where a file of a digital asset stands. The values are those of the contract.
type FileState string

// The states. The catalog itself gives the first four.
const (
	FileCreating  FileState = "CREATING" // it can be uploaded
	FileCreated   FileState = "CREATED"  // it is stored
	FileFailed    FileState = "FAILED"
	FileCancelled FileState = "CANCELLED"
	FileDeleting  FileState = "DELETING"
	FileDeleted   FileState = "DELETED"
	FileUploaded  FileState = "UPLOADED"
	FileReview    FileState = "REVIEW"
	FileBlock     FileState = "BLOCK"
)

// MainCategory is the category of the one file that makes a digital asset complete.
const MainCategory = "MAIN"

// UploadLifetime is how long a file can be uploaded. A main file that was not completed by then is in nobody's way.
const UploadLifetime = 24 * time.Hour

// The bounds of what a digital asset may carry.
const (
	MaxDigitalID    = 64      // bytes of the id of a digital asset or a file
	MaxDigitalFiles = 100_000 // files of one digital asset, those in upload included
	MaxTags         = 50
	MaxTag          = 128 // characters
)

// DigitalMetadata is what a user says of a digital asset.
type DigitalMetadata struct {
	Name             string          `json:"name"` // unique among the living digital assets of its project
	Description      string          `json:"description"`
	AppUserID        string          `json:"app_user_id"`
	Type             string          `json:"type"`
	Tags             []string        `json:"tags"`
	ExtraMeta        json.RawMessage `json:"extra_meta"` // an object, compact; nil where there is none
	SystemProperties []string        `json:"system_properties"`
	Order            int64           `json:"order"`
}

// DigitalAsset is an asset of a project as a whole: metadata and files, with versions like those of every kind.
type DigitalAsset struct {
	DigitalMetadata
	ID            string // a UUID, or what the region it was copied from calls it
	ProjectID     string
	State         DigitalState
	Reason        string // why it is FAILED
	VersionNumber int    // 1 for the first
	Digest        string // SHA-256 over the canonical metadata and files that are stored, hex
	Files         []DigitalFile
	CreatedAt     time.Time
	UpdatedAt     time.Time  // when its content or its state last changed; the trash changes neither
	DeletedAt     *time.Time // nil outside the trash
}

// DigitalFile is a file of a digital asset. Of DigitalAsset.Files, those that are CREATED or CREATING, by creation.
type DigitalFile struct {
	ID        string // a UUID, or what the region it was copied from calls it
	AssetID   string
	ProjectID string
	Name      string
	MD5       string // base64
	Type      string
	Category  string
	Size      int64 // bytes
	State     FileState
	SHA256    string // 64 lower-case hex digits once it is CREATED, empty before
	CreatedAt time.Time
	UpdatedAt time.Time
}

// DigitalFilter chooses digital assets of one project. Empty fields choose all, but those in the trash are chosen only
// where States has DELETING.
type DigitalFilter struct {
	ProjectID  string // required
	Name       string // anywhere in the name, whatever the case of ASCII letters
	Tag        string // one of the tags is exactly this
	Types      []string
	States     []DigitalState
	IDs        []string
	SortKey    string // "create_time", "update_time" or "asset_order"; empty: create_time
	Descending bool
	Limit      int // 1 to 100; 0 means 10
	Offset     int
}
