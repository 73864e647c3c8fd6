package catalog

import (
	"context"
	"time"
)

// TrashedAsset is a deleted asset that can still be restored.
type TrashedAsset struct {
	Asset
	DeletedAt time.Time
	DeletedBy string // id of the user who deleted it
}

// ListTrash gives a page of an instance's deleted assets, the last deleted first, and the cursor of the next page
// (empty at the end). Invalid "catalog.bad_cursor".
func (c *Catalog) ListTrash(ctx context.Context, filter AssetFilter) (assets []TrashedAsset, next string, err error) {
	panic("not built yet")
}

// RestoreAsset brings an asset back from the trash with all its versions. NotFound "catalog.asset_not_found" when it is
// not there; Conflict "catalog.name_taken" when a living asset has its name by now, "catalog.reference_deleted" when an
// application that its current version uses is in the trash.
func (c *Catalog) RestoreAsset(ctx context.Context, projectID, instanceID, assetID, userID string) (Asset, error) {
	panic("not built yet")
}

// PurgeAssets removes assets from the trash for good, with all their versions, and says how many; all or none. Ids that
// are not in the instance's trash are passed over, so again is no error. Blobs stay until a sweep finds them unused.
// Conflict "catalog.in_use" when a version of a task that stays refers to one of the applications.
func (c *Catalog) PurgeAssets(ctx context.Context, projectID, instanceID string, ids []string, userID string) (int, error) {
	panic("not built yet")
}

// PurgeTrash removes what was deleted before the given time for good, in all projects, at most limit assets, tasks
// before applications; applications that a remaining version refers to stay. It says how many went.
func (c *Catalog) PurgeTrash(ctx context.Context, deletedBefore time.Time, limit int) (int, error) {
	panic("not built yet")
}
