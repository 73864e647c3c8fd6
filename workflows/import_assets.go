package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// ImportSteps are the steps of ImportAssets in their order.
var ImportSteps = []Step{
	{Activity: "InspectPackage", Title: "Inspect the package", From: 0, To: 0.25},
	{Activity: "StoreFiles", Title: "Store the files", From: 0.25, To: 0.9},
	{Activity: "CommitImport", Title: "Commit to the catalog", From: 0.9, To: 0.97},
	{Activity: "EndJob", Title: "Clean up", From: 0.97, To: 1},
}

// ImportAssets imports a staged asset package into an instance, all or nothing.
//
//  1. Inspect: read the package in place, check it whole, and compare it with the instance.
//  2. Store: move its files into the content store, each under its digest.
//  3. Commit: make the assets visible in one transaction.
//  4. Clean up: remove the staged package and end the job; also after a failure and a cancellation.
//
// It fails with a PackageRejected error whose details are the reasons where the package is to blame.
func ImportAssets(ctx workflow.Context, job activities.ImportJob) (catalog.ImportResult, error) {
	var result catalog.ImportResult
	cause := importPackage(ctx, job, &result)
	if cause != nil {
		workflow.SetCurrentDetails(ctx, describeImport(job, "Cleaning up after: "+cause.Error(), nil))
	}
	if err := endJob(ctx, activities.Ending{JobID: job.JobID, StagedKey: job.Staged.Key}, cause, subject{catalog.KindApplication, job.FileName}); err != nil {
		return catalog.ImportResult{}, err
	}
	return result, nil
}

func importPackage(ctx workflow.Context, job activities.ImportJob, result *catalog.ImportResult) error {
	var steps *activities.Import
	var found activities.Inspection
	var stored activities.Stored

	workflow.SetCurrentDetails(ctx, describeImport(job, "Inspecting the package", nil))
	inspect := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Inspect %s (%d bytes)", job.FileName, job.Staged.Size)))
	if err := workflow.ExecuteActivity(inspect, steps.InspectPackage, job).Get(inspect, &found); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeImport(job, "Storing the files", &found))
	store := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Store %d files (%d bytes)", found.Files, found.Bytes)))
	if err := workflow.ExecuteActivity(store, steps.StoreFiles, job).Get(store, &stored); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeImport(job, "Committing to the catalog", &found))
	commit := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Commit %d applications, %d tasks", found.Applications, found.Tasks)))
	if err := workflow.ExecuteActivity(commit, steps.CommitImport, job).Get(commit, result); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeImport(job, fmt.Sprintf("Imported: %d created, %d new versions, %d unchanged",
		result.Created, result.NewVersions, result.Unchanged), &found))
	return nil
}

// describeImport is what the Temporal UI shows of a running import, in Markdown.
func describeImport(job activities.ImportJob, now string, found *activities.Inspection) string {
	text := fmt.Sprintf("**%s**\n\n- Package: `%s`, %d bytes, SHA-256 `%s`\n- Mode: %s\n- Project `%s`, instance `%s`\n- Job `%s`\n",
		now, job.FileName, job.Staged.Size, job.Staged.SHA256, job.Mode, job.ProjectID, job.InstanceID, job.JobID)
	if job.Prefix != "" {
		text += fmt.Sprintf("- Prefix: `%s`\n", job.Prefix)
	}
	if found != nil {
		text += fmt.Sprintf("- Content: version `%s`, %d applications, %d tasks, %d files, %d bytes\n",
			found.VersionLabel, found.Applications, found.Tasks, found.Files, found.Bytes)
	}
	return text
}
