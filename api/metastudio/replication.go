package metastudio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/replication"
	"assetflow/storage"
)

// ShowReplicationInfo makes what another region needs to copy an asset.
func (s *server) ShowReplicationInfo(ctx context.Context, request ShowReplicationInfoRequestObject) (ShowReplicationInfoResponseObject, error) {
	rctx := middleware.Context(ctx)
	asset, err := s.asset(rctx, request.ProjectID, request.AssetID)
	if err != nil {
		return nil, err
	}
	if asset.State != catalog.DigitalActived {
		return nil, fault.New(fault.Conflict, codeState, "The asset is %s; only one that is ACTIVED can be copied.", asset.State)
	}
	info, err := s.replicationInfo(rctx, asset)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("encode the replication info: %w", err)
	}
	return ShowReplicationInfo200JSONResponse{
		Headers: ShowReplicationInfo200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: body,
	}, nil
}

// replicationInfo writes the asset's manifest into the bucket and seals where it is.
func (s *server) replicationInfo(ctx context.Context, asset catalog.DigitalAsset) (replication.Info, error) {
	if s.Replication.KeyRing == nil { // before anything is written
		return replication.Info{}, noKeyRing()
	}
	now := time.Now()
	key := storage.ManifestKey(asset.ProjectID, asset.ID, catalog.NewID())
	size, digest, err := s.putManifest(ctx, key, asset)
	if err != nil {
		return replication.Info{}, err
	}
	// The replication info says until when a copy may begin. The URLs hold out for as long as one may take.
	url, err := s.Storage.PresignDownload(ctx, key, "manifest.ndjson", max(urlLifetime, s.Replication.Lifetime))
	if err != nil {
		return replication.Info{}, err
	}
	return replication.Seal(s.Replication.KeyRing, replication.Payload{
		SourceRegion: s.Region, ManifestURL: url, ManifestSHA256: digest, ManifestSize: size, IssuedAt: now,
		Metadata: replication.Metadata(asset.DigitalMetadata),
	}, asset.ID, now.Add(s.Replication.Lifetime), nil)
}

func noKeyRing() error {
	return fault.New(fault.Unavailable, codeNoKeyRing, "This region has no replication key ring, so it takes part in no copies.")
}

// putManifest streams the manifest into the bucket.
func (s *server) putManifest(ctx context.Context, key string, asset catalog.DigitalAsset) (size int64, digest string, err error) {
	header := replication.ManifestHeader{AssetID: asset.ID}
	for _, f := range asset.Files {
		if f.State == catalog.FileCreated {
			header.Files++
			header.Bytes += f.Size
		}
	}
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		err := replication.WriteManifest(writer, header, s.manifestFiles(ctx, asset.Files))
		writer.CloseWithError(err)
		written <- err
	}()
	size, digest, err = s.Storage.PutManifest(ctx, key, reader)
	_ = reader.CloseWithError(errors.New("the manifest is not stored")) // a writer that still waits goes home
	if werr := <-written; werr != nil && err == nil {
		err = werr
	}
	return size, digest, err
}

// manifestFiles gives the lines of the manifest.
func (s *server) manifestFiles(ctx context.Context, files []catalog.DigitalFile) iter.Seq2[replication.ManifestFile, error] {
	return func(yield func(replication.ManifestFile, error) bool) {
		for _, f := range files {
			if f.State != catalog.FileCreated {
				continue
			}
			url, err := s.Storage.PresignDownload(ctx, storage.BlobKey(f.SHA256), f.Name, max(urlLifetime, s.Replication.Lifetime))
			line := replication.ManifestFile{
				FileID: f.ID, Name: f.Name, MD5: f.MD5, Size: f.Size, SHA256: f.SHA256, Type: f.Type, Category: f.Category, URL: url,
			}
			if !yield(line, err) || err != nil {
				return
			}
		}
	}
}
