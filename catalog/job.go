package catalog

import (
	"encoding/json"
	"time"
)

// JobKind says what a job does.
type JobKind string

// The kinds of jobs.
const (
	AssetImport JobKind = "asset-import"
	AssetDelete JobKind = "asset-delete"
	AssetExport JobKind = "asset-export"
	AssetCopy   JobKind = "asset-copy" // of a digital asset, so it names no instance
	// ServiceTemplateImport brings service templates into a project, so it names no instance.
	ServiceTemplateImport JobKind = "template-import"
	// AddonDelivery installs, redeploys, restarts or removes an add-on of an environment, so it names no instance.
	AddonDelivery JobKind = "addon-delivery"
)

// JobKinds are all kinds of jobs.
func JobKinds() []JobKind {
	return []JobKind{AssetImport, AssetDelete, AssetExport, AssetCopy, ServiceTemplateImport, AddonDelivery}
}

// JobState is where a job stands.
type JobState string

// The states. A queued job is one that runs as far as all else is concerned: it has not ended.
const (
	JobQueued    JobState = "queued"
	JobRunning   JobState = "running"
	JobSucceeded JobState = "succeeded"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
)

// Ended tells whether the state is final.
func (s JobState) Ended() bool { return s != JobQueued && s != JobRunning }

// MaxReasons is how many reasons a job keeps; the contracts show no more.
const MaxReasons = 10

// Reason says to a person why a job failed, or why a plan cannot be carried out.
type Reason struct {
	ResourceType string `json:"resource_type"` // an AssetKind
	ResourceName string `json:"resource_name"` // the final name, with the prefix
	Code         string `json:"code"`          // our own short word, such as "name_taken"
	Message      string `json:"message"`       // one sentence
}

// Job is one run of something that was asked for, as the catalog keeps it for ever.
type Job struct {
	ID         string // UUIDv7, made by the caller
	Kind       JobKind
	ProjectID  string
	InstanceID string
	UserID     string
	UserName   string // filled in when read; empty for a user the catalog does not know
	WorkflowID string
	Subject    string // what a person calls it: the name of the uploaded file
	State      JobState
	Request    json.RawMessage // parameters of its kind, no secrets
	// Result is an ImportResult, DeletionResult, ExportResult, CopyResult, TemplateImportResult or DeliveryResult, once the job
	// has succeeded.
	Result    json.RawMessage
	Reasons   []Reason // at most MaxReasons
	CreatedAt time.Time
	EndedAt   *time.Time // nil while it runs
	Settled   bool       // the workflow is known to be closed: a next job can start
}

// JobOutcome is how a job ends, other than by the commit of its effect.
type JobOutcome struct {
	State   JobState // one that is final
	Reasons []Reason // those beyond MaxReasons are dropped
}

// JobFilter chooses jobs. Empty fields choose all, except ProjectID.
type JobFilter struct {
	ProjectID  string // required
	InstanceID string
	UserID     string
	Kind       JobKind
	State      JobState
	Limit      int    // 1 to 500; 0 means 50
	Cursor     string // from the page before; empty: the first page
}
