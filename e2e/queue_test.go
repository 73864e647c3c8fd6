package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
	"assetflow/jobs"
	"assetflow/worker/workertest"
	"assetflow/workflows"
)

// enqueue submits an import of one application that waits its turn.
func (tn *tenant) enqueue(t *testing.T, name, onConflict string) string {
	t.Helper()
	return tn.submit(t, packagetest.Spec{Name: name, Applications: 1}.Bytes(), client.ImportOptions{OnConflict: onConflict})
}

// inState waits until a job is in a state.
func (tn *tenant) inState(t *testing.T, id, state string) client.JobDetail {
	t.Helper()
	var job client.JobDetail
	require.Eventually(t, func() bool {
		var err error
		job, err = tn.ShowJob(t.Context(), id)
		require.NoError(t, err)
		return job.State == state
	}, time.Minute, 10*time.Millisecond, "%s", id)
	return job
}

// requireOrder proves that the jobs ran one after the other in the given order.
func (tn *tenant) requireOrder(t *testing.T, ids []string) {
	t.Helper()
	var last time.Time
	for _, id := range ids {
		job, err := tn.ShowJob(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
		require.True(t, job.EndedAt.After(last), "job %s overtook", id)
		last = *job.EndedAt
	}
	requireNoOverlap(t, tn, len(ids))
}

// Jobs that wait come in the order of their arrival, behind one that was started as the contract has it, and whoever
// does not want to wait is refused although none of them may run at that moment.
func TestQueuedJobsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "CommitImport", workertest.Before)
	ids := []string{tn.enqueueFirst(t, held)}
	for i := range 6 {
		ids = append(ids, tn.enqueue(t, fmt.Sprintf("waits %d", i), client.Queue))
	}

	for _, id := range ids[1:] {
		job, err := tn.Job(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, client.Running, job.Status, "the contract has no word for waiting")
		require.Zero(t, job.Progress)
		detail, err := tn.ShowJob(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, client.JobQueued, detail.State)
	}
	for state, want := range map[string]int{client.JobQueued: 6, client.JobRunning: 1, client.JobSucceeded: 0} {
		page, err := tn.ListJobs(t.Context(), client.JobFilter{State: state})
		require.NoError(t, err)
		require.Len(t, page.Jobs, want, state)
	}
	pkg := packagetest.Small("impatient").Bytes()
	_, err := tn.Import(t.Context(), "impatient.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	requireRefused(t, err, ids[0])

	held.Release()
	for _, id := range ids {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	tn.requireOrder(t, ids)
	tn.requireNothingStaged(t)
	// The queue has ended, and the contract's own way works again.
	tn.imports(t, pkg, client.ImportOptions{})
}

// enqueueFirst starts an import without a word about conflicts, and waits until it is held.
func (tn *tenant) enqueueFirst(t *testing.T, held *workertest.Hold) string {
	t.Helper()
	id := tn.submit(t, packagetest.Spec{Name: "first", Applications: 1}.Bytes(), client.ImportOptions{})
	held.Wait(t)
	return id
}

// Nothing runs: what may wait begins at once.
func TestAQueuedJobBeginsAtOnceWhereNoneRuns(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	for _, choice := range []string{client.Queue, client.Replace} {
		id := tn.enqueue(t, choice, choice)
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	require.Len(t, tn.names(t), 2)
}

// A job that waits can be cancelled: it ends at once, and the others move up.
func TestCancelAQueuedJob(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "CommitImport", workertest.Before)
	first := tn.enqueueFirst(t, held)
	gone, next := tn.enqueue(t, "gone", client.Queue), tn.enqueue(t, "next", client.Queue)

	job, err := tn.CancelJob(t.Context(), gone)
	require.NoError(t, err)
	require.Equal(t, client.JobCancelled, job.State)
	require.Contains(t, job.Reasons[0].Message, "before it began")
	require.Equal(t, client.Failed, tn.ends(t, gone).Status)
	_, err = tn.CancelJob(t.Context(), gone)
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusConflict, refusal.Status)

	held.Release()
	require.Equal(t, client.Succeeded, tn.ends(t, next).Status)
	tn.requireOrder(t, []string{first, next})
	require.Len(t, tn.names(t), 2)
	tn.requireNothingStaged(t)
}

