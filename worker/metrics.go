package worker

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/telemetry"
	"assetflow/workflows"
)

// kindsOfWorkflows says what kind of job a workflow is, by its type.
var kindsOfWorkflows = map[string]catalog.JobKind{
	"ImportAssets":           catalog.AssetImport,
	"DeleteAssets":           catalog.AssetDelete,
	"ExportAssets":           catalog.AssetExport,
	"CopyAsset":              catalog.AssetCopy,
	"ImportServiceTemplates": catalog.ServiceTemplateImport,
	"DeliverAddon":           catalog.AddonDelivery,
}

// kindOf is what the metrics call the kind of a workflow, of those too that are no jobs.
func kindOf(workflowType string) string {
	switch kind, isJob := kindsOfWorkflows[workflowType]; {
	case isJob:
		return string(kind)
	case workflowType == "ServeQueue":
		return workflows.QueueKind
	case workflowType == "SweepAll":
		return "sweep"
	}
	return telemetry.Other
}

// counting is what counts and measures the steps that a worker runs, and how long jobs have waited for it.
type counting struct {
	interceptor.WorkerInterceptorBase
	metrics *telemetry.Metrics
}

func (c *counting) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &countedStep{metrics: c.metrics}
	i.Next = next
	return i
}

func (c *counting) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	i := &countedJob{metrics: c.metrics}
	i.Next = next
	return i
}

type countedStep struct {
	interceptor.ActivityInboundInterceptorBase
	metrics *telemetry.Metrics
}

// ExecuteActivity counts also a try that panics: the SDK makes an error of it.
func (c *countedStep) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (result any, err error) {
	info, began := activity.GetInfo(ctx), time.Now()
	step := telemetry.Step{
		Kind: kindOf(info.WorkflowType.Name), Name: info.ActivityType.Name, Outcome: telemetry.StepFailed, Attempt: info.Attempt,
	}
	defer func() {
		step.Took = time.Since(began)
		c.metrics.StepEnded(step)
	}()
	result, err = c.Next.ExecuteActivity(ctx, in)
	step.Outcome = outcomeOf(ctx, err)
	if swept, ok := result.(activities.Swept); ok && err == nil {
		c.metrics.Swept(step.Name, swept.Done, swept.Failed)
	}
	return result, err
}

// outcomeOf says how a try of a step ended.
func outcomeOf(ctx context.Context, err error) string {
	var final *temporal.ApplicationError
	switch {
	case err == nil:
		return telemetry.StepSucceeded
	case errors.Is(ctx.Err(), context.Canceled), temporal.IsCanceledError(err):
		return telemetry.StepCancelled
	case errors.As(err, &final) && final.NonRetryable():
		return telemetry.StepRefused
	}
	return telemetry.StepFailed
}

type countedJob struct {
	interceptor.WorkflowInboundInterceptorBase
	metrics *telemetry.Metrics
}

// ExecuteWorkflow changes nothing that is recorded: it only looks.
func (c *countedJob) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	info := workflow.GetInfo(ctx)
	if kind, isJob := kindsOfWorkflows[info.WorkflowType.Name]; isJob && !workflow.IsReplaying(ctx) {
		c.metrics.JobTaken(string(kind), workflow.Now(ctx).Sub(info.WorkflowStartTime))
	}
	return c.Next.ExecuteWorkflow(ctx, in)
}
