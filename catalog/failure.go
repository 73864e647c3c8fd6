package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"assetflow/fault"
)

// failed says what was being done when err came up. A fault passes as it is; a database that cannot be reached or is
// busy becomes Unavailable; a context that ended is found by errors.Is.
func failed(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		err = errors.Join(ended, err) // drivers say only that they were interrupted
	}
	wrapped := fmt.Errorf("%s: %w", doing, err)
	if ctx.Err() == nil && isUnavailable(err) {
		return fault.New(fault.Unavailable, "catalog.unavailable", "the database cannot be reached at the moment").Wrap(wrapped)
	}
	return wrapped
}

// orAbsent turns "no row" into the fault that names what is missing.
func orAbsent(err, absent error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return absent
	}
	return err
}

func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func postgresCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// isDuplicate reports whether a row of the same key exists.
func isDuplicate(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return true
	}
	return postgresCode(err) == "23505"
}

// isDangling reports whether a row refers to one that does not exist.
func isDangling(err error) bool {
	return sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY || postgresCode(err) == "23503"
}

// isMissingTable reports whether the schema was never made.
func isMissingTable(err error) bool {
	return sqliteCode(err) == sqlite3.SQLITE_ERROR || postgresCode(err) == "42P01"
}

// isTransient reports whether the transaction lost against another one and was undone, so that it can be tried again.
func isTransient(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return true
	}
	switch postgresCode(err) {
	case "40001", "40P01": // serialisation failure, deadlock
		return true
	}
	return false
}

// isLocked reports whether a statement gave up waiting for what others hold, and was undone.
func isLocked(err error) bool { return isTransient(err) || postgresCode(err) == "55P03" }

func isUnavailable(err error) bool {
	if isTransient(err) {
		return true
	}
	for _, lost := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, lost) {
			return true
		}
	}
	var connect *pgconn.ConnectError
	var network net.Error
	if errors.As(err, &connect) || errors.As(err, &network) {
		return true
	}
	switch code := postgresCode(err); {
	case len(code) != 5:
		return false
	case code[:2] == "08", code[:2] == "53", code[:3] == "57P": // connection lost, out of resources, shutting down
		return true
	}
	return false
}
