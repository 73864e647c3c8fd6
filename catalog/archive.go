package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
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
	CreatedAt    time.Time `json:"created_at"`
	ExpiresAt    time.Time `json:"expires_at"`
}

type archiveRow struct {
	bun.BaseModel `bun:"table:archives,alias:ar"`

	ID         string `bun:"id,pk"`
	ProjectID  string `bun:"project_id"`
	InstanceID string `bun:"instance_id"`
	JobID      string `bun:"job_id"`
	UserID     string `bun:"user_id"`
	FileName   string `bun:"file_name"`
	SHA256     string `bun:"sha256"`
	Size       int64  `bun:"size"`
	CreatedAt  stamp  `bun:"created_at"`
	ExpiresAt  stamp  `bun:"expires_at"`
	TakenAt    stamp  `bun:"taken_at,nullzero"`
	Delivered  string `bun:"delivered,nullzero"` // JSON of byteRanges
}

func (r archiveRow) archive() Archive {
	return Archive{
		ID: r.ID, ProjectID: r.ProjectID, InstanceID: r.InstanceID, JobID: r.JobID, UserID: r.UserID, FileName: r.FileName,
		SHA256: r.SHA256, Size: r.Size, CreatedAt: r.CreatedAt.at, ExpiresAt: r.ExpiresAt.at, TakenAt: r.TakenAt.pointer(),
	}
}

func noArchive() error {
	return fault.New(fault.NotFound, "catalog.archive_not_found", "there is no such archive, or it was downloaded already, or it has expired")
}

// CommitExport writes the archive down, in one transaction and exactly once, and ends the job as succeeded. A second
// call with the same job id returns the first one's archive, whatever has become of it since; where the second has
// stored another archive, that one is the caller's to remove.
//
// Errors: Conflict "catalog.job_ended" when the job has already ended otherwise; NotFound "catalog.job_not_found" (also
// for a job of another project), "catalog.instance_not_found"; Invalid "catalog.bad_archive".
func (c *Catalog) CommitExport(ctx context.Context, commit ExportCommit) (Archive, error) {
	a := commit.Archive
	a.JobID, a.ProjectID, a.TakenAt = commit.JobID, commit.ProjectID, nil
	if a.ID == "" || a.ExpiresAt.IsZero() || checkBlob(a.SHA256, a.Size) != nil || checkNames(a.FileName) != nil {
		return Archive{}, fault.New(fault.Invalid, "catalog.bad_archive", "an archive needs an id, a file name, a SHA-256, a size and the time it expires")
	}
	result, err := commitOnce(ctx, c, "commit the export", commit.JobID, commit.ProjectID, func(tx bun.Tx, at stamp) (ExportResult, error) {
		row := archiveRow{
			ID: a.ID, ProjectID: a.ProjectID, InstanceID: a.InstanceID, JobID: a.JobID, UserID: a.UserID, FileName: a.FileName,
			SHA256: a.SHA256, Size: a.Size, CreatedAt: stampOf(a.CreatedAt), ExpiresAt: stampOf(a.ExpiresAt),
		}
		if row.CreatedAt.IsZero() {
			row.CreatedAt = at
		}
		if err := requireInstance(ctx, tx, a.ProjectID, a.InstanceID); err != nil {
			return ExportResult{}, err
		}
		_, err := tx.NewInsert().Model(&row).Exec(ctx)
		switch {
		case isDuplicate(err):
			return ExportResult{}, fault.New(fault.Invalid, "catalog.bad_archive", "there is an archive of that id already")
		case err != nil:
			return ExportResult{}, fmt.Errorf("write the archive down: %w", err)
		}
		return ExportResult{
			ArchiveID: row.ID, FileName: row.FileName, SHA256: row.SHA256, Size: row.Size, CreatedAt: row.CreatedAt.at, ExpiresAt: row.ExpiresAt.at,
			Applications: commit.Applications, Tasks: commit.Tasks,
		}, c.failpoint("archive")
	})
	if err != nil {
		return Archive{}, err
	}
	// From the result, because the row may be gone.
	a.ID, a.FileName, a.SHA256, a.Size = result.ArchiveID, result.FileName, result.SHA256, result.Size
	a.CreatedAt, a.ExpiresAt = result.CreatedAt, result.ExpiresAt
	return a, nil
}

