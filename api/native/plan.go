package native

import (
	"context"

	"github.com/gin-gonic/gin"

	"assetflow/activities"
	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/jobs"
	"assetflow/storage"
)

// routePlan is the one route that takes a package.
const routePlan = "/api/v1/projects/:project_id/instances/:instance_id/assets/plan"

func (s *server) receiver() upload.Receiver {
	return upload.Receiver{Staging: s.Staging, Logger: s.Logger, MaxBytes: s.MaxUploadBytes}
}

// limitBody refuses large bodies; those of a package or a chart are looked at later: first comes who is calling.
func (s *server) limitBody(c *gin.Context) {
	switch c.FullPath() {
	case routePlan:
		middleware.CapBody(c.Request, s.receiver().MaxBody())
		return
	case routeCharts: // addons.ReadChart bounds what it reads
		return
	}
	middleware.LimitBody(middleware.MaxJSONBytes, WriteError)(c)
}

// checkPlan refuses what can be seen of a dry run before its body is read.
func (s *server) checkPlan(c *gin.Context) {
	if c.FullPath() != routePlan {
		return
	}
	if err := s.authorizeInstance(c.Request.Context(), c.Param("project_id"), c.Param("instance_id"), auth.AssetsImport); err != nil {
		WriteError(c, err)
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

// PlanImport says what an import of the package would do. The package is staged for as long as that takes.
func (s *server) PlanImport(ctx context.Context, request PlanImportRequestObject) (PlanImportResponseObject, error) {
	received := ctx.(*gin.Context).Request
	ctx = middleware.Context(ctx)
	parameters, err := upload.ParseParameters(received.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	p, _ := auth.PrincipalFrom(ctx)
	sub := jobs.ImportSubmission{
		JobID: jobs.NewID(), ProjectID: request.ProjectID, InstanceID: request.InstanceID, UserID: p.UserID, UserName: p.UserName,
		Mode: string(parameters.Mode), Prefix: parameters.Prefix, OverwriteDataSources: parameters.OverwriteDataSources,
	}
	body := received.Body.(*upload.Body) // checkPlan put it there
	sub.FileName, sub.Staged, err = s.receiver().Receive(ctx, request.Body, body, storage.StagingKey(sub.ProjectID, sub.JobID))
	if err != nil {
		return nil, err
	}
	defer s.receiver().Discard(ctx, sub.Staged.Key)
	comparison, err := s.Jobs.PlanImport(ctx, sub)
	if err != nil {
		return nil, err
	}
	return PlanImport200JSONResponse{
		Headers: PlanImport200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    formatPlan(sub.FileName, comparison),
	}, nil
}

func formatPlan(fileName string, comparison activities.ImportComparison) ImportPlan {
	plan := ImportPlan{
		FileName:    fileName,
		Possible:    len(comparison.Reasons) == 0,
		Assets:      make([]PlannedAsset, len(comparison.Assets)),
		DataSources: make([]PlannedDataSource, len(comparison.Plan.DataSources)),
		Reasons:     formatReasons(comparison.Reasons),
	}
	for i, a := range comparison.Assets {
		switch a.Action {
		case catalog.ActionCreate:
			plan.Counts.Create++
		case catalog.ActionNewVersion:
			plan.Counts.NewVersion++
		case catalog.ActionUnchanged:
			plan.Counts.Unchanged++
		case catalog.ActionConflict:
			plan.Counts.Conflict++
		case catalog.ActionKeep, catalog.ActionOverwrite: // of data sources only
		}
		plan.Assets[i] = PlannedAsset{
			Kind: string(a.Kind), Name: a.Name, Action: PlannedAssetAction(a.Action), AssetID: optional(a.AssetID),
			Fields: append([]string{}, a.Fields...), FilesAdded: formatChanges(a.FilesAdded),
			FilesRemoved: formatChanges(a.FilesRemoved), FilesChanged: formatChanges(a.FilesChanged),
		}
	}
	for i, d := range comparison.Plan.DataSources {
		plan.DataSources[i] = PlannedDataSource{Name: d.Name, Action: PlannedDataSourceAction(d.Action)}
	}
	return plan
}

func formatChanges(changes []catalog.FileChange) []FileChange {
	list := make([]FileChange, len(changes))
	for i, c := range changes {
		list[i] = FileChange{Path: c.Path, OldSize: c.OldSize, NewSize: c.NewSize}
	}
	return list
}
