package servicestage

import (
	"context"

	"assetflow/api/middleware"
	"assetflow/catalog"
)

// chartsPerPage is how many charts of the library are read at a time.
const chartsPerPage = 500

// ListAddons gives the add-ons of an environment.
func (s *server) ListAddons(ctx context.Context, request ListAddonsRequestObject) (ListAddonsResponseObject, error) {
	id, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	addons, err := s.Catalog.ListAddons(middleware.Context(ctx), request.ProjectID, id)
	if err != nil {
		return nil, err
	}
	list := AddonList{Addons: make([]Addon, len(addons))}
	for i, a := range addons {
		list.Addons[i] = formatAddon(a)
	}
	return ListAddons200ApplicationJSONCharsetUTF8Response{
		Headers: ListAddons200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: list,
	}, nil
}

// ListAddonsMetadata gives what can be installed: the library is the project's, so it is the same for every environment.
func (s *server) ListAddonsMetadata(ctx context.Context, request ListAddonsMetadataRequestObject) (ListAddonsMetadataResponseObject, error) {
	rctx := middleware.Context(ctx)
	id, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	if _, err := s.Catalog.Environment(rctx, request.ProjectID, id); err != nil {
		return nil, err
	}
	list := AddonMetadataList{Addons: []AddonMetadata{}}
	for cursor := ""; ; {
		charts, next, err := s.Catalog.ListCharts(rctx, request.ProjectID, chartsPerPage, cursor)
		if err != nil {
			return nil, err
		}
		for _, c := range charts {
			list.Addons = append(list.Addons, AddonMetadata{Name: c.Name, LatestVersion: c.Version})
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	return ListAddonsMetadata200ApplicationJSONCharsetUTF8Response{
		Headers: ListAddonsMetadata200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: list,
	}, nil
}

// ShowAddon gives one add-on.
func (s *server) ShowAddon(ctx context.Context, request ShowAddonRequestObject) (ShowAddonResponseObject, error) {
	environment, err := environmentID(request.EnvironmentID)
	if err != nil {
		return nil, err
	}
	a, err := s.addon(middleware.Context(ctx), request.ProjectID, environment, request.AddonID)
	if err != nil {
		return nil, err
	}
	return ShowAddon200ApplicationJSONCharsetUTF8Response{
		Headers: ShowAddon200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatAddon(a),
	}, nil
}

// addon finds an add-on by its id as a caller writes it. An environment that there is not is said first.
func (s *server) addon(ctx context.Context, projectID, environmentID, text string) (catalog.Addon, error) {
	id, err := addonID(text)
	if err != nil {
		if _, missing := s.Catalog.Environment(ctx, projectID, environmentID); missing != nil {
			return catalog.Addon{}, missing
		}
		return catalog.Addon{}, err
	}
	return s.Catalog.Addon(ctx, projectID, environmentID, id)
}

func formatAddon(a catalog.Addon) Addon {
	return Addon{
		ID: a.ID, Name: a.Name, Version: a.Version, CceID: a.TargetID, CseID: a.CSEID, JobID: formatJobID(a.JobID),
		EnvironmentID: a.EnvironmentID, Status: AddonStatus(a.State),
	}
}
