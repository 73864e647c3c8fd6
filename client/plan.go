package client

import (
	"context"
	"io"
)

// The values of PlannedAsset.Action.
const (
	ActionCreate     = "create"
	ActionNewVersion = "new_version"
	ActionUnchanged  = "unchanged"
	ActionConflict   = "conflict"
)

// ImportPlan is what an import would do.
type ImportPlan struct {
	FileName    string              `json:"file_name"`
	Possible    bool                `json:"possible"` // whether it would succeed now; there are Reasons where it would not
	Counts      PlanCounts          `json:"counts"`
	Assets      []PlannedAsset      `json:"assets"` // none where the package cannot be read
	DataSources []PlannedDataSource `json:"data_sources"`
	Reasons     []Reason            `json:"reasons"`
}

// PlanCounts says how many assets there are of each action.
type PlanCounts struct {
	Create     int `json:"create"`
	NewVersion int `json:"new_version"`
	Unchanged  int `json:"unchanged"`
	Conflict   int `json:"conflict"`
}

// PlannedAsset is what would become of one asset of the package.
type PlannedAsset struct {
	Kind         string       `json:"kind"` // "application" or "task"
	Name         string       `json:"name"` // with the prefix
	Action       string       `json:"action"`
	AssetID      string       `json:"asset_id,omitempty"` // the existing asset of that name
	Fields       []string     `json:"fields"`             // that differ: "description", "definition", "applications", "data_sources"
	FilesAdded   []FileChange `json:"files_added"`        // all files of a new asset
	FilesRemoved []FileChange `json:"files_removed"`
	FilesChanged []FileChange `json:"files_changed"`
}

// PlannedDataSource is what would become of one data source of the package.
type PlannedDataSource struct {
	Name   string `json:"name"`
	Action string `json:"action"` // "create", "keep" or "overwrite"
}

// FileChange is a file that differs. A size is 0 where there is no such file.
type FileChange struct {
	Path    string `json:"path"`
	OldSize int64  `json:"old_size"` // bytes
	NewSize int64  `json:"new_size"` // bytes
}

// PlanImport uploads a package and says what its import would do, without doing it: no job starts and nothing is kept.
// The arguments are those of Import; an idempotency key means nothing here. A package that could not be imported is a
// plan like any other, with the reasons.
func (c *Client) PlanImport(ctx context.Context, name string, body io.Reader, size int64, opts ImportOptions) (ImportPlan, error) {
	opts.IdempotencyKey = ""
	var plan ImportPlan
	err := c.upload(ctx, "plan the import", c.instancePath("assets", "plan"), name, body, size, opts, &plan)
	return plan, err
}
