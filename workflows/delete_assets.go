package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// DeleteSteps are the steps of DeleteAssets in their order.
var DeleteSteps = []Step{
	{Activity: "CommitDeletion", Title: "Move the assets to the trash", From: 0, To: 0.9},
	{Activity: "EndJob", Title: "Clean up", From: 0.9, To: 1},
}

// DeleteAssets moves assets of an instance to the trash, all or nothing.
//
//  1. Commit: check that every asset exists and that nothing outside the list uses one, and move them, in one
//     transaction.
//  2. Clean up: end the job; also after a failure and a cancellation.
//
// It fails with a PackageRejected error whose details are the reasons where an asset cannot be deleted.
func DeleteAssets(ctx workflow.Context, job activities.SelectionJob) (catalog.DeletionResult, error) {
	workflow.SetCurrentDetails(ctx, describeSelection(job, "Moving the assets to the trash"))
	var steps *activities.Delete
	var result catalog.DeletionResult
	commit := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Delete %s", job.Subject())))
	cause := workflow.ExecuteActivity(commit, steps.CommitDeletion, job).Get(commit, &result)
	if err := endJob(ctx, activities.Ending{JobID: job.JobID}, cause, subject{catalog.KindApplication, job.Subject()}); err != nil {
		return catalog.DeletionResult{}, err
	}
	workflow.SetCurrentDetails(ctx, describeSelection(job, fmt.Sprintf("Deleted: %d assets are in the trash", result.Deleted)))
	return result, nil
}

// describeSelection is what the Temporal UI shows of a job over chosen assets, in Markdown.
func describeSelection(job activities.SelectionJob, now string) string {
	return fmt.Sprintf("**%s**\n\n- Chosen: %s\n- Project `%s`, instance `%s`\n- Job `%s`\n",
		now, job.Subject(), job.ProjectID, job.InstanceID, job.JobID)
}
