package client

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// Asset is an application or a task of an instance.
type Asset struct {
	ID            string    `json:"id"`
	ProjectID     string    `json:"project_id"`
	InstanceID    string    `json:"instance_id"`
	Kind          string    `json:"kind"` // "application" or "task"
	Name          string    `json:"name"`
	Description   string    `json:"description"`
	VersionNumber int       `json:"version_number"` // of the current version, from 1
	VersionLabel  string    `json:"version_label"`  // what the package called it
	Digest        string    `json:"digest"`         // SHA-256 over the version's content
	UpdatedBy     string    `json:"updated_by"`     // a user's id
	JobID         string    `json:"job_id"`         // the job that made the current version
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// AssetDetail is an asset with the content of its current version.
type AssetDetail struct {
	Asset
	SourceID     string           `json:"source_id"` // its id in the package
	Definition   json.RawMessage  `json:"definition"`
	Applications []AssetReference `json:"applications"` // that a task uses
	DataSources  []DataSource     `json:"data_sources"`
	Files        []File           `json:"files"`
}

// AssetReference names an asset.
type AssetReference struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// DataSource is a data source of an instance.
type DataSource struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	Description string          `json:"description"`
	Settings    json.RawMessage `json:"settings"`
	CreatedAt   time.Time       `json:"created_at"`
	UpdatedAt   time.Time       `json:"updated_at"`
	JobID       string          `json:"job_id"` // the job that wrote it last
}

// File is a file of an asset.
type File struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

// AssetFilter says which assets of the instance are listed. Empty fields leave out nothing.
type AssetFilter struct {
	Kind         string // "application" or "task"
	Name         string // exactly
	NameContains string
	Limit        int    // of a page; 0 for the service's default of 50, at most 500
	Cursor       string // NextCursor of the page before
}

// AssetPage is one page of assets, by kind and name.
type AssetPage struct {
	Assets     []Asset `json:"assets"`
	NextCursor string  `json:"next_cursor,omitempty"` // empty on the last page
}

// ListAssets lists assets of the instance.
func (c *Client) ListAssets(ctx context.Context, f AssetFilter) (AssetPage, error) {
	var page AssetPage
	err := c.get(ctx, "list assets", c.instancePath("assets"), f.query(), &page)
	return page, err
}

func (f AssetFilter) query() url.Values {
	query := url.Values{}
	set(query, "kind", f.Kind)
	set(query, "name", f.Name)
	set(query, "name_contains", f.NameContains)
	setPage(query, f.Limit, f.Cursor)
	return query
}

// Asset asks for one asset with its content.
func (c *Client) Asset(ctx context.Context, id string) (AssetDetail, error) {
	var asset AssetDetail
	err := c.get(ctx, "ask for asset "+id, c.instancePath("assets", id), nil, &asset)
	return asset, err
}

// ListDataSources lists the data sources of the instance.
func (c *Client) ListDataSources(ctx context.Context) ([]DataSource, error) {
	var answer struct {
		DataSources []DataSource `json:"data_sources"`
	}
	err := c.get(ctx, "list data sources", c.instancePath("data-sources"), nil, &answer)
	return answer.DataSources, err
}

func (c *Client) instancePath(rest ...string) string {
	return path(append([]string{"api", "v1", "projects", c.cfg.ProjectID, "instances", c.cfg.InstanceID}, rest...)...)
}
