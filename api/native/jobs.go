package native

import (
	"context"
	"encoding/json"

	"assetflow/addons"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// ListProjectJobs gives one page of a project's jobs.
func (s *server) ListProjectJobs(ctx context.Context, request ListProjectJobsRequestObject) (ListProjectJobsResponseObject, error) {
	page, err := s.listJobs(ctx, request.ProjectID, request.Params)
	if err != nil {
		return nil, err
	}
	return ListProjectJobs200JSONResponse{
		Headers: ListProjectJobs200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

// ListJobs gives one page of a project's jobs, the project being a parameter.
func (s *server) ListJobs(ctx context.Context, request ListJobsRequestObject) (ListJobsResponseObject, error) {
	p := request.Params
	page, err := s.listJobs(ctx, p.ProjectID, ListProjectJobsParams{
		Limit: p.Limit, Cursor: p.Cursor, InstanceID: p.InstanceID, UserID: p.UserID, Kind: p.Kind, State: p.State,
	})
	if err != nil {
		return nil, err
	}
	return ListJobs200JSONResponse{
		Headers: ListJobs200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: page,
	}, nil
}

func (s *server) listJobs(ctx context.Context, projectID string, params ListProjectJobsParams) (JobPage, error) {
	ctx = middleware.Context(ctx)
	if err := s.authorize(ctx, projectID, auth.JobsRead); err != nil {
		return JobPage{}, err
	}
	limit, err := checkLimit(params.Limit)
	if err != nil {
		return JobPage{}, err
	}
	if params.Kind != nil && !params.Kind.Valid() {
		return JobPage{}, badParameter("kind", "a kind of job, such as asset-import")
	}
	if params.State != nil && !params.State.Valid() {
		return JobPage{}, badParameter("state", "queued, running, succeeded, failed or cancelled")
	}
	list, next, err := s.Jobs.List(ctx, catalog.JobFilter{
		ProjectID: projectID, InstanceID: valueOf(params.InstanceID), UserID: valueOf(params.UserID),
		Kind: catalog.JobKind(valueOf(params.Kind)), State: catalog.JobState(valueOf(params.State)),
		Limit: limit, Cursor: valueOf(params.Cursor),
	})
	if err != nil {
		return JobPage{}, err
	}
	page := JobPage{Jobs: make([]Job, len(list)), NextCursor: optional(next)}
	for i, job := range list {
		page.Jobs[i] = formatJob(job)
	}
	return page, nil
}

// GetJob gives one job.
func (s *server) GetJob(ctx context.Context, request GetJobRequestObject) (GetJobResponseObject, error) {
	ctx = middleware.Context(ctx)
	projectID, id, err := s.authorizeJob(ctx, request.JobID, auth.JobsRead)
	if err != nil {
		return nil, err
	}
	job, err := s.Jobs.Get(ctx, projectID, id)
	if err != nil {
		return nil, err
	}
	answer := formatJob(job)
	if job.Kind == catalog.AddonDelivery {
		tasks, err := s.Jobs.Tasks(ctx, projectID, id)
		if err != nil {
			return nil, err
		}
		answer.Tasks = formatTasks(tasks)
	}
	return GetJob200JSONResponse{
		Headers: GetJob200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: answer,
	}, nil
}

// CancelJob asks a running job to stop.
func (s *server) CancelJob(ctx context.Context, request CancelJobRequestObject) (CancelJobResponseObject, error) {
	ctx = middleware.Context(ctx)
	projectID, id, err := s.authorizeJob(ctx, request.JobID, auth.JobsCancel)
	if err != nil {
		return nil, err
	}
	cancel := s.Jobs.Cancel
	if valueOf(request.Params.Leave) {
		cancel = s.Jobs.CancelLeaving
	}
	if err := cancel(ctx, projectID, id); err != nil {
		return nil, err
	}
	job, err := s.Jobs.Get(ctx, projectID, id)
	if err != nil {
		return nil, err
	}
	return CancelJob202JSONResponse{
		Headers: CancelJob202ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}, Body: formatJob(job),
	}, nil
}

// authorizeJob checks what the caller may do in the job's own project. A job of a project that the caller has no part
// in looks exactly like one that does not exist.
func (s *server) authorizeJob(ctx context.Context, text string, perm auth.Permission) (projectID, id string, err error) {
	unknown := fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	id, ok := middleware.JobID(text)
	if !ok {
		return "", "", unknown
	}
	projectID, err = s.Jobs.ProjectOf(ctx, id)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return "", "", unknown
	case err != nil:
		return "", "", err
	}
	p, _ := auth.PrincipalFrom(ctx)
	foreign := p.ProjectID != "" && p.ProjectID != projectID // a token of another project
	switch err = s.authorize(ctx, projectID, perm); {
	case fault.KindOf(err) == fault.NotFound, foreign && fault.KindOf(err) == fault.Forbidden:
		return "", "", unknown.Wrap(err)
	case err != nil:
		return "", "", err
	}
	return projectID, id, nil
}

func formatJob(job jobs.Job) Job {
	j := Job{
		ID: job.ID, Kind: string(job.Kind), ProjectID: job.ProjectID, InstanceID: job.InstanceID,
		UserID: job.UserID, UserName: job.UserName, WorkflowID: job.WorkflowID, Subject: job.Subject,
		State: JobState(job.State), Progress: job.Progress, Step: optional(job.Step),
		Request: payload(job.Request), Result: payload(job.Result),
		Reasons: formatReasons(job.Reasons), CreatedAt: job.CreatedAt.UTC(),
		Workloads: formatWorkloads(job.Workloads), Attempt: optional(job.Attempt), LastFailure: optional(job.LastFailure),
	}
	if job.EndedAt != nil {
		ended := job.EndedAt.UTC()
		j.EndedAt = &ended
	}
	return j
}

// formatWorkloads gives nil where there are none.
func formatWorkloads(workloads []addons.Workload) *[]Workload {
	if len(workloads) == 0 {
		return nil
	}
	list := make([]Workload, len(workloads))
	for i, w := range workloads {
		list[i] = Workload{Kind: w.Kind, Name: w.Name, Ready: w.Ready, Wanted: w.Wanted, Message: w.Message}
	}
	return &list
}

func formatTasks(tasks []jobs.Task) *[]JobTask {
	list := make([]JobTask, len(tasks))
	for i, t := range tasks {
		list[i] = JobTask{
			Index: t.Index, Name: t.Title, State: string(t.State), Messages: append([]string{}, t.Messages...),
			CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
		}
	}
	return &list
}

func formatReasons(reasons []catalog.Reason) []Reason {
	list := make([]Reason, len(reasons))
	for i, r := range reasons {
		list[i] = Reason{ResourceType: r.ResourceType, ResourceName: r.ResourceName, Code: r.Code, Message: r.Message}
	}
	return list
}

func payload(raw json.RawMessage) *json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	return &raw
}
