package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
	"assetflow/jobs"
	"assetflow/worker/workertest"
	"assetflow/workflows"
)

// While an import runs, fifty more by the same user are refused with its id, and nothing of theirs stays.
func TestFiftyMoreAreRefusedWhileOneRuns(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "CommitImport", workertest.Before)
	running := tn.submit(t, packagetest.Small("first").Bytes(), client.ImportOptions{})
	held.Wait(t)

	var wg sync.WaitGroup
	refusals := make([]error, 50)
	for i := range refusals {
		wg.Go(func() {
			pkg := packagetest.Small(fmt.Sprintf("more %d", i)).Bytes()
			_, refusals[i] = tn.Import(t.Context(), "more.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
		})
	}
	wg.Wait()
	for _, err := range refusals {
		requireRefused(t, err, running)
	}
	// Another user of the same project is not in anybody's way.
	other := addUser(t, tn.project, tn.instance)
	heldToo := other.submit(t, packagetest.Small("other").Bytes(), client.ImportOptions{})

	held.Release()
	require.Equal(t, client.Succeeded, tn.ends(t, running).Status)
	require.Equal(t, client.Succeeded, other.ends(t, heldToo).Status)
	require.Len(t, tn.names(t), 10)
	tn.requireNothingStaged(t)
	page, err := tn.ListJobs(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 2, "a refused import is no job")
}

func requireRefused(t *testing.T, err error, running string) {
	t.Helper()
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusForbidden, refusal.Status)
	require.Equal(t, "ROMA.10012", refusal.Code)
	if running != "" {
		require.Equal(t, running, refusal.RunningJob())
	}
}

