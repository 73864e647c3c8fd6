package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/telemetry"
	"assetflow/workflows"
)

// OnConflict says what happens to a job when one of its kind runs for this user.
type OnConflict string

// The choices. With queue and replace the job is accepted although it cannot begin yet.
const (
	OnConflictRefuse  OnConflict = ""        // it is not accepted
	OnConflictQueue   OnConflict = "queue"   // it begins when those before it have ended
	OnConflictReplace OnConflict = "replace" // the running one is cancelled, and whatever waited to replace that too
)

// DefaultQueueLength is how many jobs of a kind wait for one user in one project, unless WithQueueLength says otherwise.
const DefaultQueueLength = 20

// CodeQueueFull says that as many jobs wait as may.
const CodeQueueFull = "job.queue_full"

// WithQueueLength sets how many jobs of a kind wait for one user in one project.
func WithQueueLength(n int) Option { return func(s *Service) { s.queueLength = n } }

// enqueue makes the job durable as one that waits, and wakes the workflow that starts it. That workflow alone starts
// waiting jobs, so that nobody overtakes.
func (s *Service) enqueue(ctx context.Context, row catalog.Job, sub submission) (Job, error) {
	input, err := json.Marshal(sub.input)
	if err != nil {
		return Job{}, fmt.Errorf("encode the workflow's input: %w", err)
	}
	start, err := json.Marshal(activities.QueuedStart{
		JobID: row.ID, Kind: row.Kind, ProjectID: row.ProjectID, UserID: row.UserID,
		Summary: sub.summary, Workflow: workflowType(sub.workflow), Input: input, TraceParent: telemetry.TraceParent(ctx),
	})
	if err != nil {
		return Job{}, fmt.Errorf("encode the job's start: %w", err)
	}
	queued := catalog.QueuedJob{Job: row, Replaces: sub.onConflict == OnConflictReplace, Start: start}
	replaced, err := s.catalog.EnqueueJob(ctx, queued, s.queueLength)
	switch fault.CodeOf(err) {
	case codeJobExists:
		return s.resume(ctx, row, sub)
	case "catalog.queue_full":
		s.discardStaged(ctx, row)
		return Job{}, fault.New(fault.Conflict, CodeQueueFull,
			"As many jobs of this kind as may wait for this user; submit it when one of them has ended, or cancel one.").Wrap(err)
	}
	if err != nil {
		return Job{}, fmt.Errorf("enqueue the job: %w", err)
	}
	for _, job := range replaced {
		s.discardStaged(ctx, job)
	}
	row.State = catalog.JobQueued
	return Job{Job: row}, s.Wake(context.WithoutCancel(ctx), row)
}

// Wake makes sure that somebody looks after the jobs that wait for the given one's workflow id. It may be called at any
// time. Unavailable where the job service cannot be reached.
func (s *Service) Wake(ctx context.Context, job catalog.Job) error {
	ctx, cancel := context.WithTimeout(ctx, startGrace/4)
	defer cancel()
	id := workflows.QueueWorkflowID(job.WorkflowID)
	_, err := s.temporal.SignalWithStartWorkflow(ctx, id, workflows.WakeSignal, nil, client.StartWorkflowOptions{
		ID: id, TaskQueue: workflows.DataQueue, StaticSummary: "Start waiting jobs in their order",
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.SearchProject.ValueSet(job.ProjectID),
			workflows.SearchUser.ValueSet(job.UserID),
			workflows.SearchKind.ValueSet(workflows.QueueKind),
		),
	}, workflows.ServeQueue, workflows.Queue{WorkflowID: job.WorkflowID})
	if err != nil {
		return unavailable(fmt.Errorf("wake the queue: %w", err))
	}
	return nil
}

// RunningJob tells the job that an open run of the workflow id belongs to; empty where none is open.
func (s *Service) RunningJob(ctx context.Context, workflowID string) (string, error) {
	exec, err := s.describe(ctx, workflowID)
	if err != nil || !exec.open() {
		return "", err
	}
	return exec.jobID(), nil
}

// queuedState tells the state of a job that waits. Where nobody seems to look after the queue, it is woken: whoever
// accepted the job may have died before that, or an operator has ended the queue.
func (s *Service) queuedState(ctx context.Context, row catalog.Job) (Job, error) {
	if s.now().Sub(row.CreatedAt) < startGrace {
		return Job{Job: row}, nil
	}
	queue, err := s.describe(ctx, workflows.QueueWorkflowID(row.WorkflowID))
	if err != nil || queue.open() {
		return Job{Job: row}, err
	}
	return Job{Job: row}, s.Wake(ctx, row)
}

// cancelQueued ends a job that waits, and says whether it did wait.
func (s *Service) cancelQueued(ctx context.Context, row catalog.Job) (bool, error) {
	waited, err := s.catalog.EndQueuedJob(ctx, row.ID, catalog.JobOutcome{State: catalog.JobCancelled, Reasons: []catalog.Reason{{
		ResourceType: string(subjectKind(row.Kind)), ResourceName: row.Subject,
		Code: "cancelled", Message: "The job was cancelled before it began; nothing was changed.",
	}}})
	if err != nil {
		return false, fmt.Errorf("cancel the waiting job: %w", err)
	}
	if waited {
		s.discardStaged(ctx, row)
	}
	return waited, nil
}

// workflowType is the name under which a workflow function is registered.
func workflowType(workflow any) string {
	name := runtime.FuncForPC(reflect.ValueOf(workflow).Pointer()).Name()
	return name[strings.LastIndex(name, ".")+1:]
}

// isGone tells whether the run that was asked for something is not open any more.
func isGone(err error) bool {
	var gone *serviceerror.NotFound
	return errors.As(err, &gone)
}