// Archive finds an archive that can be downloaded. NotFound "catalog.archive_not_found", also when it was taken or has
// expired.
func (c *Catalog) Archive(ctx context.Context, projectID, instanceID, id string) (Archive, error) {
	var row archiveRow
	err := c.reader.NewSelect().Model(&row).Where("ar.id = ?", id).Where("ar.project_id = ?", projectID).Where("ar.instance_id = ?", instanceID).
		Where("ar.taken_at IS NULL").Where("ar.expires_at > ?", now()).Scan(ctx)
	if err != nil {
		return Archive{}, failed(ctx, "read the archive", orAbsent(err, noArchive()))
	}
	return row.archive(), nil
}

// RecordDelivery writes down that the bytes from (inclusive) to (exclusive) of an archive reached a client. It says true
// once: to the call with which every byte has been delivered, and which marks the archive taken. NotFound
// "catalog.archive_not_found", Invalid "catalog.bad_range".
func (c *Catalog) RecordDelivery(ctx context.Context, archiveID string, from, to int64) (complete bool, err error) {
	err = c.write(ctx, "record the delivery", func(tx bun.Tx) error {
		complete = false
		var row archiveRow
		if err := tx.NewSelect().Model(&row).Where("ar.id = ?", archiveID).Apply(c.lock("ar")).Scan(ctx); err != nil {
			return orAbsent(err, noArchive())
		}
		if from < 0 || from > to || to > row.Size {
			return fault.New(fault.Invalid, "catalog.bad_range", "the archive has no bytes from %d to %d", from, to)
		}
		if !row.TakenAt.IsZero() {
			return nil
		}
		var delivered byteRanges
		if row.Delivered != "" {
			if err := json.Unmarshal([]byte(row.Delivered), &delivered); err != nil {
				return fmt.Errorf("read what was delivered: %w", err)
			}
		}
		delivered = delivered.with(from, to)
		text, err := json.Marshal(delivered)
		if err != nil {
			return err
		}
		row.Delivered = string(text)
		if complete = delivered.cover(row.Size); complete {
			row.TakenAt = now()
		}
		_, err = tx.NewUpdate().Model(&row).Column("delivered", "taken_at").WherePK().Exec(ctx)
		return err
	})
	return complete && err == nil, err
}

// maxRanges bounds how many pieces are kept for an archive that somebody reads in bits. A piece beyond them that
// touches no other one counts as not delivered.
const maxRanges = 1000

// byteRanges are pairs of from and to, in order, without overlap and with a gap between any two.
type byteRanges [][2]int64

// with adds a range.
func (r byteRanges) with(from, to int64) byteRanges {
	if from == to {
		return r
	}
	merged := append(slices.Clone(r), [2]int64{from, to})
	slices.SortFunc(merged, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	n := 0
	for _, next := range merged[1:] {
		if next[0] <= merged[n][1] {
			merged[n][1] = max(merged[n][1], next[1])
		} else {
			n++
			merged[n] = next
		}
	}
	if n+1 > maxRanges {
		return r
	}
	return merged[:n+1]
}

// cover tells whether the ranges hold every byte of so many.
func (r byteRanges) cover(size int64) bool {
	return size == 0 || len(r) == 1 && r[0] == [2]int64{0, size}
}

// ExpiredArchives gives archives of all projects that were taken or have expired, oldest first, at most limit. Their
// objects are removed before RemoveArchive.
func (c *Catalog) ExpiredArchives(ctx context.Context, now time.Time, limit int) ([]Archive, error) {
	var rows []archiveRow
	err := c.reader.NewSelect().Model(&rows).Where("ar.taken_at IS NOT NULL OR ar.expires_at <= ?", stampOf(now)).
		Order("ar.created_at", "ar.id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, failed(ctx, "list the expired archives", err)
	}
	archives := make([]Archive, len(rows))
	for i, r := range rows {
		archives[i] = r.archive()
	}
	return archives, nil
}

// RemoveArchive forgets an archive whose object is gone; again is no error.
func (c *Catalog) RemoveArchive(ctx context.Context, id string) error {
	_, err := c.writer.NewDelete().Model((*archiveRow)(nil)).Where("id = ?", id).Exec(ctx)
	return failed(ctx, "remove the archive", err)
}
