package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type jobRow struct {
	bun.BaseModel `bun:"table:jobs,alias:j"`

	ID         string `bun:"id,pk"`
	Kind       string `bun:"kind"`
	ProjectID  string `bun:"project_id"`
	InstanceID string `bun:"instance_id"`
	UserID     string `bun:"user_id"`
	UserName   string `bun:"user_name,scanonly"`
	WorkflowID string `bun:"workflow_id"`
	Subject    string `bun:"subject"`
	State      string `bun:"state"`
	Request    string `bun:"request,nullzero"` // JSON, as the next two
	Result     string `bun:"result,scanonly"`
	Reasons    string `bun:"reasons,nullzero"`
	CreatedAt  stamp  `bun:"created_at"`
	EndedAt    stamp  `bun:"ended_at,nullzero"`
	Settled    bool   `bun:"settled"`
	Queued     bool   `bun:"queued,scanonly"`
}

func newJobRow(job Job) jobRow {
	row := jobRow{
		ID: job.ID, Kind: string(job.Kind), ProjectID: job.ProjectID, InstanceID: job.InstanceID, UserID: job.UserID,
		WorkflowID: job.WorkflowID, Subject: job.Subject, State: string(JobRunning), Request: string(job.Request), CreatedAt: stampOf(job.CreatedAt),
	}
	if row.CreatedAt.IsZero() {
		row.CreatedAt = now()
	}
	return row
}

func (r jobRow) job() (Job, error) {
	job := Job{
		ID: r.ID, Kind: JobKind(r.Kind), ProjectID: r.ProjectID, InstanceID: r.InstanceID, UserID: r.UserID, UserName: r.UserName,
		WorkflowID: r.WorkflowID, Subject: r.Subject, State: JobState(r.State), Request: rawJSON(r.Request), Result: rawJSON(r.Result),
		CreatedAt: r.CreatedAt.at, EndedAt: r.EndedAt.pointer(), Settled: r.Settled,
	}
	if r.Queued && job.State == JobRunning {
		job.State = JobQueued
	}
	if r.Reasons != "" {
		if err := json.Unmarshal([]byte(r.Reasons), &job.Reasons); err != nil {
			return Job{}, fmt.Errorf("read the reasons of job %s: %w", r.ID, err)
		}
	}
	return job, nil
}

