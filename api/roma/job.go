package roma

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// jobTypes are the kinds of jobs this contract knows, and what it calls them.
var jobTypes = map[catalog.JobKind]JobType{
	catalog.AssetImport: ImportAsset,
	catalog.AssetExport: ExportAsset,
	catalog.AssetDelete: DeleteAsset,
}

var jobStatuses = map[catalog.JobState]JobStatus{
	catalog.JobQueued:    RUNNING, // this contract knows no waiting
	catalog.JobRunning:   RUNNING,
	catalog.JobSucceeded: SUCCEEDED,
	catalog.JobFailed:    FAILED,
	catalog.JobCancelled: FAILED, // its reason says that it was cancelled
}

// CheckAssetJobStatus tells how far a job is. Whoever may read jobs in the project sees it, whoever started it.
func (s *server) CheckAssetJobStatus(ctx context.Context, request CheckAssetJobStatusRequestObject) (CheckAssetJobStatusResponseObject, error) {
	ctx = middleware.Context(ctx)
	unknown := fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	id, ok := middleware.JobID(request.JobID)
	if !ok {
		return nil, unknown
	}
	job, err := s.Jobs.Get(ctx, request.ProjectID, id)
	if err != nil {
		return nil, err
	}
	kind, ok := jobTypes[job.Kind]
	if !ok || job.InstanceID != request.InstanceID {
		return nil, unknown
	}
	reasons := formatReasons(job)
	answer := CheckAssetJobStatus200JSONResponse{
		Headers: CheckAssetJobStatus200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body: Job{
			ID: formatJobID(job.ID), Type: kind, Status: jobStatuses[job.State],
			ProgressPercent: math.Round(job.Progress*1000) / 1000,
			Reason:          reasons, Reasons: reasons,
			BeginTime: formatTime(job.CreatedAt),
		},
	}
	if job.EndedAt != nil {
		end := formatTime(*job.EndedAt)
		answer.Body.EndTime = &end
	}
	if job.Kind == catalog.AssetExport && job.State == catalog.JobSucceeded {
		var result catalog.ExportResult
		if err := json.Unmarshal(job.Result, &result); err != nil {
			return nil, fmt.Errorf("read the result of job %s: %w", job.ID, err)
		}
		archive := formatJobID(result.ArchiveID)
		answer.Body.ArchiveID = &archive
	}
	return answer, nil
}

// formatTime makes a time print as RFC 3339 in UTC with milliseconds: what the vendor's clients parse.
func formatTime(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
