package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// CopySteps are the steps of CopyAsset in their order.
var CopySteps = []Step{
	{Activity: "ReadManifest", Title: "Read the manifest", From: 0, To: 0.02},
	{Activity: "CopyFiles", Title: "Copy the files", From: 0.02, To: 0.95},
	{Activity: "CommitCopy", Title: "Commit to the catalog", From: 0.95, To: 0.97},
	{Activity: "FailCopy", Title: "Clean up", From: 0.97, To: 0.98},
	{Activity: "EndJob", Title: "Clean up", From: 0.97, To: 1},
}

// CopyAsset copies a digital asset from another region, all or nothing.
//
//  1. Read the manifest: open the replication info, show the asset as CREATING, stage the list of its files.
//  2. Copy the files: fetch what is not here straight from the source's bucket into the content store.
//  3. Commit: make the asset ACTIVED and equal to the source in one transaction.
//  4. Clean up: after a failure or a cancellation show the asset as FAILED with the reason; then abort uploads that were
//     begun, empty the job's staging, and end the job.
func CopyAsset(ctx workflow.Context, job activities.CopyJob) (catalog.CopyResult, error) {
	var result catalog.CopyResult
	about := subject{catalog.KindDigital, job.AssetName}
	cause := copyAsset(ctx, job, &result)
	if cause != nil && ctx.Err() != nil {
		cause = ctx.Err() // also where the step's worker died before it heard of the cancellation, and the step timed out
	}
	if cause != nil {
		workflow.SetCurrentDetails(ctx, describeCopy(job, "Cleaning up after: "+cause.Error(), nil))
		failCopy(ctx, job, cause, about)
	}
	if err := endJob(ctx, activities.Ending{JobID: job.JobID, StagedKey: job.Staged.Key}, cause, about); err != nil {
		return catalog.CopyResult{}, err
	}
	return result, nil
}

func copyAsset(ctx workflow.Context, job activities.CopyJob, result *catalog.CopyResult) error {
	var steps *activities.Copy
	var found activities.CopyManifest
	var copied activities.CopiedFiles

	workflow.SetCurrentDetails(ctx, describeCopy(job, "Reading the manifest", nil))
	read := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Read the manifest of %s", job.AssetName)))
	if err := workflow.ExecuteActivity(read, steps.ReadManifest, job).Get(read, &found); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeCopy(job, "Copying the files", &found))
	fetch := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Copy %d files (%d bytes)", found.Files, found.Bytes)))
	if err := workflow.ExecuteActivity(fetch, steps.CopyFiles, job, found).Get(fetch, &copied); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeCopy(job, "Committing to the catalog", &found))
	commit := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Commit %s with %d files", job.AssetName, found.Files)))
	if err := workflow.ExecuteActivity(commit, steps.CommitCopy, job, found).Get(commit, result); err != nil {
		return err
	}
	workflow.SetCurrentDetails(ctx, describeCopy(job, fmt.Sprintf("Copied version %d: %d files fetched, %d were here already",
		result.VersionNumber, copied.Files, copied.Present), &found))
	return nil
}

// failCopy shows the asset as FAILED, on a context of its own as endJob. Where it cannot, the end of the job does.
func failCopy(ctx workflow.Context, job activities.CopyJob, cause error, about subject) {
	_, reasons := outcomeOf(cause, about)
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	dctx = workflow.WithActivityOptions(dctx, endOptions("Show the asset as FAILED"))
	var steps *activities.Copy
	failure := activities.CopyFailure{JobID: job.JobID, AssetID: job.AssetID, Reason: reasons[0].Message}
	if err := workflow.ExecuteActivity(dctx, steps.FailCopy, failure).Get(dctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("the asset is not shown as failed yet", "job_id", job.JobID, "error", err)
	}
}

// describeCopy is what the Temporal UI shows of a running copy, in Markdown.
func describeCopy(job activities.CopyJob, now string, found *activities.CopyManifest) string {
	text := fmt.Sprintf("**%s**\n\n- Digital asset: %s, `%s`\n- Project `%s`\n- Job `%s`\n",
		now, job.AssetName, job.AssetID, job.ProjectID, job.JobID)
	if found != nil {
		text += fmt.Sprintf("- Content: %d files, %d bytes\n", found.Files, found.Bytes)
	}
	return text
}
