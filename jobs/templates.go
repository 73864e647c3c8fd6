package jobs

import (
	"context"
	"fmt"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/storage"
	"assetflow/workflows"
)

// TemplateSubmission is a staged .st or .zip with service templates.
type TemplateSubmission struct {
	JobID, ProjectID, UserID, UserName string
	FileName                           string // as it is shown: without folders
	OnConflict                         OnConflict
	Staged                             storage.Staged
}

// TemplateParameters is what the catalog keeps of a submission.
type TemplateParameters struct {
	FileSHA256 string `json:"file_sha256"`
	FileSize   int64  `json:"file_size"`
}

// StartTemplateImport starts the import of service templates. Errors and durability as with StartImport.
func (s *Service) StartTemplateImport(ctx context.Context, sub TemplateSubmission) (Job, error) {
	return s.start(ctx, submission{
		row: catalog.Job{
			ID: sub.JobID, Kind: catalog.ServiceTemplateImport, ProjectID: sub.ProjectID,
			UserID: sub.UserID, UserName: sub.UserName, Subject: sub.FileName,
		},
		parameters: TemplateParameters{FileSHA256: sub.Staged.SHA256, FileSize: sub.Staged.Size},
		summary:    fmt.Sprintf("Import %s (service templates)", sub.FileName),
		workflow:   workflows.ImportServiceTemplates, onConflict: sub.OnConflict,
		input: activities.TemplateJob{
			JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, FileName: sub.FileName,
			Staged: activities.StagedPackage(sub.Staged),
		},
	})
}
