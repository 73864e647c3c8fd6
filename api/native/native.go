// Package native answers Assetflow's own API, /api/v1: assets, their versions, the trash and the data sources of an
// instance, the charts of the add-on library, jobs of every kind, and the audit trail. openapi.yaml describes it.
package native

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml

import (
	"context"
	_ "embed"
	"log/slog"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/activities"
	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

//go:embed openapi.yaml
var document []byte

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { return document }

// Jobs is what this contract needs of *jobs.Service.
type Jobs interface {
	ProjectOf(ctx context.Context, jobID string) (string, error)
	Get(ctx context.Context, projectID, jobID string) (jobs.Job, error)
	List(ctx context.Context, filter catalog.JobFilter) ([]jobs.Job, string, error)
	Tasks(ctx context.Context, projectID, jobID string) ([]jobs.Task, error)
	Cancel(ctx context.Context, projectID, jobID string) error
	CancelLeaving(ctx context.Context, projectID, jobID string) error
	PlanImport(ctx context.Context, sub jobs.ImportSubmission) (activities.ImportComparison, error)
}

// Catalog is what this contract needs of *catalog.Catalog.
type Catalog interface {
	Instance(ctx context.Context, projectID, id string) (catalog.Instance, error)
	ListAssets(ctx context.Context, filter catalog.AssetFilter) ([]catalog.Asset, string, error)
	Asset(ctx context.Context, projectID, instanceID, assetID string) (catalog.AssetDetail, error)
	ListDataSources(ctx context.Context, projectID, instanceID string) ([]catalog.DataSource, error)
	ListVersions(ctx context.Context, projectID, instanceID, assetID string) ([]catalog.AssetVersion, error)
	AssetAt(ctx context.Context, projectID, instanceID, assetID string, version int) (catalog.AssetDetail, error)
	RestoreVersion(ctx context.Context, projectID, instanceID, assetID string, version int, userID string) (catalog.Asset, error)
	ListTrash(ctx context.Context, filter catalog.AssetFilter) ([]catalog.TrashedAsset, string, error)
	RestoreAsset(ctx context.Context, projectID, instanceID, assetID, userID string) (catalog.Asset, error)
	PurgeAssets(ctx context.Context, projectID, instanceID string, ids []string, userID string) (int, error)
	ListDigitalVersions(ctx context.Context, projectID, id string) ([]catalog.AssetVersion, error)
	DigitalAssetAt(ctx context.Context, projectID, id string, version int) (catalog.DigitalAsset, error)
	RestoreDigitalVersion(ctx context.Context, userID, projectID, id string, version int) (catalog.DigitalAsset, error)
	ListServiceTemplates(ctx context.Context, f catalog.TemplateFilter) ([]catalog.ServiceTemplate, int, error)
	RestoreServiceTemplate(ctx context.Context, userID, projectID string, number int64) (catalog.ServiceTemplate, error)
	PurgeServiceTemplate(ctx context.Context, userID, projectID string, number int64) error
	TouchBlobs(ctx context.Context, blobs []catalog.Blob) (missing []catalog.Blob, err error)
	AddChart(ctx context.Context, userID string, chart catalog.Chart) (kept catalog.Chart, added bool, err error)
	ListCharts(ctx context.Context, projectID string, limit int, cursor string) (charts []catalog.Chart, next string, err error)
	ChartVersions(ctx context.Context, projectID, name string) ([]catalog.Chart, error)
	Chart(ctx context.Context, projectID, name, version string) (catalog.Chart, error)
	DeleteChart(ctx context.Context, userID, projectID, name, version string) error
	ListAudit(ctx context.Context, filter catalog.AuditFilter) ([]catalog.AuditEntry, string, error)
}

// Options are what the handlers work with. All but TrashLifetime are required.
type Options struct {
	Auth    middleware.Auth
	Jobs    Jobs
	Catalog Catalog
	Staging upload.Staging
	Blobs   Blobs
	Targets Targets
	Logger  *slog.Logger

	MaxUploadBytes int64 // of one package, in bytes

	TrashLifetime time.Duration // how long a deleted asset is kept; 0: until somebody purges it
}

type server struct{ Options }

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	s := &server{opts}
	group := r.Group("", s.limitBody, middleware.Authenticate(opts.Auth, WriteError), checkQuery, s.checkPlan)
	strict := NewStrictHandlerWithOptions(s, nil, StrictGinServerOptions{
		RequestErrorHandlerFunc:  invalid,
		HandlerErrorFunc:         WriteError,
		ResponseErrorHandlerFunc: WriteError,
	})
	RegisterHandlersWithOptions(group, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { invalid(c, err) },
	})
}

// invalid answers what the generated code could not read. Its errors name the parameter and hold nothing of ours.
func invalid(c *gin.Context, err error) {
	WriteError(c, fault.New(fault.Invalid, middleware.CodeParameter, "The request cannot be read: %v.", err))
}

// checkQuery refuses a query that generated code would silently read in part.
func checkQuery(c *gin.Context) {
	if _, err := url.ParseQuery(c.Request.URL.RawQuery); err != nil {
		WriteError(c, fault.New(fault.Invalid, middleware.CodeParameter, "The query is not properly encoded.").Wrap(err))
	}
}

// GetMe says who is calling.
func (s *server) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	p, _ := auth.PrincipalFrom(middleware.Context(ctx))
	return GetMe200JSONResponse{
		Headers: GetMe200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body: Caller{
			UserID: p.UserID, UserName: p.UserName, DomainID: p.DomainID, DomainName: p.DomainName,
			ProjectID: optional(p.ProjectID), Method: p.Method,
		},
	}, nil
}

// authorize checks what the caller may do in the project.
func (s *server) authorize(ctx context.Context, projectID string, perm auth.Permission) error {
	p, _ := auth.PrincipalFrom(ctx)
	return s.Auth.Authorize(ctx, p, projectID, perm)
}

// authorizeInstance checks it for an instance of the project, which must exist.
func (s *server) authorizeInstance(ctx context.Context, projectID, instanceID string, perm auth.Permission) error {
	if err := s.authorize(ctx, projectID, perm); err != nil {
		return err
	}
	_, err := s.Catalog.Instance(ctx, projectID, instanceID)
	return err
}

func badParameter(name, want string) error {
	return fault.New(fault.Invalid, middleware.CodeParameter, "The parameter %s must be %s.", name, want)
}

// checkLimit reads the limit of a page; 0 leaves it to the catalog.
func checkLimit(limit *int) (int, error) {
	if limit == nil {
		return 0, nil
	}
	if *limit < 1 || *limit > maxLimit {
		return 0, badParameter("limit", "a number from 1 to 500")
	}
	return *limit, nil
}

const maxLimit = 500

func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
