package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
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
	ID        string // 32 hex digits
	Type      string // "importAsset", "exportAsset" or "deleteAsset"
	Status    string // Running, Succeeded or Failed
	Progress  float64
	Reasons   []Reason
	ArchiveID string // of an export that succeeded, for DownloadArchive
	BeginTime time.Time
	EndTime   time.Time // zero while it runs
}

// Reason is one reason for which a job failed.
type Reason struct {
	ResourceType string `json:"resource_type"` // "application" or "task"
	ResourceName string `json:"resource_name"`
	Code         string `json:"code"`
	Message      string `json:"message"`
}

// Ended tells whether the job has ended: the next one of its kind can start.
func (j Job) Ended() bool { return j.Status == Succeeded || j.Status == Failed }

// Job asks for a job. id is 32 hex digits or a UUID in its usual form.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	id, err := romaID(id)
	if err != nil {
		return Job{}, err
	}
	var answer struct {
		ID        string  `json:"id"`
		Type      string  `json:"type"`
		Status    string  `json:"status"`
		Progress  float64 `json:"progress_percent"`
		ArchiveID string  `json:"archive_id"`
		Reasons   []struct {
			ResourceType string `json:"resource_type"`
			ResourceName string `json:"resource_name"`
			Code         string `json:"error_code"`
			Message      string `json:"error_msg"`
		} `json:"reasons"`
		BeginTime time.Time `json:"begin_time"`
		EndTime   time.Time `json:"end_time"`
	}
	err = c.get(ctx, "ask for job "+id, path("v2", c.cfg.ProjectID, "instances", c.cfg.InstanceID, "assets", "jobs", id), nil, &answer)
	if err != nil {
		return Job{}, err
	}
	job := Job{
		ID: answer.ID, Type: answer.Type, Status: answer.Status, Progress: answer.Progress, ArchiveID: answer.ArchiveID,
		BeginTime: answer.BeginTime, EndTime: answer.EndTime,
	}
	for _, r := range answer.Reasons {
		job.Reasons = append(job.Reasons, Reason(r))
	}
	return job, nil
}

// WaitJob polls until the job has ended and returns it, whether it succeeded or failed. report, when given, is called
// with every answer; its progress never falls. Polling starts at 100 ms and slows down to 2 s. A service that goes
// away meanwhile is waited for up to a minute.
func (c *Client) WaitJob(ctx context.Context, id string, report func(Job)) (Job, error) {
	return wait(ctx, c,
		func(ctx context.Context) (Job, error) { return c.Job(ctx, id) },
		Job.Ended,
		func(j *Job) *float64 { return &j.Progress },
		report)
}

// romaID gives a job id in the form that the ROMA contract has.
func romaID(id string) (string, error) {
	digits := strings.ToLower(strings.TrimPrefix(id, "JOB"))
	if len(digits) == 36 && digits[8] == '-' && digits[13] == '-' && digits[18] == '-' && digits[23] == '-' {
		digits = digits[:8] + digits[9:13] + digits[14:18] + digits[19:23] + digits[24:]
	}
	if _, err := hex.DecodeString(digits); err != nil || len(digits) != 32 {
		return "", fmt.Errorf("%w: %q", ErrBadJobID, id)
	}
	return digits, nil
}

// CanonicalJobID gives a job id as a UUID in its usual form, as the Temporal UI and our own API show it. It takes
// any contract's form: 32 digits, a UUID, or JOB and a UUID.
func CanonicalJobID(id string) (string, error) {
	digits, err := romaID(id)
	if err != nil {
		return "", err
	}
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:], nil
}
