package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// assetsPerTransaction bounds a transaction of the filling, during which the stack cannot write.
const assetsPerTransaction = 50_000

// filling is a catalog of many assets: half of them in the instance of the caller, half in another of the project; half
// applications, half tasks, each of which uses an application and a data source; each asset with a version of two files,
// one of its own and one that the assets of its job share; and for each hundred assets the job that made them, with its
// effect and audit trail. Nobody has stored what the blobs stand for.
type filling struct {
	db                                    *sql.DB
	project, instance, other, user, began string
}

// dataSourcesEach is how many data sources each of the two instances gets.
const dataSourcesEach = 10

// Numbers become names, digests and ids, as SQL expressions. What stands at the front of a name or a digest is spread over
// all there are, so that a new one falls somewhere between them; ids ascend, as those that the service makes.
const (
	numbersSQL  = `WITH RECURSIVE n(i) AS (SELECT :from UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :to)`
	instanceSQL = `CASE (i / 2) % 2 WHEN 0 THEN :instance ELSE :other END`
	digestSQL   = `printf('%08x%056x', (i * 2654435761) % 4294967296, i)`
	sharedSQL   = `printf('%08x%056x', (i / 100 * 2654435761 + 1) % 4294967296, 1000000000 + i / 100)`
	sourceSQL   = `printf('00000000-0000-7000-a000-%06d%06d', (i / 2) % 2, i / 4 % 10)`
)

func assetSQL(number string) string { return idSQL(8, number) }
func jobSQL(number string) string   { return idSQL(9, number) }

func idSQL(variant int, number string) string {
	return fmt.Sprintf(`printf('%%08x-0000-7000-%d000-%%012x', 25000000 + %s / 60, %[2]s)`, variant, number)
}

// fillSQL fills in the assets from :from up to, not including, :to.
var fillSQL = []string{
	`INSERT INTO jobs (id, kind, project_id, instance_id, user_id, workflow_id, subject, state, request, created_at, ended_at, settled)
		SELECT ` + jobSQL("i") + `, 'asset-import', :project, ` + instanceSQL + `, :user, 'asset-import:' || :project || ':' || :user,
			'package.zip', 'succeeded', '{"mode":"AddNew","package_size":65536}', :began, :began, 1 FROM n WHERE i % 100 = 0`,
	`INSERT INTO job_effects (job_id, result, created_at) SELECT ` + jobSQL("i") + `, '{"created":100}', :began FROM n WHERE i % 100 = 0`,
	`INSERT INTO audit_entries (id, at, actor_id, actor_name, action, project_id, instance_id, resource_kind, resource_id)
		SELECT ` + jobSQL("i") + `, :began, :user, 'importer', 'job.started', :project, ` + instanceSQL + `, 'job', ` + jobSQL("i") + ` FROM n WHERE i % 100 = 0`,
	`INSERT INTO blobs (sha256, size, touched_at, stored_at) SELECT ` + digestSQL + ` AS d, 13107, :began, :began FROM n ORDER BY d`,
	`INSERT INTO blobs (sha256, size, touched_at, stored_at) SELECT ` + sharedSQL + `, 13107, :began, :began FROM n WHERE i % 100 = 0`,
	`INSERT INTO assets (id, project_id, instance_id, kind, name, version_number, created_at)
		SELECT ` + assetSQL("i") + `, :project, ` + instanceSQL + `, CASE i % 2 WHEN 0 THEN 'application' ELSE 'task' END,
			printf('%08x of the catalog', (i * 2654435761) % 4294967296), 1, :began FROM n`,
	`INSERT INTO asset_versions (asset_id, number, label, source_id, description, definition, digest, created_by, job_id, created_at)
		SELECT ` + assetSQL("i") + `, 1, '1.0.0', i, 'An asset of usual size', '{"apis":[{"method":"GET","path":"/1"}],"number":1,"timeout":30}',
			` + digestSQL + `, :user, ` + jobSQL("(i / 100 * 100)") + `, :began FROM n`,
	`INSERT INTO version_files (asset_id, version_number, path, sha256, size)
		SELECT ` + assetSQL("i") + `, 1, 'files/own.bin', ` + digestSQL + `, 13107 FROM n`,
	`INSERT INTO version_files (asset_id, version_number, path, sha256, size)
		SELECT ` + assetSQL("i") + `, 1, 'files/shared.bin', ` + sharedSQL + `, 13107 FROM n`,
	`INSERT INTO version_applications (asset_id, version_number, application_id)
		SELECT ` + assetSQL("i") + `, 1, ` + assetSQL("(i - 1)") + ` FROM n WHERE i % 2 = 1`,
	`INSERT INTO version_data_sources (asset_id, version_number, data_source_id) SELECT ` + assetSQL("i") + `, 1, ` + sourceSQL + ` FROM n WHERE i % 2 = 1`,
}

