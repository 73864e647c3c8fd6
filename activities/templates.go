package activities

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"assetflow/assetpackage"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/catalog"
	"assetflow/storage"
)

// TemplateJob is what every step of an import of service templates is told.
type TemplateJob struct {
	JobID     string `json:"job_id"`
	ProjectID string `json:"project_id"`
	UserID    string `json:"user_id"`
	// FileName is the uploaded file's name, without folders: how reasons name the upload as a whole.
	FileName string `json:"file_name"`
	// Staged is the uploaded .st or .zip in staging.
	Staged StagedPackage `json:"staged"`
}

// TemplateInspection is what a look into a valid upload found.
type TemplateInspection struct {
	Archive   bool  `json:"archive"` // it is a bundle of templates, not a template
	Templates int   `json:"templates"`
	Bytes     int64 `json:"bytes"` // of the .st files
}

// Templates holds the steps of the import of service templates.
type Templates struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Limits  assetpackage.Limits // the zero value stands for servicetemplate.DefaultLimits
	Logger  *slog.Logger
}

// InspectTemplates reads the staged upload in place, every byte of it, and compares its templates with the project. It
// writes nothing, so it may run any number of times.
//
// An upload that can never be imported ends in a PackageRejected error that carries the reasons.
func (a *Templates) InspectTemplates(ctx context.Context, job TemplateJob) (TemplateInspection, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	bundle, err := a.open(ctx, job, beat.report)
	if err != nil {
		return TemplateInspection{}, a.failure(ctx, job, err)
	}
	reasons, err := a.Catalog.CompareTemplates(ctx, catalogTemplates(job, bundle))
	if err != nil {
		return TemplateInspection{}, a.failure(ctx, job, fmt.Errorf("compare the service templates with the project: %w", err))
	}
	if len(reasons) > 0 {
		return TemplateInspection{}, rejected(reasons)
	}
	found := TemplateInspection{Archive: bundle.IsArchive(), Templates: len(bundle.Templates())}
	for _, t := range bundle.Templates() {
		found.Bytes += t.Size
	}
	return found, nil
}

// StoreTemplates moves each .st file of the staged upload into the content store under its SHA-256, as a stream. As with
// StoreFiles, a second run is harmless.
func (a *Templates) StoreTemplates(ctx context.Context, job TemplateJob) (Stored, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	bundle, err := a.open(ctx, job, nil)
	if err != nil {
		return Stored{}, a.failure(ctx, job, err)
	}
	templates := make(map[string]servicetemplate.Template, len(bundle.Templates()))
	var blobs []catalog.Blob
	for _, t := range bundle.Templates() {
		if _, seen := templates[t.SHA256]; !seen {
			templates[t.SHA256] = t
			blobs = append(blobs, catalog.Blob{SHA256: t.SHA256, Size: t.Size})
		}
	}
	stored, err := storeMissing(ctx, a.Catalog, a.Storage, beat, blobs, func(ctx context.Context, b catalog.Blob) (string, io.ReadCloser, error) {
		t := templates[b.SHA256]
		file, err := t.Open(ctx)
		if err != nil {
			return "", nil, fmt.Errorf("open %s in the upload: %w", t.FileName, err)
		}
		return t.FileName, file, nil
	})
	if err != nil {
		return Stored{}, a.failure(ctx, job, err)
	}
	return stored, nil
}

// CommitTemplates makes the templates the project's in one transaction of the catalog, exactly once: the transaction
// inserts the job's effect, and a second run finds it and answers the same. It also ends the job as succeeded.
//
// A release that came meanwhile ends in a PackageRejected error; a job that was ended meanwhile in a JobEnded error, with
// nothing changed.
func (a *Templates) CommitTemplates(ctx context.Context, job TemplateJob) (catalog.TemplateImportResult, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	bundle, err := a.open(ctx, job, nil)
	if err != nil {
		return catalog.TemplateImportResult{}, a.failure(ctx, job, err)
	}
	result, err := a.Catalog.CommitTemplates(ctx, catalogTemplates(job, bundle))
	if err != nil {
		return catalog.TemplateImportResult{}, a.failure(ctx, job, fmt.Errorf("commit the service templates: %w", err))
	}
	result.Templates = nil // the names and numbers stand in the catalog's job result
	return result, nil
}

func (a *Templates) open(ctx context.Context, job TemplateJob, progress func(done, total int64)) (*servicetemplate.Bundle, error) {
	staged := a.Storage.OpenStaged(ctx, job.Staged.Key, job.Staged.Size)
	bundle, err := servicetemplate.Open(ctx, job.FileName, staged, a.Limits, progress)
	if err != nil {
		return nil, fmt.Errorf("open the staged upload: %w", err)
	}
	return bundle, nil
}

// failure is what Temporal should do about an error of a step.
func (a *Templates) failure(ctx context.Context, job TemplateJob, err error) error {
	var bad *assetpackage.ProblemsError
	if errors.As(err, &bad) {
		reasons := reasonsFromProblems(bad.Problems, job.FileName)
		for i := range reasons {
			reasons[i].ResourceType = string(catalog.KindServiceTemplate)
		}
		return rejected(reasons)
	}
	return commitError(ctx, a.Logger, job.JobID, err)
}

func catalogTemplates(job TemplateJob, bundle *servicetemplate.Bundle) catalog.TemplateImport {
	imp := catalog.TemplateImport{JobID: job.JobID, ProjectID: job.ProjectID, UserID: job.UserID}
	for _, t := range bundle.Templates() {
		m := t.Manifest
		imp.Templates = append(imp.Templates, catalog.ImportedTemplate{
			FileName: t.FileName,
			ServiceTemplate: catalog.ServiceTemplate{
				KeyName: m.KeyName, DisplayName: m.DisplayName, VendorID: m.VendorID, VendorName: m.VendorName, Version: m.Version,
				Description: m.Description, ReleaseState: m.ReleaseState, SupportedScheduleType: m.SupportedScheduleType,
				Tags: m.Tags, UsedServices: m.UsedServices, UsedTemplates: m.UsedTemplates, SHA256: t.SHA256, Size: t.Size,
			},
		})
	}
	return imp
}
