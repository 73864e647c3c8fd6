package roma

import (
	"context"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

// checkImport refuses what can be seen of an import before its body is read.
func (s *server) checkImport(c *gin.Context) {
	if c.FullPath() != routeImport {
		return
	}
	if _, err := upload.ParseParameters(c.Request.URL.RawQuery); err != nil {
		WriteError(c, err)
		return
	}
	if err := s.receiver().Open(c.Request); err != nil {
		WriteError(c, err)
	}
}

func (s *server) receiver() upload.Receiver {
	return upload.Receiver{Staging: s.Staging, Logger: s.Logger, MaxBytes: s.MaxUploadBytes}
}

// ImportAsset streams the package into staging and starts its import.
func (s *server) ImportAsset(ctx context.Context, request ImportAssetRequestObject) (ImportAssetResponseObject, error) {
	received := ctx.(*gin.Context).Request
	body := received.Body.(*upload.Body) // checkImport put it there
	sub := newSubmission(ctx, catalog.AssetImport, request.ProjectID, request.Params.IdempotencyKey, request.Params.AssetflowOnConflict)
	// Cheap, and saves a transfer that is in vain.
	if err := s.checkFree(ctx, sub); err != nil {
		return nil, err
	}
	parameters, err := upload.ParseParameters(received.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	imp := jobs.ImportSubmission{
		ProjectID: request.ProjectID, InstanceID: request.InstanceID, UserID: sub.caller.UserID, UserName: sub.caller.UserName,
		Mode: string(parameters.Mode), Prefix: parameters.Prefix, OverwriteDataSources: parameters.OverwriteDataSources,
		OnConflict: sub.onConflict,
	}
	fileName, staged, err := s.receiver().Receive(middleware.Context(ctx), request.Body, body, storage.StagingKey(sub.projectID, sub.jobID))
	if err != nil {
		return nil, err
	}
	imp.FileName = fileName
	// What a job was given is the job's. Where the outcome of the start is not known, the job may run all the same, and
	// a repeated submission carries it through with this package.
	given := false
	defer func() {
		if !given {
			s.receiver().Discard(middleware.Context(ctx), staged.Key)
		}
	}()
	return s.submit(ctx, sub, []string{fileName, staged.SHA256}, func(ctx context.Context, jobID string) (jobs.Job, error) {
		imp.JobID, imp.Staged = jobID, staged
		if jobID != sub.jobID {
			var err error
			if imp.Staged, err = upload.HandOver(ctx, s.Staging, s.Jobs, sub.projectID, jobID, staged); err != nil {
				return jobs.Job{}, err
			}
			return s.Jobs.StartImport(ctx, imp)
		}
		job, err := s.Jobs.StartImport(ctx, imp)
		kind := fault.KindOf(err)
		given = err == nil || kind == fault.Unavailable || kind == fault.Internal
		return job, err
	})
}
