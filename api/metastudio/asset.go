package metastudio

import (
	"context"
	"strings"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
)

// modeForce is the mode of a deletion that passes by the recycle bin.
const modeForce = "force"

const (
	defaultLimit = 10
	maxLimit     = 100
	maxOffset    = 1<<31 - 1
	maxIDs       = 100 // asset ids that one listing may name
)

// CreateDigitalAsset makes an asset without files.
func (s *server) CreateDigitalAsset(ctx context.Context, request CreateDigitalAssetRequestObject) (CreateDigitalAssetResponseObject, error) {
	body := request.Body
	var m catalog.DigitalMetadata
	said := wishes{
		name: &body.AssetName, kind: &body.AssetType, description: body.AssetDescription, tags: body.Tags,
		extraMeta: body.AssetExtraMeta, systemProperties: body.SystemProperties,
	}
	if err := said.apply(&m); err != nil {
		return nil, err
	}
	if request.Params.XAppUserID != nil {
		m.AppUserID = *request.Params.XAppUserID
	}
	asset, err := s.Catalog.CreateDigitalAsset(middleware.Context(ctx), userID(ctx), request.ProjectID, m)
	if err != nil {
		return nil, err
	}
	return CreateDigitalAsset200JSONResponse{
		Headers: CreateDigitalAsset200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: AssetCreated{AssetID: asset.ID},
	}, nil
}

