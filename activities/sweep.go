package activities

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// Sweep holds the steps that tidy up what jobs, callers and dead processes leave behind. Each works in bounded pages,
// can be run again at any moment, and goes on after what it cannot remove; that is left to the next run.
type Sweep struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Logger  *slog.Logger
	// Settle looks a job's workflow up and settles the job where the workflow is closed or never started. nil: jobs are
	// not settled.
	Settle func(ctx context.Context, projectID, jobID string) error
	// Grace is how old a leftover must be before it is taken.
	Grace time.Duration
	// KeepTrash is how long a deleted asset can be restored.
	KeepTrash time.Duration
	// Now is the time; nil stands for time.Now.
	Now func() time.Time
}

const (
	// sweepPage is how many things a step takes from the catalog at once.
	sweepPage = 500
	// settleAge is how old a job is before the sweep looks after it: until then its caller does.
	settleAge = 10 * time.Minute
	// clockSkew is what clocks of machines may differ by.
	clockSkew = time.Minute
)

// SettleJobs settles jobs that nobody asks about any more: their workflow has closed, never started, or was ended from
// outside. What such a job has staged can then go.
func (a *Sweep) SettleJobs(ctx context.Context) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	if a.Settle == nil {
		return r.result(ctx, nil)
	}
	before := a.now().Add(-settleAge)
	open := map[string]bool{} // those that stay at the head of the list
	for {
		jobs, err := a.Catalog.ListUnsettledJobs(ctx, before, len(open)+sweepPage)
		if err != nil {
			return r.result(ctx, err)
		}
		fresh := 0
		for _, job := range jobs {
			if open[job.ID] {
				continue
			}
			fresh++
			settled, err := a.settle(ctx, job)
			if !settled {
				open[job.ID] = true
			}
			if r.note(ctx, "settle job "+job.ID, settled, err); r.hopeless() {
				return r.result(ctx, nil)
			}
		}
		if fresh == 0 {
			return r.result(ctx, nil)
		}
	}
}

func (a *Sweep) settle(ctx context.Context, job catalog.Job) (bool, error) {
	if err := a.Settle(ctx, job.ProjectID, job.ID); err != nil {
		// A job whose start was refused just now is gone.
		return false, ignoreNotFound(err)
	}
	job, err := a.Catalog.Job(ctx, job.ID)
	return job.Settled, ignoreNotFound(err)
}

// PurgeTrash removes assets for good that have been in the trash for longer than it keeps them.
func (a *Sweep) PurgeTrash(ctx context.Context) (Swept, error) {
	before := a.now().Add(-a.KeepTrash)
	return a.pages(ctx, func(ctx context.Context) (int, error) { return a.Catalog.PurgeTrash(ctx, before, sweepPage) })
}

// ForgetSubmissions removes the answers kept for idempotency keys whose time is over.
func (a *Sweep) ForgetSubmissions(ctx context.Context) (Swept, error) {
	before := a.now().Add(-catalog.SubmissionLifetime)
	return a.pages(ctx, func(ctx context.Context) (int, error) { return a.Catalog.ForgetSubmissions(ctx, before, sweepPage) })
}

// pages runs remove, which says how many it took, until it takes no whole page.
func (a *Sweep) pages(ctx context.Context, remove func(context.Context) (int, error)) (Swept, error) {
	r := beginSweep(ctx, a.Logger)
	defer r.end()
	for {
		n, err := remove(ctx)
		r.add(n, n)
		if err != nil || n < sweepPage {
			return r.result(ctx, err)
		}
	}
}

// ownerEnded tells whether nothing will be done any more with what was written for a job: the job has ended, or there is
// none. The caller has made sure that the thing is older than the grace, so that its job is not just being started.
func (a *Sweep) ownerEnded(ctx context.Context, jobID string) (catalog.Job, bool, error) {
	job, err := a.Catalog.Job(ctx, jobID)
	if fault.KindOf(err) == fault.NotFound {
		return catalog.Job{}, true, nil
	}
	if err != nil {
		return catalog.Job{}, false, fmt.Errorf("find the job: %w", err)
	}
	return job, job.State.Ended(), nil
}

// beforeJobs moves a time back to shortly before the oldest running job began: what was there earlier is none of theirs.
func (a *Sweep) beforeJobs(ctx context.Context, before time.Time) (time.Time, error) {
	unsettled, err := a.Catalog.ListUnsettledJobs(ctx, before.Add(clockSkew), sweepPage)
	if err != nil {
		return time.Time{}, err
	}
	for i, job := range unsettled {
		// After a whole page without a running job, the next one may be.
		if !job.State.Ended() || i == sweepPage-1 {
			if began := job.CreatedAt.Add(-clockSkew); began.Before(before) {
				before = began
			}
			break
		}
	}
	return before, nil
}

func (a *Sweep) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// old is the time before which things are older than the grace.
func (a *Sweep) old() time.Time { return a.now().Add(-a.Grace) }

func ignoreNotFound(err error) error {
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	return err
}
