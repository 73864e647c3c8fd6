package catalog

import (
	"context"
	"time"
)

// AssetVersion is one version of an asset. Versions never change.
type AssetVersion struct {
	Number    int    // 1 for the first
	Label     string // the version of the package it came in
	Digest    string // as in Asset
	CreatedBy string // id of the user who made it
	JobID     string // the job that made it; empty where an older version was restored
	CreatedAt time.Time
}

// ListVersions gives all versions of a living asset, newest first. NotFound "catalog.asset_not_found".
func (c *Catalog) ListVersions(ctx context.Context, projectID, instanceID, assetID string) ([]AssetVersion, error) {
	panic("not built yet")
}

// AssetAt gives a living asset as it was in the given version. NotFound "catalog.asset_not_found",
// "catalog.version_not_found".
func (c *Catalog) AssetAt(ctx context.Context, projectID, instanceID, assetID string, version int) (AssetDetail, error) {
	panic("not built yet")
}

// RestoreVersion makes a new version with the content of an older one, and gives the asset as it is then. Where the
// current content is equal, nothing changes. NotFound "catalog.asset_not_found", "catalog.version_not_found"; Conflict
// "catalog.reference_deleted" when the older version uses an application that is in the trash.
func (c *Catalog) RestoreVersion(ctx context.Context, projectID, instanceID, assetID string, version int, userID string) (Asset, error) {
	panic("not built yet")
}
