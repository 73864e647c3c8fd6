package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"assetflow/activities"
	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
	"assetflow/telemetry"
	"assetflow/workflows"
)

// startTries bounds how often a start is tried again because the run that was in its way ended meanwhile.
const startTries = 3

// cleanupTimeout bounds the clean-up after a refused start.
const cleanupTimeout = 30 * time.Second

// ImportSubmission is a staged package and what its caller wants done with it.
type ImportSubmission struct {
	JobID, ProjectID, InstanceID, UserID, UserName string
	FileName                                       string // as the caller named it
	Mode                                           string // "AddNew" or "Merge"
	Prefix                                         string
	OverwriteDataSources                           bool
	OnConflict                                     OnConflict
	Staged                                         storage.Staged
}

// ImportParameters is what the catalog keeps of a submission.
type ImportParameters struct {
	Mode                 string `json:"mode"`
	Prefix               string `json:"prefix,omitempty"`
	OverwriteDataSources bool   `json:"overwrite_data_sources,omitempty"`
	PackageSHA256        string `json:"package_sha256"`
	PackageSize          int64  `json:"package_size"`
}

// StartImport starts the import of a staged package. When it returns without an error the job is durable. A job id that
// has been started already is answered with that job, so an interrupted submission can be carried through.
//
// Conflict "job.running" where an import of this user runs or waits in the project, "job.queue_full": nothing is left of
// the refused one, its staged package included. Unavailable where the job service could not be asked: whether the job runs is then
// not known, and both row and staged package stay until it is.
func (s *Service) StartImport(ctx context.Context, sub ImportSubmission) (Job, error) {
	job := sub.job()
	return s.start(ctx, submission{
		row: catalog.Job{
			ID: sub.JobID, Kind: catalog.AssetImport, ProjectID: sub.ProjectID, InstanceID: sub.InstanceID,
			UserID: sub.UserID, UserName: sub.UserName, Subject: sub.FileName,
		},
		parameters: ImportParameters{
			Mode: sub.Mode, Prefix: sub.Prefix, OverwriteDataSources: sub.OverwriteDataSources,
			PackageSHA256: sub.Staged.SHA256, PackageSize: sub.Staged.Size,
		},
		summary:  fmt.Sprintf("Import %s (%s)", sub.FileName, sub.Mode),
		workflow: workflows.ImportAssets, input: job, onConflict: sub.OnConflict,
	})
}

// PlanImport says what the import of a staged package would do: no job, no lock, nothing written.
func (s *Service) PlanImport(ctx context.Context, sub ImportSubmission) (activities.ImportComparison, error) {
	return activities.ComparePackage(ctx, s.catalog, s.storage, assetpackage.DefaultLimits(), sub.job())
}

func (sub ImportSubmission) job() activities.ImportJob {
	return activities.ImportJob{
		JobID: sub.JobID, ProjectID: sub.ProjectID, InstanceID: sub.InstanceID, UserID: sub.UserID,
		FileName: sub.FileName, Mode: sub.Mode, Prefix: sub.Prefix, OverwriteDataSources: sub.OverwriteDataSources,
		Staged: activities.StagedPackage(sub.Staged),
	}
}

// submission is a job that is about to be started.
type submission struct {
	row             catalog.Job // without a WorkflowID, that of its kind for the user
	taskQueue       string      // empty: the data queue
	parameters      any         // what the catalog keeps of the request
	summary         string      // what the Temporal UI calls it
	workflow, input any
	onConflict      OnConflict
}

// start makes the row durable and then starts the workflow, whose id decides.
func (s *Service) start(ctx context.Context, sub submission) (Job, error) {
	row := sub.row
	telemetry.NoteJob(ctx, row.ID)
	parameters, err := json.Marshal(sub.parameters)
	if err != nil {
		return Job{}, fmt.Errorf("encode the job's parameters: %w", err)
	}
	row.Request = parameters
	if row.WorkflowID == "" {
		row.WorkflowID = WorkflowID(row.Kind, row.ProjectID, row.UserID)
	}
	row.State = catalog.JobRunning
	if row.CreatedAt.IsZero() {
		row.CreatedAt = s.now().UTC()
	}
	if sub.onConflict != OnConflictRefuse {
		return s.enqueue(ctx, row, sub)
	}
	err = s.catalog.InsertJob(ctx, row)
	switch fault.CodeOf(err) {
	case codeJobExists:
		return s.resume(ctx, row, sub)
	case codeJobsQueued:
		s.discardStaged(ctx, row)
		first, _ := fault.As(err)
		return Job{}, running(row.Kind, first.Details)
	}
	if err != nil {
		// The package stays: a job of this id may run and read it, which could not be asked. The sweep takes it if not.
		return Job{}, fmt.Errorf("insert the job: %w", err)
	}
	return s.carryThrough(ctx, row, sub)
}

