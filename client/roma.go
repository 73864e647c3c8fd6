package client

import (
	"context"
	"time"
)

// The states of a Job.
const (
	Running   = "RUNNING"
	Succeeded = "SUCCEEDED"
	Failed    = "FAILED" // failed or cancelled
)

// Job is a job as the ROMA contract shows it.
type Job struct {
	ID        string     `json:"id"`   // 32 hex digits
	Type      string     `json:"type"` // "importAsset"
	Status    string     `json:"status"`
	Progress  float64    `json:"progress_percent"` // 0 to 1
	Reasons   []Reason   `json:"reasons,omitempty"`
	ArchiveID string     `json:"archive_id,omitempty"`
	BeginTime time.Time  `json:"begin_time"`
	EndTime   *time.Time `json:"end_time,omitempty"`
}

// Reason is one reason for which a job failed.
type Reason struct {
	ResourceType string `json:"resource_type"`
	ResourceName string `json:"resource_name"`
	Code         string `json:"error_code"`
	Message      string `json:"error_msg"`
}

// Ended tells whether the job has ended: the next one of its kind can start.
func (j Job) Ended() bool { return j.Status == Succeeded || j.Status == Failed }

// Job asks for a job. id is 32 hex digits or a UUID in its usual form.
func (c *Client) Job(ctx context.Context, id string) (Job, error) { panic("not built yet") }

// WaitJob polls until the job has ended and returns it, whether it succeeded or failed. report, when given, is called
// with every answer; its progress never falls. Polling starts at 100 ms and slows down to 2 s. A service that is away
// is waited for up to a minute.
func (c *Client) WaitJob(ctx context.Context, id string, report func(Job)) (Job, error) {
	panic("not built yet")
}
