package jobs

import (
	"context"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/storage"
	"assetflow/workflows"
)

// SelectionSubmission is a choice of assets of an instance that a job works on.
type SelectionSubmission struct {
	JobID, ProjectID, InstanceID, UserID, UserName string
	Applications, Tasks                            []string // asset ids, at most 100 together
	OnConflict                                     OnConflict
}

// SelectionParameters is what the catalog keeps of a submission.
type SelectionParameters struct {
	Applications []string `json:"applications,omitempty"`
	Tasks        []string `json:"tasks,omitempty"`
}

// StartDeletion starts the deletion of assets. Errors and durability as with StartImport.
func (s *Service) StartDeletion(ctx context.Context, sub SelectionSubmission) (Job, error) {
	return s.startSelection(ctx, catalog.AssetDelete, "Delete ", workflows.DeleteAssets, sub, sub.job())
}

// StartExport starts the export of assets into an archive. Errors and durability as with StartImport.
func (s *Service) StartExport(ctx context.Context, sub SelectionSubmission) (Job, error) {
	job := sub.job()
	job.ArchiveKey = storage.ArchiveKey(sub.ProjectID, sub.JobID)
	return s.startSelection(ctx, catalog.AssetExport, "Export ", workflows.ExportAssets, sub, job)
}

func (s *Service) startSelection(ctx context.Context, kind catalog.JobKind, verb string, workflow any, sub SelectionSubmission, job activities.SelectionJob) (Job, error) {
	return s.start(ctx, submission{
		row: catalog.Job{
			ID: sub.JobID, Kind: kind, ProjectID: sub.ProjectID, InstanceID: sub.InstanceID,
			UserID: sub.UserID, UserName: sub.UserName, Subject: job.Subject(),
		},
		parameters: SelectionParameters{Applications: sub.Applications, Tasks: sub.Tasks},
		summary:    verb + job.Subject(),
		workflow:   workflow, input: job, onConflict: sub.OnConflict,
	})
}

func (sub SelectionSubmission) job() activities.SelectionJob {
	return activities.SelectionJob{
		JobID: sub.JobID, ProjectID: sub.ProjectID, InstanceID: sub.InstanceID, UserID: sub.UserID,
		Applications: sub.Applications, Tasks: sub.Tasks,
	}
}