// ListAssets gives one page of the assets that match.
func (s *server) ListAssets(ctx context.Context, request ListAssetsRequestObject) (ListAssetsResponseObject, error) {
	filter, err := filterOf(request.ProjectID, request.Params)
	if err != nil {
		return nil, err
	}
	assets, total, err := s.Catalog.ListDigitalAssets(middleware.Context(ctx), filter)
	if err != nil {
		return nil, err
	}
	page := AssetPage{Count: total, Assets: make([]Asset, len(assets))}
	links, err := s.links(middleware.Context(ctx), request.ProjectID)
	if err != nil {
		return nil, err
	}
	for i, asset := range assets {
		if page.Assets[i], err = formatAsset(asset, links); err != nil {
			return nil, err
		}
	}
	return ListAssets200JSONResponse{
		Headers: ListAssets200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

func filterOf(projectID string, p ListAssetsParams) (catalog.DigitalFilter, error) {
	f := catalog.DigitalFilter{ProjectID: projectID, Limit: defaultLimit}
	if p.Limit != nil {
		if f.Limit = *p.Limit; f.Limit < 1 || f.Limit > maxLimit {
			return f, badParameter("The parameter limit must be a number from 1 to %d.", maxLimit)
		}
	}
	if p.Offset != nil {
		if f.Offset = *p.Offset; f.Offset < 0 || f.Offset > maxOffset {
			return f, badParameter("The parameter offset must be a number from 0 to %d.", maxOffset)
		}
	}
	f.Name, f.Tag = valueOf(p.Name), valueOf(p.Tag)
	if !middleware.IsStorable(f.Name) || !middleware.IsStorable(f.Tag) {
		return f, badParameter("The parameters name and tag must be texts.")
	}
	for _, kind := range list(valueOf(p.AssetType)) {
		if !AssetType(kind).Valid() {
			return f, badParameter("The parameter asset_type names %.64q, which is no type.", kind)
		}
		f.Types = append(f.Types, kind)
	}
	for _, state := range list(valueOf(p.AssetState)) {
		if !AssetState(state).Valid() {
			return f, badParameter("The parameter asset_state names %.64q, which is no state.", state)
		}
		f.States = append(f.States, catalog.DigitalState(state))
	}
	if p.SortKey != nil && !p.SortKey.Valid() || p.SortDir != nil && !p.SortDir.Valid() {
		return f, badParameter("The parameter sort_key must be create_time, update_time or asset_order, sort_dir must be asc or desc.")
	}
	f.SortKey, f.Descending = string(valueOf(p.SortKey)), valueOf(p.SortDir) == Desc
	ids := valueOf(p.AssetID)
	if len(ids) > maxIDs {
		return f, badParameter("The parameter asset_id is given %d times: at most %d.", len(ids), maxIDs)
	}
	for _, id := range ids {
		if !middleware.IsLine(id, 1, catalog.MaxDigitalID) {
			return f, badParameter("The parameter asset_id must have 1 to %d characters.", catalog.MaxDigitalID)
		}
		f.IDs = append(f.IDs, forms(id)...)
	}
	return f, nil
}

// list reads a list that is separated by commas.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// forms are the ways in which an id may be stored: as it was written, and, for a UUID written without dashes or in
// capitals, in the form that this service makes.
func forms(id string) []string {
	if usual, ok := middleware.JobID(id); ok && usual != id {
		return []string{id, usual}
	}
	return []string{id}
}

// asset finds an asset by an id in any form.
func (s *server) asset(ctx context.Context, projectID, id string) (catalog.DigitalAsset, error) {
	err := error(fault.New(fault.NotFound, codeNoAsset, "The asset does not exist."))
	if !middleware.IsLine(id, 1, catalog.MaxDigitalID) {
		return catalog.DigitalAsset{}, err
	}
	var asset catalog.DigitalAsset
	for _, form := range forms(id) {
		if asset, err = s.Catalog.DigitalAsset(ctx, projectID, form); fault.KindOf(err) != fault.NotFound {
			break
		}
	}
	return asset, err
}

// ShowAsset gives one asset.
func (s *server) ShowAsset(ctx context.Context, request ShowAssetRequestObject) (ShowAssetResponseObject, error) {
	asset, err := s.asset(middleware.Context(ctx), request.ProjectID, request.AssetID)
	if err != nil {
		return nil, err
	}
	body, err := s.format(ctx, asset)
	return ShowAsset200JSONResponse{body}, err
}

// UpdateDigitalAsset changes what is said of an asset.
func (s *server) UpdateDigitalAsset(ctx context.Context, request UpdateDigitalAssetRequestObject) (UpdateDigitalAssetResponseObject, error) {
	asset, err := s.asset(middleware.Context(ctx), request.ProjectID, request.AssetID)
	if err != nil {
		return nil, err
	}
	body := request.Body
	if body.AssetState != nil && string(*body.AssetState) != string(asset.State) {
		return nil, badParameter("The field asset_state cannot be changed; the asset is %s.", asset.State)
	}
	said := wishes{
		name: body.AssetName, kind: body.AssetType, description: body.AssetDescription, tags: body.Tags,
		extraMeta: body.AssetExtraMeta, systemProperties: body.SystemProperties, order: body.AssetOrder,
	}
	if asset, err = s.Catalog.UpdateDigitalAsset(middleware.Context(ctx), userID(ctx), request.ProjectID, asset.ID, said.apply); err != nil {
		return nil, err
	}
	answer, err := s.format(ctx, asset)
	return UpdateDigitalAsset200JSONResponse{answer}, err
}

// DeleteAsset moves an asset to the recycle bin, or removes it for good.
func (s *server) DeleteAsset(ctx context.Context, request DeleteAssetRequestObject) (DeleteAssetResponseObject, error) {
	rctx := middleware.Context(ctx)
	remove := s.Catalog.DeleteDigitalAsset
	if valueOf(request.Params.Mode) == modeForce {
		if err := s.permit(rctx, request.ProjectID, auth.AssetsPurge); err != nil {
			return nil, err
		}
		remove = s.Catalog.PurgeDigitalAsset
	}
	asset, err := s.asset(rctx, request.ProjectID, request.AssetID)
	if err != nil {
		return nil, err
	}
	return done(ctx), remove(rctx, userID(ctx), request.ProjectID, asset.ID)
}

// RestoreAsset brings an asset back from the recycle bin.
func (s *server) RestoreAsset(ctx context.Context, request RestoreAssetRequestObject) (RestoreAssetResponseObject, error) {
	asset, err := s.asset(middleware.Context(ctx), request.ProjectID, request.AssetID)
	if err != nil {
		return nil, err
	}
	_, err = s.Catalog.RestoreDigitalAsset(middleware.Context(ctx), userID(ctx), request.ProjectID, asset.ID)
	return done(ctx), err
}
