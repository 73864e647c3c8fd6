package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// TemplateSteps are the steps of ImportServiceTemplates in their order.
var TemplateSteps = []Step{
	{Activity: "InspectTemplates", Title: "Inspect the service templates", From: 0, To: 0.35},
	{Activity: "StoreTemplates", Title: "Store the files", From: 0.35, To: 0.9},
	{Activity: "CommitTemplates", Title: "Commit to the catalog", From: 0.9, To: 0.97},
	{Activity: "EndJob", Title: "Clean up", From: 0.97, To: 1},
}

// ImportServiceTemplates imports the service templates of a staged .st or .zip into a project, all or nothing.
//
//  1. Inspect: read the upload in place, check it whole, and compare it with the project.
//  2. Store: move each .st file into the content store under its digest.
//  3. Commit: make the templates the project's in one transaction.
//  4. Clean up: remove the staged upload and end the job; also after a failure and a cancellation.
//
// It fails with a PackageRejected error whose details are the reasons where the upload is to blame.
func ImportServiceTemplates(ctx workflow.Context, job activities.TemplateJob) (catalog.TemplateImportResult, error) {
	var result catalog.TemplateImportResult
	cause := importTemplates(ctx, job, &result)
	if cause != nil {
		workflow.SetCurrentDetails(ctx, describeTemplates(job, "Cleaning up after: "+cause.Error(), nil))
	}
	ending := activities.Ending{JobID: job.JobID, StagedKey: job.Staged.Key}
	if err := endJob(ctx, ending, cause, subject{catalog.KindServiceTemplate, job.FileName}); err != nil {
		return catalog.TemplateImportResult{}, err
	}
	return result, nil
}

func importTemplates(ctx workflow.Context, job activities.TemplateJob, result *catalog.TemplateImportResult) error {
	var steps *activities.Templates
	var found activities.TemplateInspection
	var stored activities.Stored

	workflow.SetCurrentDetails(ctx, describeTemplates(job, "Inspecting the service templates", nil))
	inspect := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Inspect %s (%d bytes)", job.FileName, job.Staged.Size)))
	if err := workflow.ExecuteActivity(inspect, steps.InspectTemplates, job).Get(inspect, &found); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeTemplates(job, "Storing the files", &found))
	store := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Store %d service templates (%d bytes)", found.Templates, found.Bytes)))
	if err := workflow.ExecuteActivity(store, steps.StoreTemplates, job).Get(store, &stored); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeTemplates(job, "Committing to the catalog", &found))
	commit := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Commit %d service templates", found.Templates)))
	if err := workflow.ExecuteActivity(commit, steps.CommitTemplates, job).Get(commit, result); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeTemplates(job, fmt.Sprintf("Imported: %d created, %d replaced, %d unchanged",
		result.Created, result.Replaced, result.Unchanged), &found))
	return nil
}

// describeTemplates is what the Temporal UI shows of a running import, in Markdown.
func describeTemplates(job activities.TemplateJob, now string, found *activities.TemplateInspection) string {
	text := fmt.Sprintf("**%s**\n\n- File: `%s`, %d bytes, SHA-256 `%s`\n- Project `%s`\n- Job `%s`\n",
		now, job.FileName, job.Staged.Size, job.Staged.SHA256, job.ProjectID, job.JobID)
	if found != nil {
		text += fmt.Sprintf("- Content: %d service templates, %d bytes\n", found.Templates, found.Bytes)
	}
	return text
}
