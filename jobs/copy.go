package jobs

import (
	"context"
	"fmt"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/storage"
	"assetflow/workflows"
)

// CopySubmission is a staged replication info, which says what to copy from which region.
type CopySubmission struct {
	JobID, ProjectID, UserID, UserName string
	AssetID, AssetName                 string
	SourceRegion                       string
	OnConflict                         OnConflict
	Staged                             storage.Staged // the replication info
}

// CopyParameters is what the catalog keeps of a submission. The replication info is a secret and no part of it.
type CopyParameters struct {
	AssetID      string `json:"asset_id"`
	SourceRegion string `json:"source_region"`
}

// StartCopy starts the copy of a digital asset from another region. Errors and durability as with StartImport.
func (s *Service) StartCopy(ctx context.Context, sub CopySubmission) (Job, error) {
	return s.start(ctx, submission{
		row: catalog.Job{
			ID: sub.JobID, Kind: catalog.AssetCopy, ProjectID: sub.ProjectID,
			UserID: sub.UserID, UserName: sub.UserName, Subject: sub.AssetName,
		},
		parameters: CopyParameters{AssetID: sub.AssetID, SourceRegion: sub.SourceRegion},
		summary:    fmt.Sprintf("Copy %s from %s", sub.AssetName, sub.SourceRegion),
		workflow:   workflows.CopyAsset, onConflict: sub.OnConflict,
		input: activities.CopyJob{
			JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID,
			AssetID: sub.AssetID, AssetName: sub.AssetName, Staged: activities.StagedPackage(sub.Staged),
		},
	})
}
