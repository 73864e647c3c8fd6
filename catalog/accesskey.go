package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type accessKeyRow struct {
	bun.BaseModel `bun:"table:access_keys,alias:k"`

	ID           string `bun:"id,pk"`
	UserID       string `bun:"user_id"`
	SealedSecret []byte `bun:"sealed_secret"`
	CreatedAt    stamp  `bun:"created_at"`
	RevokedAt    stamp  `bun:"revoked_at,nullzero"`
	Failures     int    `bun:"failures"`
	LockedUntil  stamp  `bun:"locked_until,nullzero"`
}

func (r accessKeyRow) accessKey() AccessKey {
	return AccessKey{
		ID: r.ID, UserID: r.UserID, SealedSecret: r.SealedSecret, CreatedAt: r.CreatedAt.at,
		RevokedAt: r.RevokedAt.pointer(), Failures: r.Failures, LockedUntil: r.LockedUntil.pointer(),
	}
}

func noKey() error {
	return fault.New(fault.NotFound, "catalog.key_not_found", "there is no such access key")
}

// CreateAccessKey stores a new key: of the argument, ID, UserID, SealedSecret and CreatedAt (zero means now). NotFound
// "catalog.user_not_found", Conflict "catalog.key_exists".
func (c *Catalog) CreateAccessKey(ctx context.Context, key AccessKey) error {
	row := accessKeyRow{ID: key.ID, UserID: key.UserID, SealedSecret: key.SealedSecret, CreatedAt: stampOf(key.CreatedAt)}
	if row.CreatedAt.IsZero() {
		row.CreatedAt = now()
	}
	if row.SealedSecret == nil {
		row.SealedSecret = []byte{}
	}
	return c.write(ctx, "create the access key", func(tx bun.Tx) error {
		_, err := tx.NewInsert().Model(&row).Exec(ctx)
		switch {
		case isDuplicate(err):
			return fault.New(fault.Conflict, "catalog.key_exists", "there is an access key of that name already")
		case isDangling(err):
			return noUser()
		case err != nil:
			return err
		}
		return writeAudit(ctx, tx, keyEntry(KeyAdded, row))
	})
}

func keyEntry(action AuditAction, key accessKeyRow) AuditEntry {
	return AuditEntry{
		Action: action, ResourceKind: "key", ResourceID: key.ID, Details: auditDetails(map[string]string{"user_id": key.UserID}),
	}
}

// AccessKey finds a key, revoked or not. NotFound "catalog.key_not_found".
func (c *Catalog) AccessKey(ctx context.Context, id string) (AccessKey, error) {
	var row accessKeyRow
	err := c.reader.NewSelect().Model(&row).Where("k.id = ?", id).Scan(ctx)
	return row.accessKey(), failed(ctx, "read the access key", orAbsent(err, noKey()))
}

// ListAccessKeys gives a user's keys, revoked ones too, oldest first.
func (c *Catalog) ListAccessKeys(ctx context.Context, userID string) ([]AccessKey, error) {
	var rows []accessKeyRow
	if err := c.reader.NewSelect().Model(&rows).Where("k.user_id = ?", userID).Order("k.created_at", "k.id").Scan(ctx); err != nil {
		return nil, failed(ctx, "list the access keys", err)
	}
	keys := make([]AccessKey, len(rows))
	for i, r := range rows {
		keys[i] = r.accessKey()
	}
	return keys, nil
}

// RevokeAccessKey makes a key invalid for good; again is no error. NotFound "catalog.key_not_found".
func (c *Catalog) RevokeAccessKey(ctx context.Context, id string) error {
	return c.write(ctx, "revoke the access key", func(tx bun.Tx) error {
		var key accessKeyRow
		if err := tx.NewSelect().Model(&key).Where("k.id = ?", id).Apply(c.lock("k")).Scan(ctx); err != nil {
			return orAbsent(err, noKey())
		}
		if !key.RevokedAt.IsZero() {
			return nil
		}
		if _, err := tx.NewUpdate().Model((*accessKeyRow)(nil)).Set("revoked_at = ?", now()).Where("id = ?", id).Exec(ctx); err != nil {
			return err
		}
		return writeAudit(ctx, tx, keyEntry(KeyRevoked, key))
	})
}

// RecordKeyFailure counts a wrong signature. With more than maxFailures in a row the key is locked until now+lockFor,
// and again with every further failure until ResetKeyFailures; it says whether this one locked it. Atomic: none is lost when many come at once. NotFound
// "catalog.key_not_found".
func (c *Catalog) RecordKeyFailure(ctx context.Context, id string, now time.Time, maxFailures int, lockFor time.Duration) (locked bool, err error) {
	failures, err := countedFailures(ctx, c.writer.NewUpdate().Model((*accessKeyRow)(nil)).
		Set("locked_until = CASE WHEN failures >= ? THEN ? ELSE locked_until END", maxFailures, stampOf(now.Add(lockFor))).
		Set("failures = failures + 1").Where("id = ?", id).Returning("failures"), noKey())
	return failures > maxFailures, failed(ctx, "count the failure of the access key", err)
}

// countedFailures runs an update that counts a failure and gives what it counts to. Where it finds no row, the error is
// absent.
func countedFailures(ctx context.Context, query *bun.UpdateQuery, absent error) (int, error) {
	var failures []int
	if err := query.Scan(ctx, &failures); err != nil {
		return 0, err
	}
	if len(failures) == 0 {
		return 0, absent
	}
	return failures[0], nil
}

// ResetKeyFailures forgets failures and lock after a right signature. NotFound "catalog.key_not_found".
func (c *Catalog) ResetKeyFailures(ctx context.Context, id string) error {
	return failed(ctx, "reset the failures of the access key", changeOne(ctx, c.writer.NewUpdate().Model((*accessKeyRow)(nil)).
		Set("failures = 0").Set("locked_until = NULL").Where("id = ?", id), noKey()))
}
