package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

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

// How copies of one asset stand to each other. A job that begins to copy an asset is written into its row, unless the
// one that stands there was made later. The asset is CREATING until that job has ended: with its commit, with FailCopy,
// or otherwise (see endCopy). An older job that is still under way does its work all the same, but it may not put old
// content over that of a newer one.

func badCopy(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_copy", format, args...)
}

// prepareTarget checks a target and puts its metadata into the form in which it is kept.
func prepareTarget(t CopyTarget) (CopyTarget, error) {
	if !isDigitalID(t.AssetID) {
		return t, badCopy("the id of an asset has 1 to %d letters, digits, dashes, dots and underscores", MaxDigitalID)
	}
	var err error
	t.Metadata, err = prepareMetadata(t.Metadata)
	return t, err
}

// CheckCopy says whether BeginCopy would succeed now, but for the job. It only reads; t.JobID and t.UserID are not
// looked at. Conflict "catalog.name_taken" where another living asset has the name, "catalog.asset_elsewhere" where the
// id belongs to an asset of another project or kind; NotFound "catalog.project_not_found"; Invalid "catalog.bad_copy",
// "catalog.bad_name", "catalog.bad_asset".
func (c *Catalog) CheckCopy(ctx context.Context, t CopyTarget) error {
	t, err := prepareTarget(t)
	if err != nil {
		return err
	}
	return c.read(ctx, "check the copy", func(tx bun.Tx) error {
		known, err := tx.NewSelect().Model((*projectRow)(nil)).Where("p.id = ?", t.ProjectID).Exists(ctx)
		if err != nil {
			return err
		}
		if !known {
			return noProject()
		}
		_, err = checkTarget(ctx, tx, t)
		return err
	})
}

// checkTarget looks whether something stands in the way of a copy, and says whether the asset is there already.
func checkTarget(ctx context.Context, db bun.IDB, t CopyTarget) (exists bool, err error) {
	var there struct {
		ProjectID string `bun:"project_id"`
		Kind      string `bun:"kind"`
		Name      string `bun:"name"`
		DeletedAt stamp  `bun:"deleted_at"`
	}
	names := []string{t.Metadata.Name}
	err = db.NewSelect().TableExpr("assets AS a").Column("project_id", "kind", "name", "deleted_at").Where("a.id = ?", t.AssetID).Scan(ctx, &there)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return false, fmt.Errorf("look for the asset: %w", err)
	case there.ProjectID != t.ProjectID || there.Kind != string(KindDigital):
		return false, elsewhere()
	default:
		exists = true
		if !there.DeletedAt.IsZero() {
			names = append(names, there.Name) // under which it leaves the trash
		}
	}
	var taken []string
	err = db.NewSelect().Model((*assetRow)(nil)).Column("name").Where("a.project_id = ?", t.ProjectID).Where("a.instance_id IS NULL").
		Where("a.kind = ?", string(KindDigital)).Where("a.name IN (?)", bun.List(names)).Where("a.deleted_at IS NULL").
		Where("a.id <> ?", t.AssetID).Order("a.name").Scan(ctx, &taken)
	if err != nil {
		return false, fmt.Errorf("look for the name: %w", err)
	}
	if len(taken) > 0 {
		return false, nameTaken(taken[0])
	}
	return exists, nil
}

func elsewhere() error {
	return fault.New(fault.Conflict, "catalog.asset_elsewhere", "the id of the asset belongs to another asset here")
}

// BeginCopy shows the asset of a copy as CREATING: it makes the asset, without files, or takes the one that is there,
// also out of the trash, whose content stays until CommitCopy. Again, or after the commit, it changes nothing.
//
// Conflict "catalog.job_ended" unless the job is running; NotFound "catalog.job_not_found"; and the errors of CheckCopy.
func (c *Catalog) BeginCopy(ctx context.Context, t CopyTarget) error {
	t, err := prepareTarget(t)
	if err != nil {
		return err
	}
	return c.write(ctx, "begin the copy", func(tx bun.Tx) error {
		result, err := c.lockJob(ctx, tx, t.JobID, t.ProjectID)
		if err != nil || result != nil {
			return err
		}
		// So that no two jobs make the asset at once.
		if err := c.lockProject(ctx, tx, t.ProjectID); err != nil {
			return err
		}
		by := maker{userID: t.UserID, jobID: t.JobID, at: now()}
		row, err := c.lockDigital(ctx, tx, t.ProjectID, t.AssetID)
		switch {
		case fault.KindOf(err) == fault.NotFound:
		case err != nil:
			return err
		case row.CopyJobID == t.JobID:
			return nil // also where the asset was deleted since
		}
		exists, err := checkTarget(ctx, tx, t)
		if err != nil {
			return err
		}
		if !exists {
			made := digitalRow{AssetID: t.AssetID, ProjectID: t.ProjectID, State: string(DigitalCreating), CopyJobID: t.JobID, Copying: true}
			return c.insertDigital(ctx, tx, &made, t.Metadata, by)
		}
		newer, err := isNewer(ctx, tx, row.CopyJobID, t.JobID)
		if err != nil || newer {
			return err
		}
		if !row.DeletedAt.IsZero() {
			if err := takeOut(ctx, tx, row, by); err != nil {
				return err
			}
		}
		row.State, row.Reason, row.CopyJobID, row.Copying, row.UpdatedAt = string(DigitalCreating), "", t.JobID, true, by.at
		return writeState(ctx, tx, row)
	})
}

// lockProject holds the project's row until the transaction ends.
func (c *Catalog) lockProject(ctx context.Context, tx bun.Tx, projectID string) error {
	return c.lockProjectOr(ctx, tx, projectID, noProject())
}

// lockProjectOr is lockProject with the error for an unknown project.
func (c *Catalog) lockProjectOr(ctx context.Context, tx bun.Tx, projectID string, absent error) error {
	var project projectRow
	err := tx.NewSelect().Model(&project).Column("id").Where("p.id = ?", projectID).Apply(c.lock("p")).Scan(ctx)
	return orAbsent(err, absent)
}

// writeState writes where the asset stands.
func writeState(ctx context.Context, tx bun.Tx, row digitalRow) error {
	_, err := tx.NewUpdate().Model(&row).Column("state", "reason", "copy_job_id", "copying", "updated_at").WherePK().Exec(ctx)
	if err != nil {
		return fmt.Errorf("write the state of the digital asset: %w", err)
	}
	return nil
}

// isNewer tells whether the one job was made after the other.
func isNewer(ctx context.Context, db bun.IDB, jobID, than string) (bool, error) {
	return db.NewSelect().TableExpr("jobs AS j, jobs AS o").Where("j.id = ?", jobID).Where("o.id = ?", than).
		Where("(j.created_at, j.id) > (o.created_at, o.id)").Exists(ctx)
}
