package catalog

import "time"

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
