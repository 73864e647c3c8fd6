package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
)

// sweepDeadline is how long a step of the sweep is tried, retries included. What it has not done then is left to the
// next sweep.
const sweepDeadline = 6 * time.Hour

// sweepRetries gives up soon: the next sweep is the better retry, and the steps after this one need not wait.
var sweepRetries = temporal.RetryPolicy{
	InitialInterval:    time.Second,
	BackoffCoefficient: 4,
	MaximumInterval:    time.Minute,
	MaximumAttempts:    5,
}

// SweepIncomplete is the type of the error that a sweep ends with when a step has failed. Its details are the report.
const SweepIncomplete = "SweepIncomplete"

// SweepReport is what a sweep did, step by step.
type SweepReport struct {
	Steps []SweptStep `json:"steps"`
}

// SweptStep is what became of one step.
type SweptStep struct {
	Step string `json:"step"`
	activities.Swept
	Error string `json:"error,omitempty"` // empty where the step was carried through
}

// SweepAll tidies up what jobs, callers and dead processes leave behind:
//
//  1. Settle jobs whose workflow never started or has closed without anybody asking.
//  2. Purge what has been in the trash for long enough.
//  3. Remove archives that were downloaded or have expired, and
//  4. archive objects that nobody can download.
//  5. Remove staged packages of jobs that have ended or were never made.
//  6. Abort unfinished uploads of such jobs.
//  7. Remove blobs that no version uses.
//  8. Adopt blobs that the catalog does not know, for a later sweep.
//  9. Forget the answers to idempotent submissions whose time is over.
//
// A step that fails does not keep the others from running; the sweep then ends with a SweepIncomplete error. A
// cancellation ends it at the step where it arrives.
func SweepAll(ctx workflow.Context) (SweepReport, error) {
	var a *activities.Sweep
	steps := []struct {
		title string
		step  any
	}{
		{"Settle jobs", a.SettleJobs},
		{"Purge the trash", a.PurgeTrash},
		{"Remove archives", a.RemoveArchives},
		{"Remove stray archives", a.RemoveStrayArchives},
		{"Remove staged packages", a.RemoveStaged},
		{"Abort unfinished uploads", a.AbortUploads},
		{"Remove blobs", a.RemoveBlobs},
		{"Adopt blobs", a.AdoptBlobs},
		{"Forget submissions", a.ForgetSubmissions},
	}
	var report SweepReport
	for _, s := range steps {
		workflow.SetCurrentDetails(ctx, describeSweep(s.title+" …", report))
		done := SweptStep{Step: s.title}
		step := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			ScheduleToCloseTimeout: sweepDeadline,
			HeartbeatTimeout:       heartbeatTimeout,
			WaitForCancellation:    true,
			RetryPolicy:            &sweepRetries,
			Summary:                s.title,
		})
		err := workflow.ExecuteActivity(step, s.step).Get(step, &done.Swept)
		if temporal.IsCanceledError(err) {
			return report, err
		}
		if err != nil {
			done.Error = err.Error()
		}
		report.Steps = append(report.Steps, done)
	}
	failed := report.failed()
	if len(failed) == 0 {
		workflow.SetCurrentDetails(ctx, describeSweep("Swept", report))
		return report, nil
	}
	workflow.SetCurrentDetails(ctx, describeSweep("Swept in part", report))
	return report, temporal.NewNonRetryableApplicationError(
		fmt.Sprintf("%d of %d steps failed: %s", len(failed), len(steps), strings.Join(failed, ", ")), SweepIncomplete, nil, report)
}

func (r SweepReport) failed() []string {
	var failed []string
	for _, s := range r.Steps {
		if s.Error != "" {
			failed = append(failed, s.Step)
		}
	}
	return failed
}

// describeSweep is what the Temporal UI shows of a sweep, in Markdown.
func describeSweep(now string, report SweepReport) string {
	text := fmt.Sprintf("**%s**\n\n", now)
	for _, s := range report.Steps {
		if s.Error != "" {
			text += fmt.Sprintf("- %s: failed: %s\n", s.Step, s.Error)
			continue
		}
		text += fmt.Sprintf("- %s: %d of %d\n", s.Step, s.Done, s.Looked)
	}
	return text
}
