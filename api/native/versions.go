package native

import (
	"context"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
)

// ListVersions gives all versions of an asset.
func (s *server) ListVersions(ctx context.Context, request ListVersionsRequestObject) (ListVersionsResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRead); err != nil {
		return nil, err
	}
	versions, err := s.Catalog.ListVersions(ctx, request.ProjectID, request.InstanceID, request.AssetID)
	if err != nil {
		return nil, err
	}
	return ListVersions200JSONResponse{
		Headers: ListVersions200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatVersions(versions),
	}, nil
}

func formatVersions(versions []catalog.AssetVersion) VersionList {
	list := VersionList{Versions: make([]Version, len(versions))}
	for i, v := range versions {
		list.Versions[i] = Version{
			Number: v.Number, Label: v.Label, Digest: v.Digest, CreatedBy: v.CreatedBy, JobID: v.JobID, CreatedAt: v.CreatedAt.UTC(),
		}
	}
	return list
}

// GetVersion gives an asset as it was in a version.
func (s *server) GetVersion(ctx context.Context, request GetVersionRequestObject) (GetVersionResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRead); err != nil {
		return nil, err
	}
	if err := checkVersion(request.Version); err != nil {
		return nil, err
	}
	a, err := s.Catalog.AssetAt(ctx, request.ProjectID, request.InstanceID, request.AssetID, request.Version)
	if err != nil {
		return nil, err
	}
	return GetVersion200JSONResponse{
		Headers: GetVersion200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatDetail(a),
	}, nil
}

// RestoreVersion makes an older version the current one again, as a new one.
func (s *server) RestoreVersion(ctx context.Context, request RestoreVersionRequestObject) (RestoreVersionResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRestore); err != nil {
		return nil, err
	}
	if err := checkVersion(request.Version); err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	a, err := s.Catalog.RestoreVersion(ctx, request.ProjectID, request.InstanceID, request.AssetID, request.Version, p.UserID)
	if err != nil {
		return nil, err
	}
	return RestoreVersion200JSONResponse{
		Headers: RestoreVersion200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatAsset(a),
	}, nil
}

const maxVersion = 1<<31 - 1 // what the catalog can count

func checkVersion(number int) error {
	if number < 1 || number > maxVersion {
		return badParameter("version", "the number of a version, from 1 on")
	}
	return nil
}
