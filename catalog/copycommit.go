package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

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
