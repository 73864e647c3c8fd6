package client

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// DigitalVersion is a digital asset as it was in one of its versions, as our own API shows it.
type DigitalVersion struct {
	ID               string               `json:"id"`
	ProjectID        string               `json:"project_id"`
	Name             string               `json:"name"`
	Description      string               `json:"description"`
	Type             string               `json:"type"`
	AppUserID        string               `json:"app_user_id"`
	Tags             []string             `json:"tags"`
	ExtraMeta        json.RawMessage      `json:"extra_meta"`
	SystemProperties []string             `json:"system_properties"` // each in JSON
	Order            int64                `json:"order"`
	State            string               `json:"state"` // as of now, whichever version it is
	Reason           string               `json:"reason"`
	VersionNumber    int                  `json:"version_number"`
	Digest           string               `json:"digest"` // SHA-256 over the version's content
	Files            []DigitalVersionFile `json:"files"`
	CreatedAt        time.Time            `json:"created_at"`
	UpdatedAt        time.Time            `json:"updated_at"` // of an older version, when it was made
}

// DigitalVersionFile is a file that a version of a digital asset has.
type DigitalVersionFile struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	MD5      string `json:"md5"` // in base64
	Type     string `json:"type"`
	Category string `json:"category"`
	Size     int64  `json:"size"` // bytes
	SHA256   string `json:"sha256"`
}

// ListDigitalVersions lists all versions of a digital asset, newest first. id is the asset's as it is written, as in the two
// calls below.
func (c *Client) ListDigitalVersions(ctx context.Context, id string) ([]Version, error) {
	var answer struct {
		Versions []Version `json:"versions"`
	}
	err := c.get(ctx, "list the versions of digital asset "+id, c.digitalVersions(id), nil, &answer)
	return answer.Versions, err
}

// DigitalAssetAt asks for a digital asset as it was in a version.
func (c *Client) DigitalAssetAt(ctx context.Context, id string, version int) (DigitalVersion, error) {
	var asset DigitalVersion
	err := c.get(ctx, fmt.Sprintf("ask for version %d of digital asset %s", version, id),
		c.digitalVersions(id, strconv.Itoa(version)), nil, &asset)
	return asset, err
}

// RestoreDigitalVersion makes a new version of a digital asset with the content of an older one, its name included, and
// gives the asset as it is then. Where the current content is equal nothing changes. Refused with the code
// "catalog.name_taken" where another digital asset has the name by now.
func (c *Client) RestoreDigitalVersion(ctx context.Context, id string, version int) (DigitalVersion, error) {
	var asset DigitalVersion
	err := c.post(ctx, fmt.Sprintf("restore version %d of digital asset %s", version, id),
		c.digitalVersions(id, strconv.Itoa(version), "restore"), nil, &asset)
	return asset, err
}

func (c *Client) digitalVersions(id string, rest ...string) string {
	return path(append([]string{"api", "v1", "projects", c.cfg.ProjectID, "digital-assets", id, "versions"}, rest...)...)
}
