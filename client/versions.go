package client

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Version is one version of an asset.
type Version struct {
	Number    int       `json:"number"` // from 1
	Label     string    `json:"label"`  // what the package called it
	Digest    string    `json:"digest"` // SHA-256 over its content
	CreatedBy string    `json:"created_by"`
	JobID     string    `json:"job_id"` // the job that made it; empty where an older version was restored
	CreatedAt time.Time `json:"created_at"`
}

// ListVersions lists all versions of an asset, newest first.
func (c *Client) ListVersions(ctx context.Context, assetID string) ([]Version, error) {
	var answer struct {
		Versions []Version `json:"versions"`
	}
	err := c.get(ctx, "list the versions of asset "+assetID, c.instancePath("assets", assetID, "versions"), nil, &answer)
	return answer.Versions, err
}

// AssetAt asks for an asset as it was in a version.
func (c *Client) AssetAt(ctx context.Context, assetID string, version int) (AssetDetail, error) {
	var asset AssetDetail
	err := c.get(ctx, fmt.Sprintf("ask for version %d of asset %s", version, assetID),
		c.instancePath("assets", assetID, "versions", strconv.Itoa(version)), nil, &asset)
	return asset, err
}

// RestoreVersion makes a new version of an asset with the content of an older one, and gives the asset as it is then.
// Where the current content is equal nothing changes. Refused with the code "catalog.reference_deleted" where the older
// version uses an application that is in the trash.
func (c *Client) RestoreVersion(ctx context.Context, assetID string, version int) (Asset, error) {
	var asset Asset
	err := c.post(ctx, fmt.Sprintf("restore version %d of asset %s", version, assetID),
		c.instancePath("assets", assetID, "versions", strconv.Itoa(version), "restore"), nil, &asset)
	return asset, err
}
