package native

import (
	"context"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
)

// defaultTemplates is how many service templates a page has unless asked otherwise.
const defaultTemplates = 50

// ListTemplateTrash gives one page of a project's deleted service templates.
func (s *server) ListTemplateTrash(ctx context.Context, request ListTemplateTrashRequestObject) (ListTemplateTrashResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.TemplatesRead); err != nil {
		return nil, err
	}
	limit, err := checkLimit(request.Params.Limit)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = defaultTemplates
	}
	offset := valueOf(request.Params.Offset)
	if offset < 0 {
		return nil, badParameter("offset", "a number from 0")
	}
	templates, count, err := s.Catalog.ListServiceTemplates(ctx, catalog.TemplateFilter{
		ProjectID: request.ProjectID, Trash: true, Limit: limit, Offset: offset,
	})
	if err != nil {
		return nil, err
	}
	page := TemplatePage{ServiceTemplates: make([]ServiceTemplate, len(templates)), Count: count}
	for i, t := range templates {
		page.ServiceTemplates[i] = s.formatTemplate(t)
	}
	return ListTemplateTrash200JSONResponse{
		Headers: ListTemplateTrash200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

// RestoreTemplate brings a deleted service template back.
func (s *server) RestoreTemplate(ctx context.Context, request RestoreTemplateRequestObject) (RestoreTemplateResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.TemplatesRestore); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	t, err := s.Catalog.RestoreServiceTemplate(ctx, p.UserID, request.ProjectID, request.Number)
	if err != nil {
		return nil, err
	}
	return RestoreTemplate200JSONResponse{
		Headers: RestoreTemplate200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: s.formatTemplate(t),
	}, nil
}

// PurgeTemplate removes a deleted service template for good.
func (s *server) PurgeTemplate(ctx context.Context, request PurgeTemplateRequestObject) (PurgeTemplateResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.TemplatesPurge); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	if err := s.Catalog.PurgeServiceTemplate(ctx, p.UserID, request.ProjectID, request.Number); err != nil {
		return nil, err
	}
	return PurgeTemplate204Response{Headers: PurgeTemplate204ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}}, nil
}

func (s *server) formatTemplate(t catalog.ServiceTemplate) ServiceTemplate {
	formatted := ServiceTemplate{
		Number: t.Number, AssetID: t.AssetID, KeyName: t.KeyName, DisplayName: t.DisplayName, VendorID: t.VendorID,
		VendorName: t.VendorName, Version: t.Version, Description: t.Description,
		ReleaseState: ServiceTemplateReleaseState(t.ReleaseState), Latest: t.Latest, Sha256: t.SHA256, Size: t.Size,
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
	}
	if t.DeletedAt != nil {
		deleted := t.DeletedAt.UTC()
		formatted.DeletedAt = &deleted
		if s.TrashLifetime > 0 {
			purge := deleted.Add(s.TrashLifetime)
			formatted.PurgeAfter = &purge
		}
	}
	return formatted
}
