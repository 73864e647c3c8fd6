package catalog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

// effectRow says that a job's effect was committed. It is what a commit looks for before it does anything.
type effectRow struct {
	bun.BaseModel `bun:"table:job_effects,alias:e"`

	JobID     string `bun:"job_id,pk"`
	Result    string `bun:"result"`
	CreatedAt stamp  `bun:"created_at"`
}

// commitOnce gives a job its effect, in one transaction and exactly once, whatever the kind of the job: do makes the
// changes and their result, which is kept with the job as JSON, and the job ends as succeeded. Where the job has its
// effect already, that result is read and do is not called. An error of do leaves nothing behind.
//
// Conflict "catalog.job_ended" when the job has ended otherwise; NotFound "catalog.job_not_found".
func commitOnce[Result any](ctx context.Context, c *Catalog, doing, jobID, projectID string, do func(tx bun.Tx, at stamp) (Result, error)) (Result, error) {
	var result, none Result
	var ended []JobChange
	err := c.write(ctx, doing, func(tx bun.Tx) error {
		result, ended = none, nil
		kept, err := c.lockJob(ctx, tx, jobID, projectID)
		if err != nil {
			return err
		}
		if kept != nil {
			if err := json.Unmarshal(kept, &result); err != nil {
				return fmt.Errorf("read the result of job %s: %w", jobID, err)
			}
			return nil
		}
		at := now()
		if result, err = do(tx, at); err != nil {
			return err
		}
		ended, err = c.writeEffect(ctx, tx, jobID, result, at)
		return err
	})
	if err != nil {
		return none, err
	}
	c.tell(ended)
	return result, c.failpoint("committed")
}

// lockJob holds the job's row until the transaction ends, so that it cannot end otherwise meanwhile and no second
// commit runs beside this one. When the effect is there already, it gives its result; nil when the job is running.
func (c *Catalog) lockJob(ctx context.Context, tx bun.Tx, jobID, projectID string) (json.RawMessage, error) {
	var job jobRow
	err := tx.NewSelect().Model(&job).Column("state").Where("j.id = ?", jobID).Where("j.project_id = ?", projectID).
		Apply(c.lock("j")).Scan(ctx)
	if err != nil {
		return nil, orAbsent(err, noJob())
	}
	if JobState(job.State) == JobRunning {
		return nil, nil
	}
	// A statement of its own: joined to the locking one, PostgreSQL would show what was there before the wait.
	var effects []effectRow
	if err := tx.NewSelect().Model(&effects).Column("result").Where("e.job_id = ?", jobID).Scan(ctx); err != nil {
		return nil, err
	}
	if len(effects) == 0 {
		return nil, fault.New(fault.Conflict, "catalog.job_ended", "the job has ended already, in state %s", job.State)
	}
	return json.RawMessage(effects[0].Result), nil
}

// lockInstance holds the instance's row until the transaction ends, so that what was read of its assets stays true:
// whatever changes the assets of one instance comes one after the other.
func (c *Catalog) lockInstance(ctx context.Context, tx bun.Tx, projectID, instanceID string) error {
	var instance instanceRow
	err := tx.NewSelect().Model(&instance).Column("id").Where("i.id = ?", instanceID).Where("i.project_id = ?", projectID).
		Apply(c.lock("i")).Scan(ctx)
	return orAbsent(err, noInstance())
}

// writeEffect writes down that the job has had its effect, and ends it.
func (c *Catalog) writeEffect(ctx context.Context, tx bun.Tx, jobID string, result any, at stamp) ([]JobChange, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("write the result: %w", err)
	}
	if _, err := tx.NewInsert().Model(&effectRow{JobID: jobID, Result: string(text), CreatedAt: at}).Exec(ctx); err != nil {
		return nil, fmt.Errorf("write the effect: %w", err)
	}
	if err := c.failpoint("effect"); err != nil {
		return nil, err
	}
	ended, err := endJob(ctx, tx, jobRow{ID: jobID, State: string(JobSucceeded), EndedAt: at})
	if err != nil {
		return nil, fmt.Errorf("end the job: %w", err)
	}
	return ended, c.failpoint("job")
}
