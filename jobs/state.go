package jobs

import (
	"context"
	"fmt"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"golang.org/x/sync/errgroup"

	"assetflow/addons"
	"assetflow/catalog"
	"assetflow/fault"
)

// Job is a job as a caller may see it.
type Job struct {
	catalog.Job
	// Progress is from 0 to 1; 1 only when the job has succeeded.
	Progress float64
	// Step is the title of the step that runs; empty when the job has ended.
	Step string
	// Workloads tells how far the workloads of a delivery are that waits for them.
	Workloads []addons.Workload
	// Attempt is which try of its step a running delivery is at, from 1; 0 between two steps.
	Attempt int
	// LastFailure says to a person why the try before failed, until the step gets on; empty otherwise.
	LastFailure string
}

// listParallel bounds how many open jobs of a page are looked up at the same time.
const listParallel = 8

// Get tells a job's state. A job is shown as ended only when its workflow is closed, so that whoever sees it ended
// can start the next one at once. NotFound "job.not_found" for a job of another project, too.
func (s *Service) Get(ctx context.Context, projectID, jobID string) (Job, error) {
	row, err := s.row(ctx, projectID, jobID)
	if err != nil {
		return Job{}, err
	}
	return s.state(ctx, row)
}

// Settle settles the job where its workflow has closed or never started; otherwise it does nothing. Errors as with Get.
func (s *Service) Settle(ctx context.Context, projectID, jobID string) error {
	_, err := s.Get(ctx, projectID, jobID)
	return err
}

// ProjectOf tells which project a job belongs to, for a path that names only the job.
func (s *Service) ProjectOf(ctx context.Context, jobID string) (string, error) {
	row, err := s.catalog.Job(ctx, jobID)
	if fault.KindOf(err) == fault.NotFound {
		return "", notFound()
	}
	return row.ProjectID, err
}

// List tells the states of the jobs that match, newest first, and the cursor of the next page (empty on the last). A page
// may be short: a job that has just ended is left out until it is shown so.
func (s *Service) List(ctx context.Context, filter catalog.JobFilter) ([]Job, string, error) {
	rows, next, err := s.catalog.ListJobs(ctx, filter)
	if err != nil {
		return nil, "", err
	}
	jobs := make([]Job, len(rows))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(listParallel)
	for i, row := range rows {
		if row.Settled {
			jobs[i] = settled(row)
			continue
		}
		group.Go(func() (err error) {
			jobs[i], err = s.state(gctx, row)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	if filter.State != "" {
		jobs = slices.DeleteFunc(jobs, func(j Job) bool { return j.State != filter.State })
	}
	return jobs, next, nil
}

// Cancel asks a running job to stop and clean up. It returns when the request is durable, not when the job has
// ended. NotFound "job.not_found"; Conflict "job.ended".
func (s *Service) Cancel(ctx context.Context, projectID, jobID string) error {
	row, err := s.row(ctx, projectID, jobID)
	if err != nil {
		return err
	}
	return s.cancel(ctx, row, nil)
}

// cancel cancels the job, and signals its workflow before if it is told how.
func (s *Service) cancel(ctx context.Context, row catalog.Job, signal func(runID string) error) error {
	if row.State == catalog.JobQueued {
		// One that does not wait any more has been started meanwhile, as follows.
		if waited, err := s.cancelQueued(ctx, row); err != nil || waited {
			return err
		}
	}
	exec, err := s.describeJob(ctx, row)
	if err != nil {
		return err
	}
	if !exec.isOf(row.ID) || !exec.open() {
		return ended()
	}
	if signal != nil {
		err = signal(exec.runID())
	}
	if err == nil {
		err = s.temporal.CancelWorkflow(ctx, row.WorkflowID, exec.runID())
	}
	if isGone(err) {
		return ended()
	}
	if err != nil {
		return unavailable(fmt.Errorf("cancel the workflow: %w", err))
	}
	return nil
}

func ended() *fault.Error {
	return fault.New(fault.Conflict, CodeEnded, "The job has ended; there is nothing to cancel.")
}

func (s *Service) row(ctx context.Context, projectID, jobID string) (catalog.Job, error) {
	row, err := s.catalog.Job(ctx, jobID)
	if fault.KindOf(err) == fault.NotFound || err == nil && row.ProjectID != projectID {
		return catalog.Job{}, notFound()
	}
	return row, err
}

// state tells a job's state and settles it where it has ended.
func (s *Service) state(ctx context.Context, row catalog.Job) (Job, error) {
	if row.Settled {
		return settled(row), nil
	}
	exec, err := s.describeJob(ctx, row)
	if err != nil {
		return Job{}, err
	}
	mine := exec.isOf(row.ID)
	if mine && exec.open() {
		return s.runningState(ctx, row, exec)
	}
	if !row.State.Ended() {
		// The workflow may have begun or ended between the two reads.
		waited := row.State == catalog.JobQueued
		if row, err = s.catalog.Job(ctx, row.ID); err != nil {
			return Job{}, err
		}
		switch {
		case row.State == catalog.JobQueued:
			return s.queuedState(ctx, row)
		case waited: // the run that was looked up may be the one before it
			return s.state(ctx, row)
		}
	}
	if row.State == catalog.JobRunning {
		if !mine && s.now().Sub(row.CreatedAt) < startGrace {
			return Job{Job: row}, nil // its start is under way
		}
		if row, err = s.abandon(ctx, row, exec, mine); err != nil {
			return Job{}, err
		}
	}
	if err := s.catalog.SettleJob(ctx, row.ID); err != nil {
		return Job{}, fmt.Errorf("settle the job: %w", err)
	}
	row.Settled = true
	return settled(row), nil
}

// abandon ends a job whose workflow never started or was ended from outside, so that nobody waits for it for ever.
func (s *Service) abandon(ctx context.Context, row catalog.Job, exec execution, mine bool) (catalog.Job, error) {
	message := "The job never started; nothing was changed. Submit it again."
	if mine {
		changed := "nothing was changed"
		if row.Kind == catalog.AddonDelivery {
			changed = "what it had done to its target stays as it is"
		}
		message = "The job was ended from outside before it could finish; " + changed + ". Ask the operator why, and submit it again."
		if exec.status() == enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED {
			message = "The job was terminated by an operator; " + changed + ". Ask the operator why, and submit it again."
		}
	}
	s.discardStaged(ctx, row)
	ended, err := s.catalog.EndJob(ctx, row.ID, catalog.JobOutcome{State: catalog.JobFailed, Reasons: []catalog.Reason{{
		ResourceType: string(subjectKind(row.Kind)), ResourceName: row.Subject, Code: "abandoned", Message: message,
	}}})
	if err != nil {
		return catalog.Job{}, fmt.Errorf("end the abandoned job: %w", err)
	}
	return ended, nil
}

// subjectKind is the kind of what a job is about, for the reasons that name it as a whole.
func subjectKind(kind catalog.JobKind) catalog.AssetKind {
	switch kind {
	case catalog.AssetCopy:
		return catalog.KindDigital
	case catalog.ServiceTemplateImport:
		return catalog.KindServiceTemplate
	case catalog.AddonDelivery:
		return catalog.KindAddon
	default:
		return catalog.KindApplication
	}
}

func settled(row catalog.Job) Job {
	job := Job{Job: row}
	if row.State == catalog.JobSucceeded {
		job.Progress = 1
	}
	return job
}
