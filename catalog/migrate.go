package catalog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/uptrace/bun"

	"assetflow/fault"
)

// migrations holds a folder for each database with the same steps in its own words. A step must leave an older
// program working, because it may still run: add tables, columns that may be null or have a default, and indexes;
// remove what is no longer used a release later. There are no steps back.
//
//go:embed migrations
var migrations embed.FS

// migrationTable is goose's record of the steps done.
const migrationTable = "schema_migrations"

// A step that waits for a table keeps everybody waiting who comes after it, so it gives up after lockTimeout and is tried
// again, lockTries times with lockPause between.
const (
	lockTimeout = 3 * time.Second
	lockPause   = time.Second
	lockTries   = 100
)

// migrationLockPoll is how long SQLite itself waits for the lock before we look whether the context has ended.
const migrationLockPoll = 200 * time.Millisecond

// migration is what goose works with.
type migration struct {
	dialect goose.Dialect
	folder  string
	db      *sql.DB
	lock    goose.ProviderOption // keeps processes apart
}

// Migrate brings the schema up to this program's. It may run in several processes at once, and again: one does the
// work, the others wait and find it done. Programs that use the database go on meanwhile. Unavailable "catalog.busy" where
// a table was in use by others for all of several minutes; what was done by then stays done.
func (c *Catalog) Migrate(ctx context.Context) error {
	if err := c.migrate(ctx); err != nil {
		return failed(ctx, "migrate the database", err)
	}
	return nil
}

func (c *Catalog) migrate(ctx context.Context) (err error) {
	provider, err := c.migrationProvider(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, provider.Close()) }()
	for try := 1; ; try++ {
		done, err := provider.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			done = partial.Applied
		}
		for _, step := range done {
			c.logger.InfoContext(ctx, "database migrated", "version", step.Source.Version, "duration", step.Duration)
		}
		switch {
		case err == nil || !isLocked(err) || ctx.Err() != nil:
			return err
		case try == lockTries:
			return fault.New(fault.Unavailable, "catalog.busy", "a table of the database is in use all the time: see that long transactions end, and run it again").Wrap(err)
		}
		c.logger.WarnContext(ctx, "a table is in use by others: the step is tried again", "error", err)
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Catalog) migrationProvider(ctx context.Context) (*goose.Provider, error) {
	m, err := c.database.openForMigration(ctx, c.lockTimeout)
	if err != nil {
		return nil, err
	}
	steps, err := fs.Sub(migrations, "migrations/"+m.folder)
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(m.dialect, m.db, steps, m.lock, goose.WithTableName(migrationTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, errors.Join(err, m.db.Close())
	}
	return provider, nil
}

// Ping reports whether the database answers and has a schema this program can work with. Unavailable
// "catalog.unavailable", or "catalog.not_migrated" when Migrate has yet to be run.
func (c *Catalog) Ping(ctx context.Context) error {
	if err := c.reader.PingContext(ctx); err != nil {
		return failed(ctx, "reach the database", err)
	}
	entries, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil {
		return fmt.Errorf("list the migrations: %w", err)
	}
	newest, err := goose.NumericComponent(entries[len(entries)-1])
	if err != nil {
		return fmt.Errorf("read the newest migration's number: %w", err)
	}
	var version int64
	err = c.reader.NewRaw("SELECT COALESCE(MAX(version_id), 0) FROM ?", bun.Ident(migrationTable)).Scan(ctx, &version)
	if err != nil && !isMissingTable(err) {
		return failed(ctx, "read the schema's version", err)
	}
	// A newer schema is fine: steps leave older programs working.
	if version < newest {
		return fault.New(fault.Unavailable, "catalog.not_migrated",
			`the database has schema version %d and this program needs %d: run "assetflow migrate"`, version, newest)
	}
	return nil
}

func (d postgresDatabase) openForMigration(_ context.Context, lockTimeout time.Duration) (*migration, error) {
	// An advisory lock belongs to its connection, so it is gone when the process that held it is.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600), lock.WithUnlockTimeout(1, 10))
	if err != nil {
		return nil, err
	}
	config := d.config.Copy()
	config.RuntimeParams["lock_timeout"] = strconv.FormatInt(lockTimeout.Milliseconds(), 10)
	return &migration{
		dialect: goose.DialectPostgres, folder: "postgres", db: stdlib.OpenDB(*config),
		lock: goose.WithSessionLocker(locker),
	}, nil
}

// On SQLite readers never wait for a step, and writers as long as for any other transaction.
func (d sqliteDatabase) openForMigration(context.Context, time.Duration) (*migration, error) {
	db, err := sql.Open("sqlite", sqliteDSN(d.path, busyTimeout, "_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	return &migration{
		dialect: goose.DialectSQLite3, folder: "sqlite", db: db,
		lock: goose.WithLocker(&fileLock{path: d.path + ".migrate"}),
	}, nil
}

// fileLock is a lock between processes on an empty SQLite file beside the database. goose reads the version and takes
// each step in transactions of their own, so a lock on the database itself cannot span them; and the operating system
// drops this one with the process that holds it. The file stays, because whoever removes it may remove it from under
// somebody who waits.
type fileLock struct {
	path string
	db   *sql.DB
	tx   *sql.Tx
}

// Lock waits until nobody else holds the lock, or the context ends.
func (l *fileLock) Lock(ctx context.Context, _ *sql.DB) error {
	db, err := sql.Open("sqlite", sqliteDSN(l.path, migrationLockPoll, "_txlock=exclusive"))
	if err != nil {
		return err
	}
	for {
		tx, err := db.BeginTx(ctx, nil)
		if err == nil {
			l.db, l.tx = db, tx
			return nil
		}
		if !isTransient(err) || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("lock %s: %w", l.path, err), db.Close())
		}
	}
}

// Unlock lets the next one go on.
func (l *fileLock) Unlock(context.Context, *sql.DB) error {
	return errors.Join(l.tx.Rollback(), l.db.Close())
}
