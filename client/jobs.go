package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The states of a JobDetail.
const (
	JobQueued    = "queued" // it waits until the jobs of its kind before it have ended
	JobRunning   = "running"
	JobSucceeded = "succeeded"
	JobFailed    = "failed"
	JobCancelled = "cancelled"
)

// JobDetail is a job as our own API shows it, whichever contract it was started through.
type JobDetail struct {
	ID         string          `json:"id"`   // a UUID
	Kind       string          `json:"kind"` // such as "asset-import"
	ProjectID  string          `json:"project_id"`
	InstanceID string          `json:"instance_id"`
	UserID     string          `json:"user_id"`
	UserName   string          `json:"user_name"`
	WorkflowID string          `json:"workflow_id"` // finds it in the Temporal UI
	Subject    string          `json:"subject"`     // for an import the name of the uploaded file
	State      string          `json:"state"`
	Progress   float64         `json:"progress"`       // 0 to 1; 1 only when it has succeeded
	Step       string          `json:"step,omitempty"` // what it does at the moment
	Request    json.RawMessage `json:"request,omitempty"`
	Result     json.RawMessage `json:"result,omitempty"`
	Reasons    []Reason        `json:"reasons"`
	CreatedAt  time.Time       `json:"created_at"`
	EndedAt    *time.Time      `json:"ended_at,omitempty"`

	// Of a delivery. Tasks are given by ShowJob and WatchJob only, all else while it runs only.
	Tasks       []JobTask  `json:"tasks,omitempty"`
	Workloads   []Workload `json:"workloads,omitempty"`
	Attempt     int        `json:"attempt,omitempty"`      // which try of the step this is, from 1
	LastFailure string     `json:"last_failure,omitempty"` // why the try before failed: a sentence
}

// Ended tells whether the job has ended: the next one of its kind can start.
func (j JobDetail) Ended() bool { return j.State != JobRunning && j.State != JobQueued }

// The kinds of a JobDetail.
const (
	KindImport   = "asset-import"
	KindExport   = "asset-export"
	KindDelete   = "asset-delete"
	KindCopy     = "asset-copy"
	KindDelivery = "addon-delivery"
)

