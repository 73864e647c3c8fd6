package native

import (
	"context"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
)

// ListDigitalVersions gives all versions of a digital asset.
func (s *server) ListDigitalVersions(ctx context.Context, request ListDigitalVersionsRequestObject) (ListDigitalVersionsResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.AssetsRead); err != nil {
		return nil, err
	}
	versions, err := s.Catalog.ListDigitalVersions(ctx, request.ProjectID, request.AssetID)
	if err != nil {
		return nil, err
	}
	return ListDigitalVersions200JSONResponse{
		Headers: ListDigitalVersions200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatVersions(versions),
	}, nil
}

// GetDigitalVersion gives a digital asset as it was in a version.
func (s *server) GetDigitalVersion(ctx context.Context, request GetDigitalVersionRequestObject) (GetDigitalVersionResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.AssetsRead); err != nil {
		return nil, err
	}
	if err := checkVersion(request.Version); err != nil {
		return nil, err
	}
	a, err := s.Catalog.DigitalAssetAt(ctx, request.ProjectID, request.AssetID, request.Version)
	if err != nil {
		return nil, err
	}
	return GetDigitalVersion200JSONResponse{
		Headers: GetDigitalVersion200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatDigital(a),
	}, nil
}

// RestoreDigitalVersion makes an older version of a digital asset the current one again, as a new one.
func (s *server) RestoreDigitalVersion(ctx context.Context, request RestoreDigitalVersionRequestObject) (RestoreDigitalVersionResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, request.ProjectID, auth.AssetsRestore); err != nil {
		return nil, err
	}
	if err := checkVersion(request.Version); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	a, err := s.Catalog.RestoreDigitalVersion(ctx, p.UserID, request.ProjectID, request.AssetID, request.Version)
	if err != nil {
		return nil, err
	}
	return RestoreDigitalVersion200JSONResponse{
		Headers: RestoreDigitalVersion200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatDigital(a),
	}, nil
}

func formatDigital(a catalog.DigitalAsset) DigitalAsset {
	formatted := DigitalAsset{
		ID: a.ID, ProjectID: a.ProjectID, Name: a.Name, Description: a.Description, Type: a.Type, AppUserID: a.AppUserID, Tags: a.Tags,
		ExtraMeta: object(a.ExtraMeta), SystemProperties: a.SystemProperties, Order: a.Order, State: string(a.State), Reason: a.Reason,
		VersionNumber: a.VersionNumber, Digest: a.Digest, Files: make([]DigitalFile, 0, len(a.Files)),
		CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}
	for _, f := range a.Files {
		if f.State != catalog.FileCreated {
			continue
		}
		formatted.Files = append(formatted.Files, DigitalFile{
			ID: f.ID, Name: f.Name, Md5: f.MD5, Type: f.Type, Category: f.Category, Size: f.Size, Sha256: f.SHA256,
		})
	}
	return formatted
}
