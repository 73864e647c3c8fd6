package native

import (
	"context"
	"encoding/json"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
)

// ListAssets gives one page of an instance's assets.
func (s *server) ListAssets(ctx context.Context, request ListAssetsRequestObject) (ListAssetsResponseObject, error) {
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
	assets, next, err := s.Catalog.ListAssets(ctx, catalog.AssetFilter{
		ProjectID: request.ProjectID, InstanceID: request.InstanceID,
		Kind: catalog.AssetKind(valueOf(params.Kind)), Name: valueOf(params.Name), NameContains: valueOf(params.NameContains),
		Limit: limit, Cursor: valueOf(params.Cursor),
	})
	if err != nil {
		return nil, err
	}
	page := AssetPage{Assets: make([]Asset, len(assets)), NextCursor: optional(next)}
	for i, a := range assets {
		page.Assets[i] = formatAsset(a)
	}
	return ListAssets200JSONResponse{
		Headers: ListAssets200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

// GetAsset gives one asset with the content of its current version.
func (s *server) GetAsset(ctx context.Context, request GetAssetRequestObject) (GetAssetResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRead); err != nil {
		return nil, err
	}
	a, err := s.Catalog.Asset(ctx, request.ProjectID, request.InstanceID, request.AssetID)
	if err != nil {
		return nil, err
	}
	return GetAsset200JSONResponse{
		Headers: GetAsset200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatDetail(a),
	}, nil
}

// ListDataSources gives all data sources of an instance.
func (s *server) ListDataSources(ctx context.Context, request ListDataSourcesRequestObject) (ListDataSourcesResponseObject, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorizeInstance(ctx, request.ProjectID, request.InstanceID, auth.AssetsRead); err != nil {
		return nil, err
	}
	sources, err := s.Catalog.ListDataSources(ctx, request.ProjectID, request.InstanceID)
	if err != nil {
		return nil, err
	}
	return ListDataSources200JSONResponse{
		Headers: ListDataSources200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    DataSourceList{DataSources: formatDataSources(sources)},
	}, nil
}

func formatAsset(a catalog.Asset) Asset {
	return Asset{
		ID: a.ID, ProjectID: a.ProjectID, InstanceID: a.InstanceID, Kind: string(a.Kind), Name: a.Name,
		Description: a.Description, VersionNumber: a.VersionNumber, VersionLabel: a.VersionLabel, Digest: a.Digest,
		UpdatedBy: a.UpdatedBy, JobID: a.JobID, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}
}

func formatDetail(a catalog.AssetDetail) AssetDetail {
	head := formatAsset(a.Asset)
	detail := AssetDetail{
		ID: head.ID, ProjectID: head.ProjectID, InstanceID: head.InstanceID, Kind: head.Kind, Name: head.Name,
		Description: head.Description, VersionNumber: head.VersionNumber, VersionLabel: head.VersionLabel,
		Digest: head.Digest, UpdatedBy: head.UpdatedBy, JobID: head.JobID, CreatedAt: head.CreatedAt, UpdatedAt: head.UpdatedAt,
		SourceID: a.SourceID, Definition: object(a.Definition),
		Applications: make([]AssetReference, len(a.Applications)),
		DataSources:  formatDataSources(a.DataSources),
		Files:        make([]File, len(a.Files)),
	}
	for i, r := range a.Applications {
		detail.Applications[i] = AssetReference{ID: r.ID, Name: r.Name}
	}
	for i, f := range a.Files {
		detail.Files[i] = File{Path: f.Path, Sha256: f.SHA256, Size: f.Size}
	}
	return detail
}

func formatDataSources(sources []catalog.DataSource) []DataSource {
	list := make([]DataSource, len(sources))
	for i, d := range sources {
		list[i] = DataSource{
			ID: d.ID, Name: d.Name, Type: d.Type, Description: d.Description, Settings: object(d.Settings),
			CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(), JobID: d.JobID,
		}
	}
	return list
}

// object gives an empty object where there is none.
func object(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("{}")
	}
	return raw
}
