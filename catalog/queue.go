package catalog

import (
	"context"
	"encoding/json"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// QueuedJob is a job that waits until those before it of the same workflow id have ended.
type QueuedJob struct {
	Job
	// Replaces says that it does not wait for the running one, which is to be cancelled, and comes before all that wait.
	Replaces bool
	Start    json.RawMessage // how its workflow is started, as its caller encodes it
}

type queuedJobRow struct {
	bun.BaseModel `bun:"table:queued_jobs,alias:q"`

	Number     int64  `bun:"number,pk,autoincrement"`
	JobID      string `bun:"job_id"`
	WorkflowID string `bun:"workflow_id"`
	Replaces   bool   `bun:"replaces"`
	Start      string `bun:"start"`
}

// EnqueueJob writes a new job down as the last that waits among those of its workflow id; with Replaces as the first,
// and whatever waited to replace the running one is ended as cancelled and returned. At most limit jobs wait.
// Conflict "catalog.job_exists", "catalog.queue_full".
func (c *Catalog) EnqueueJob(ctx context.Context, queued QueuedJob, limit int) (replaced []Job, err error) {
	row := newJobRow(queued.Job)
	var ended []JobChange
	err = c.write(ctx, "enqueue the job", func(tx bun.Tx) error {
		replaced, ended = nil, nil
		// The order of the numbers is that of the commits, so that nobody overtakes, and the limit holds.
		if err := c.database.lockName(ctx, tx, row.WorkflowID); err != nil {
			return err
		}
		if err := insertJob(ctx, tx, row); err != nil {
			return err
		}
		if queued.Replaces {
			if replaced, ended, err = replaceQueued(ctx, tx, row); err != nil {
				return err
			}
		}
		waiting, err := tx.NewSelect().Model((*queuedJobRow)(nil)).Where("q.workflow_id = ?", row.WorkflowID).Count(ctx)
		if err != nil {
			return err
		}
		if waiting >= limit {
			return fault.New(fault.Conflict, "catalog.queue_full", "%d jobs wait already", waiting)
		}
		_, err = tx.NewInsert().Model(&queuedJobRow{
			JobID: row.ID, WorkflowID: row.WorkflowID, Replaces: queued.Replaces, Start: string(queued.Start),
		}).Exec(ctx)
		return err
	})
	if err == nil {
		c.tell(append(ended, JobChange{Kind: queued.Kind, Event: JobWritten}))
	}
	return replaced, err
}

// replaceQueued ends the jobs that wait to replace the running one, because the given one does that now.
func replaceQueued(ctx context.Context, tx bun.Tx, by jobRow) (replaced []Job, changes []JobChange, err error) {
	var rows []jobRow
	err = selectJobs(tx, &rows).Where("q.workflow_id = ?", by.WorkflowID).Where("q.replaces").Scan(ctx)
	if err != nil {
		return nil, nil, err
	}
	end, err := newJobEnd(JobOutcome{State: JobCancelled, Reasons: []Reason{{
		ResourceType: string(KindApplication), ResourceName: by.Subject, Code: "replaced",
		Message: "The job was replaced by job " + by.ID + " before it began; nothing was changed.",
	}}})
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		end.ID = r.ID
		ended, err := endJob(ctx, tx, end)
		if err != nil {
			return nil, nil, err
		}
		changes = append(changes, ended...)
	}
	replaced, err = jobsOf(rows)
	return replaced, changes, err
}

// FirstQueued gives the job whose turn is next among those of a workflow id. NotFound "catalog.queue_empty".
func (c *Catalog) FirstQueued(ctx context.Context, workflowID string) (QueuedJob, error) {
	queued, err := firstQueued(ctx, c.reader, workflowID)
	return queued, failed(ctx, "find the first of the queue", err)
}

func firstQueued(ctx context.Context, db bun.IDB, workflowID string) (QueuedJob, error) {
	var first queuedJobRow
	err := db.NewSelect().Model(&first).Where("q.workflow_id = ?", workflowID).Order("q.replaces DESC", "q.number").Limit(1).Scan(ctx)
	if err != nil {
		return QueuedJob{}, orAbsent(err, fault.New(fault.NotFound, "catalog.queue_empty", "no job waits"))
	}
	job, err := readJob(ctx, db, first.JobID)
	return QueuedJob{Job: job, Replaces: first.Replaces, Start: rawJSON(first.Start)}, err
}

// DequeueJob writes down that a job waits no longer, because its workflow has been started; again is no error.
func (c *Catalog) DequeueJob(ctx context.Context, id string) error {
	var turns []jobRow
	err := c.write(ctx, "dequeue the job", func(tx bun.Tx) (err error) {
		turns, err = dequeued(ctx, tx, id)
		return err
	})
	if err == nil {
		c.tell(changesOf(JobHasTurn, turns, now()))
	}
	return err
}

// EndQueuedJob ends a job that waits, and says whether it did wait. Errors as with EndJob.
func (c *Catalog) EndQueuedJob(ctx context.Context, id string, outcome JobOutcome) (bool, error) {
	end, err := newJobEnd(outcome)
	if err != nil {
		return false, err
	}
	end.ID = id
	var waited bool
	var ended []JobChange
	err = c.write(ctx, "end the waiting job", func(tx bun.Tx) error {
		n, err := changed(tx.NewDelete().Model((*queuedJobRow)(nil)).Where("job_id = ?", id).Exec(ctx))
		waited = n > 0
		if ended = nil; err != nil || !waited {
			return err
		}
		ended, err = endJob(ctx, tx, end)
		return err
	})
	if err == nil {
		c.tell(ended)
	}
	return waited, err
}
