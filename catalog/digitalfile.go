package catalog

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

func noFile() error {
	return fault.New(fault.NotFound, "catalog.file_not_found", "the project has no such file")
}

func mainExists() error {
	return fault.New(fault.Conflict, "catalog.main_exists", "the asset has a main file already: delete that one first")
}

// CreateDigitalFile writes a file down that is to be uploaded, in state CREATING: f says the asset, its project and
// what is known of the file; it gets an id. NotFound "catalog.asset_not_found", also for an asset in the trash; Conflict
// "catalog.main_exists" for a second main file, unless the upload of the first has lapsed, "catalog.too_many_files";
// Invalid "catalog.bad_name", "catalog.bad_file".
func (c *Catalog) CreateDigitalFile(ctx context.Context, userID string, f DigitalFile) (DigitalFile, error) {
	if err := checkFile(f); err != nil {
		return DigitalFile{}, err
	}
	row := digitalFileRow{
		ID: NewID(), AssetID: f.AssetID, ProjectID: f.ProjectID, Name: f.Name, MD5: f.MD5, Type: f.Type, Category: f.Category, Size: f.Size,
		State: string(FileCreating),
	}
	err := c.write(ctx, "create the file", func(tx bun.Tx) error {
		asset, err := c.lockLiving(ctx, tx, f.ProjectID, f.AssetID)
		if err != nil {
			return err
		}
		row.CreatedAt = now()
		row.UpdatedAt = row.CreatedAt
		if row.Category == MainCategory {
			lapsed := stampOf(row.CreatedAt.at.Add(-UploadLifetime))
			if err := requireNoMain(ctx, tx, f.AssetID, "", lapsed); err != nil {
				return err
			}
		}
		n, err := tx.NewSelect().Model((*digitalFileRow)(nil)).Where("df.asset_id = ?", f.AssetID).Count(ctx)
		if err != nil {
			return err
		}
		if n >= MaxDigitalFiles {
			return fault.New(fault.Conflict, "catalog.too_many_files", "an asset has at most %d files", MaxDigitalFiles)
		}
		if _, err := tx.NewInsert().Model(&row).Exec(ctx); err != nil {
			return fmt.Errorf("write the file: %w", err)
		}
		return writeAudit(ctx, tx, fileEntry(FileAdded, userID, asset, row))
	})
	if err != nil {
		return DigitalFile{}, err
	}
	return row.file(), nil
}

// requireNoMain is an error where a main file of the asset, other than the given one, is stored or can still be
// uploaded because it was created after lapsed.
func requireNoMain(ctx context.Context, db bun.IDB, assetID, except string, lapsed stamp) error {
	exists, err := db.NewSelect().Model((*digitalFileRow)(nil)).Where("df.asset_id = ?", assetID).Where("df.category = ?", MainCategory).
		Where("df.id <> ?", except).
		Where("df.state = ? OR df.state = ? AND df.created_at > ?", FileCreated, FileCreating, lapsed).Exists(ctx)
	if err == nil && exists {
		return mainExists()
	}
	return err
}

func checkFile(f DigitalFile) error {
	if err := checkNames(f.Name); err != nil {
		return err
	}
	if !isText(f.MD5) || !isText(f.Type) || !isText(f.Category) || f.Category == "" || f.Size < 0 {
		return fault.New(fault.Invalid, "catalog.bad_file", "a file needs valid text and a size")
	}
	return nil
}

// fileEntry stands in the trail of the asset.
func fileEntry(action AuditAction, userID string, asset digitalRow, f digitalFileRow) AuditEntry {
	return assetEntry(action, userID, asset.current(), map[string]any{"file_id": f.ID, "file_name": f.Name, "version": asset.VersionNumber})
}

// DigitalFile gives one file, whatever its state, and of an asset in the trash as well. NotFound
// "catalog.file_not_found".
func (c *Catalog) DigitalFile(ctx context.Context, projectID, fileID string) (DigitalFile, error) {
	row, err := readFile(ctx, c.reader, projectID, fileID)
	return row.file(), failed(ctx, "read the file", err)
}

func readFile(ctx context.Context, db bun.IDB, projectID, fileID string) (digitalFileRow, error) {
	var row digitalFileRow
	if !isDigitalID(fileID) {
		return row, noFile()
	}
	err := db.NewSelect().Model(&row).Where("df.id = ?", fileID).Where("df.project_id = ?", projectID).Scan(ctx)
	return row, orAbsent(err, noFile())
}

// changeFile runs do with the file and its living asset, both held. NotFound "catalog.file_not_found",
// "catalog.asset_not_found" where the asset is in the trash.
func (c *Catalog) changeFile(ctx context.Context, doing, projectID, fileID string, do func(tx bun.Tx, asset digitalRow, f digitalFileRow) error) error {
	return c.write(ctx, doing, func(tx bun.Tx) error {
		f, err := readFile(ctx, tx, projectID, fileID)
		if err != nil {
			return err
		}
		asset, err := c.lockLiving(ctx, tx, projectID, f.AssetID)
		if err != nil {
			return err
		}
		// Again, now that nobody else changes it.
		if f, err = readFile(ctx, tx, projectID, fileID); err != nil {
			return err
		}
		return do(tx, asset, f)
	})
}

