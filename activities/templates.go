package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"

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
	missing, err := a.Catalog.TouchBlobs(ctx, blobs)
	if err != nil {
		return Stored{}, a.failure(ctx, job, fmt.Errorf("reserve the blobs: %w", err))
	}
	var total int64
	for _, b := range missing {
		total += b.Size
	}
	var done atomic.Int64
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(storeParallel)
	for _, b := range missing {
		group.Go(func() error {
			if err := a.storeTemplate(gctx, templates[b.SHA256]); err != nil {
				return err
			}
			beat.report(done.Add(b.Size), total)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Stored{}, a.failure(ctx, job, err)
	}
	return Stored{Files: len(missing), Bytes: total, Present: len(blobs) - len(missing)}, nil
}

func (a *Templates) storeTemplate(ctx context.Context, t servicetemplate.Template) error {
	if t.Size >= probeSize && activity.GetInfo(ctx).Attempt > 1 {
		has, err := a.Storage.HasBlob(ctx, t.SHA256)
		if err != nil {
			return fmt.Errorf("look for blob %s: %w", t.SHA256, err)
		}
		if has {
			return nil
		}
	}
	file, err := t.Open(ctx)
	if err != nil {
		return fmt.Errorf("open %s in the upload: %w", t.FileName, err)
	}
	defer func() { _ = file.Close() }() // read only: a failed close loses nothing
	if err := a.Storage.PutBlob(ctx, t.SHA256, t.Size, file); err != nil {
		return fmt.Errorf("store %s: %w", t.FileName, err)
	}
	return nil
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
