package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// TrashedTemplate is a service template as our own API shows it: one that was deleted, or has just been restored.
type TrashedTemplate struct {
	ID           int64      `json:"number"` // its instanceID
	AssetID      string     `json:"asset_id"`
	KeyName      string     `json:"key_name"`
	DisplayName  string     `json:"display_name"`
	VendorID     string     `json:"vendor_id"`
	VendorName   string     `json:"vendor_name"`
	Version      string     `json:"version"`
	Description  string     `json:"description"`
	ReleaseState string     `json:"release_state"` // "debug" or "release"
	Latest       bool       `json:"latest"`
	SHA256       string     `json:"sha256"` // of its file
	Size         int64      `json:"size"`   // of its file, in bytes
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
	DeletedAt    *time.Time `json:"deleted_at,omitempty"`  // nil outside the trash
	PurgeAfter   *time.Time `json:"purge_after,omitempty"` // when it is removed for good; nil where that never happens by itself
}

// TemplateTrash is a part of the deleted service templates of a project, by their ids.
type TemplateTrash struct {
	Templates []TrashedTemplate `json:"service_templates"`
	Count     int               `json:"count"` // how many there are in all
}

// ListTemplateTrash lists deleted service templates: at most limit (0 for the service's default), after offset others.
func (c *Client) ListTemplateTrash(ctx context.Context, limit, offset int) (TemplateTrash, error) {
	query := url.Values{}
	setPage(query, limit, "")
	if offset > 0 {
		query.Set("offset", strconv.Itoa(offset))
	}
	var list TemplateTrash
	err := c.get(ctx, "list the deleted service templates", c.templateTrashPath(), query, &list)
	return list, err
}

// RestoreTemplate brings a deleted service template back. Refused with the code "catalog.name_taken" where there is another
// one of its vendor, name and version by now.
func (c *Client) RestoreTemplate(ctx context.Context, id int64) (TrashedTemplate, error) {
	var restored TrashedTemplate
	err := c.post(ctx, fmt.Sprintf("restore service template %d", id), c.templateTrashPath(strconv.FormatInt(id, 10), "restore"), nil, &restored)
	return restored, err
}

// PurgeTemplate removes a deleted service template for good.
func (c *Client) PurgeTemplate(ctx context.Context, id int64) error {
	_, err := c.call(ctx, fmt.Sprintf("purge service template %d", id),
		call{method: http.MethodDelete, path: c.templateTrashPath(strconv.FormatInt(id, 10))}, nil)
	return err
}

func (c *Client) templateTrashPath(rest ...string) string {
	return path(append([]string{"api", "v1", "projects", c.cfg.ProjectID, "service-templates", "trash"}, rest...)...)
}
