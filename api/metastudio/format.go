package metastudio

import (
	"context"
	"encoding/json"
	"time"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// urlLifetime is how long an upload or download URL is good.
const urlLifetime = catalog.UploadLifetime

// links makes the download URL of a file; nil where the caller may not have any.
type links func(catalog.DigitalFile) (string, error)

// links gives what makes download URLs for the caller.
func (s *server) links(ctx context.Context, projectID string) (links, error) {
	// To read of assets is one thing, to take their bytes out another.
	switch err := s.permit(ctx, projectID, auth.AssetsExport); {
	case fault.KindOf(err) == fault.Forbidden:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return func(f catalog.DigitalFile) (string, error) {
		return s.Storage.PresignDownload(ctx, storage.BlobKey(f.SHA256), f.Name, urlLifetime)
	}, nil
}

// format gives the answer of an operation on one asset. ctx is the one that generated code hands on.
func (s *server) format(ctx context.Context, asset catalog.DigitalAsset) (AssetJSONResponse, error) {
	links, err := s.links(middleware.Context(ctx), asset.ProjectID)
	if err != nil {
		return AssetJSONResponse{}, err
	}
	body, err := formatAsset(asset, links)
	return AssetJSONResponse{Headers: AssetResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: body}, err
}

func formatAsset(asset catalog.DigitalAsset, links links) (Asset, error) {
	a := Asset{
		ProjectID: asset.ProjectID, AssetID: asset.ID, AssetName: asset.Name, AssetDescription: asset.Description,
		AppUserID: asset.AppUserID, AssetType: AssetType(asset.Type), AssetState: AssetState(asset.State), Reason: asset.Reason,
		Tags: append(Tags{}, asset.Tags...), AssetExtraMeta: asset.ExtraMeta, AssetOrder: asset.Order,
		SystemProperties: make([]SystemProperty, 0, len(asset.SystemProperties)), Files: make([]File, 0, len(asset.Files)),
		CreateTime: wireTime(asset.CreatedAt), UpdateTime: wireTime(asset.UpdatedAt),
	}
	if len(a.AssetExtraMeta) == 0 {
		a.AssetExtraMeta = ExtraMeta("{}")
	}
	for _, text := range asset.SystemProperties {
		a.SystemProperties = append(a.SystemProperties, systemProperty(text))
	}
	for _, file := range asset.Files {
		f := File{
			FileID: file.ID, FileName: file.Name, FileMd5: file.MD5, FileSize: file.Size, FileType: file.Type,
			AssetFileCategory: FileCategory(file.Category), State: FileState(file.State),
		}
		if links != nil && file.State == catalog.FileCreated {
			url, err := links(file)
			if err != nil {
				return Asset{}, err
			}
			f.DownloadURL = &url
		}
		a.Files = append(a.Files, f)
	}
	return a, nil
}

// systemProperty gives what readSystemProperties has kept.
func systemProperty(text string) SystemProperty {
	if json.Valid([]byte(text)) {
		return SystemProperty(text)
	}
	quoted, _ := json.Marshal(text) // a text can always be encoded
	return quoted
}

// wireTime gives a time as the contract writes it: RFC 3339 in UTC, with milliseconds.
func wireTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
