package native

import (
	"context"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
)

// ListTrash gives one page of an instance's deleted assets.
func (s *server) ListTrash(ctx context.Context, request ListTrashRequestObject) (ListTrashResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRead); err != nil {
		return nil, err
	}
	params := request.Params
	limit, err := checkLimit(params.Limit)
	if err != nil {
		return nil, err
	}
	if params.Kind != nil && !params.Kind.Valid() {
		return nil, badParameter("kind", "application or task")
	}
	assets, next, err := s.Catalog.ListTrash(ctx, catalog.AssetFilter{
		ProjectID: request.ProjectID, InstanceID: request.InstanceID,
		Kind: catalog.AssetKind(valueOf(params.Kind)), Name: valueOf(params.Name), NameContains: valueOf(params.NameContains),
		Limit: limit, Cursor: valueOf(params.Cursor),
	})
	if err != nil {
		return nil, err
	}
	page := TrashPage{Assets: make([]TrashedAsset, len(assets)), NextCursor: optional(next)}
	for i, a := range assets {
		page.Assets[i] = s.formatTrashed(a)
	}
	return ListTrash200JSONResponse{
		Headers: ListTrash200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

// RestoreAsset brings a deleted asset back.
func (s *server) RestoreAsset(ctx context.Context, request RestoreAssetRequestObject) (RestoreAssetResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRestore); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	a, err := s.Catalog.RestoreAsset(ctx, request.ProjectID, request.InstanceID, request.AssetID, p.UserID)
	if err != nil {
		return nil, err
	}
	return RestoreAsset200JSONResponse{
		Headers: RestoreAsset200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatAsset(a),
	}, nil
}

// PurgeAsset removes a deleted asset for good.
func (s *server) PurgeAsset(ctx context.Context, request PurgeAssetRequestObject) (PurgeAssetResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsPurge); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	purged, err := s.Catalog.PurgeAssets(ctx, request.ProjectID, request.InstanceID, []string{request.AssetID}, p.UserID)
	switch {
	case err != nil:
		return nil, err
	case purged == 0:
		return nil, fault.New(fault.NotFound, "catalog.asset_not_found", "The asset is not in the trash.")
	}
	return PurgeAsset204Response{Headers: PurgeAsset204ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}}, nil
}

func (s *server) formatTrashed(a catalog.TrashedAsset) TrashedAsset {
	head := formatAsset(a.Asset)
	trashed := TrashedAsset{
		ID: head.ID, ProjectID: head.ProjectID, InstanceID: head.InstanceID, Kind: head.Kind, Name: head.Name,
		Description: head.Description, VersionNumber: head.VersionNumber, VersionLabel: head.VersionLabel,
		Digest: head.Digest, UpdatedBy: head.UpdatedBy, JobID: head.JobID, CreatedAt: head.CreatedAt, UpdatedAt: head.UpdatedAt,
		DeletedAt: a.DeletedAt.UTC(), DeletedBy: a.DeletedBy,
	}
	if s.TrashLifetime > 0 {
		purge := trashed.DeletedAt.Add(s.TrashLifetime)
		trashed.PurgeAfter = &purge
	}
	return trashed
}
