package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// ExportSteps are the steps of ExportAssets in their order.
var ExportSteps = []Step{
	{Activity: "WriteArchive", Title: "Write the archive", From: 0, To: 0.95},
	{Activity: "CommitExport", Title: "Commit to the catalog", From: 0.95, To: 0.97},
	{Activity: "EndJob", Title: "Clean up", From: 0.97, To: 1},
}

// ExportAssets writes assets of an instance into a package of the format that an import takes.
//
//  1. Write: read the chosen assets at one moment and stream the package into an archive.
//  2. Commit: make the archive known, for one download.
//  3. Clean up: end the job; after a failure or a cancellation remove the archive.
//
// It fails with a PackageRejected error whose details are the reasons where an asset cannot be exported.
func ExportAssets(ctx workflow.Context, job activities.SelectionJob) (activities.Archived, error) {
	var archived activities.Archived
	cause := exportSelection(ctx, job, &archived)
	if cause != nil {
		workflow.SetCurrentDetails(ctx, describeSelection(job, "Cleaning up after: "+cause.Error()))
	}
	ending := activities.Ending{JobID: job.JobID, ArchiveKey: job.ArchiveKey}
	if err := endJob(ctx, ending, cause, subject{catalog.KindApplication, job.Subject()}); err != nil {
		return activities.Archived{}, err
	}
	return archived, nil
}

func exportSelection(ctx workflow.Context, job activities.SelectionJob, archived *activities.Archived) error {
	var steps *activities.Export
	var written activities.WrittenArchive

	workflow.SetCurrentDetails(ctx, describeSelection(job, "Writing the archive"))
	write := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Write %s into an archive", job.Subject())))
	if err := workflow.ExecuteActivity(write, steps.WriteArchive, job).Get(write, &written); err != nil {
		return err
	}

	workflow.SetCurrentDetails(ctx, describeSelection(job, fmt.Sprintf("Committing an archive of %d bytes", written.Size)))
	commit := workflow.WithActivityOptions(ctx, stepOptions(fmt.Sprintf("Commit the archive (%d bytes)", written.Size)))
	if err := workflow.ExecuteActivity(commit, steps.CommitExport, job, written).Get(commit, archived); err != nil {
		return err
	}
	workflow.SetCurrentDetails(ctx, describeSelection(job, fmt.Sprintf("Exported %d files, %d bytes", written.Files, written.Size)))
	return nil
}
