package catalog

import (
	"context"
	"time"
)

// TaskState is where a task of a job stands.
type TaskState string

// The states of a task.
const (
	TaskRunning   TaskState = "running"
	TaskSucceeded TaskState = "succeeded"
	TaskFailed    TaskState = "failed"
	TaskCancelled TaskState = "cancelled"
)

// JobTask is one step of a job that keeps its steps: a delivery.
type JobTask struct {
	JobID     string
	Index     int    // from 0, in the order of the job's steps
	Activity  string // the step, by the name of its activity
	State     TaskState
	Messages  []string  // sentences for a person, oldest first; at most MaxTaskMessages are kept, the last ones
	CreatedAt time.Time // when the step began
	UpdatedAt time.Time
}

// MaxTaskMessages is how many messages a task keeps, each of at most MaxTaskMessage bytes; longer ones are cut.
const (
	MaxTaskMessages = 50
	MaxTaskMessage  = 1024
)

// SetTask writes down where a step of a job stands: it makes the task or changes state and adds messages. A message that
// equals the last one is not added again, so that a step which is tried again says things once. CreatedAt is set the first
// time. It changes nothing once the job has ended. NotFound "catalog.job_not_found".
func (c *Catalog) SetTask(ctx context.Context, task JobTask) error {
	panic("to be written")
}

// JobTasks gives the tasks of a job in their order. When the job has ended, tasks that still ran are given as the job
// ended: failed or cancelled.
func (c *Catalog) JobTasks(ctx context.Context, jobID string) ([]JobTask, error) {
	panic("to be written")
}