// JobTask is one step of a delivery.
type JobTask struct {
	Index     int       `json:"index"` // from 0, in the order of the steps
	Name      string    `json:"name"`
	State     string    `json:"state"`    // JobRunning, JobSucceeded, JobFailed or JobCancelled
	Messages  []string  `json:"messages"` // sentences, oldest first
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Workload is one part of an add-on that takes time to become ready.
type Workload struct {
	Kind    string `json:"kind"` // such as "Deployment"
	Name    string `json:"name"`
	Ready   int    `json:"ready"` // replicas
	Wanted  int    `json:"wanted"`
	Message string `json:"message"` // why it is not ready, as far as is known
}

// ImportRequest is the Request of an import.
type ImportRequest struct {
	Mode                 string `json:"mode"`
	Prefix               string `json:"prefix"`
	OverwriteDataSources bool   `json:"overwrite_data_sources"`
	PackageSHA256        string `json:"package_sha256"`
	PackageSize          int64  `json:"package_size"` // bytes
}

// ImportResult is the Result of an import that succeeded.
type ImportResult struct {
	Created                int             `json:"created"`
	NewVersions            int             `json:"new_versions"`
	Unchanged              int             `json:"unchanged"`
	DataSourcesCreated     int             `json:"data_sources_created"`
	DataSourcesOverwritten int             `json:"data_sources_overwritten"`
	DataSourcesKept        int             `json:"data_sources_kept"`
	Assets                 []ImportedAsset `json:"assets"`
}

// ImportedAsset is what became of one asset of a package.
type ImportedAsset struct {
	ID            string `json:"id"`
	Kind          string `json:"kind"`
	Name          string `json:"name"`
	VersionNumber int    `json:"version_number"`
	Action        string `json:"action"` // "create", "new_version" or "unchanged"
}

// SelectionRequest is the Request of an export or a deletion.
type SelectionRequest struct {
	Applications []string `json:"applications"` // asset ids
	Tasks        []string `json:"tasks"`
}

// ExportResult is the Result of an export that succeeded.
type ExportResult struct {
	ArchiveID    string    `json:"archive_id"` // for DownloadArchive
	FileName     string    `json:"file_name"`
	SHA256       string    `json:"sha256"`
	Size         int64     `json:"size"` // bytes
	Applications int       `json:"applications"`
	Tasks        int       `json:"tasks"`
	CreatedAt    time.Time `json:"created_at"`
	ExpiresAt    time.Time `json:"expires_at"`
}

// DeletionResult is the Result of a deletion that succeeded.
type DeletionResult struct {
	Deleted int            `json:"deleted"`
	Assets  []DeletedAsset `json:"assets"`
}

// DeletedAsset is an asset that went to the trash.
type DeletedAsset struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// CopyRequest is the Request of a copy.
type CopyRequest struct {
	AssetID      string `json:"asset_id"`
	SourceRegion string `json:"source_region"`
}

// CopyResult is the Result of a copy that succeeded.
type CopyResult struct {
	AssetID       string `json:"asset_id"`
	VersionNumber int    `json:"version_number"`
	Files         int    `json:"files"`
	Bytes         int64  `json:"bytes"`
	Unchanged     bool   `json:"unchanged"` // it was equal already, so there is no new version
}

// DeliveryRequest is the Request of a delivery.
type DeliveryRequest struct {
	Action          string `json:"action"` // "install", "redeploy", "restart" or "uninstall"
	EnvironmentID   string `json:"environment_id"`
	EnvironmentName string `json:"environment_name"`
	AddonID         string `json:"addon_id"`
	Name            string `json:"name"` // of the add-on and its chart
	TargetID        string `json:"cce_id"`
	CSEID           string `json:"cse_id"`
}

// DeliveryResult is the Result of a delivery that succeeded.
type DeliveryResult struct {
	Action   string `json:"action"`
	AddonID  string `json:"addon_id"`
	Name     string `json:"name"`
	TargetID string `json:"cce_id"`
	Version  string `json:"version"`  // of the chart that the target holds; empty after an uninstall
	Revision string `json:"revision"` // the target's own name of that state
}

// JobFilter says which jobs of the project are listed. Empty fields leave out nothing.
type JobFilter struct {
	InstanceID string
	UserID     string
	Kind       string
	State      string
	Limit      int    // of a page; 0 for the service's default of 50, at most 500
	Cursor     string // NextCursor of the page before
}

// JobPage is one page of jobs, newest first.
type JobPage struct {
	Jobs       []JobDetail `json:"jobs"`
	NextCursor string      `json:"next_cursor,omitempty"` // empty on the last page
}

// ShowJob asks for a job, in whichever instance it is.
func (c *Client) ShowJob(ctx context.Context, id string) (JobDetail, error) {
	id, err := CanonicalJobID(id)
	if err != nil {
		return JobDetail{}, err
	}
	var job JobDetail
	err = c.get(ctx, "ask for job "+id, path("api", "v1", "jobs", id), nil, &job)
	return job, err
}

// WatchJob does what WaitJob does, with our own API: the job's step is known, and the instance need not be.
func (c *Client) WatchJob(ctx context.Context, id string, report func(JobDetail)) (JobDetail, error) {
	return wait(ctx, c,
		func(ctx context.Context) (JobDetail, error) { return c.ShowJob(ctx, id) },
		JobDetail.Ended,
		func(j *JobDetail) *float64 { return &j.Progress },
		report)
}

// ListJobs lists jobs of the project.
func (c *Client) ListJobs(ctx context.Context, f JobFilter) (JobPage, error) {
	query := url.Values{}
	set(query, "instance_id", f.InstanceID)
	set(query, "user_id", f.UserID)
	set(query, "kind", f.Kind)
	set(query, "state", f.State)
	setPage(query, f.Limit, f.Cursor)
	var page JobPage
	err := c.get(ctx, "list jobs", path("api", "v1", "projects", c.cfg.ProjectID, "jobs"), query, &page)
	return page, err
}

// CancelJob asks a running job to stop and clean up. It returns when the request is durable; the job ends a moment
// later, as cancelled, or as succeeded when it was too late. An ended job is refused with the code "job.ended".
func (c *Client) CancelJob(ctx context.Context, id string) (JobDetail, error) {
	return c.cancelJob(ctx, id, nil)
}

// CancelJobLeaving does what CancelJob does with a delivery, but what it has changed on the target stays. A job of another
// kind is refused with the code "job.no_leave".
func (c *Client) CancelJobLeaving(ctx context.Context, id string) (JobDetail, error) {
	return c.cancelJob(ctx, id, url.Values{"leave": {"true"}})
}

func (c *Client) cancelJob(ctx context.Context, id string, query url.Values) (JobDetail, error) {
	id, err := CanonicalJobID(id)
	if err != nil {
		return JobDetail{}, err
	}
	var job JobDetail
	_, err = c.call(ctx, "cancel job "+id, call{method: http.MethodPost, path: path("api", "v1", "jobs", id, "cancel"), query: query}, &job)
	return job, err
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setPage(query url.Values, limit int, cursor string) {
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	set(query, "cursor", cursor)
}
