package client

import (
	"context"
	"net/http"
	"time"
)

// TrashedAsset is an asset that was deleted and can still be restored.
type TrashedAsset struct {
	Asset
	DeletedAt  time.Time  `json:"deleted_at"`
	DeletedBy  string     `json:"deleted_by"`            // a user's id
	PurgeAfter *time.Time `json:"purge_after,omitempty"` // when it is removed for good; nil where that never happens by itself
}

// TrashPage is one page of deleted assets, the last deleted first.
type TrashPage struct {
	Assets     []TrashedAsset `json:"assets"`
	NextCursor string         `json:"next_cursor,omitempty"` // empty on the last page
}

// ListTrash lists deleted assets of the instance.
func (c *Client) ListTrash(ctx context.Context, f AssetFilter) (TrashPage, error) {
	var page TrashPage
	err := c.get(ctx, "list the trash", c.instancePath("trash"), f.query(), &page)
	return page, err
}

// RestoreAsset brings a deleted asset back with all its versions. Refused with the code "catalog.name_taken" where
// another asset has its name by now, and "catalog.reference_deleted" where an application that it uses is in the trash.
func (c *Client) RestoreAsset(ctx context.Context, id string) (Asset, error) {
	var asset Asset
	err := c.post(ctx, "restore asset "+id, c.instancePath("trash", id, "restore"), nil, &asset)
	return asset, err
}

// PurgeAsset removes a deleted asset for good, with all its versions. Refused with the code "catalog.in_use" where a
// task that stays refers to the application.
func (c *Client) PurgeAsset(ctx context.Context, id string) error {
	_, err := c.call(ctx, "purge asset "+id, call{method: http.MethodDelete, path: c.instancePath("trash", id)}, nil)
	return err
}
