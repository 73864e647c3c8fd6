package jobs

import (
	"context"
	"fmt"
	"time"

	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/workflows"
)

// What holds for deliveries unless WithDelivery says otherwise.
const (
	DefaultDeliveryDeadline = time.Hour
	DefaultHealthTimeout    = 10 * time.Minute
)

// WithDelivery sets how long a delivery is tried while its target is away, and how long the workloads of an add-on have
// to become ready.
func WithDelivery(deadline, healthTimeout time.Duration) Option {
	return func(s *Service) { s.deadline, s.healthTimeout = deadline, healthTimeout }
}

// DeliverySubmission is what is to be done with an add-on.
type DeliverySubmission struct {
	JobID, ProjectID, UserID, UserName      string
	Action                                  catalog.AddonAction
	EnvironmentID, EnvironmentName, AddonID string
	Name, TargetID, CSEID                   string // of the add-on
}

// DeliveryParameters is what the catalog keeps of a submission.
type DeliveryParameters struct {
	Action          catalog.AddonAction `json:"action"`
	EnvironmentID   string              `json:"environment_id"`
	EnvironmentName string              `json:"environment_name"`
	AddonID         string              `json:"addon_id"`
	Name            string              `json:"name"`
	TargetID        string              `json:"cce_id"`
	CSEID           string              `json:"cse_id,omitempty"`
}

// DeliveryWorkflowID names what must not run twice: a job on an add-on, whoever asks for it.
func DeliveryWorkflowID(projectID, environmentID, targetID, name string) string {
	return fmt.Sprintf("addon:%s:%s:%s/%s", projectID, environmentID, targetID, name)
}

func (sub DeliverySubmission) workflowID() string {
	return DeliveryWorkflowID(sub.ProjectID, sub.EnvironmentID, sub.TargetID, sub.Name)
}

// summary is what the Temporal UI calls the job.
func (sub DeliverySubmission) summary() string {
	verb, known := map[catalog.AddonAction]string{
		catalog.AddonInstall: "Install", catalog.AddonRedeploy: "Redeploy", catalog.AddonRestart: "Restart", catalog.AddonUninstall: "Uninstall",
	}[sub.Action]
	if !known {
		verb = string(sub.Action)
	}
	return fmt.Sprintf("%s %s on %s in %s", verb, sub.Name, sub.TargetID, sub.EnvironmentName)
}

// StartDelivery starts a job on an add-on: its installation, redelivery, restart or removal. Errors and durability as with
// StartImport, but that Conflict "job.running" names the job that runs on the same add-on, whoever has started it.
func (s *Service) StartDelivery(ctx context.Context, sub DeliverySubmission) (Job, error) {
	at := s.now().UTC()
	return s.start(ctx, submission{
		row: catalog.Job{
			ID: sub.JobID, Kind: catalog.AddonDelivery, ProjectID: sub.ProjectID, UserID: sub.UserID, UserName: sub.UserName,
			WorkflowID: sub.workflowID(), Subject: sub.Name, CreatedAt: at,
		},
		parameters: DeliveryParameters{
			Action: sub.Action, EnvironmentID: sub.EnvironmentID, EnvironmentName: sub.EnvironmentName, AddonID: sub.AddonID,
			Name: sub.Name, TargetID: sub.TargetID, CSEID: sub.CSEID,
		},
		summary:   sub.summary(),
		taskQueue: workflows.AddonQueue, workflow: workflows.DeliverAddon,
		input: activities.DeliveryJob{
			JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, Action: sub.Action,
			EnvironmentID: sub.EnvironmentID, EnvironmentName: sub.EnvironmentName, AddonID: sub.AddonID,
			Name: sub.Name, TargetID: sub.TargetID, CSEID: sub.CSEID,
			CreatedAt: at, Deadline: s.deadline, HealthTimeout: s.healthTimeout,
		},
	})
}

// CheckDeliveryFree reports whether a job on the add-on could start now. Errors as with CheckFree.
func (s *Service) CheckDeliveryFree(ctx context.Context, sub DeliverySubmission) error {
	return s.checkFree(ctx, catalog.AddonDelivery, sub.workflowID())
}

// CancelLeaving cancels a delivery and has what it has changed on its target stay as it is. Where it is being rolled back
// already, that stops. Errors as with Cancel; Invalid "job.no_leave" for other kinds of jobs.
func (s *Service) CancelLeaving(ctx context.Context, projectID, jobID string) error {
	row, err := s.row(ctx, projectID, jobID)
	if err != nil {
		return err
	}
	if row.Kind != catalog.AddonDelivery {
		return fault.New(fault.Invalid, CodeNoLeave, "Only a delivery can be cancelled so that what it has changed stays.")
	}
	return s.cancel(ctx, row, func(runID string) error {
		return s.temporal.SignalWorkflow(ctx, row.WorkflowID, runID, workflows.LeaveSignal, nil)
	})
}

// Task is a step of a delivery as a caller may see it.
type Task struct {
	catalog.JobTask
	Title string
}

// Tasks gives the steps of a delivery that have begun, in their order; none for other kinds of jobs. To the messages of the
// one that runs it adds why its last try failed. Errors as with Get.
func (s *Service) Tasks(ctx context.Context, projectID, jobID string) ([]Task, error) {
	job, err := s.Get(ctx, projectID, jobID)
	if err != nil {
		return nil, err
	}
	rows, err := s.catalog.JobTasks(ctx, jobID)
	if err != nil {
		return nil, fmt.Errorf("read the tasks: %w", err)
	}
	tasks := make([]Task, len(rows))
	for i, row := range rows {
		step, _ := stepOf(job.Kind, row.Activity)
		last := len(row.Messages) == 0 || row.Messages[len(row.Messages)-1] != job.LastFailure
		if row.State == catalog.TaskRunning && step.Title == job.Step && job.LastFailure != "" && last {
			row.Messages = append(row.Messages, job.LastFailure)
		}
		tasks[i] = Task{JobTask: row, Title: step.Title}
	}
	return tasks, nil
}

// lookAt takes from a pending step of a delivery what a caller may see of it.
func (s *Service) lookAt(j *Job, pending *workflowpb.PendingActivityInfo) {
	j.Attempt = int(pending.GetAttempt())
	var seen activities.DeliveryProgress
	if details := pending.GetHeartbeatDetails(); details != nil && s.decodePayloads(details, &seen) == nil {
		j.Workloads = seen.Workloads
	}
	if failure := pending.GetLastFailure(); failure != nil && seen.Attempt < pending.GetAttempt() {
		converter.DecodeCommonFailureAttributes(s.data, failure)
		j.LastFailure = sentenceOf(failure)
	}
}

// sentenceOf says to a person why a try failed, in our own words: what came from elsewhere is not shown.
func sentenceOf(failure *failurepb.Failure) string {
	switch failure.GetApplicationFailureInfo().GetType() {
	case activities.TargetAway, activities.Unavailable, activities.Internal, activities.WorkerStopped:
		return failure.GetMessage()
	}
	if failure.GetTimeoutFailureInfo() != nil {
		return "The worker that performed the step fell silent; the step is tried again."
	}
	return "The step failed; it is tried again."
}
