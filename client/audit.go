package client

import (
	"context"
	"encoding/json"
	"net/url"
	"time"
)

// AuditEntry says who did what.
type AuditEntry struct {
	ID           string          `json:"id"`
	At           time.Time       `json:"at"`
	ActorID      string          `json:"actor_id"`   // a user's id; empty for the service itself and its command line
	ActorName    string          `json:"actor_name"` // as it was at that time
	Action       string          `json:"action"`     // such as "job.started", "asset.restored", "role.granted"
	ProjectID    string          `json:"project_id"`
	InstanceID   string          `json:"instance_id"`   // empty where none is concerned
	ResourceKind string          `json:"resource_kind"` // such as "job", "application" or "user"
	ResourceID   string          `json:"resource_id"`
	Details      json.RawMessage `json:"details,omitempty"`
}

// AuditFilter says which entries of the project's audit trail are listed. Empty fields leave out nothing.
type AuditFilter struct {
	ActorID    string
	Action     string
	ResourceID string // of a job, asset, user, instance or key
	Limit      int    // of a page; 0 for the service's default of 50, at most 500
	Cursor     string // NextCursor of the page before
}

// AuditPage is one page of the audit trail, newest first.
type AuditPage struct {
	Entries    []AuditEntry `json:"entries"`
	NextCursor string       `json:"next_cursor,omitempty"` // empty on the last page
}

// ListAudit lists what was done in the project.
func (c *Client) ListAudit(ctx context.Context, f AuditFilter) (AuditPage, error) {
	query := url.Values{}
	set(query, "actor_id", f.ActorID)
	set(query, "action", f.Action)
	set(query, "resource_id", f.ResourceID)
	setPage(query, f.Limit, f.Cursor)
	var page AuditPage
	err := c.get(ctx, "list the audit trail", path("api", "v1", "projects", c.cfg.ProjectID, "audit"), query, &page)
	return page, err
}
