package catalog

import (
	"context"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type roleRow struct {
	bun.BaseModel `bun:"table:role_assignments,alias:r"`

	UserID    string `bun:"user_id,pk"`
	ProjectID string `bun:"project_id,pk"`
	Role      string `bun:"role,pk"`
}

// GrantRole gives a user a role in a project; again is no error. NotFound "catalog.user_not_found",
// "catalog.project_not_found"; Invalid "catalog.bad_name".
func (c *Catalog) GrantRole(ctx context.Context, a RoleAssignment) error {
	if err := checkNames(a.Role); err != nil {
		return err
	}
	return c.write(ctx, "grant the role", func(tx bun.Tx) error {
		if known, err := tx.NewSelect().Model((*userRow)(nil)).Where("id = ?", a.UserID).Exists(ctx); err != nil || !known {
			return either(err, noUser())
		}
		if known, err := tx.NewSelect().Model((*projectRow)(nil)).Where("id = ?", a.ProjectID).Exists(ctx); err != nil || !known {
			return either(err, noProject())
		}
		result, err := tx.NewInsert().Model(&roleRow{UserID: a.UserID, ProjectID: a.ProjectID, Role: a.Role}).On("CONFLICT DO NOTHING").Exec(ctx)
		if added, err := changed(result, err); err != nil || added == 0 {
			return err
		}
		return writeAudit(ctx, tx, roleEntry(RoleGranted, a))
	})
}

func roleEntry(action AuditAction, a RoleAssignment) AuditEntry {
	return AuditEntry{
		Action: action, ProjectID: a.ProjectID, ResourceKind: "user", ResourceID: a.UserID, Details: auditDetails(map[string]string{"role": a.Role}),
	}
}

// either gives err, or else the fault.
func either(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// RevokeRole takes the role away. NotFound "catalog.role_not_found" when it was not given.
func (c *Catalog) RevokeRole(ctx context.Context, a RoleAssignment) error {
	return c.write(ctx, "revoke the role", func(tx bun.Tx) error {
		result, err := tx.NewDelete().Model(&roleRow{UserID: a.UserID, ProjectID: a.ProjectID, Role: a.Role}).WherePK().Exec(ctx)
		if removed, err := changed(result, err); err != nil || removed == 0 {
			return either(err, fault.New(fault.NotFound, "catalog.role_not_found", "the user does not have that role in the project"))
		}
		return writeAudit(ctx, tx, roleEntry(RoleRevoked, a))
	})
}

// Roles gives a user's roles in a project, sorted; none where user or project is unknown.
func (c *Catalog) Roles(ctx context.Context, userID, projectID string) ([]string, error) {
	var roles []string
	err := c.reader.NewSelect().Model((*roleRow)(nil)).Column("role").
		Where("user_id = ?", userID).Where("project_id = ?", projectID).Order("role").Scan(ctx, &roles)
	return roles, failed(ctx, "read the roles", err)
}

// ListRoles gives all roles of a user, by project and role.
func (c *Catalog) ListRoles(ctx context.Context, userID string) ([]RoleAssignment, error) {
	var rows []roleRow
	if err := c.reader.NewSelect().Model(&rows).Where("user_id = ?", userID).Order("project_id", "role").Scan(ctx); err != nil {
		return nil, failed(ctx, "list the roles", err)
	}
	roles := make([]RoleAssignment, len(rows))
	for i, r := range rows {
		roles[i] = RoleAssignment{UserID: r.UserID, ProjectID: r.ProjectID, Role: r.Role}
	}
	return roles, nil
}
