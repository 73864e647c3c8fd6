package catalog

import (
	"context"
	"time"
)

// Chart is one version of a chart in a project's add-on library. Its archive is a blob.
type Chart struct {
	ProjectID   string
	Name        string // a DNS label of at most 53 characters
	Version     string // a semantic version as the chart has it, at most 128 characters; build metadata does not tell versions apart
	AppVersion  string
	Description string
	SHA256      string // of the archive, 64 lower-case hex digits
	Size        int64  // of the archive, in bytes
	CreatorID   string
	CreatorName string // filled in when read
	CreatedAt   time.Time
}

// AddChart puts a version of a chart into the library. Its blob must have been touched with TouchBlobs, and stored. The
// same bytes again are no error and change nothing: added is false then. Conflict "catalog.chart_differs" when the version
// is there with other bytes; NotFound "catalog.project_not_found", "catalog.blobs_not_found"; Invalid "catalog.bad_chart".
func (c *Catalog) AddChart(ctx context.Context, userID string, chart Chart) (kept Chart, added bool, err error) {
	panic("to be written")
}

// ListCharts gives a page of a project's charts by name, each with its newest version by semantic versioning (a release
// is newer than its own pre-releases), and the cursor of the next page. limit as in ListJobs. Invalid "catalog.bad_cursor".
func (c *Catalog) ListCharts(ctx context.Context, projectID string, limit int, cursor string) (charts []Chart, next string, err error) {
	panic("to be written")
}

// ChartVersions gives all versions of a chart, newest first by semantic versioning. NotFound "catalog.chart_not_found".
func (c *Catalog) ChartVersions(ctx context.Context, projectID, name string) ([]Chart, error) {
	panic("to be written")
}

// Chart finds a version of a chart; with an empty version the newest. NotFound "catalog.chart_not_found".
func (c *Catalog) Chart(ctx context.Context, projectID, name, version string) (Chart, error) {
	panic("to be written")
}

// DeleteChart removes a version of a chart that no add-on consists of and no running delivery is about to deliver.
// NotFound "catalog.chart_not_found"; Conflict "catalog.chart_in_use" with the ids of the add-ons as details.
func (c *Catalog) DeleteChart(ctx context.Context, userID, projectID, name, version string) error {
	panic("to be written")
}
