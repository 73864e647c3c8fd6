package catalog

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
)

// SetFailpoint makes a commit call do with the name of each step it has done; an error stops it there.
func (c *Catalog) SetFailpoint(do func(step string) error) { c.failpoint = do }

// SetClockSkew lets a sweep look at blobs that were touched just before the oldest running job began.
func (c *Catalog) SetClockSkew(d time.Duration) { c.clockSkew = d }

// SetLockTimeout has a step of a migration give up sooner.
func (c *Catalog) SetLockTimeout(d time.Duration) { c.lockTimeout = d }

// Migrations are the files of the steps.
func Migrations() fs.FS { return migrations }

// Schemas are the versions of the schema, the newest last.
func Schemas() (versions []int64, err error) {
	names, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	for _, name := range names {
		version, e := goose.NumericComponent(name)
		versions, err = append(versions, version), errors.Join(err, e)
	}
	return versions, err
}

// MigrateTo brings an empty database to an older schema.
func (c *Catalog) MigrateTo(version int64) error {
	provider, err := c.migrationProvider(context.Background())
	if err != nil {
		return err
	}
	_, err = provider.UpTo(context.Background(), version)
	return errors.Join(err, provider.Close())
}

// SQL runs a statement behind the catalog's back.
func (c *Catalog) SQL(statement string) error {
	_, err := c.writer.Exec(statement)
	return err
}

// Shape describes tables and indexes in words that do not depend on the database.
func (c *Catalog) Shape() (lines []string, err error) {
	query := `SELECT m.name || '.' || p.name || CASE WHEN p."notnull" THEN ' not null' ELSE '' END
		FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p WHERE m.type = 'table'
		UNION ALL SELECT 'index ' || name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`
	if _, ok := c.database.(postgresDatabase); ok {
		query = `SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
			FROM information_schema.columns WHERE table_schema = 'public'
			UNION ALL SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = 'public'
				AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	}
	err = c.reader.NewRaw(query).Scan(context.Background(), &lines)
	return lines, err
}

// CountStatements counts every statement from now on, BEGIN and COMMIT too.
func (c *Catalog) CountStatements() *atomic.Int64 {
	counter := new(statementCounter)
	c.writer = c.writer.WithQueryHook(counter)
	return &counter.n
}

type statementCounter struct{ n atomic.Int64 }

func (s *statementCounter) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context {
	return ctx
}

func (s *statementCounter) AfterQuery(context.Context, *bun.QueryEvent) { s.n.Add(1) }
