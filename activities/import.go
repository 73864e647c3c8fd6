package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.temporal.io/sdk/activity"

	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/storage"
)

// ImportJob is what every step of an import is told: the claim check of the staged package and the caller's wishes.
type ImportJob struct {
	JobID      string `json:"job_id"`
	ProjectID  string `json:"project_id"`
	InstanceID string `json:"instance_id"`
	UserID     string `json:"user_id"`
	// FileName is the uploaded file's name: how reasons name the package as a whole.
	FileName string `json:"file_name"`
	// Mode is "AddNew" (full import) or "Merge" (incremental).
	Mode string `json:"mode"`
	// Prefix goes in front of every name in the package.
	Prefix string `json:"prefix,omitempty"`
	// OverwriteDataSources lets imported data sources replace existing ones of the same name.
	OverwriteDataSources bool `json:"overwrite_data_sources,omitempty"`
	// Staged is the uploaded package in staging.
	Staged StagedPackage `json:"staged"`
}

// StagedPackage names an uploaded package: where it is, how many bytes it has, and their SHA-256 in hex.
type StagedPackage struct {
	Key    string `json:"key"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Inspection is what a look into a valid package found.
type Inspection struct {
	VersionLabel string `json:"version"`
	Applications int    `json:"applications"`
	Tasks        int    `json:"tasks"`
	Files        int    `json:"files"`
	Bytes        int64  `json:"bytes"` // of the files, decompressed
}

// Stored is what the store step moved into the content store.
type Stored struct {
	Files   int   `json:"files"`   // files the content store did not have
	Bytes   int64 `json:"bytes"`   // of these
	Present int   `json:"present"` // files it had already
}

// Import holds the steps of the import of an asset package.
type Import struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Limits  assetpackage.Limits
	Logger  *slog.Logger

	recent recent
}

// InspectPackage reads the staged package in place: its structure, its manifest, and every file against its size
// and digest; then it compares the content with the instance. It writes nothing, so it may run any number of times.
//
// A package that can never be imported ends in a PackageRejected error that carries the reasons.
func (a *Import) InspectPackage(ctx context.Context, job ImportJob) (Inspection, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	pkg, err := a.open(ctx, job)
	if err != nil {
		return Inspection{}, a.failure(ctx, job, err)
	}
	if err := pkg.Verify(ctx, beat.report); err != nil {
		return Inspection{}, a.failure(ctx, job, fmt.Errorf("verify the package: %w", err))
	}
	if reasons := badNames(job, pkg.Manifest()); len(reasons) > 0 {
		return Inspection{}, rejected(reasons)
	}
	plan, err := a.Catalog.PlanImport(ctx, catalogImport(job, pkg.Manifest()))
	if err != nil {
		return Inspection{}, a.failure(ctx, job, fmt.Errorf("compare the package with the instance: %w", err))
	}
	if len(plan.Conflicts) > 0 {
		return Inspection{}, rejected(plan.Conflicts)
	}
	s := pkg.Summary()
	return Inspection{
		VersionLabel: pkg.Manifest().Version,
		Applications: s.Applications, Tasks: s.Tasks, Files: s.Files, Bytes: s.Bytes,
	}, nil
}

// CommitImport makes the assets of the package visible in one transaction of the catalog, exactly once: the
// transaction inserts the job's effect, and a second run finds it and answers the same. It also ends the job as
// succeeded.
//
// Names taken since the inspection end in a PackageRejected error; a job that was ended meanwhile (cancelled, or
// given up by an operator) in a JobEnded error, with nothing changed.
func (a *Import) CommitImport(ctx context.Context, job ImportJob) (catalog.ImportResult, error) {
	beat := startHeartbeat(ctx)
	defer beat.stop()

	pkg, err := a.open(ctx, job)
	if err != nil {
		return catalog.ImportResult{}, a.failure(ctx, job, err)
	}
	result, err := a.Catalog.CommitImport(ctx, catalogImport(job, pkg.Manifest()))
	if err != nil {
		return catalog.ImportResult{}, a.failure(ctx, job, fmt.Errorf("commit the import: %w", err))
	}
	// The names and ids stand in the catalog's job result; a history needs only the counts.
	result.Assets = nil
	return result, nil
}

func (a *Import) open(ctx context.Context, job ImportJob) (*assetpackage.Package, error) {
	small := job.Staged.Size <= recentBytes
	if pkg := a.recent.find(job.Staged); small && pkg != nil {
		return pkg, nil
	}
	source := ctx
	if small {
		source = context.WithoutCancel(ctx) // it outlives this step
	}
	pkg, err := assetpackage.Open(ctx, a.Storage.OpenStaged(source, job.Staged.Key, job.Staged.Size), a.Limits)
	if err != nil {
		return nil, fmt.Errorf("open staged package: %w", err)
	}
	if small {
		a.recent.add(job.Staged, pkg)
	}
	return pkg, nil
}

// failure turns an error of a step into what Temporal should do about it: end the job with reasons where another
// try cannot help, try again otherwise.
func (a *Import) failure(ctx context.Context, job ImportJob, err error) error {
	var bad *assetpackage.ProblemsError
	if errors.As(err, &bad) {
		return rejected(reasonsFromProblems(bad.Problems, job.FileName))
	}
	var taken *catalog.ConflictsError
	if errors.As(err, &taken) {
		return rejected(taken.Reasons)
	}
	a.Logger.WarnContext(ctx, "step failed", "job_id", job.JobID, "step", activity.GetInfo(ctx).ActivityType.Name,
		"attempt", activity.GetInfo(ctx).Attempt, "error", err)
	return stepError(ctx, err)
}

// reasonsFromProblems renders what is wrong with a package; what concerns it as a whole is named by its file name.
func reasonsFromProblems(problems []assetpackage.Problem, fileName string) []catalog.Reason {
	reasons := make([]catalog.Reason, len(problems))
	for i, p := range problems {
		reasons[i] = catalog.Reason{ResourceType: p.ResourceType, ResourceName: p.ResourceName, Code: p.Code, Message: p.Message}
		if p.ResourceName == "" {
			reasons[i].ResourceName = fileName
		}
	}
	return reasons
}

// badNames are the names that the prefix makes impossible: an asset of such a name could never be exported again.
func badNames(job ImportJob, m *assetpackage.Manifest) []catalog.Reason {
	var reasons []catalog.Reason
	check := func(kind catalog.AssetKind, assets []assetpackage.Asset) {
		for _, asset := range assets {
			name := job.Prefix + asset.Name
			if err := assetpackage.CheckName(name); job.Prefix != "" && err != nil {
				reasons = append(reasons, catalog.Reason{
					ResourceType: string(kind), ResourceName: name, Code: "bad_name",
					Message: fmt.Sprintf("With the prefix the name is %q, which is no name: %s. Import with a shorter or another prefix.", name, err),
				})
			}
		}
	}
	check(catalog.KindApplication, m.Applications)
	check(catalog.KindTask, m.Tasks)
	return reasons
}

func catalogImport(job ImportJob, m *assetpackage.Manifest) catalog.Import {
	return catalog.Import{
		JobID: job.JobID, ProjectID: job.ProjectID, InstanceID: job.InstanceID, UserID: job.UserID,
		Mode: catalog.ImportMode(job.Mode), Prefix: job.Prefix, OverwriteDataSources: job.OverwriteDataSources,
		VersionLabel: m.Version,
		Applications: catalogAssets(m.Applications),
		Tasks:        catalogAssets(m.Tasks),
	}
}

func catalogAssets(assets []assetpackage.Asset) []catalog.ImportAsset {
	out := make([]catalog.ImportAsset, len(assets))
	for i, a := range assets {
		out[i] = catalog.ImportAsset{
			SourceID: a.ID, Name: a.Name, Description: a.Description, Definition: a.Definition,
			Applications: a.Applications,
		}
		for _, d := range a.DataSources {
			out[i].DataSources = append(out[i].DataSources, catalog.ImportDataSource(d))
		}
		for _, f := range a.Files {
			out[i].Files = append(out[i].Files, catalog.File(f))
		}
	}
	return out
}
