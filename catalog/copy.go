package catalog

import (
	"context"
	"errors"
)

var errNotBuilt = errors.New("catalog: not built yet")

// CopyTarget says what a copy makes here: the digital asset of this id, in this project.
type CopyTarget struct {
	JobID     string
	ProjectID string
	UserID    string // who is written down as the maker of the version
	AssetID   string // the source's id, kept as it is: 1 to MaxDigitalID bytes
	Metadata  DigitalMetadata
}

// Copy is what a copy ends with: everything the source has, its files stored by now.
type Copy struct {
	CopyTarget
	Files []CopiedFile
}

// CopiedFile is a file as the source has it.
type CopiedFile struct {
	ID       string
	Name     string
	MD5      string // base64
	Type     string
	Category string
	SHA256   string // 64 lower-case hex digits
	Size     int64  // bytes
}

// CopyResult is what a copy did. It is the Result of its job, as JSON.
type CopyResult struct {
	AssetID       string `json:"asset_id"`
	VersionNumber int    `json:"version_number"`
	Files         int    `json:"files"`
	Bytes         int64  `json:"bytes"`
	Unchanged     bool   `json:"unchanged"` // the asset was equal to the source, so there is no new version
}

// CheckCopy says whether BeginCopy would succeed now, but for the job. It only reads; t.JobID and t.UserID are not
// looked at. Conflict "catalog.name_taken", "catalog.asset_elsewhere"; Invalid as CreateDigitalAsset.
func (c *Catalog) CheckCopy(ctx context.Context, t CopyTarget) error { return errNotBuilt }

// BeginCopy shows the asset as being copied.
func (c *Catalog) BeginCopy(ctx context.Context, t CopyTarget) error { return errNotBuilt }

// CommitCopy gives the asset the content of the source.
func (c *Catalog) CommitCopy(ctx context.Context, cp Copy) (CopyResult, error) {
	return CopyResult{}, errNotBuilt
}

// FailCopy shows the asset as failed.
func (c *Catalog) FailCopy(ctx context.Context, jobID, assetID, reason string) error {
	return errNotBuilt
}