// Of fifty sent at once when none runs, no two accepted ones ever overlap.
func TestFiftyAtOnceNeverOverlap(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		accepted []string
		refused  int
	)
	for i := range 50 {
		wg.Go(func() {
			pkg := packagetest.Small(fmt.Sprintf("once %d", i)).Bytes()
			id, err := tn.Import(t.Context(), "once.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
			mu.Lock()
			defer mu.Unlock()
			var refusal *client.Error
			switch {
			case err == nil:
				accepted = append(accepted, id)
			case errors.As(err, &refusal) && refusal.Code == "ROMA.10012":
				refused++
			default:
				t.Errorf("import %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	require.NotEmpty(t, accepted)
	require.Equal(t, 50, len(accepted)+refused)
	for _, id := range accepted {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	requireNoOverlap(t, tn, len(accepted))
	require.Len(t, tn.names(t), 5*len(accepted))
	tn.requireNothingStaged(t)
}

// requireNoOverlap proves from the Temporal server's own records that the runs of the tenant's imports followed one
// another.
func requireNoOverlap(t *testing.T, tn *tenant, want int) {
	t.Helper()
	type span struct{ begin, end time.Time }
	var spans []span
	workflowID := jobs.WorkflowID("asset-import", tn.project.ID, tn.user.ID)
	require.Eventually(t, func() bool { // visibility follows the records after a moment
		list, err := stack.Temporal().ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("WorkflowId = '%s'", workflowID),
		})
		require.NoError(t, err)
		spans = nil
		for _, run := range list.GetExecutions() {
			if run.GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				spans = append(spans, span{begins(t, workflowID, run.GetExecution().GetRunId()), run.GetCloseTime().AsTime()})
			}
		}
		return len(spans) == want
	}, time.Minute, 100*time.Millisecond)
	slices.SortFunc(spans, func(a, b span) int { return a.begin.Compare(b.begin) })
	for i := 1; i < len(spans); i++ {
		require.False(t, spans[i].begin.Before(spans[i-1].end), "run %d began before run %d ended", i, i-1)
	}
}

// begins tells when the first task of a run was given to a worker. The time at which a run started is that of the request,
// and a server that is busy may have kept it waiting for the end of the run before.
func begins(t *testing.T, workflowID, runID string) time.Time {
	t.Helper()
	events := stack.Temporal().GetWorkflowHistory(t.Context(), workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED {
			return event.GetEventTime().AsTime()
		}
	}
	require.FailNow(t, "a run that ended never began")
	return time.Time{}
}

// Who has seen a job ended can start the next at once: never refused because the last one is still tidying up.
func TestHundredImportsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	for i := range 100 {
		pkg := packagetest.Spec{Name: fmt.Sprintf("round %d", i), Applications: 1}.Bytes()
		id := tn.submit(t, pkg, client.ImportOptions{})
		require.Eventually(t, func() bool {
			job, err := tn.Job(t.Context(), id)
			require.NoError(t, err)
			require.NotEqual(t, client.Failed, job.Status, "%+v", job.Reasons)
			return job.Ended()
		}, time.Minute, 2*time.Millisecond)
	}
	require.Len(t, tn.names(t), 100)
}

// While the job tidies up after its commit it is still running, and a next import is refused: what a caller sees and
// what a caller may do agree.
func TestAJobIsNotShownEndedBeforeTheNextCanStart(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "EndJob", workertest.After)
	id := tn.submit(t, packagetest.Small("tidy").Bytes(), client.ImportOptions{})
	held.Wait(t)

	job, err := tn.Job(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, client.Running, job.Status)
	require.Less(t, job.Progress, 1.0)
	require.Zero(t, job.EndTime)
	page, err := tn.ListJobs(t.Context(), client.JobFilter{State: client.JobSucceeded})
	require.NoError(t, err)
	require.Empty(t, page.Jobs)
	pkg := packagetest.Small("next").Bytes()
	_, err = tn.Import(t.Context(), "next.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	requireRefused(t, err, id)

	held.Release()
	require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	tn.imports(t, pkg, client.ImportOptions{})
}

// A cancellation in any step, before or after the step has had its effect, ends the job cleanly. Only after the commit
// it comes too late.
func TestCancelInEveryStep(t *testing.T) {
	t.Parallel()
	for _, step := range workflows.ImportSteps[:3] {
		for _, when := range []workertest.When{workertest.Before, workertest.After} {
			t.Run(step.Activity+"/"+string(when), func(t *testing.T) {
				t.Parallel()
				tn := newTenant(t)
				held := steps.Hold(t, tn.project.ID, step.Activity, when)
				id := tn.submit(t, packagetest.Small("cancel").Bytes(), client.ImportOptions{})
				held.Wait(t)

				_, err := tn.CancelJob(t.Context(), id)
				require.NoError(t, err)
				job := tn.ends(t, id)

				detail, err := tn.ShowJob(t.Context(), id)
				require.NoError(t, err)
				if step.Activity == "CommitImport" && when == workertest.After {
					require.Equal(t, client.Succeeded, job.Status)
					require.Len(t, tn.names(t), 5)
				} else {
					require.Equal(t, client.Failed, job.Status, "the contract has no word for a cancelled job")
					require.Equal(t, client.JobCancelled, detail.State)
					require.Len(t, job.Reasons, 1)
					require.Contains(t, job.Reasons[0].Message, "cancelled")
					require.Empty(t, tn.names(t))
				}
				tn.requireNothingStaged(t)
				_, err = tn.CancelJob(t.Context(), id)
				var refusal *client.Error
				require.ErrorAs(t, err, &refusal, "there is nothing to cancel any more")
				require.Equal(t, http.StatusConflict, refusal.Status)
				held.Release()
				tn.imports(t, packagetest.Small("again").Bytes(), client.ImportOptions{})
			})
		}
	}
}

// A workflow that an operator terminates ends its job with a reason, and is in nobody's way.
func TestTerminatedByAnOperator(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "CommitImport", workertest.Before)
	id := tn.submit(t, packagetest.Small("gone").Bytes(), client.ImportOptions{})
	held.Wait(t)
	require.NoError(t, stack.Temporal().TerminateWorkflow(t.Context(),
		jobs.WorkflowID("asset-import", tn.project.ID, tn.user.ID), "", "a test"))

	job := tn.ends(t, id)

	require.Equal(t, client.Failed, job.Status)
	require.Contains(t, job.Reasons[0].Message, "terminated by an operator")
	held.Release() // the step that nobody waits for may come to its commit now, which must refuse
	tn.imports(t, packagetest.Small("next").Bytes(), client.ImportOptions{})
	require.Len(t, tn.names(t), 5)
	tn.requireNothingStaged(t)
}

// The progress that a caller sees belongs to the step that runs, and never falls.
func TestProgressFollowsTheSteps(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	var holds []*workertest.Hold
	for _, step := range workflows.ImportSteps {
		holds = append(holds, steps.Hold(t, tn.project.ID, step.Activity, workertest.Before))
	}
	id := tn.submit(t, packagetest.Small("progress").Bytes(), client.ImportOptions{})
	last := -1.0
	for i, held := range holds {
		held.Wait(t)
		step := workflows.ImportSteps[i]
		job, err := tn.ShowJob(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, client.JobRunning, job.State)
		require.Equal(t, step.Title, job.Step)
		require.GreaterOrEqual(t, job.Progress, step.From)
		require.LessOrEqual(t, job.Progress, step.To)
		require.Greater(t, job.Progress, last)
		last = job.Progress
		held.Release()
	}
	require.InDelta(t, 1.0, tn.ends(t, id).Progress, 0)
}
