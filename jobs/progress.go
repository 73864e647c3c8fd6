package jobs

import (
	"context"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/temporalrpc"
	"assetflow/workflows"
)

// steps gives the steps of each kind of job.
var steps = map[catalog.JobKind][]workflows.Step{
	catalog.AssetImport:           workflows.ImportSteps,
	catalog.AssetDelete:           workflows.DeleteSteps,
	catalog.AssetExport:           workflows.ExportSteps,
	catalog.AssetCopy:             workflows.CopySteps,
	catalog.ServiceTemplateImport: workflows.TemplateSteps,
	catalog.AddonDelivery:         workflows.DeliverySteps,
}

// historyTail is how many of a run's last events are read to find its last step: the clean-up's own events and a
// cancellation are fewer.
const historyTail = 12

// noStepYet is how many events a run has at most before it has scheduled its first step.
const noStepYet = 4

// runningState tells how far an open job is. It costs no write anywhere: the pending step and its heartbeat say it.
// Between two steps it is the step seen last, or, where this process has seen none, what the run's last events say.
func (s *Service) runningState(ctx context.Context, row catalog.Job, exec execution) (Job, error) {
	job := Job{Job: row}
	// What the catalog knows of the end is not shown before the next job can start.
	job.State, job.EndedAt, job.Result, job.Reasons = catalog.JobRunning, nil, nil, nil
	for _, pending := range exec.desc.GetPendingActivities() {
		if step, ok := stepOf(row.Kind, pending.GetActivityType().GetName()); ok {
			job.Step = step.Title
			if row.Kind == catalog.AddonDelivery {
				s.lookAt(&job, pending)
			}
			job.Progress = step.From + (step.To-step.From)*s.fraction(pending.GetHeartbeatDetails())
			s.lastSteps.put(exec.runID(), step)
			return job, nil
		}
	}
	last, err := s.lastStep(ctx, row, exec)
	if err != nil {
		return Job{}, err
	}
	// 1 stands for a job that has succeeded.
	job.Step, job.Progress = last.Title, min(last.To, 0.99)
	return job, nil
}

// lastStep gives the step that an open run began last; the zero step where it has begun none.
func (s *Service) lastStep(ctx context.Context, row catalog.Job, exec execution) (workflows.Step, error) {
	if step, ok := s.lastSteps.get(exec.runID()); ok {
		return step, nil
	}
	if exec.desc.GetWorkflowExecutionInfo().GetHistoryLength() <= noStepYet {
		return workflows.Step{}, nil
	}
	tail, err := temporalrpc.Retry(ctx, s.temporal.WorkflowService().GetWorkflowExecutionHistoryReverse,
		&workflowservice.GetWorkflowExecutionHistoryReverseRequest{
			Namespace:       s.namespace,
			Execution:       &commonpb.WorkflowExecution{WorkflowId: row.WorkflowID, RunId: exec.runID()},
			MaximumPageSize: historyTail,
		})
	if err != nil {
		return workflows.Step{}, unavailable(err)
	}
	for _, event := range tail.GetHistory().GetEvents() {
		if event.GetEventType() != enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			continue
		}
		if step, ok := stepOf(row.Kind, event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName()); ok {
			s.lastSteps.put(exec.runID(), step)
			return step, nil
		}
	}
	return workflows.Step{}, nil
}

func stepOf(kind catalog.JobKind, activity string) (workflows.Step, bool) {
	for _, step := range steps[kind] {
		if step.Activity == activity {
			return step, true
		}
	}
	return workflows.Step{}, false
}

// fraction reads how much of a step is done from its last heartbeat, 0 where it said nothing yet.
func (s *Service) fraction(details *commonpb.Payloads) float64 {
	var p activities.Progress
	if details == nil || s.decodePayloads(details, &p) != nil || p.Total <= 0 {
		return 0
	}
	return min(1, max(0, float64(p.Done)/float64(p.Total)))
}
