package catalog

import (
	"context"
	"encoding/hex"
	"log/slog"

	"github.com/google/uuid"
)

// Catalog is the open database. Its methods may be called by many goroutines at once.
type Catalog struct {
	logger *slog.Logger
}

// Open opens the database at url: "sqlite:<path of a file>" (made when missing, its folder too) or "postgres://…". It
// does not migrate. A nil logger discards.
func Open(ctx context.Context, url string, logger *slog.Logger) (*Catalog, error) {
	panic("not built yet")
}

// Migrate brings the schema up to this program's. It may run in several processes at once, and again: one does the
// work, the others wait and find it done.
func (c *Catalog) Migrate(ctx context.Context) error { panic("not built yet") }

// Ping reports whether the database answers and has a schema this program can work with.
func (c *Catalog) Ping(ctx context.Context) error { panic("not built yet") }

// Close closes the database.
func (c *Catalog) Close() error { panic("not built yet") }

// NewID makes an id for a job, an asset or an instance: a UUIDv7 in its canonical form, so ids sort by their time.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// newHexID makes an id in the form that the contracts show for users, domains and projects: 32 lower-case hex digits.
func newHexID() string {
	id := uuid.Must(uuid.NewV7())
	return hex.EncodeToString(id[:])
}
