package catalog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"assetflow/fault"
)

type auditRow struct {
	bun.BaseModel `bun:"table:audit_entries,alias:ae"`

	ID           string    `bun:"id,pk"`
	At           stamp     `bun:"at"`
	ActorID      string    `bun:"actor_id"`
	ActorName    actorName `bun:"actor_name"`
	Action       string    `bun:"action"`
	ProjectID    string    `bun:"project_id"`
	InstanceID   string    `bun:"instance_id"`
	ResourceKind string    `bun:"resource_kind"`
	ResourceID   string    `bun:"resource_id"`
	Details      string    `bun:"details,nullzero"` // JSON
}

func (r auditRow) entry() AuditEntry {
	return AuditEntry{
		ID: r.ID, At: r.At.at, ActorID: r.ActorID, ActorName: r.ActorName.text, Action: AuditAction(r.Action), ProjectID: r.ProjectID,
		InstanceID: r.InstanceID, ResourceKind: r.ResourceKind, ResourceID: r.ResourceID, Details: rawJSON(r.Details),
	}
}

// AppendAudit adds an entry. A zero At means now. Invalid "catalog.bad_audit" where the action is missing, a text is
// none, or the details are no JSON.
func (c *Catalog) AppendAudit(ctx context.Context, entry AuditEntry) error {
	details, err := compactJSON(entry.Details)
	if err != nil || entry.Action == "" {
		return fault.New(fault.Invalid, "catalog.bad_audit", "an audit entry needs an action, and its details must be JSON").Wrap(err)
	}
	for _, text := range []string{entry.ID, entry.ActorID, entry.ActorName, string(entry.Action), entry.ProjectID, entry.InstanceID, entry.ResourceKind, entry.ResourceID} {
		if !isText(text) {
			return fault.New(fault.Invalid, "catalog.bad_audit", "an audit entry is not valid text")
		}
	}
	entry.Details = rawJSON(details)
	return failed(ctx, "write the audit trail", writeAudit(ctx, c.writer, entry))
}

// writeAudit adds entries in one statement for each thousand. The actor is the context's where an entry names none.
func writeAudit(ctx context.Context, db bun.IDB, entries ...AuditEntry) error {
	rows := make([]auditRow, len(entries))
	for i, e := range entries {
		if e.ActorID == "" {
			e.ActorID = actorOr(ctx, "")
		}
		rows[i] = auditRow{
			ID: e.ID, At: stampOf(e.At), ActorID: e.ActorID, ActorName: actorName{text: e.ActorName, userID: e.ActorID}, Action: string(e.Action),
			ProjectID: e.ProjectID, InstanceID: e.InstanceID, ResourceKind: e.ResourceKind, ResourceID: e.ResourceID, Details: string(e.Details),
		}
		if rows[i].ID == "" {
			rows[i].ID = NewID()
		}
		if rows[i].At.IsZero() {
			rows[i].At = now()
		}
	}
	if err := insertAll(ctx, db, rows); err != nil {
		return fmt.Errorf("write the audit trail: %w", err)
	}
	return nil
}

// actorName is the name in an entry: where it is not given, the database fills in the user's name of that moment.
type actorName struct {
	text   string
	userID string
}

// AppendQuery writes the name into a statement.
func (n actorName) AppendQuery(gen schema.QueryGen, b []byte) ([]byte, error) {
	if n.text != "" || n.userID == "" {
		return gen.Append(b, n.text), nil
	}
	return gen.AppendQuery(b, "COALESCE((SELECT u.name FROM users AS u WHERE u.id = ?), '')", n.userID), nil
}

// Scan reads the name.
func (n *actorName) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return fmt.Errorf("read the name of an actor: unexpected %T", src)
	}
	n.text = text
	return nil
}

// jobEntry says what happened to a job. Its details are kind and subject, and the state it has ended in.
func jobEntry(ctx context.Context, action AuditAction, job jobRow, at stamp) AuditEntry {
	facts := map[string]string{"kind": job.Kind, "subject": job.Subject}
	if action == JobEnded {
		facts["state"] = job.State
	}
	return AuditEntry{
		At: at.at, ActorID: actorOr(ctx, job.UserID), Action: action, ProjectID: job.ProjectID, InstanceID: job.InstanceID,
		ResourceKind: "job", ResourceID: job.ID, Details: auditDetails(facts),
	}
}

func auditDetails(facts any) json.RawMessage {
	b, err := json.Marshal(facts)
	if err != nil {
		panic("catalog: details have no JSON: " + err.Error())
	}
	return b
}

// ListAudit gives a page of the audit trail, newest first, and the cursor of the next page (empty at the end). Entries
// that arrive meanwhile never shift a page. Invalid "catalog.bad_cursor".
func (c *Catalog) ListAudit(ctx context.Context, filter AuditFilter) (entries []AuditEntry, next string, err error) {
	limit := pageSize(filter.Limit)
	var rows []auditRow
	q := c.reader.NewSelect().Model(&rows)
	for _, equal := range []struct{ column, value string }{
		{"project_id", filter.ProjectID}, {"actor_id", filter.ActorID}, {"action", string(filter.Action)}, {"resource_id", filter.ResourceID},
	} {
		if equal.value != "" {
			q = q.Where("ae.? = ?", bun.Ident(equal.column), equal.value)
		}
	}
	if filter.Cursor != "" {
		at, id, err := decodeTimeCursor(filter.Cursor)
		if err != nil {
			return nil, "", err
		}
		q = q.Where("(ae.at, ae.id) < (?, ?)", at, id)
	}
	if err := q.Order("ae.at DESC", "ae.id DESC").Limit(limit + 1).Scan(ctx); err != nil {
		return nil, "", failed(ctx, "list the audit trail", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = encodeTimeCursor(rows[limit-1].At, rows[limit-1].ID)
	}
	entries = make([]AuditEntry, len(rows))
	for i, r := range rows {
		entries[i] = r.entry()
	}
	return entries, next, nil
}
