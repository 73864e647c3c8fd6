package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type domainRow struct {
	bun.BaseModel `bun:"table:domains,alias:d"`

	ID   string `bun:"id,pk"`
	Name string `bun:"name"`
}

type userRow struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID              string `bun:"id,pk"`
	DomainID        string `bun:"domain_id"`
	DomainName      string `bun:"domain_name,scanonly"`
	Name            string `bun:"name"`
	PasswordHash    string `bun:"password_hash"`
	TokenGeneration int64  `bun:"token_generation"`
	CreatedAt       stamp  `bun:"created_at"`
	DisabledAt      stamp  `bun:"disabled_at,nullzero"`

	PasswordFailures    int   `bun:"password_failures"`
	PasswordLockedUntil stamp `bun:"password_locked_until,nullzero"`
}

func (r userRow) user() User {
	return User{
		ID: r.ID, DomainID: r.DomainID, DomainName: r.DomainName, Name: r.Name, PasswordHash: r.PasswordHash,
		TokenGeneration: r.TokenGeneration, CreatedAt: r.CreatedAt.at, DisabledAt: r.DisabledAt.pointer(),
		PasswordFailures: r.PasswordFailures, PasswordLockedUntil: r.PasswordLockedUntil.pointer(),
	}
}

func noUser() error {
	return fault.New(fault.NotFound, "catalog.user_not_found", "there is no such user")
}

// domain finds the domain of that name, and makes it when missing.
func (c *Catalog) domain(ctx context.Context, tx bun.Tx, name string) (domainRow, error) {
	row := domainRow{ID: newHexID(), Name: name}
	// The update changes nothing, but makes the statement return the row that was there.
	_, err := tx.NewInsert().Model(&row).On("CONFLICT (name) DO UPDATE").Set("name = EXCLUDED.name").Returning("id, name").Exec(ctx)
	return row, err
}

// CreateUser makes a user, and its domain when missing. Conflict "catalog.user_exists", Invalid "catalog.bad_name".
func (c *Catalog) CreateUser(ctx context.Context, domainName, name, passwordHash string) (User, error) {
	if err := checkNames(domainName, name); err != nil {
		return User{}, err
	}
	row := userRow{ID: newHexID(), Name: name, PasswordHash: passwordHash, CreatedAt: now()}
	err := c.write(ctx, "create the user", func(tx bun.Tx) error {
		d, err := c.domain(ctx, tx, domainName)
		if err != nil {
			return err
		}
		row.DomainID, row.DomainName = d.ID, d.Name
		_, err = tx.NewInsert().Model(&row).Exec(ctx)
		if isDuplicate(err) {
			return fault.New(fault.Conflict, "catalog.user_exists", "the domain %q already has a user named %q", domainName, name)
		}
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEntry{
			Action: UserAdded, ResourceKind: "user", ResourceID: row.ID, Details: auditDetails(map[string]string{"domain": domainName, "name": name}),
		})
	})
	if err != nil {
		return User{}, err
	}
	return row.user(), nil
}

func (c *Catalog) selectUsers(rows any) *bun.SelectQuery {
	return c.reader.NewSelect().Model(rows).ColumnExpr("?TableColumns, d.name AS domain_name").Join("JOIN domains AS d ON d.id = u.domain_id")
}

// User finds a user by id. NotFound "catalog.user_not_found".
func (c *Catalog) User(ctx context.Context, id string) (User, error) {
	var row userRow
	err := c.selectUsers(&row).Where("u.id = ?", id).Scan(ctx)
	return row.user(), failed(ctx, "read the user", orAbsent(err, noUser()))
}

// UserByName finds a user by the names of its domain and its own. NotFound "catalog.user_not_found".
func (c *Catalog) UserByName(ctx context.Context, domainName, name string) (User, error) {
	if !isText(domainName) || !isText(name) {
		return User{}, noUser()
	}
	var row userRow
	err := c.selectUsers(&row).Where("d.name = ?", domainName).Where("u.name = ?", name).Scan(ctx)
	return row.user(), failed(ctx, "read the user", orAbsent(err, noUser()))
}

// UsersNamed gives the users of that name, by their domains.
func (c *Catalog) UsersNamed(ctx context.Context, name string) ([]User, error) {
	if !isText(name) {
		return nil, nil
	}
	return c.usersOf(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("u.name = ?", name) })
}

// ListUsers gives all users by domain and name.
func (c *Catalog) ListUsers(ctx context.Context) ([]User, error) {
	return c.usersOf(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q })
}

func (c *Catalog) usersOf(ctx context.Context, which func(*bun.SelectQuery) *bun.SelectQuery) ([]User, error) {
	var rows []userRow
	if err := c.selectUsers(&rows).Apply(which).Order("d.name", "u.name").Scan(ctx); err != nil {
		return nil, failed(ctx, "list the users", err)
	}
	users := make([]User, len(rows))
	for i, r := range rows {
		users[i] = r.user()
	}
	return users, nil
}

// SetPassword replaces the password hash, raises the token generation and forgets failures and lock. NotFound "catalog.user_not_found".
func (c *Catalog) SetPassword(ctx context.Context, userID, hash string) error {
	return c.write(ctx, "set the password", func(tx bun.Tx) error {
		err := changeOne(ctx, tx.NewUpdate().Model((*userRow)(nil)).
			Set("password_hash = ?", hash).Set("token_generation = token_generation + 1").
			Set("password_failures = 0").Set("password_locked_until = NULL").Where("id = ?", userID), noUser())
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEntry{Action: PasswordSet, ResourceKind: "user", ResourceID: userID})
	})
}

// RaiseTokenGeneration revokes every token of the user. NotFound "catalog.user_not_found".
func (c *Catalog) RaiseTokenGeneration(ctx context.Context, userID string) error {
	return c.write(ctx, "revoke the user's tokens", func(tx bun.Tx) error {
		err := changeOne(ctx, tx.NewUpdate().Model((*userRow)(nil)).
			Set("token_generation = token_generation + 1").Where("id = ?", userID), noUser())
		if err != nil {
			return err
		}
		return writeAudit(ctx, tx, AuditEntry{Action: TokensRevoked, ResourceKind: "user", ResourceID: userID})
	})
}

// RecordPasswordFailure counts a wrong password. With more than maxFailures in a row the user is locked until
// now+lockFor, and again with every further failure until ResetPasswordFailures; it says whether this one locked the user.
// Atomic: none is lost when many come at once. NotFound "catalog.user_not_found".
func (c *Catalog) RecordPasswordFailure(ctx context.Context, userID string, now time.Time, maxFailures int, lockFor time.Duration) (locked bool, err error) {
	failures, err := countedFailures(ctx, c.writer.NewUpdate().Model((*userRow)(nil)).
		Set("password_locked_until = CASE WHEN password_failures >= ? THEN ? ELSE password_locked_until END", maxFailures, stampOf(now.Add(lockFor))).
		Set("password_failures = password_failures + 1").Where("id = ?", userID).Returning("password_failures"), noUser())
	return failures > maxFailures, failed(ctx, "count the failure of the password", err)
}

// ResetPasswordFailures forgets failures and lock after a right password. NotFound "catalog.user_not_found".
func (c *Catalog) ResetPasswordFailures(ctx context.Context, userID string) error {
	return failed(ctx, "reset the failures of the password", changeOne(ctx, c.writer.NewUpdate().Model((*userRow)(nil)).
		Set("password_failures = 0").Set("password_locked_until = NULL").Where("id = ?", userID), noUser()))
}
