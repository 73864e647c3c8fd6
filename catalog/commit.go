package catalog

import (
	"context"
	"encoding/json"
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
	var result ImportResult
	err = c.write(ctx, "commit the import", func(tx bun.Tx) error {
		result = ImportResult{}
		done, err := c.lockJob(ctx, tx, p, &result)
		if done || err != nil {
			return err
		}
		if err := c.lockInstance(ctx, tx, p); err != nil {
			return err
		}
		state, err := readState(ctx, tx, p)
		if err != nil {
			return err
		}
		plan := planImport(p, state)
		if len(plan.Conflicts) > 0 {
			return &ConflictsError{Reasons: plan.Conflicts}
		}
		writing := newImportRows(p, plan, state, now())
		if err := c.writeImport(ctx, tx, p, writing); err != nil {
			return err
		}
		result = writing.result
		return c.writeEffect(ctx, tx, imp.JobID, result, writing.at)
	})
	if err != nil {
		return ImportResult{}, err
	}
	return result, c.failpoint("committed")
}

// lockJob holds the job's row until the transaction ends, so that it cannot end otherwise meanwhile and no second
// commit runs beside this one. When the effect is there already, it reads the result and reports true.
func (c *Catalog) lockJob(ctx context.Context, tx bun.Tx, p *preparedImport, result *ImportResult) (bool, error) {
	var job jobRow
	err := tx.NewSelect().Model(&job).Column("state").Where("j.id = ?", p.JobID).Where("j.project_id = ?", p.ProjectID).
		Apply(c.lock("j")).Scan(ctx)
	if err != nil {
		return false, orAbsent(err, noJob())
	}
	if JobState(job.State) == JobRunning {
		return false, nil
	}
	// A statement of its own: joined to the locking one, PostgreSQL would show what was there before the wait.
	var effects []effectRow
	if err := tx.NewSelect().Model(&effects).Column("result").Where("e.job_id = ?", p.JobID).Scan(ctx); err != nil {
		return false, err
	}
	if len(effects) == 0 {
		return false, fault.New(fault.Conflict, "catalog.job_ended", "the job has ended already, in state %s", job.State)
	}
	if err := json.Unmarshal([]byte(effects[0].Result), result); err != nil {
		return false, fmt.Errorf("read the result of job %s: %w", p.JobID, err)
	}
	return true, nil
}

// lockInstance holds the instance's row until the transaction ends, so that what the plan was made from stays true:
// imports into one instance commit one after the other.
func (c *Catalog) lockInstance(ctx context.Context, tx bun.Tx, p *preparedImport) error {
	var instance instanceRow
	err := tx.NewSelect().Model(&instance).Column("id").Where("i.id = ?", p.InstanceID).Where("i.project_id = ?", p.ProjectID).
		Apply(c.lock("i")).Scan(ctx)
	return orAbsent(err, noInstance())
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
		_, err := tx.NewUpdate().Model((*blobRow)(nil)).Set("stored_at = ?", rows.at).
			Where("sha256 IN (?)", bun.List(chunk)).Where("stored_at IS NULL").Exec(ctx)
		if err != nil {
			return fmt.Errorf("mark the blobs stored: %w", err)
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
			return fault.New(fault.NotFound, "catalog.blobs_not_found", "the content of a file is not stored any more").Wrap(err)
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

func insertAll[T any](ctx context.Context, tx bun.Tx, rows []T) error {
	for chunk := range slices.Chunk(rows, rowsPerStatement) {
		if _, err := tx.NewInsert().Model(&chunk).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// writeEffect writes down that the job has had its effect, and ends it.
func (c *Catalog) writeEffect(ctx context.Context, tx bun.Tx, jobID string, result ImportResult, at stamp) error {
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if _, err := tx.NewInsert().Model(&effectRow{JobID: jobID, Result: string(text), CreatedAt: at}).Exec(ctx); err != nil {
		return fmt.Errorf("write the effect: %w", err)
	}
	if err := c.failpoint("effect"); err != nil {
		return err
	}
	row := jobRow{ID: jobID, State: string(JobSucceeded), EndedAt: at}
	if _, err := tx.NewUpdate().Model(&row).Column("state", "ended_at").WherePK().Exec(ctx); err != nil {
		return fmt.Errorf("end the job: %w", err)
	}
	return c.failpoint("job")
}
