package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
)

// LeaveSignal tells a delivery that what it has changed on its target stays when it is cancelled; where it is being rolled
// back already, that stops. It carries nothing.
const LeaveSignal = "leave"

const (
	// deliveryGrace is how long a step of a delivery is tried beyond the time that it is given, so that it has at least one
	// try and says by itself that the time is over.
	deliveryGrace = 10 * time.Second
	// rollBackDeadline bounds how long a roll-back is tried while its target is away. It has as long as the job had.
	rollBackDeadline = time.Hour
)

// DeliverySteps are the steps of DeliverAddon, whatever the action.
var DeliverySteps = []Step{
	{Activity: "LoadChart", Title: "Load the chart", From: 0, To: 0.05},
	{Activity: "PlanChart", Title: "Check the chart on the target", From: 0.05, To: 0.1},
	{Activity: "ApplyChart", Title: "Apply the chart", From: 0.1, To: 0.3},
	{Activity: "RestartWorkloads", Title: "Restart the workloads", From: 0.05, To: 0.3},
	{Activity: "RemoveRelease", Title: "Remove the release", From: 0.05, To: 0.3},
	{Activity: "AwaitHealthy", Title: "Wait until the workloads are ready", From: 0.3, To: 0.95},
	{Activity: "AwaitRemoved", Title: "Wait until everything is gone", From: 0.3, To: 0.95},
	{Activity: "CommitDelivery", Title: "Commit to the catalog", From: 0.95, To: 0.97},
	{Activity: "RollBack", Title: "Roll back", From: 0.97, To: 0.98},
	{Activity: "RecordRevision", Title: "Write down what stays", From: 0.97, To: 0.98},
	{Activity: "EndJob", Title: "Clean up", From: 0.97, To: 1},
}

// DeliverAddon installs an add-on on its target, brings it to the newest chart of its name, restarts or removes it.
//
//  1. Load the chart: show the add-on as one that is worked on, and find the chart. A removal has none.
//  2. Have the target check what the chart renders to, then apply it; or restart the workloads; or remove the release.
//  3. Wait until the workloads are ready, or until everything is gone.
//  4. Commit: write down what the target holds now. From here on a cancellation comes too late.
//  5. Clean up: after a failure or a cancellation since the chart was applied, bring the release back to its last good
//     revision, and remove it where there is none. A cancellation that leaves things as they are writes them down instead. Then
//     end the job.
//
// While the target is away a step is tried again, until the job's deadline.
func DeliverAddon(ctx workflow.Context, job activities.DeliveryJob) (catalog.DeliveryResult, error) {
	var result catalog.DeliveryResult
	d := &delivery{job: job, deadline: workflow.Now(ctx).Add(job.Deadline), leave: workflow.GetSignalChannel(ctx, LeaveSignal)}
	cause := d.deliver(ctx, &result)
	if cause != nil && ctx.Err() != nil {
		cause = ctx.Err() // also where the step's worker died before it heard of the cancellation, and the step timed out
	}
	ending := activities.Ending{JobID: job.JobID, State: catalog.JobSucceeded}
	if cause != nil {
		ending.State, ending.Reasons = d.fail(ctx, cause)
	}
	if err := endJobAs(ctx, ending, cause); err != nil {
		return catalog.DeliveryResult{}, err
	}
	return result, nil
}

// delivery is what a run of DeliverAddon knows.
type delivery struct {
	job      activities.DeliveryJob
	deadline time.Time
	leave    workflow.ReceiveChannel
	task     int // the place of the next step's task
	chart    activities.LoadedChart
	begun    bool // the target may have been changed
	changed  bool // it has been, and revision is what that came to
	revision string
}

func (d *delivery) deliver(ctx workflow.Context, result *catalog.DeliveryResult) error {
	var steps *activities.Delivery
	d.describe(ctx, "Loading the chart")
	load := d.options(ctx, d.deadline, "Load the chart of "+d.job.Name)
	if err := d.run(ctx, load, steps.LoadChart, activities.DeliveryStep{}, &d.chart); err != nil {
		return err
	}

	change, await := any(steps.ApplyChart), any(steps.AwaitHealthy)
	changing, waiting := "Applying the chart", "Waiting until the workloads are ready"
	switch d.job.Action {
	case catalog.AddonInstall, catalog.AddonRedeploy:
		d.describe(ctx, "Checking the chart on the target")
		plan := d.options(ctx, d.deadline, fmt.Sprintf("Check %s %s on %s", d.job.Name, d.chart.Version, d.job.TargetID))
		if err := d.run(ctx, plan, steps.PlanChart, activities.DeliveryStep{Chart: d.chart}, nil); err != nil {
			return err
		}
	case catalog.AddonRestart:
		change, changing = steps.RestartWorkloads, "Restarting the workloads"
	case catalog.AddonUninstall:
		change, await = steps.RemoveRelease, steps.AwaitRemoved
		changing, waiting = "Removing the release", "Waiting until everything is gone"
	default:
		return temporal.NewNonRetryableApplicationError(fmt.Sprintf("There is no action %q.", d.job.Action), activities.Refused, nil)
	}

	d.describe(ctx, changing)
	d.begun = true
	var changed activities.Changed
	if err := d.run(ctx, d.options(ctx, d.deadline, changing), change, activities.DeliveryStep{Chart: d.chart}, &changed); err != nil {
		return err
	}
	d.changed, d.revision = true, changed.Revision

	d.describe(ctx, waiting)
	until := workflow.Now(ctx).Add(d.job.HealthTimeout)
	tried := later(until, d.deadline) // while the target is away
	if d.job.Action == catalog.AddonUninstall {
		until = tried
	}
	if err := d.run(ctx, d.options(ctx, tried, waiting), await, activities.DeliveryStep{Chart: d.chart, Until: until}, nil); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}

	// Nothing is rolled back from here on, so the commit must neither be cancelled nor given up.
	d.describe(ctx, "Committing to the catalog")
	dctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	commit := endOptions("Commit " + d.job.Name)
	if err := d.run(dctx, commit, steps.CommitDelivery, activities.DeliveryStep{Chart: d.chart, Revision: d.revision}, result); err != nil {
		return err
	}
	d.describe(ctx, "Delivered")
	return nil
}

// run performs the next step.
func (d *delivery) run(ctx workflow.Context, options workflow.ActivityOptions, activity any, step activities.DeliveryStep, result any) error {
	step.Task = d.task
	d.task++
	ctx = workflow.WithActivityOptions(ctx, options)
	return workflow.ExecuteActivity(ctx, activity, d.job, step).Get(ctx, result)
}

// options are the options of a step that is tried until the given time.
func (d *delivery) options(ctx workflow.Context, until time.Time, summary string) workflow.ActivityOptions {
	options := stepOptions(summary)
	options.ScheduleToCloseTimeout = max(until.Sub(workflow.Now(ctx)), 0) + deliveryGrace
	return options
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
