package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

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
	var project projectRow
	err := tx.NewSelect().Model(&project).Column("id").Where("p.id = ?", projectID).Apply(c.lock("p")).Scan(ctx)
	return orAbsent(err, noProject())
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

// CommitCopy makes the asset equal to the source, in one transaction and exactly once: a second call with the same job
// id returns the first one's result. The stored files are replaced, uploads under way are cancelled, and the asset is
// ACTIVED, with a new version unless it was equal already. It ends the job as succeeded. BeginCopy comes before, and
// every blob must have been touched with TouchBlobs, after the job began, and stored.
//
// Errors, each leaving everything as it was: Conflict "catalog.job_ended" when the job has ended otherwise,
// "catalog.name_taken", "catalog.copy_overtaken" when a copy that began later has been committed,
// "catalog.file_elsewhere" when a file's id belongs to another asset; NotFound "catalog.job_not_found",
// "catalog.asset_not_found" when the asset was deleted meanwhile, "catalog.blobs_not_found"; Invalid "catalog.bad_copy"
// for two files of one id, or none or two main files, "catalog.bad_name", "catalog.bad_asset", "catalog.bad_blob".
func (c *Catalog) CommitCopy(ctx context.Context, cp Copy) (CopyResult, error) {
	var err error
	if cp.CopyTarget, err = prepareTarget(cp.CopyTarget); err != nil {
		return CopyResult{}, err
	}
	if err := checkCopied(cp.Files); err != nil {
		return CopyResult{}, err
	}
	return commitOnce(ctx, c, "commit the copy", cp.JobID, cp.ProjectID, func(tx bun.Tx, at stamp) (CopyResult, error) {
		row, err := c.lockLiving(ctx, tx, cp.ProjectID, cp.AssetID)
		if err != nil {
			return CopyResult{}, err
		}
		if err := c.overtake(ctx, tx, &row, cp.JobID); err != nil {
			return CopyResult{}, err
		}
		files := make([]digitalFileRow, len(cp.Files))
		result := CopyResult{AssetID: cp.AssetID, Files: len(files)}
		for i, f := range cp.Files {
			files[i] = digitalFileRow{
				ID: f.ID, AssetID: cp.AssetID, ProjectID: cp.ProjectID, Name: f.Name, MD5: f.MD5, Type: f.Type, Category: f.Category,
				Size: f.Size, State: string(FileCreated), SHA256: f.SHA256, CreatedAt: at, UpdatedAt: at,
			}
			result.Bytes += f.Size
		}
		content := newDigitalContent(cp.Metadata, files)
		row.settle(content)
		_, digest := content.definition()
		if result.Unchanged = digest == row.Digest; result.Unchanged {
			row.UpdatedAt = at
			err = writeState(ctx, tx, row)
		} else {
			err = c.replaceContent(ctx, tx, &row, content, files, maker{userID: cp.UserID, jobID: cp.JobID, at: at})
		}
		if err != nil {
			return CopyResult{}, err
		}
		if err := cancelUploads(ctx, tx, cp.AssetID, at); err != nil {
			return CopyResult{}, err
		}
		result.VersionNumber = row.VersionNumber
		return result, c.failpoint("copy")
	})
}

// checkCopied checks what the schema relies on, and that there is one main file.
func checkCopied(files []CopiedFile) error {
	if len(files) > MaxDigitalFiles {
		return badCopy("an asset has at most %d files", MaxDigitalFiles)
	}
	mains := 0
	ids := make(map[string]bool, len(files))
	for _, f := range files {
		if !isDigitalID(f.ID) || ids[f.ID] {
			return badCopy("the id %q of a file is not valid, or there twice", f.ID)
		}
		ids[f.ID] = true
		if err := checkFile(DigitalFile{Name: f.Name, MD5: f.MD5, Type: f.Type, Category: f.Category, Size: f.Size}); err != nil {
			return err
		}
		if err := checkBlob(f.SHA256, f.Size); err != nil {
			return err
		}
		if f.Category == MainCategory {
			mains++
		}
	}
	if mains != 1 {
		return badCopy("the source has %d main files", mains)
	}
	return nil
}

// overtake settles how the commit of a job stands to the copy that is written down in the asset's row.
func (c *Catalog) overtake(ctx context.Context, tx bun.Tx, row *digitalRow, jobID string) error {
	newer, err := isNewer(ctx, tx, row.CopyJobID, jobID)
	if err != nil {
		return err
	}
	if !newer {
		row.CopyJobID, row.Copying = jobID, false
		return nil
	}
	committed, err := tx.NewSelect().Model((*effectRow)(nil)).Where("e.job_id = ?", row.CopyJobID).Exists(ctx)
	if err == nil && committed {
		err = fault.New(fault.Conflict, "catalog.copy_overtaken", "a copy of the asset that began later is done already")
	}
	return err
}

