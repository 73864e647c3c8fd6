package native

import (
	"context"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
)

// ListAudit gives one page of a project's audit trail.
func (s *server) ListAudit(ctx context.Context, request ListAuditRequestObject) (ListAuditResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.AuditRead); err != nil {
		return nil, err
	}
	params := request.Params
	limit, err := checkLimit(params.Limit)
	if err != nil {
		return nil, err
	}
	entries, next, err := s.Catalog.ListAudit(ctx, catalog.AuditFilter{
		ProjectID: request.ProjectID, ActorID: valueOf(params.ActorID), Action: catalog.AuditAction(valueOf(params.Action)),
		ResourceID: valueOf(params.ResourceID), Limit: limit, Cursor: valueOf(params.Cursor),
	})
	if err != nil {
		return nil, err
	}
	page := AuditPage{Entries: make([]AuditEntry, len(entries)), NextCursor: optional(next)}
	for i, e := range entries {
		page.Entries[i] = AuditEntry{
			ID: e.ID, At: e.At.UTC(), ActorID: e.ActorID, ActorName: e.ActorName, Action: string(e.Action),
			ProjectID: e.ProjectID, InstanceID: e.InstanceID, ResourceKind: e.ResourceKind, ResourceID: e.ResourceID,
			Details: payload(e.Details),
		}
	}
	return ListAudit200JSONResponse{
		Headers: ListAudit200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}