func badFileState(f digitalFileRow) error {
	return fault.New(fault.Conflict, "catalog.file_state", "the file is in state %s already", f.State)
}

// CompleteDigitalFile writes down that the content of a CREATING file is stored under the digest, as a new version of
// its asset; with its main file an asset becomes ACTIVED. The blob must have been touched with TouchBlobs and stored
// before. Again with the same digest gives the same answer.
//
// NotFound "catalog.file_not_found", "catalog.asset_not_found" for an asset in the trash, "catalog.blobs_not_found" when
// the blob was not touched, or condemned since: touch and store it again; Conflict "catalog.main_exists",
// "catalog.file_state" when the file was abandoned or has another digest; Invalid "catalog.bad_blob", also where the
// blob has another size than the file.
func (c *Catalog) CompleteDigitalFile(ctx context.Context, userID, projectID, fileID, sha256 string) (DigitalFile, error) {
	var done digitalFileRow
	err := c.changeFile(ctx, "complete the file", projectID, fileID, func(tx bun.Tx, asset digitalRow, f digitalFileRow) error {
		done = f
		switch FileState(f.State) {
		case FileCreated:
			if f.SHA256 != sha256 {
				return badFileState(f)
			}
			return nil
		case FileCreating:
		default:
			return badFileState(f)
		}
		by := maker{userID: userID, at: now()}
		if f.Category == MainCategory {
			if err := requireNoMain(ctx, tx, f.AssetID, f.ID, by.at); err != nil { // no upload beside it counts
				return err
			}
		}
		done.State, done.SHA256, done.UpdatedAt = string(FileCreated), sha256, by.at
		if err := c.requireBlobs(ctx, tx, newDigitalContent(DigitalMetadata{}, []digitalFileRow{done}).Files, by.at); err != nil {
			return err
		}
		if _, err := tx.NewUpdate().Model(&done).Column("state", "sha256", "updated_at").WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("write the file: %w", err)
		}
		return c.writeFileChange(ctx, tx, asset, FileCompleted, done, by)
	})
	if err != nil {
		return DigitalFile{}, err
	}
	return done.file(), nil
}

// writeFileChange makes the version that follows from a change of the stored files.
func (c *Catalog) writeFileChange(ctx context.Context, tx bun.Tx, asset digitalRow, action AuditAction, f digitalFileRow, by maker) error {
	m, err := asset.metadata()
	if err != nil {
		return err
	}
	files, err := readFiles(ctx, tx, asset.AssetID, FileCreated)
	if err != nil {
		return err
	}
	content := newDigitalContent(m, files)
	asset.settle(content)
	if err := c.writeContent(ctx, tx, &asset, content, by); err != nil {
		return err
	}
	return writeAudit(ctx, tx, fileEntry(action, by.userID, asset, f))
}

// settle puts the asset into the state that its content says, unless a copy is still under way.
func (r *digitalRow) settle(content digitalContent) {
	r.State, r.Reason = string(DigitalCreating), ""
	if content.complete() && !r.Copying {
		r.State = string(DigitalActived)
	}
}

// AbandonDigitalFile puts a CREATING file into state FAILED or CANCELLED; again is no error. NotFound
// "catalog.file_not_found", "catalog.asset_not_found" for an asset in the trash; Conflict "catalog.file_state" for a file
// in any other state; Invalid "catalog.bad_file" for any other wanted one.
func (c *Catalog) AbandonDigitalFile(ctx context.Context, userID, projectID, fileID string, state FileState) error {
	if state != FileFailed && state != FileCancelled {
		return fault.New(fault.Invalid, "catalog.bad_file", "an upload cannot end in state %q", string(state))
	}
	return c.changeFile(ctx, "abandon the file", projectID, fileID, func(tx bun.Tx, asset digitalRow, f digitalFileRow) error {
		switch FileState(f.State) {
		case state:
			return nil
		case FileCreating:
		default:
			return badFileState(f)
		}
		f.State, f.UpdatedAt = string(state), now()
		if _, err := tx.NewUpdate().Model(&f).Column("state", "updated_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		return writeAudit(ctx, tx, fileEntry(FileAbandoned, userID, asset, f))
	})
}

// DeleteDigitalFile removes a file: a stored one by a new version of the asset without it, which is CREATING again when
// it was the main file. NotFound "catalog.file_not_found", "catalog.asset_not_found" for an asset in the trash.
func (c *Catalog) DeleteDigitalFile(ctx context.Context, userID, projectID, fileID string) error {
	return c.changeFile(ctx, "delete the file", projectID, fileID, func(tx bun.Tx, asset digitalRow, f digitalFileRow) error {
		if _, err := tx.NewDelete().Model(&f).WherePK().Exec(ctx); err != nil {
			return err
		}
		if FileState(f.State) == FileCreated {
			return c.writeFileChange(ctx, tx, asset, FileRemoved, f, maker{userID: userID, at: now()})
		}
		return writeAudit(ctx, tx, fileEntry(FileRemoved, userID, asset, f))
	})
}