func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func jobsOf(rows []jobRow) ([]Job, error) {
	jobs := make([]Job, len(rows))
	for i, r := range rows {
		var err error
		if jobs[i], err = r.job(); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

func noJob() error { return fault.New(fault.NotFound, "catalog.job_not_found", "there is no such job") }

func selectJobs(db bun.IDB, rows any) *bun.SelectQuery {
	return db.NewSelect().Model(rows).
		ColumnExpr("?TableColumns, u.name AS user_name, e.result AS result, q.job_id IS NOT NULL AS queued").
		Join("LEFT JOIN users AS u ON u.id = j.user_id").Join("LEFT JOIN job_effects AS e ON e.job_id = j.id").
		Join("LEFT JOIN queued_jobs AS q ON q.job_id = j.id")
}

// InsertJob writes a new job down, in state running whatever job.State says. A zero CreatedAt means now. Conflict
// "catalog.job_exists", "catalog.jobs_queued" when jobs of its workflow id wait: Details is the id of the first.
func (c *Catalog) InsertJob(ctx context.Context, job Job) error {
	row := newJobRow(job)
	err := c.write(ctx, "write the job down", func(tx bun.Tx) error {
		if err := insertJob(ctx, tx, row); err != nil {
			return err
		}
		switch first, err := firstQueued(ctx, tx, row.WorkflowID); {
		case err == nil:
			return fault.New(fault.Conflict, "catalog.jobs_queued", "other jobs wait").WithDetails(first.ID)
		case fault.KindOf(err) != fault.NotFound:
			return err
		}
		return nil
	})
	if err == nil {
		c.tell([]JobChange{{Kind: job.Kind, Event: JobWritten}})
	}
	return err
}

func insertJob(ctx context.Context, tx bun.Tx, row jobRow) error {
	_, err := tx.NewInsert().Model(&row).Exec(ctx)
	if isDuplicate(err) {
		return fault.New(fault.Conflict, "catalog.job_exists", "there is a job of that id already")
	}
	if err != nil {
		return err
	}
	return writeAudit(ctx, tx, jobEntry(ctx, JobStarted, row, now()))
}

// DeleteJob removes a running job whose start was refused; an ended or unknown one is left alone without an error.
func (c *Catalog) DeleteJob(ctx context.Context, id string) error {
	var deleted []jobRow
	err := c.write(ctx, "delete the job", func(tx bun.Tx) error {
		deleted = nil
		err := tx.NewDelete().Model((*jobRow)(nil)).Where("id = ?", id).Where("state = ?", string(JobRunning)).
			Returning("id, kind, project_id, instance_id, user_id, subject, created_at").Scan(ctx, &deleted)
		if err != nil || len(deleted) == 0 {
			return err
		}
		if err := endCopy(ctx, tx, deleted[0], ""); err != nil {
			return err
		}
		if err := endDelivery(ctx, tx, deleted[0]); err != nil {
			return err
		}
		return writeAudit(ctx, tx, jobEntry(ctx, JobRefused, deleted[0], now()))
	})
	if err == nil {
		c.tell(changesOf(JobForgotten, deleted, now()))
	}
	return err
}

// Job finds a job by id, in whatever project. NotFound "catalog.job_not_found".
func (c *Catalog) Job(ctx context.Context, id string) (Job, error) {
	return readJob(ctx, c.reader, id)
}

func readJob(ctx context.Context, db bun.IDB, id string) (Job, error) {
	var row jobRow
	if err := selectJobs(db, &row).Where("j.id = ?", id).Scan(ctx); err != nil {
		return Job{}, failed(ctx, "read the job", orAbsent(err, noJob()))
	}
	return row.job()
}

// EndJob ends a running job and returns the row as it stands afterwards. The first end wins: on an ended job nothing
// changes, so a job whose effect was committed stays succeeded whatever the outcome says. NotFound
// "catalog.job_not_found", Invalid "catalog.bad_outcome".
func (c *Catalog) EndJob(ctx context.Context, id string, outcome JobOutcome) (Job, error) {
	row, err := newJobEnd(outcome)
	if err != nil {
		return Job{}, err
	}
	row.ID = id
	var ended []JobChange
	err = c.write(ctx, "end the job", func(tx bun.Tx) (err error) {
		ended, err = endJob(ctx, tx, row)
		return err
	})
	if err != nil {
		return Job{}, err
	}
	c.tell(ended)
	return c.Job(ctx, id)
}

// newJobEnd is what endJob writes of an outcome.
func newJobEnd(outcome JobOutcome) (jobRow, error) {
	switch outcome.State {
	case JobSucceeded, JobFailed, JobCancelled:
	default:
		return jobRow{}, fault.New(fault.Invalid, "catalog.bad_outcome", "a job cannot end in state %q", string(outcome.State))
	}
	row := jobRow{State: string(outcome.State), EndedAt: now()}
	if len(outcome.Reasons) > 0 {
		reasons, err := json.Marshal(outcome.Reasons[:min(len(outcome.Reasons), MaxReasons)])
		if err != nil {
			return jobRow{}, fmt.Errorf("write the reasons: %w", err)
		}
		row.Reasons = string(reasons)
	}
	return row, nil
}

// endJob ends the job if it is running, with an entry in the audit trail, and says what that changed, which is nothing where
// it has ended. It looks and ends in one statement, so a commit at the same moment comes before it or after it: the commit
// ends the job too.
func endJob(ctx context.Context, tx bun.Tx, end jobRow) ([]JobChange, error) {
	var ended []jobRow
	err := tx.NewUpdate().Model(&end).Column("state", "reasons", "ended_at").
		Where("j.id = ?", end.ID).Where("j.state = ?", string(JobRunning)).
		Returning("id, kind, project_id, instance_id, user_id, subject, state, created_at").Scan(ctx, &ended)
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	if _, err := tx.NewDelete().Model((*queuedJobRow)(nil)).Where("job_id = ?", end.ID).Exec(ctx); err != nil {
		return nil, err
	}
	if err := endCopy(ctx, tx, ended[0], end.Reasons); err != nil {
		return nil, err
	}
	if err := endDelivery(ctx, tx, ended[0]); err != nil {
		return nil, err
	}
	return changesOf(JobHasEnded, ended, end.EndedAt), writeAudit(ctx, tx, jobEntry(ctx, JobEnded, ended[0], end.EndedAt))
}

// SettleJob writes down that the job's workflow is closed; again is no error. NotFound "catalog.job_not_found",
// Conflict "catalog.job_running" while it has not ended.
func (c *Catalog) SettleJob(ctx context.Context, id string) error {
	running := fault.New(fault.Conflict, "catalog.job_running", "the job has not ended yet")
	err := changeOne(ctx, c.writer.NewUpdate().Model((*jobRow)(nil)).
		Set("settled = TRUE").Where("id = ?", id).Where("state <> ?", string(JobRunning)), running)
	if fault.CodeOf(err) != running.Code {
		return failed(ctx, "settle the job", err)
	}
	if _, err := c.Job(ctx, id); err != nil {
		return err
	}
	return running
}

// ListUnsettledJobs gives jobs of all projects that were made before the given time and are not settled, oldest first,
// at most limit: what a sweep has to look after.
func (c *Catalog) ListUnsettledJobs(ctx context.Context, before time.Time, limit int) ([]Job, error) {
	var rows []jobRow
	err := selectJobs(c.reader, &rows).Where("NOT j.settled").Where("j.created_at < ?", stampOf(before)).
		Order("j.created_at", "j.id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, failed(ctx, "list the unsettled jobs", err)
	}
	return jobsOf(rows)
}

// ListJobs gives a page of jobs, newest first, and the cursor of the next page (empty at the end). Jobs that arrive
// meanwhile never shift a page. Invalid "catalog.bad_cursor".
func (c *Catalog) ListJobs(ctx context.Context, filter JobFilter) (jobs []Job, next string, err error) {
	limit := pageSize(filter.Limit)
	var rows []jobRow
	q := selectJobs(c.reader, &rows).Where("j.project_id = ?", filter.ProjectID)
	for _, equal := range []struct{ column, value string }{
		{"instance_id", filter.InstanceID}, {"user_id", filter.UserID}, {"kind", string(filter.Kind)},
	} {
		if equal.value != "" {
			q = q.Where("j.? = ?", bun.Ident(equal.column), equal.value)
		}
	}
	switch filter.State {
	case "":
	case JobQueued:
		q = q.Where("j.state = ?", string(JobRunning)).Where("q.job_id IS NOT NULL")
	case JobRunning:
		q = q.Where("j.state = ?", string(JobRunning)).Where("q.job_id IS NULL")
	default:
		q = q.Where("j.state = ?", string(filter.State))
	}
	if filter.Cursor != "" {
		at, id, err := decodeTimeCursor(filter.Cursor)
		if err != nil {
			return nil, "", err
		}
		q = q.Where("(j.created_at, j.id) < (?, ?)", at, id)
	}
	// One row more than asked for tells whether there is a next page.
	if err := q.Order("j.created_at DESC", "j.id DESC").Limit(limit + 1).Scan(ctx); err != nil {
		return nil, "", failed(ctx, "list the jobs", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = encodeTimeCursor(rows[limit-1].CreatedAt, rows[limit-1].ID)
	}
	jobs, err = jobsOf(rows)
	return jobs, next, err
}