// The catalog's words for a job id that is taken, and for a start that would overtake others.
const (
	codeJobExists  = "catalog.job_exists"
	codeJobsQueued = "catalog.jobs_queued"
)

// resume answers a start whose job id is known: with the job where it ran, otherwise by starting it after all.
func (s *Service) resume(ctx context.Context, row catalog.Job, sub submission) (Job, error) {
	known, err := s.catalog.Job(ctx, row.ID)
	if err != nil {
		return Job{}, fmt.Errorf("read the job: %w", err)
	}
	if known.ProjectID != row.ProjectID || known.UserID != row.UserID || known.Kind != row.Kind {
		return Job{}, notFound()
	}
	switch {
	case known.State == catalog.JobQueued: // whoever wrote it down may not have come to wake the queue
		return Job{Job: known}, s.Wake(ctx, known)
	case known.State.Ended() || sub.onConflict != OnConflictRefuse: // the queue starts those that may wait
		return s.state(ctx, known)
	}
	return s.carryThrough(ctx, known, sub)
}

// carryThrough starts the workflow although the caller may hang up: its outcome must be known.
func (s *Service) carryThrough(ctx context.Context, row catalog.Job, sub submission) (Job, error) {
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		err := s.startWorkflow(ctx, row, sub)
		if err == nil {
			return Job{Job: row}, nil
		}
		var started *serviceerror.WorkflowExecutionAlreadyStarted
		if !errors.As(err, &started) {
			return Job{}, unavailable(fmt.Errorf("start the workflow: %w", err))
		}
		exec, err := s.describe(ctx, row.WorkflowID)
		if err != nil {
			return Job{}, err
		}
		if exec.isOf(row.ID) { // an earlier try arrived although its answer did not
			return Job{Job: row}, nil
		}
		if exec.open() || try == startTries {
			if err := s.discard(ctx, row); err != nil {
				return Job{}, err
			}
			return Job{}, running(row.Kind, exec.jobID())
		}
	}
}

func (s *Service) startWorkflow(ctx context.Context, row catalog.Job, sub submission) error {
	ctx, cancel := context.WithTimeout(ctx, startGrace/4)
	defer cancel()
	run, err := s.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID:                       row.WorkflowID,
		TaskQueue:                cmp.Or(sub.taskQueue, workflows.DataQueue),
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		// Without this the SDK hands back the running run and no error.
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		StaticSummary:                            sub.summary,
		Memo:                                     map[string]any{"job_id": row.ID},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.SearchProject.ValueSet(row.ProjectID),
			workflows.SearchUser.ValueSet(row.UserID),
			workflows.SearchJob.ValueSet(row.ID),
			workflows.SearchKind.ValueSet(string(row.Kind)),
		),
	}, sub.workflow, sub.input)
	if err == nil {
		s.runs.put(row.ID, run.GetRunID())
	}
	return err
}

// discard removes what a refused job left: the row first, because a row says that its staged package is there, and a
// repeated submission that finds the one relies on the other.
func (s *Service) discard(ctx context.Context, row catalog.Job) error {
	if err := s.catalog.DeleteJob(ctx, row.ID); err != nil {
		return fmt.Errorf("remove the refused job: %w", err)
	}
	s.discardStaged(ctx, row)
	return nil
}

// discardStaged removes a staged package that no job will read. A failure is only logged: the sweep of abandoned
// staging objects takes what stays.
func (s *Service) discardStaged(ctx context.Context, row catalog.Job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	key := storage.StagingKey(row.ProjectID, row.ID)
	if err := s.storage.DeleteStaged(ctx, key); err != nil {
		s.logger.WarnContext(ctx, "a staged package stays behind", "job_id", row.ID, "key", key, "error", err)
	}
}
