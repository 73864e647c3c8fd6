package catalog

import (
	"context"
	"time"

	"github.com/uptrace/bun"
)

// JobChange is what happened to a job.
type JobChange struct {
	Kind  JobKind
	Event JobEvent
	State JobState      // of a JobHasEnded: how
	After time.Duration // since the job was written down; 0 for JobWritten
}

// JobEvent says what happened to a job.
type JobEvent int

// What happens to a job: it is written down, begins when its turn has come where it was queued, and ends. One whose
// start was refused is forgotten instead.
const (
	JobWritten JobEvent = iota
	JobHasTurn
	JobHasEnded
	JobForgotten
)

// WithJobWatch names a function that is told of every change of a job, in the process that made it: once, after the
// transaction was committed. A process that dies in between, or hears nothing of its commit, tells nobody.
func WithJobWatch(watch func(JobChange)) Option { return func(c *Catalog) { c.watch = watch } }

// tell tells the watcher of changes that are committed.
func (c *Catalog) tell(changes []JobChange) {
	if c.watch == nil {
		return
	}
	for _, change := range changes {
		c.watch(change)
	}
}

// changesOf is what happened at a time to jobs of which kind, state and created_at were read.
func changesOf(event JobEvent, rows []jobRow, at stamp) []JobChange {
	changes := make([]JobChange, len(rows))
	for i, row := range rows {
		changes[i] = JobChange{Kind: JobKind(row.Kind), Event: event, State: JobState(row.State), After: at.at.Sub(row.CreatedAt.at)}
	}
	return changes
}

// OpenJobs are the jobs of a kind that have not ended, in all projects.
type OpenJobs struct {
	Kind            JobKind
	Running, Queued int64
}

// CountOpenJobs counts the jobs that have not ended, of every kind. It reads them and no others, over an index.
func (c *Catalog) CountOpenJobs(ctx context.Context) ([]OpenJobs, error) {
	var rows []struct {
		Kind   string `bun:"kind"`
		All    int64  `bun:"open"`
		Queued int64  `bun:"queued"`
	}
	err := c.reader.NewSelect().Model((*jobRow)(nil)).ColumnExpr("j.kind, COUNT(*) AS open, COUNT(q.job_id) AS queued").
		Join("LEFT JOIN queued_jobs AS q ON q.job_id = j.id").
		Where("j.state = ?", string(JobRunning)).Group("j.kind").Scan(ctx, &rows)
	if err != nil {
		return nil, failed(ctx, "count the open jobs", err)
	}
	open := make([]OpenJobs, 0, len(JobKinds()))
	for _, kind := range JobKinds() {
		counted := OpenJobs{Kind: kind}
		for _, row := range rows {
			if row.Kind == string(kind) {
				counted.Running, counted.Queued = row.All-row.Queued, row.Queued
			}
		}
		open = append(open, counted)
	}
	return open, nil
}

// dequeued takes a job out of the queue and gives it; none where it did not wait.
func dequeued(ctx context.Context, tx bun.Tx, id string) ([]jobRow, error) {
	var gone []queuedJobRow
	err := tx.NewDelete().Model((*queuedJobRow)(nil)).Where("job_id = ?", id).Returning("job_id").Scan(ctx, &gone)
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	var rows []jobRow
	err = tx.NewSelect().Model(&rows).Column("kind", "created_at").Where("j.id = ?", id).Scan(ctx)
	return rows, err
}
