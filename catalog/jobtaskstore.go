package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"assetflow/fault"
)

type jobTaskRow struct {
	bun.BaseModel `bun:"table:job_tasks,alias:jt"`

	JobID     string `bun:"job_id,pk"`
	Position  int    `bun:"position,pk"`
	Activity  string `bun:"activity"`
	State     string `bun:"state"`
	Messages  string `bun:"messages"` // JSON
	CreatedAt stamp  `bun:"created_at"`
	UpdatedAt stamp  `bun:"updated_at"`
}

// task is the task as it is shown while its job is in the given state.
func (r jobTaskRow) task(job JobState) (JobTask, error) {
	t := JobTask{
		JobID: r.JobID, Index: r.Position, Activity: r.Activity, State: TaskState(r.State), CreatedAt: r.CreatedAt.at, UpdatedAt: r.UpdatedAt.at,
	}
	if t.State == TaskRunning && job.Ended() {
		t.State = map[JobState]TaskState{JobSucceeded: TaskSucceeded, JobFailed: TaskFailed, JobCancelled: TaskCancelled}[job]
	}
	var err error
	t.Messages, err = r.messages()
	return t, err
}

func (r jobTaskRow) messages() ([]string, error) {
	var messages []string
	if err := json.Unmarshal([]byte(r.Messages), &messages); err != nil {
		return nil, fmt.Errorf("read the messages of a task of job %s: %w", r.JobID, err)
	}
	return messages, nil
}

// SetTask writes down where a step of a job stands: it makes the task or changes state and adds messages. Messages that
// repeat the last ones are not added again, so that a step which is tried again says things once. CreatedAt is set the first
// time. It changes nothing once the job has ended. NotFound "catalog.job_not_found"; Invalid "catalog.bad_task" for an
// unknown state, a negative index, or an activity whose name is none.
func (c *Catalog) SetTask(ctx context.Context, task JobTask) error {
	switch task.State {
	case TaskRunning, TaskSucceeded, TaskFailed, TaskCancelled:
	default:
		return badTask("a task cannot be in state %q", string(task.State))
	}
	if task.Index < 0 || checkNames(task.Activity) != nil {
		return badTask("a task has an index from 0 and the name of an activity")
	}
	added := taskMessages(task.Messages)
	return c.write(ctx, "write the task down", func(tx bun.Tx) error {
		var job jobRow
		err := tx.NewSelect().Model(&job).Column("state").Where("j.id = ?", task.JobID).Apply(c.lock("j")).Scan(ctx)
		if err != nil {
			return orAbsent(err, noJob())
		}
		if JobState(job.State).Ended() {
			return nil
		}
		var rows []jobTaskRow
		err = tx.NewSelect().Model(&rows).Where("jt.job_id = ?", task.JobID).Where("jt.position = ?", task.Index).Scan(ctx)
		if err != nil {
			return err
		}
		row := jobTaskRow{JobID: task.JobID, Position: task.Index, Activity: task.Activity, State: string(task.State), UpdatedAt: now()}
		row.CreatedAt = row.UpdatedAt
		var messages []string
		if len(rows) > 0 {
			row.CreatedAt = rows[0].CreatedAt
			if messages, err = rows[0].messages(); err != nil {
				return err
			}
		}
		messages = addMessages(messages, added)
		row.Messages = string(canonical(messages[max(0, len(messages)-MaxTaskMessages):]))
		_, err = tx.NewInsert().Model(&row).On("CONFLICT (job_id, position) DO UPDATE").Set("activity = EXCLUDED.activity").
			Set("state = EXCLUDED.state").Set("messages = EXCLUDED.messages").Set("updated_at = EXCLUDED.updated_at").Exec(ctx)
		return err
	})
}

func badTask(format string, args ...any) error {
	return fault.New(fault.Invalid, "catalog.bad_task", format, args...)
}

// taskMessages brings messages into the form in which they are kept: they may tell what a target has said, so anything.
func taskMessages(messages []string) []string {
	kept := make([]string, 0, len(messages))
	for _, m := range messages {
		m = strings.ReplaceAll(strings.ToValidUTF8(m, "\uFFFD"), "\x00", "\uFFFD")
		if len(m) > MaxTaskMessage {
			m = strings.ToValidUTF8(m[:MaxTaskMessage], "")
		}
		if m != "" {
			kept = append(kept, m)
		}
	}
	return kept
}

// addMessages adds messages, but for those at their beginning that are the last ones already.
func addMessages(messages, added []string) []string {
	added = slices.Compact(added)
	for same := min(len(messages), len(added)); ; same-- {
		if slices.Equal(messages[len(messages)-same:], added[:same]) {
			return append(append([]string{}, messages...), added[same:]...)
		}
	}
}

// JobTasks gives the tasks of a job in their order. When the job has ended, tasks that still ran are given as the job
// ended: succeeded, failed or cancelled. NotFound "catalog.job_not_found".
func (c *Catalog) JobTasks(ctx context.Context, jobID string) ([]JobTask, error) {
	var job Job
	var rows []jobTaskRow
	err := c.read(ctx, "read the tasks", func(tx bun.Tx) error {
		var err error
		if job, err = readJob(ctx, tx, jobID); err != nil {
			return err
		}
		return tx.NewSelect().Model(&rows).Where("jt.job_id = ?", jobID).Order("jt.position").Scan(ctx)
	})
	if err != nil {
		return nil, err
	}
	tasks := make([]JobTask, len(rows))
	for i, r := range rows {
		if tasks[i], err = r.task(job.State); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}
