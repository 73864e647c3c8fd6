package jobs

import (
	"context"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/workflows"
)

// steps gives the steps of each kind of job.
var steps = map[catalog.JobKind][]workflows.Step{
	catalog.AssetImport: workflows.ImportSteps,
	catalog.AssetDelete: workflows.DeleteSteps,
	catalog.AssetExport: workflows.ExportSteps,
}

// position is a point in a run's history: what stands before it never changes.
type position struct {
	runID  string
	length int64
}

// historyTail is how many of a run's last events are read to find its last step: the clean-up's own events and a
// cancellation are fewer.
const historyTail = 12

// runningState tells how far an open job is. It costs no write anywhere: the pending step and its heartbeat say it,
// and between two steps the run's last events do.
func (s *Service) runningState(ctx context.Context, row catalog.Job, exec execution) (Job, error) {
	job := Job{Job: row}
	// What the catalog knows of the end is not shown before the next job can start.
	job.State, job.EndedAt, job.Result, job.Reasons = catalog.JobRunning, nil, nil, nil
	for _, pending := range exec.desc.GetPendingActivities() {
		if step, ok := stepOf(row.Kind, pending.GetActivityType().GetName()); ok {
			job.Step = step.Title
			job.Progress = step.From + (step.To-step.From)*fraction(pending.GetHeartbeatDetails())
			return job, nil
		}
	}
	last, err := s.lastStep(ctx, row, exec)
	if err != nil {
		return Job{}, err
	}
	if step, ok := stepOf(row.Kind, last); ok {
		job.Step, job.Progress = step.Title, step.To
	}
	// 1 stands for a job that has succeeded.
	job.Progress = min(job.Progress, 0.99)
	return job, nil
}

// lastStep names the activity that an open run scheduled last; empty where it has scheduled none.
func (s *Service) lastStep(ctx context.Context, row catalog.Job, exec execution) (string, error) {
	at := position{exec.runID(), exec.desc.GetWorkflowExecutionInfo().GetHistoryLength()}
	if activity, ok := s.lastSteps.get(at); ok {
		return activity, nil
	}
	activity, err := s.readLastStep(ctx, row, exec)
	if err == nil {
		s.lastSteps.put(at, activity)
	}
	return activity, err
}

func (s *Service) readLastStep(ctx context.Context, row catalog.Job, exec execution) (string, error) {
	tail, err := s.temporal.WorkflowService().GetWorkflowExecutionHistoryReverse(ctx,
		&workflowservice.GetWorkflowExecutionHistoryReverseRequest{
			Namespace:       s.namespace,
			Execution:       &commonpb.WorkflowExecution{WorkflowId: row.WorkflowID, RunId: exec.runID()},
			MaximumPageSize: historyTail,
		})
	if err != nil {
		return "", unavailable(err)
	}
	for _, event := range tail.GetHistory().GetEvents() {
		if event.GetEventType() == enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			return event.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName(), nil
		}
	}
	return "", nil
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
func fraction(details *commonpb.Payloads) float64 {
	var p activities.Progress
	if details == nil || decodePayloads(details, &p) != nil || p.Total <= 0 {
		return 0
	}
	return min(1, max(0, float64(p.Done)/float64(p.Total)))
}