func TestAQueueIsBounded(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "CommitImport", workertest.Before)
	tn.enqueueFirst(t, held)
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex
		accepted []string
		refused  int
	)
	for i := range jobs.DefaultQueueLength + 10 {
		wg.Go(func() {
			pkg := packagetest.Spec{Name: fmt.Sprintf("many %d", i), Applications: 1}.Bytes()
			id, err := tn.Import(t.Context(), "many.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{OnConflict: client.Queue})
			mu.Lock()
			defer mu.Unlock()
			var refusal *client.Error
			switch {
			case err == nil:
				accepted = append(accepted, id)
			case errors.As(err, &refusal) && refusal.Code == "ROMA.10012" && refusal.Status == http.StatusForbidden:
				refused++
			default:
				t.Errorf("import %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, accepted, jobs.DefaultQueueLength)
	require.Equal(t, 10, refused)
	held.Release()
	for _, id := range accepted {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	requireNoOverlap(t, tn, 1+len(accepted))
	tn.requireNothingStaged(t)
}

// A job that replaces cancels the one that runs, whether it was queued or not, comes before those that wait, and makes
// an earlier one superfluous that has not replaced it yet.
func TestReplaceTheRunningJob(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "StoreFiles", workertest.Before)
	first := tn.enqueueFirst(t, held)
	waits := tn.enqueue(t, "waits", client.Queue)
	replaces := tn.enqueue(t, "replaces", client.Replace)
	require.Equal(t, client.JobCancelled, tn.inState(t, first, client.JobCancelled).State)

	// The second one is held in the same step, and replaced in its turn.
	require.Eventually(t, func() bool {
		job, err := tn.ShowJob(t.Context(), replaces)
		require.NoError(t, err)
		return job.Step == workflows.ImportSteps[1].Title
	}, time.Minute, 10*time.Millisecond)
	last := tn.enqueue(t, "last", client.Replace)
	tn.inState(t, replaces, client.JobCancelled)
	held.Release()

	require.Equal(t, client.Succeeded, tn.ends(t, last).Status)
	require.Equal(t, client.Succeeded, tn.ends(t, waits).Status)
	tn.requireOrder(t, []string{last, waits})
	require.Equal(t, []string{"application last app 001", "application waits app 001"}, tn.names(t))
	tn.requireNothingStaged(t)
}

// Of many that replace at once the last one to arrive succeeds; the others end as succeeded or cancelled, never hang.
func TestManyThatReplaceAtOnce(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	var wg sync.WaitGroup
	ids := make([]string, 12)
	for i := range ids {
		wg.Go(func() { ids[i] = tn.enqueue(t, fmt.Sprintf("storm %d", i), client.Replace) })
	}
	wg.Wait()
	last := tn.enqueue(t, "calm", client.Replace)
	require.Equal(t, client.Succeeded, tn.ends(t, last).Status)
	for _, id := range ids {
		tn.ends(t, id)
	}
	require.Contains(t, tn.names(t), "application calm app 001")
	tn.requireNothingStaged(t)
}

// Jobs that arrive at the very moment at which the queue ends are not forgotten.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	var ids []string
	for i := range 40 {
		ids = append(ids, tn.enqueue(t, fmt.Sprintf("beat %d", i), client.Queue))
		if i%4 == 3 { // the queue is about to run dry, in a phase that differs each time
			require.Equal(t, client.Succeeded, tn.ends(t, ids[i]).Status)
			<-time.After(time.Duration(i) * time.Millisecond)
		}
	}
	for _, id := range ids {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	tn.requireOrder(t, ids)
}

// An operator who ends the queue by hand does not end its job; the next job that arrives has the others started.
func TestAQueueThatWasTerminatedGoesOn(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	held := steps.Hold(t, tn.project.ID, "CommitImport", workertest.Before)
	ids := []string{tn.enqueue(t, "running", client.Queue)}
	held.Wait(t)
	ids = append(ids, tn.enqueue(t, "waiting", client.Queue))
	queue := workflows.QueueWorkflowID(jobs.WorkflowID("asset-import", tn.project.ID, tn.user.ID))
	require.NoError(t, stack.Temporal().TerminateWorkflow(t.Context(), queue, "", "by hand"))
	ids = append(ids, tn.enqueue(t, "late", client.Queue))
	held.Release()
	for _, id := range ids {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	tn.requireOrder(t, ids)
}

// Deletions and exports wait as imports do, each kind in a queue of its own.
func TestEveryKindWaits(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	tn.imports(t, packagetest.Spec{Name: "kind", Applications: 4}.Bytes(), client.ImportOptions{})
	page, err := tn.ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	heldDelete := steps.Hold(t, tn.project.ID, "CommitDeletion", workertest.Before)
	heldExport := steps.Hold(t, tn.project.ID, "WriteArchive", workertest.Before)
	var deletions, exports []string
	for i, asset := range page.Assets {
		opts := client.StartOptions{OnConflict: client.Queue, IdempotencyKey: fmt.Sprintf("key-%d", i)}
		selection := client.Selection{Applications: []string{asset.ID}}
		for range 2 { // the second time is the same job, waiting or not
			id, err := tn.StartDeletion(t.Context(), selection, opts)
			require.NoError(t, err)
			deletions = append(deletions, id)
		}
		require.Equal(t, deletions[2*i], deletions[2*i+1])
		opts.IdempotencyKey += "-export"
		id, err := tn.StartExport(t.Context(), client.Selection{Applications: []string{page.Assets[0].ID}}, opts)
		require.NoError(t, err)
		exports = append(exports, id)
	}
	heldExport.Wait(t)
	heldExport.Release()
	for _, id := range exports {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	heldDelete.Wait(t)
	heldDelete.Release()
	for _, id := range deletions {
		require.Equal(t, client.Succeeded, tn.ends(t, id).Status)
	}
	require.Empty(t, tn.names(t))
}
