package catalog

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"go.opentelemetry.io/otel/trace"

	"assetflow/fault"
)

// Catalog is the open database. Its methods may be called by many goroutines at once.
type Catalog struct {
	logger   *slog.Logger
	database database
	reader   *bun.DB // for statements that only read; on SQLite a pool of connections that cannot write
	writer   *bun.DB // for everything else; on SQLite one connection, so writers wait for each other in the process

	clockSkew   time.Duration // what clocks of machines differ by at most
	lockTimeout time.Duration // how long a step of a migration waits for a table

	watch func(JobChange) // nil: nobody

	// failpoint is called inside a commit with the name of the step just done; tests make it fail there.
	failpoint func(step string) error

	tracer trace.Tracer // of statements; nil: none
}

// Option changes how a Catalog works.
type Option func(*Catalog)

// Open opens the database at url: "sqlite:<path of a file>" (made when missing, its folder too) or "postgres://…". It
// does not migrate. A nil logger discards. Invalid "catalog.bad_url", Unavailable "catalog.unavailable".
func Open(ctx context.Context, url string, logger *slog.Logger, opts ...Option) (*Catalog, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Catalog{logger: logger, clockSkew: clockSkew, lockTimeout: lockTimeout, failpoint: func(string) error { return nil }}
	for _, opt := range opts {
		opt(c)
	}
	path, isSQLite := strings.CutPrefix(url, "sqlite:")
	var err error
	switch {
	case isSQLite:
		err = c.openSQLite(ctx, path)
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		err = c.openPostgres(ctx, url)
	default:
		// The URL may carry a password, so it is not repeated.
		err = fault.New(fault.Invalid, "catalog.bad_url", `the database URL must start with "sqlite:" or "postgres://"`)
	}
	if err != nil {
		return nil, errors.Join(failed(ctx, "open the database", err), c.Close())
	}
	c.traceStatements()
	return c, nil
}

// Close closes the database. Calls still under way fail.
func (c *Catalog) Close() error {
	var errs []error
	if c.reader != nil && c.reader != c.writer {
		errs = append(errs, c.reader.Close())
	}
	if c.writer != nil { // last, so that SQLite folds its write-ahead log into the file
		errs = append(errs, c.writer.Close())
	}
	return errors.Join(errs...)
}

// Pools gives the pools of connections to the database, by what they are for, to look at.
func (c *Catalog) Pools() map[string]*sql.DB {
	if c.reader == c.writer {
		return map[string]*sql.DB{"catalog": c.writer.DB}
	}
	return map[string]*sql.DB{"catalog-reader": c.reader.DB, "catalog-writer": c.writer.DB}
}

// NewID makes an id for a job, an asset or an instance: a UUIDv7 in its canonical form, so ids sort by their time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// newHexID makes an id in the form that the contracts show for users, domains and projects: 32 lower-case hex digits.
func newHexID() string {
	id := uuid.Must(uuid.NewV7())
	return hex.EncodeToString(id[:])
}
