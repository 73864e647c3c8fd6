package catalog

import (
	"context"
	"time"
)

// Archive is a package that an export made, until it was downloaded once or has expired.
type Archive struct {
	ID         string // UUIDv7, made by the caller
	ProjectID  string
	InstanceID string
	JobID      string
	UserID     string
	FileName   string
	SHA256     string // 64 lower-case hex digits, of the whole archive
	Size       int64  // bytes
	CreatedAt  time.Time
	ExpiresAt  time.Time
	TakenAt    *time.Time // when it was completely delivered; nil before
}

// ExportCommit is what an export ends with: the archive that is stored by now, and what is in it.
type ExportCommit struct {
	JobID        string
	ProjectID    string
	Archive      Archive // JobID and ProjectID are those of the commit; a zero CreatedAt means now
	Applications int     // how many are in it
	Tasks        int
}

// ExportResult is what an export did. It is the Result of its job, as JSON.
type ExportResult struct {
	ArchiveID    string    `json:"archive_id"`
	FileName     string    `json:"file_name"`
	SHA256       string    `json:"sha256"`
	Size         int64     `json:"size"`
	Applications int       `json:"applications"`
	Tasks        int       `json:"tasks"`
	ExpiresAt    time.Time `json:"expires_at"`
}

// CommitExport writes the archive down, in one transaction and exactly once, and ends the job as succeeded. A second
// call with the same job id returns the first one's archive, whatever has become of it since; where the second has
// stored another archive, that one is the caller's to remove.
//
// Errors: Conflict "catalog.job_ended" when the job has already ended otherwise; NotFound "catalog.job_not_found" (also
// for a job of another project); Invalid "catalog.bad_archive".
func (c *Catalog) CommitExport(ctx context.Context, commit ExportCommit) (Archive, error) {
	panic("not built yet")
}

// Archive finds an archive that can be downloaded. NotFound "catalog.archive_not_found", also when it was taken or has
// expired.
func (c *Catalog) Archive(ctx context.Context, projectID, instanceID, id string) (Archive, error) {
	panic("not built yet")
}

// RecordDelivery writes down that the bytes from (inclusive) to (exclusive) of an archive reached a client. It says true
// once: to the call with which every byte has been delivered, and which marks the archive taken. NotFound
// "catalog.archive_not_found", Invalid "catalog.bad_range".
func (c *Catalog) RecordDelivery(ctx context.Context, archiveID string, from, to int64) (complete bool, err error) {
	panic("not built yet")
}

// ExpiredArchives gives archives of all projects that were taken or have expired, oldest first, at most limit. Their
// objects are removed before RemoveArchive.
func (c *Catalog) ExpiredArchives(ctx context.Context, now time.Time, limit int) ([]Archive, error) {
	panic("not built yet")
}

// RemoveArchive forgets an archive whose object is gone; again is no error.
func (c *Catalog) RemoveArchive(ctx context.Context, id string) error {
	panic("not built yet")
}
