// Package roma answers the asset management paths of ROMA Connect v2: importing an asset package, exporting assets to one
// and downloading it, deleting assets, and following the jobs that do it. openapi.yaml describes what works.
package roma

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml

import (
	"context"
	_ "embed"
	"log/slog"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

//go:embed openapi.yaml
var document []byte

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { return document }

// Jobs is what this contract needs of *jobs.Service.
type Jobs interface {
	CheckFree(ctx context.Context, kind catalog.JobKind, projectID, userID string) error
	StartImport(ctx context.Context, sub jobs.ImportSubmission) (jobs.Job, error)
	StartExport(ctx context.Context, sub jobs.SelectionSubmission) (jobs.Job, error)
	StartDeletion(ctx context.Context, sub jobs.SelectionSubmission) (jobs.Job, error)
	ProjectOf(ctx context.Context, jobID string) (string, error)
	Get(ctx context.Context, projectID, jobID string) (jobs.Job, error)
}

// Instances is what this contract needs of *catalog.Catalog.
type Instances interface {
	Instance(ctx context.Context, projectID, id string) (catalog.Instance, error)
}

// Archives is what downloads need of *catalog.Catalog.
type Archives interface {
	Archive(ctx context.Context, projectID, instanceID, id string) (catalog.Archive, error)
	RecordDelivery(ctx context.Context, archiveID string, from, to int64) (complete bool, err error)
}

// Staging is what imports need of *storage.Store.
type Staging = upload.StagingReader

// ArchiveStore is what downloads need of *storage.Store.
type ArchiveStore interface {
	OpenArchive(ctx context.Context, key string, size int64) *storage.Object
	DeleteArchive(ctx context.Context, key string) error
}

// Options are what the handlers work with. All are required.
type Options struct {
	Auth         middleware.Auth
	Jobs         Jobs
	Instances    Instances
	Submissions  middleware.SubmissionStore
	Archives     Archives
	Staging      Staging
	ArchiveStore ArchiveStore
	Logger       *slog.Logger

	MaxUploadBytes int64 // of one package, in bytes
}

// The routes, as gin knows them.
const (
	routeImport  = "/v2/:project_id/instances/:instance_id/assets/import"
	routeExport  = "/v2/:project_id/instances/:instance_id/assets/export"
	routeDelete  = "/v2/:project_id/instances/:instance_id/assets/delete"
	routeJob     = "/v2/:project_id/instances/:instance_id/assets/jobs/:job_id"
	routeArchive = "/v2/:project_id/instances/:instance_id/assets/archives/:archive_id"
)

// permissions says what an operation needs.
var permissions = map[string]auth.Permission{
	routeImport:  auth.AssetsImport,
	routeExport:  auth.AssetsExport,
	routeDelete:  auth.AssetsDelete,
	routeJob:     auth.JobsRead,
	routeArchive: auth.AssetsExport,
}

type server struct {
	Options
	deliveries deliveries
}

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	s := &server{Options: opts}
	group := r.Group("", s.limitBody, middleware.Authenticate(s.Auth, WriteError), s.authorize,
		s.checkSubmission, s.checkImport, s.checkSelection)
	strict := NewStrictHandlerWithOptions(s, nil, StrictGinServerOptions{
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { WriteError(c, requestFault(c, err)) },
		HandlerErrorFunc:         WriteError,
		ResponseErrorHandlerFunc: WriteError,
	})
	RegisterHandlersWithOptions(group, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) {
			WriteError(c, fault.New(fault.Invalid, codeParameter, "A parameter is invalid.").Wrap(err))
		},
	})
}

func (s *server) limitBody(c *gin.Context) {
	if c.FullPath() == routeImport {
		// Its declared length is looked at later: first comes who is calling.
		middleware.CapBody(c.Request, s.receiver().MaxBody())
		return
	}
	middleware.LimitBody(middleware.MaxJSONBytes, WriteError)(c)
}

// authorize lets only callers pass who may do this in the project, and only into an instance of the project.
func (s *server) authorize(c *gin.Context) {
	ctx, project := c.Request.Context(), c.Param("project_id")
	p, _ := auth.PrincipalFrom(ctx)
	// An operation without a permission is nobody's: the empty one is in no role.
	if err := s.Auth.Authorize(ctx, p, project, permissions[c.FullPath()]); err != nil {
		WriteError(c, err)
		return
	}
	if _, err := s.Instances.Instance(ctx, project, c.Param("instance_id")); err != nil {
		WriteError(c, err)
	}
}
