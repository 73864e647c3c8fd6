package temporal

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	schema "go.temporal.io/server/schema/sqlite"
	_ "modernc.org/sqlite" // the "sqlite" driver, the one the server uses
)

// SchemaError says that a database was not made for this version of the server.
type SchemaError struct {
	// File is the database.
	File string
	// Found and Want are schema versions as the server numbers them ("0.11"); Found is empty when the file does not say.
	Found, Want string
}

func (e *SchemaError) Error() string {
	found := "does not say its version"
	if e.Found != "" {
		found = "has version " + e.Found
	}
	return fmt.Sprintf("the schema in %s %s, this server needs %s, and SQLite files are not upgraded: "+
		"let running workflows end under the version that made the file, then move the file away (with its -wal and -shm) "+
		"and start again; a new one is made", e.File, found, e.Want)
}

// The server leaves a SQLite file without its usual version tables. They are made here in the form it gives them on
// other databases, with the server's version numbers and, as these are not always raised, a digest of the statements.
const versionTables = `
CREATE TABLE schema_version(version_partition INT NOT NULL, db_name VARCHAR(255) NOT NULL, creation_time DATETIME(6),
	curr_version VARCHAR(64), min_compatible_version VARCHAR(64), PRIMARY KEY (version_partition, db_name));
CREATE TABLE schema_update_history(version_partition INT NOT NULL, year INT NOT NULL, month INT NOT NULL,
	update_time DATETIME(6) NOT NULL, description VARCHAR(255), manifest_md5 VARCHAR(64), new_version VARCHAR(64),
	old_version VARCHAR(64), PRIMARY KEY (version_partition, year, month, update_time));
`

// schemaName is the db_name of the only row in schema_version: executions and visibility share one file.
const schemaName = "temporal"

// ensureSchema makes the tables in a new (or empty) file, all or none, and checks the version of an existing one.
func ensureSchema(ctx context.Context, file string) (err error) {
	statements, err := schemaStatements()
	if err != nil {
		return fmt.Errorf("read the server's schema: %w", err)
	}
	want := schemaVersion(statements)
	db, err := openSQLite(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	// A transaction that writes from its start: two starts on one new file make the tables once.
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after the commit it does nothing
	var tables, versioned int
	err = tx.QueryRowContext(ctx,
		`SELECT count(*), count(*) FILTER (WHERE name = 'schema_version') FROM sqlite_master WHERE type = 'table'`,
	).Scan(&tables, &versioned)
	switch {
	case err != nil:
		return fmt.Errorf("list the tables: %w", err)
	case tables == 0:
		if err := createSchema(ctx, tx, statements, want); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
		return tx.Commit()
	case versioned == 0:
		return &SchemaError{File: file, Want: want}
	}
	var found string
	err = tx.QueryRowContext(ctx,
		`SELECT curr_version FROM schema_version WHERE version_partition = 0 AND db_name = ?`, schemaName).Scan(&found)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if found != want {
		return &SchemaError{File: file, Found: found, Want: want}
	}
	return nil
}

func createSchema(ctx context.Context, tx *sql.Tx, statements []string, version string) error {
	for _, statement := range append(statements, versionTables) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx,
		`INSERT INTO schema_version(version_partition, db_name, creation_time, curr_version, min_compatible_version)
		VALUES (0, ?, datetime(), ?, ?)`, schemaName, version, version)
	return err
}

// schemaVersion is the server's version of the two schemas and a digest of their statements: "0.11/0.1/5f0c8a91".
func schemaVersion(statements []string) string {
	digest := sha256.New()
	for _, statement := range statements {
		_, _ = fmt.Fprintf(digest, "%s;", strings.Join(strings.Fields(statement), " ")) // a hash takes everything
	}
	return schema.Version + "/" + schema.VisibilityVersion + "/" + hex.EncodeToString(digest.Sum(nil))[:8]
}

// schemaStatements are the statements the server would run on an empty database.
func schemaStatements() ([]string, error) {
	var recorder statementRecorder
	if err := schema.SetupSchemaOnDB(&recorder); err != nil {
		return nil, err
	}
	return recorder.statements, nil
}

// statementRecorder is a database that remembers what it is told to execute. The schema set-up uses no other method.
type statementRecorder struct {
	sqlplugin.AdminDB
	statements []string
}

func (r *statementRecorder) Exec(statement string, _ ...any) error {
	r.statements = append(r.statements, statement)
	return nil
}

// closeDatabase moves what the write-ahead log holds into the database file and empties the log, so that the file alone
// is the whole state.
func closeDatabase(store *config.SQL) (err error) {
	if store.ConnectAttributes["mode"] == "memory" {
		return nil
	}
	db, err := openSQLite(store.DatabaseName)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), connectionLifetime)
	defer cancel()
	_, err = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// openSQLite opens an escaped file name with one connection.
func openSQLite(file string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(2000)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// escapePath makes a path safe in the file: URL that a SQLite database is opened with.
func escapePath(path string) string { return (&url.URL{Path: path}).EscapedPath() }