// replaceContent puts other files in the place of those that are stored.
func (c *Catalog) replaceContent(ctx context.Context, tx bun.Tx, row *digitalRow, content digitalContent, files []digitalFileRow, by maker) error {
	if err := c.requireBlobs(ctx, tx, content.Files, by.at); err != nil {
		return err
	}
	if err := replaceFiles(ctx, tx, row.AssetID, files); err != nil {
		return err
	}
	if err := c.failpoint("files"); err != nil {
		return err
	}
	return c.writeContent(ctx, tx, row, content, by)
}

// replaceFiles makes the given files the stored ones of the asset. A file that stays keeps the time it was created.
func replaceFiles(ctx context.Context, tx bun.Tx, assetID string, files []digitalFileRow) error {
	old, err := readFiles(ctx, tx, assetID, FileCreating, FileCreated, FileFailed, FileCancelled)
	if err != nil {
		return err
	}
	created := make(map[string]stamp, len(old))
	for _, f := range old {
		created[f.ID] = f.CreatedAt
	}
	remove := make([]string, 0, len(old))
	for _, f := range old {
		if FileState(f.State) == FileCreated {
			remove = append(remove, f.ID)
		}
	}
	for i, f := range files {
		at, known := created[f.ID]
		if !known {
			continue
		}
		files[i].CreatedAt = at
		remove = append(remove, f.ID)
	}
	for chunk := range slices.Chunk(remove, rowsPerStatement) {
		if _, err := tx.NewDelete().Model((*digitalFileRow)(nil)).Where("id IN (?)", bun.List(chunk)).Exec(ctx); err != nil {
			return fmt.Errorf("remove the files: %w", err)
		}
	}
	err = insertAll(ctx, tx, files)
	if isDuplicate(err) {
		return fault.New(fault.Conflict, "catalog.file_elsewhere", "the id of a file belongs to another asset here")
	}
	if err != nil {
		return fmt.Errorf("write the files: %w", err)
	}
	return nil
}

// cancelUploads cancels the uploads of an asset that are under way.
func cancelUploads(ctx context.Context, tx bun.Tx, assetID string, at stamp) error {
	_, err := tx.NewUpdate().Model((*digitalFileRow)(nil)).Set("state = ?", FileCancelled).Set("updated_at = ?", at).
		Where("asset_id = ?", assetID).Where("state = ?", FileCreating).Exec(ctx)
	if err != nil {
		return fmt.Errorf("cancel the uploads: %w", err)
	}
	return nil
}

// maxReason bounds the reason that an asset keeps, in bytes.
const maxReason = 1024

// FailCopy shows the asset as FAILED, with the reason, a sentence for a person. It changes nothing where the job has its
// effect, never began with this asset, or is not the one that began last; again is no error.
func (c *Catalog) FailCopy(ctx context.Context, jobID, assetID, reason string) error {
	return c.write(ctx, "fail the copy", func(tx bun.Tx) error {
		return failCopies(ctx, tx, reason, now(), "copy_job_id = ? AND asset_id = ?", jobID, assetID)
	})
}

// endCopy sees to it that no asset is CREATING for a job that has ended: whoever ended it may have had no occasion to
// call FailCopy. A commit ends its job when the asset is not being copied any more. reasons is the JSON of at least one, or
// empty.
func endCopy(ctx context.Context, tx bun.Tx, job jobRow, reasons string) error {
	if JobKind(job.Kind) != AssetCopy {
		return nil
	}
	reason := "The copy has ended before its time."
	switch {
	case reasons != "":
		var given []Reason
		if err := json.Unmarshal([]byte(reasons), &given); err != nil {
			return fmt.Errorf("read the reasons: %w", err)
		}
		reason = given[0].Message
	case JobState(job.State) == JobCancelled:
		reason = "The copy was cancelled."
	}
	return failCopies(ctx, tx, reason, now(), "copy_job_id = ?", job.ID)
}

func failCopies(ctx context.Context, tx bun.Tx, reason string, at stamp, where string, args ...any) error {
	if !isText(reason) {
		reason = "The copy failed."
	}
	for len(reason) > maxReason || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxReason)]
	}
	_, err := tx.NewUpdate().Model((*digitalRow)(nil)).Set("state = ?", string(DigitalFailed)).Set("reason = ?", reason).
		Set("copying = FALSE").Set("updated_at = ?", at).Where(where, args...).Where("copying").Exec(ctx)
	if err != nil {
		return fmt.Errorf("show the copy as failed: %w", err)
	}
	return nil
}
