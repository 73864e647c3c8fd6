package catalog

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"
)

// writeAttempts bounds how often a transaction that lost against another one is begun anew.
const writeAttempts = 5

// write runs do in a transaction that may write, and commits when it returns nil. do runs again when the transaction
// lost against another one, so it must have no effect but through tx.
func (c *Catalog) write(ctx context.Context, doing string, do func(tx bun.Tx) error) error {
	var err error
	for range writeAttempts {
		err = c.writer.RunInTx(ctx, nil, func(_ context.Context, tx bun.Tx) error { return do(tx) })
		if err == nil || !isTransient(err) || ctx.Err() != nil {
			break
		}
		c.logger.WarnContext(ctx, "transaction tried again", "doing", doing, "error", err)
	}
	return failed(ctx, doing, err)
}

// read runs do in a transaction that sees one moment of the database.
func (c *Catalog) read(ctx context.Context, doing string, do func(tx bun.Tx) error) error {
	options := &sql.TxOptions{ReadOnly: true}
	if _, ok := c.database.(postgresDatabase); ok {
		options.Isolation = sql.LevelRepeatableRead // on SQLite every transaction is
	}
	err := c.reader.RunInTx(ctx, options, func(_ context.Context, tx bun.Tx) error { return do(tx) })
	return failed(ctx, doing, err)
}

// changeOne runs an update that is complete in one statement. Where it finds no row, the error is absent.
func changeOne(ctx context.Context, query *bun.UpdateQuery, absent error) error {
	n, err := changed(query.Exec(ctx))
	if err == nil && n == 0 {
		return absent
	}
	return err
}

// changed says how many rows a statement changed.
func changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// lock adds the clause that locks the row of the alias where the database has row locks.
func (c *Catalog) lock(alias string) func(*bun.SelectQuery) *bun.SelectQuery {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if clause := c.database.lockForUpdate(alias); clause != "" {
			return q.For(clause)
		}
		return q
	}
}
