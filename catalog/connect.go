package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"assetflow/fault"
)

// database is what the two databases do differently.
type database interface {
	// lockForUpdate is the clause that locks the selected rows of a table alias until the transaction ends.
	lockForUpdate(alias string) string
	// lockName keeps other transactions that lock the same name waiting until this one ends.
	lockName(ctx context.Context, tx bun.Tx, name string) error
	// openForMigration opens a connection pool of its own for goose, and a lock that only one process holds. A step waits
	// no longer than lockTimeout for a table.
	openForMigration(ctx context.Context, lockTimeout time.Duration) (*migration, error)
}

const (
	// busyTimeout is how long a SQLite connection waits for another process's write transaction.
	busyTimeout = 10 * time.Second
	// postgresConnections bounds the connections of one process.
	postgresConnections = 16
)

type sqliteDatabase struct{ path string }

// A write transaction on SQLite takes the only write lock when it begins, so no row needs one.
func (sqliteDatabase) lockForUpdate(string) string { return "" }

// The write lock is the only one here, too.
func (sqliteDatabase) lockName(context.Context, bun.Tx, string) error { return nil }

type postgresDatabase struct{ config *pgx.ConnConfig }

// The weaker lock suffices to keep two commits apart and lets other rows refer to the locked one meanwhile.
func (postgresDatabase) lockForUpdate(alias string) string { return "NO KEY UPDATE OF " + alias }

func (postgresDatabase) lockName(ctx context.Context, tx bun.Tx, name string) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", name)
	return err
}

func (c *Catalog) openSQLite(ctx context.Context, path string) error {
	if path == "" {
		return fault.New(fault.Invalid, "catalog.bad_url", `the database URL "sqlite:" lacks the path of the file`)
	}
	// Absolute, because the process may change its working directory later.
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("find the folder of the database: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the database: %w", err)
	}
	c.database = sqliteDatabase{path: path}

	writer, err := sql.Open("sqlite", sqliteDSN(path, busyTimeout, "_txlock=immediate", "_pragma=journal_mode(WAL)", "_pragma=cache_size(-16384)"))
	if err != nil {
		return err
	}
	writer.SetMaxOpenConns(1)
	c.writer = bun.NewDB(writer, sqlitedialect.New())
	if err := c.writer.PingContext(ctx); err != nil { // makes the file and its journal mode before a reader looks
		return err
	}

	reader, err := sql.Open("sqlite", sqliteDSN(path, busyTimeout, "_pragma=query_only(1)"))
	if err != nil {
		return err
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	c.reader = bun.NewDB(reader, sqlitedialect.New())
	return c.reader.PingContext(ctx)
}

func sqliteDSN(path string, busy time.Duration, params ...string) string {
	dsn := url.URL{Scheme: "file", Path: path}
	query := fmt.Sprintf("_pragma=busy_timeout(%d)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)", busy.Milliseconds())
	for _, p := range params {
		query += "&" + p
	}
	dsn.RawQuery = query
	return dsn.String()
}

func (c *Catalog) openPostgres(ctx context.Context, databaseURL string) error {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// pgx's own error repeats the URL, without the password; the caller needs only to know which setting is wrong.
		return fault.New(fault.Invalid, "catalog.bad_url", "the database URL is not a valid PostgreSQL URL").Wrap(err)
	}
	// Every statement is complete text, since bun writes the values into it: preparing it under a name would cost a
	// second round trip, and no statement comes twice.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	if config.RuntimeParams == nil {
		config.RuntimeParams = make(map[string]string)
	}
	// bun quotes strings by doubling the quotes, which is right only with this setting (and it is the default).
	config.RuntimeParams["standard_conforming_strings"] = "on"
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "assetflow"
	}
	c.database = postgresDatabase{config: config}

	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(postgresConnections)
	pool.SetMaxIdleConns(postgresConnections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	c.writer = bun.NewDB(pool, pgdialect.New())
	c.reader = c.writer
	return c.writer.PingContext(ctx)
}