// fill fills the catalog of a stack whose caller is the given user, beside the stack itself.
func (s *stack) fill(ctx context.Context, assets int, userID string) error {
	other, err := s.catalog.CreateInstance(ctx, s.Credentials.ProjectID, "filled")
	if err != nil {
		return err
	}
	// One that the machine does not survive is begun anew, so nothing need be on disk; keys are looked at afterwards.
	db, err := sql.Open("sqlite", strings.TrimPrefix(s.CatalogURL, "sqlite:")+
		"?_pragma=busy_timeout(10000)&_pragma=synchronous(OFF)&_pragma=cache_size(-262144)&_pragma=foreign_keys(0)&_txlock=immediate")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	f := filling{
		db: db, project: s.Credentials.ProjectID, instance: s.Credentials.InstanceID, other: other.ID, user: userID,
		began: time.Now().UTC().Add(-30 * 24 * time.Hour).Format("2006-01-02 15:04:05.000000-07:00"), // as the catalog writes times
	}
	return errors.Join(f.run(ctx, assets), db.Close())
}

func (f filling) run(ctx context.Context, assets int) error {
	for i := range 2 * dataSourcesEach {
		instance := f.instance
		if i >= dataSourcesEach {
			instance = f.other
		}
		_, err := f.db.ExecContext(ctx, `INSERT INTO data_sources (id, project_id, instance_id, name, type, description, settings, created_at, updated_at, job_id)
			VALUES (?, ?, ?, ?, 'MYSQL', '', '{"pool":5}', ?, ?, '')`,
			fmt.Sprintf("00000000-0000-7000-a000-%06d%06d", i/dataSourcesEach, i%dataSourcesEach), f.project, instance,
			fmt.Sprintf("source %d", i%dataSourcesEach), f.began, f.began)
		if err != nil {
			return fmt.Errorf("fill in the data sources: %w", err)
		}
	}
	for from := 0; from < assets; from += assetsPerTransaction {
		if err := f.add(ctx, from, min(from+assetsPerTransaction, assets)); err != nil {
			return fmt.Errorf("fill in the assets from %d on: %w", from, err)
		}
	}
	var table string
	switch err := f.db.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check`).Scan(&table); {
	case err == nil:
		return fmt.Errorf("the filled catalog is wrong: a row of %s refers to nothing", table)
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	_, err := f.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

func (f filling) add(ctx context.Context, from, to int) error {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	for _, statement := range fillSQL {
		into, rest, _ := strings.Cut(statement, "SELECT ")
		_, err := tx.ExecContext(ctx, into+numbersSQL+" SELECT "+rest,
			sql.Named("from", from), sql.Named("to", to), sql.Named("project", f.project), sql.Named("instance", f.instance),
			sql.Named("other", f.other), sql.Named("user", f.user), sql.Named("began", f.began))
		if err != nil {
			return fmt.Errorf("%s: %w", strings.TrimSpace(into), err)
		}
	}
	return tx.Commit()
}
