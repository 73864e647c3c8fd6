package catalog

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// CommitImport carries an import out, in one transaction and exactly once: a second call with the same job id returns
// the first one's result. It makes the assets, versions and data sources, marks the blobs stored, and ends the job as
// succeeded with the result. Every blob must have been touched with TouchBlobs and stored before.
//
// Errors, each leaving nothing behind: *ConflictsError; Conflict "catalog.job_ended" when the job has already ended
// otherwise; NotFound "catalog.blobs_not_found" when a blob was not touched, "catalog.job_not_found" (also for a job of
// another project), "catalog.instance_not_found"; Invalid "catalog.bad_import", "catalog.bad_name", "catalog.bad_blob".
func (c *Catalog) CommitImport(ctx context.Context, imp Import) (ImportResult, error) {
	p, err := prepareImport(imp)
	if err != nil {
		return ImportResult{}, err
	}
	return commitOnce(ctx, c, "commit the import", imp.JobID, imp.ProjectID, func(tx bun.Tx, at stamp) (ImportResult, error) {
		if err := c.lockInstance(ctx, tx, imp.ProjectID, imp.InstanceID); err != nil {
			return ImportResult{}, err
		}
		state, err := readState(ctx, tx, p)
		if err != nil {
			return ImportResult{}, err
		}
		plan := planImport(p, state)
		if len(plan.Conflicts) > 0 {
			return ImportResult{}, &ConflictsError{Reasons: plan.Conflicts}
		}
		writing := newImportRows(p, plan, state, at)
		return writing.result, c.writeImport(ctx, tx, p, writing)
	})
}

func noBlobs() *fault.Error {
	return fault.New(fault.NotFound, "catalog.blobs_not_found", "the content of a file is not stored any more")
}

func (c *Catalog) writeImport(ctx context.Context, tx bun.Tx, p *preparedImport, rows *importRows) error {
	if len(rows.raised) > 0 {
		// Before the new versions: the database looks whether they exist when the transaction ends.
		_, err := tx.NewUpdate().Model((*assetRow)(nil)).Set("version_number = version_number + 1").Where("id IN (?)", bun.List(rows.raised)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("raise the versions: %w", err)
		}
	}
	for chunk := range slices.Chunk(p.blobs, rowsPerStatement) {
		var removed []bool
		err := tx.NewUpdate().Model((*blobRow)(nil)).Set("stored_at = ?", rows.at).
			Where("sha256 IN (?)", bun.List(chunk)).Where("stored_at IS NULL").Returning(condemned).Scan(ctx, &removed)
		if err != nil {
			return fmt.Errorf("mark the blobs stored: %w", err)
		}
		if slices.Contains(removed, true) { // a condemned blob is never marked stored
			return noBlobs()
		}
	}
	for chunk := range slices.Chunk(rows.dataSources, rowsPerStatement) {
		_, err := tx.NewInsert().Model(&chunk).On("CONFLICT (instance_id, name) DO UPDATE").Set("type = EXCLUDED.type").
			Set("description = EXCLUDED.description").Set("settings = EXCLUDED.settings").
			Set("updated_at = EXCLUDED.updated_at").Set("job_id = EXCLUDED.job_id").Exec(ctx)
		if err != nil {
			return fmt.Errorf("write the data sources: %w", err)
		}
	}
	for _, write := range []struct {
		what string
		do   func() error
	}{
		{"assets", func() error { return insertAll(ctx, tx, rows.assets) }},
		{"versions", func() error { return insertAll(ctx, tx, rows.versions) }},
		{"files", func() error { return insertAll(ctx, tx, rows.files) }},
		{"references", func() error { return insertAll(ctx, tx, rows.applicationUses) }},
		{"references to data sources", func() error { return insertAll(ctx, tx, rows.dataSourceUses) }},
	} {
		err := write.do()
		if write.what == "files" && isDangling(err) {
			return noBlobs().Wrap(err)
		}
		if err != nil {
			return fmt.Errorf("write the %s: %w", write.what, err)
		}
		if err := c.failpoint(write.what); err != nil {
			return err
		}
	}
	return nil
}

func insertAll[T any](ctx context.Context, tx bun.IDB, rows []T) error {
	for chunk := range slices.Chunk(rows, rowsPerStatement) {
		if _, err := tx.NewInsert().Model(&chunk).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
