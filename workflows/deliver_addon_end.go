package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// fail brings the target into a state that can stay after cause, and says how the job ends.
func (d *delivery) fail(ctx workflow.Context, cause error) (catalog.JobState, []catalog.Reason) {
	cancelled := temporal.IsCanceledError(cause)
	leave := drain(d.leave)
	reason := d.reason(cause)
	ended := activities.EndedTask{State: catalog.TaskFailed, Message: reason.Message}
	state := catalog.JobFailed
	if cancelled {
		ended.State, state = catalog.TaskCancelled, catalog.JobCancelled
	}
	d.describe(ctx, "Cleaning up after: "+reason.Message)

	var said string
	switch {
	case !d.begun:
		said = "Nothing was changed on the target."
	case d.job.Action == catalog.AddonUninstall:
		said = "Its removal had begun and is not undone; uninstall it again."
		if d.changed {
			d.record(ctx, ended)
			said = "It had been removed from the target by then; uninstall it again to be sure that nothing is left."
		}
	case d.job.Action == catalog.AddonRestart && !cancelled:
		said = "Its workloads keep their chart."
	case d.job.Action == catalog.AddonRestart || cancelled && leave:
		said = "What had begun to change on the target stays as it is."
		if d.changed {
			d.record(ctx, ended)
			said = fmt.Sprintf("Version %s stays on the target, as revision %s.", d.chart.Version, d.revision)
		}
	default:
		if err := d.rollBack(ctx, ended); err != nil {
			return state, []catalog.Reason{reason, d.notRolledBack(err)}
		}
		said = "What was there of it on the target was removed."
		if d.chart.GoodRevision != "" {
			said = fmt.Sprintf("It was rolled back to version %s.", d.chart.GoodVersion)
		}
	}
	reason.Message += " " + said
	return state, []catalog.Reason{reason}
}

// rollBack rolls back on a context of its own, with a deadline of its own. A signal to leave things as they are ends it.
func (d *delivery) rollBack(ctx workflow.Context, before activities.EndedTask) error {
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	workflow.Go(dctx, func(ctx workflow.Context) {
		d.leave.Receive(ctx, nil)
		cancel()
	})
	var steps *activities.Delivery
	options := d.options(dctx, workflow.Now(dctx).Add(min(d.job.Deadline, rollBackDeadline)), "Roll back "+d.job.Name)
	step := activities.DeliveryStep{Chart: d.chart, Revision: d.revision, Before: &before}
	return d.run(dctx, options, steps.RollBack, step, nil)
}

// record writes down that what was changed stays, on a context of its own as endJob. Without it the catalog knows of the
// last good revision only, which harms nothing but what it shows.
func (d *delivery) record(ctx workflow.Context, before activities.EndedTask) {
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	var steps *activities.Delivery
	step := activities.DeliveryStep{Chart: d.chart, Revision: d.revision, Before: &before}
	if err := d.run(dctx, endOptions("Write down what stays of "+d.job.Name), steps.RecordRevision, step, nil); err != nil {
		workflow.GetLogger(ctx).Warn("what stays on the target is not written down", "job_id", d.job.JobID, "error", err)
	}
}

// reason says why the delivery did not succeed, without what became of the target.
func (d *delivery) reason(cause error) catalog.Reason {
	reason := catalog.Reason{ResourceType: string(catalog.KindAddon), ResourceName: d.job.Name}
	reason.Code, reason.Message = d.why(cause)
	return reason
}

// why gives a code and a sentence for a failure.
func (d *delivery) why(cause error) (code, message string) {
	var app *temporal.ApplicationError
	kind := ""
	if errors.As(cause, &app) { // also the last failure of a step that has timed out
		kind, message = app.Type(), app.Message()
	}
	switch {
	case temporal.IsCanceledError(cause):
		return "cancelled", "The job was cancelled."
	case kind == activities.Refused || kind == activities.JobEnded:
		return "refused", message
	case kind == activities.Unhealthy:
		return "unhealthy", message
	case kind == activities.Unfinished:
		return "timeout", message
	case kind == activities.TargetAway:
		return "target_away", fmt.Sprintf("The target %s could not be reached in time. %s", d.job.TargetID, message)
	case kind == activities.Unavailable:
		return "timeout", "A step could not be completed in time. " + message
	case temporal.IsTimeoutError(cause):
		return "timeout", "A step could not be completed in time."
	default:
		return "internal", "There was an internal error; tell the operator the job's id if it comes again."
	}
}

// notRolledBack says why the roll-back did not succeed either.
func (d *delivery) notRolledBack(err error) catalog.Reason {
	_, message := d.why(err)
	if temporal.IsCanceledError(err) {
		message = "It was stopped, to leave things as they are."
	}
	return catalog.Reason{
		ResourceType: string(catalog.KindAddon), ResourceName: d.job.Name, Code: "not_rolled_back",
		Message: "The roll-back did not succeed either. " + message + " The target may hold what the job had begun to change; the next job on the add-on goes on from there.",
	}
}

// describe sets what the Temporal UI shows of a running delivery, in Markdown.
func (d *delivery) describe(ctx workflow.Context, now string) {
	text := fmt.Sprintf("**%s**\n\n- Add-on: %s, `%s`\n- Action: %s\n- Environment: %s, `%s`\n- Target: %s\n- Project `%s`\n- Job `%s`\n",
		now, d.job.Name, d.job.AddonID, d.job.Action, d.job.EnvironmentName, d.job.EnvironmentID, d.job.TargetID, d.job.ProjectID, d.job.JobID)
	if d.chart.Version != "" {
		text += fmt.Sprintf("- Chart: version %s, %d bytes, SHA-256 `%s`\n", d.chart.Version, d.chart.Size, d.chart.SHA256)
	}
	if d.chart.GoodVersion != "" {
		text += fmt.Sprintf("- Before: version %s, revision %s\n", d.chart.GoodVersion, d.chart.GoodRevision)
	}
	workflow.SetCurrentDetails(ctx, text)
}
