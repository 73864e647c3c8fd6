package catalog

import (
	"context"
	"sync/atomic"

	"github.com/uptrace/bun"
)

// SetFailpoint makes a commit call do with the name of each step it has done; an error stops it there.
func (c *Catalog) SetFailpoint(do func(step string) error) { c.failpoint = do }

// SQL runs a statement behind the catalog's back.
func (c *Catalog) SQL(statement string) error {
	_, err := c.writer.Exec(statement)
	return err
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
