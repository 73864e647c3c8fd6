package roma

import (
	"context"
	"mime"
	"net/url"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/assetpackage"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

// formBytes is what a form may take beside the package in it: boundaries and the part's headers.
const formBytes = 64 << 10

func (s *server) maxBody() int64 { return s.MaxUploadBytes + formBytes }

// checkImport refuses what can be seen of an import before its body is read.
func (s *server) checkImport(c *gin.Context) {
	if c.FullPath() != routeImport {
		return
	}
	if err := checkImportQuery(c.Request.URL.RawQuery); err != nil {
		WriteError(c, err)
		return
	}
	if c.Request.ContentLength == 0 {
		WriteError(c, noBody())
		return
	}
	kind, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		WriteError(c, fault.New(fault.Invalid, codeBody,
			"The request's body must be of the type multipart/form-data, with a boundary.").Wrap(err))
		return
	}
	if c.Request.ContentLength > s.maxBody() {
		WriteError(c, middleware.BodyTooLarge(s.MaxUploadBytes))
		return
	}
	c.Request.Body = newUpload(c.Request.Body)
}

func noBody() *fault.Error {
	return fault.New(fault.Invalid, codeNoBody, "The request has no body: send the package as multipart/form-data.")
}

// checkImportQuery refuses unknown values of known parameters, and repeated ones. Unknown parameters are ignored.
func checkImportQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fault.New(fault.Invalid, codeParameter, "The query is not properly encoded.").Wrap(err)
	}
	for _, name := range []string{"type", "prefix", "datasource_overwrite"} {
		if len(query[name]) > 1 {
			return fault.New(fault.Invalid, codeParameter, "The parameter %s is given more than once.", name)
		}
	}
	if query.Has("type") && !ImportAssetParamsType(query.Get("type")).Valid() {
		return fault.New(fault.Invalid, codeParameter, "The parameter type must be AddNew or Merge.")
	}
	if query.Has("datasource_overwrite") && !ImportAssetParamsDatasourceOverwrite(query.Get("datasource_overwrite")).Valid() {
		return fault.New(fault.Invalid, codeParameter, "The parameter datasource_overwrite must be true or false.")
	}
	return checkPrefix(query.Get("prefix"))
}

// checkPrefix asks of a prefix that a name can begin with it, and that a character more is still a name.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if err := assetpackage.CheckName(prefix + "a"); err != nil {
		return fault.New(fault.Invalid, codeParameter, "The parameter prefix must begin with a letter or digit and have at most "+
			"%d letters, digits, spaces, dots, hyphens and underscores.", assetpackage.MaxNameLength-1).Wrap(err)
	}
	return nil
}

// ImportAsset streams the package into staging and starts its import.
func (s *server) ImportAsset(ctx context.Context, request ImportAssetRequestObject) (ImportAssetResponseObject, error) {
	body := ctx.(*gin.Context).Request.Body.(*upload) // checkImport put it there
	ctx = middleware.Context(ctx)
	p, _ := auth.PrincipalFrom(ctx)
	// Cheap, and saves a transfer that is in vain. The start decides.
	if err := s.Jobs.CheckFree(ctx, catalog.AssetImport, request.ProjectID, p.UserID); err != nil {
		return nil, err
	}
	sub := jobs.ImportSubmission{
		JobID: jobs.NewID(), ProjectID: request.ProjectID, InstanceID: request.InstanceID,
		UserID: p.UserID, UserName: p.UserName, Mode: string(AddNew),
	}
	if request.Params.Type != nil {
		sub.Mode = string(*request.Params.Type)
	}
	if request.Params.Prefix != nil {
		sub.Prefix = *request.Params.Prefix
	}
	if request.Params.DatasourceOverwrite != nil {
		sub.OverwriteDataSources = *request.Params.DatasourceOverwrite == True
	}
	var err error
	if sub.FileName, sub.Staged, err = s.receive(ctx, request.Body, body, storage.StagingKey(sub.ProjectID, sub.JobID)); err != nil {
		return nil, err
	}
	job, err := s.Jobs.StartImport(ctx, sub)
	if err != nil {
		// Where the job service is away, the job may run all the same, and the package is its own.
		if fault.KindOf(err) != fault.Unavailable {
			s.discard(ctx, sub.Staged.Key)
		}
		return nil, err
	}
	return ImportAsset200JSONResponse{
		Headers: ImportAsset200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    JobStarted{JobID: formatJobID(job.ID)},
	}, nil
}
