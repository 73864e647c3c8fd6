package servicestage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// jobPrefix stands before a job's UUID in this contract.
const jobPrefix = "JOB"

// formatJobID gives a job's id in this contract's form.
func formatJobID(id string) string { return jobPrefix + id }

// taskRollBack is the step that undoes what a delivery has changed, by the name of its activity.
const taskRollBack = "RollBack"

var jobTypes = map[catalog.AddonAction]JobJobType{
	catalog.AddonInstall:   PROVISION,
	catalog.AddonUninstall: DEPROVISION,
	catalog.AddonRedeploy:  DAILYOPERATION,
	catalog.AddonRestart:   DAILYOPERATION,
}

var taskStatuses = map[catalog.TaskState]TaskStatus{
	catalog.TaskRunning:   TaskStatusRUNNING,
	catalog.TaskSucceeded: TaskStatusSUCCEEDED,
	catalog.TaskFailed:    TaskStatusFAILED,
	catalog.TaskCancelled: TaskStatusCANCELLED,
}

// ShowJobInfo tells how far a job is, with its tasks. Whoever may read jobs in the project sees it, whoever started it.
func (s *server) ShowJobInfo(ctx context.Context, request ShowJobInfoRequestObject) (ShowJobInfoResponseObject, error) {
	ctx = middleware.Context(ctx)
	limit, offset, err := pageOf(request.Params.Limit, request.Params.Offset)
	if err != nil {
		return nil, err
	}
	if desc := request.Params.Desc; desc != nil && !desc.Valid() {
		return nil, badParameter("The parameter desc must be true or false.")
	}
	unknown := fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	id, ok := middleware.JobID(strings.TrimPrefix(request.JobID, jobPrefix))
	if !ok {
		return nil, unknown
	}
	// The job first: what is read after one that has ended does not change any more.
	job, err := s.Jobs.Get(ctx, request.ProjectID, id)
	switch {
	case err != nil:
		return nil, err
	case job.Kind != catalog.AddonDelivery: // another contract's
		return nil, unknown
	}
	tasks, err := s.Jobs.Tasks(ctx, request.ProjectID, id)
	if err != nil {
		return nil, err
	}
	head, err := formatJob(job, tasks)
	if err != nil {
		return nil, err
	}
	info := JobInfo{TaskCount: len(tasks), Job: head, Tasks: []Task{}}
	if valueOf(request.Params.Desc) == True {
		slices.Reverse(tasks)
	}
	offset = min(offset, len(tasks))
	for _, t := range tasks[offset:min(offset+limit, len(tasks))] {
		info.Tasks = append(info.Tasks, formatTask(t))
	}
	return ShowJobInfo200ApplicationJSONCharsetUTF8Response{
		Headers: ShowJobInfo200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: info,
	}, nil
}

func formatJob(job jobs.Job, tasks []jobs.Task) (Job, error) {
	var request jobs.DeliveryParameters
	if err := json.Unmarshal(job.Request, &request); err != nil {
		return Job{}, fmt.Errorf("read what job %s was asked for: %w", job.ID, err)
	}
	return Job{
		JobID: formatJobID(job.ID), ExecutionStatus: executionStatus(job.State, tasks), JobType: jobTypes[request.Action],
		ProjectID: job.ProjectID, RollbackEnabled: request.Action == catalog.AddonInstall || request.Action == catalog.AddonRedeploy,
	}, nil
}

func executionStatus(state catalog.JobState, tasks []jobs.Task) ExecutionStatus {
	rolledBack := func(state catalog.TaskState) bool {
		return slices.ContainsFunc(tasks, func(t jobs.Task) bool { return t.Activity == taskRollBack && t.State == state })
	}
	switch {
	case state == catalog.JobSucceeded:
		return ExecutionStatusSUCCEEDED
	case state == catalog.JobCancelled:
		return ExecutionStatusCANCELLED
	case state == catalog.JobFailed && rolledBack(catalog.TaskSucceeded):
		return ExecutionStatusROLLBACKED
	case state == catalog.JobFailed:
		return ExecutionStatusFAILED
	case len(tasks) == 0:
		return ExecutionStatusSUBMITTED
	case rolledBack(catalog.TaskRunning):
		return ExecutionStatusROLLBACKING
	}
	return ExecutionStatusRUNNING
}

func formatTask(t jobs.Task) Task {
	return Task{
		TaskID: t.JobID + "-" + strconv.Itoa(t.Index), TaskIndex: t.Index, TaskName: t.Title, TaskType: t.Activity,
		TaskStatus: taskStatuses[t.State], Messages: strings.Join(t.Messages, "\n"),
		CreatedAt: formatTime(t.CreatedAt), UpdateAt: formatTime(t.UpdatedAt),
	}
}

// formatTime gives a time as tasks have it: a text, of milliseconds since 1970.
func formatTime(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
