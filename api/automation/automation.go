// Package automation answers the service template paths of the JP1/Automatic Operation REST API: importing, listing,
// showing, exporting and deleting service templates. openapi.yaml describes what works.
package automation

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml

import (
	"cmp"
	"context"
	_ "embed"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

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

// DefaultWait is how long an import is waited for where Options says nothing.
const DefaultWait = 30 * time.Second

// Auth is what this contract needs of *auth.Service.
type Auth interface {
	AuthenticateAutomation(ctx context.Context, r *http.Request) (auth.Principal, auth.Session, error)
	IssueHSSO(session auth.Session) (auth.HSSOToken, error)
	ProjectOf(ctx context.Context, p auth.Principal, named string) (string, error)
	Authorize(ctx context.Context, p auth.Principal, projectID string, perm auth.Permission) error
}

// Jobs is what this contract needs of *jobs.Service.
type Jobs interface {
	CheckFree(ctx context.Context, kind catalog.JobKind, projectID, userID string) error
	StartTemplateImport(ctx context.Context, sub jobs.TemplateSubmission) (jobs.Job, error)
	Await(ctx context.Context, projectID, jobID string, most time.Duration) (jobs.Job, error)
	upload.Jobs
}

// Templates is what this contract needs of *catalog.Catalog.
type Templates interface {
	ServiceTemplate(ctx context.Context, projectID string, number int64) (catalog.ServiceTemplate, error)
	DeleteServiceTemplate(ctx context.Context, userID, projectID string, number int64) error
	ListServiceTemplates(ctx context.Context, filter catalog.TemplateFilter) ([]catalog.ServiceTemplate, int, error)
}

// Blobs is what exports need of *storage.Store.
type Blobs interface {
	OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error)
}

// Options are what the handlers work with. All are required but Wait and Version.
type Options struct {
	Auth        Auth
	Jobs        Jobs
	Templates   Templates
	Submissions middleware.SubmissionStore
	Staging     upload.StagingReader
	Blobs       Blobs
	Logger      *slog.Logger

	MaxUploadBytes int64         // of one file, in bytes
	Wait           time.Duration // how long an import is waited for; DefaultWait where 0
	Version        string        // the program's version
}

// The paths, as gin knows them.
const (
	routeImport  = "/Automation/v1/services/ServiceTemplates/actions/import/invoke"
	routeForm    = "/Automation/v1/services/ServiceTemplates/actions/import"
	routeList    = "/Automation/v1/objects/ServiceTemplates"
	routeOne     = "/Automation/v1/objects/ServiceTemplates/:id"
	routeActions = "/Automation/v1/objects/ServiceTemplates/:id/actions"
	routeExport  = "/Automation/v1/objects/ServiceTemplates/:id/actions/export/invoke"
	routeVersion = "/Automation/v1/configuration/version"
)

// permissions says what an operation needs. The version needs nothing.
var permissions = map[string]auth.Permission{
	"POST " + routeImport: auth.TemplatesImport,
	"GET " + routeForm:    auth.TemplatesImport,
	"GET " + routeList:    auth.TemplatesRead,
	"GET " + routeOne:     auth.TemplatesRead,
	"DELETE " + routeOne:  auth.TemplatesDelete,
	"GET " + routeActions: auth.TemplatesRead,
	"POST " + routeExport: auth.TemplatesExport,
}

type server struct {
	Options
	sameOrigin *http.CrossOriginProtection
}

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	s := &server{Options: opts, sameOrigin: http.NewCrossOriginProtection()}
	s.Wait = cmp.Or(s.Wait, DefaultWait)
	group := r.Group("", announce, s.limitBody, s.authenticate, s.checkOrigin, s.authorize, s.checkQuery, s.checkImport)
	strict := NewStrictHandlerWithOptions(s, nil, StrictGinServerOptions{
		// Only an import has a body.
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { WriteError(c, upload.BodyFault(err)) },
		HandlerErrorFunc:         WriteError,
		ResponseErrorHandlerFunc: WriteError,
	})
	RegisterHandlersWithOptions(group, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) {
			WriteError(c, fault.New(fault.Invalid, codeParameter, "A parameter is invalid, or given more than once.").Wrap(err))
		},
	})
	for _, route := range []string{routeImport, routeForm, routeList, routeOne, routeActions, routeExport, routeVersion} {
		r.OPTIONS(route, announce, preflight)
	}
}

func (s *server) limitBody(c *gin.Context) {
	if c.FullPath() == routeImport {
		// Its declared length is looked at later: first comes who is calling.
		middleware.CapBody(c.Request, s.receiver().MaxBody())
		return
	}
	middleware.LimitBody(middleware.MaxJSONBytes, WriteError)(c)
}

// GetVersion says what answers here.
func (s *server) GetVersion(ctx context.Context, _ GetVersionRequestObject) (GetVersionResponseObject, error) {
	return GetVersion200JSONResponse{
		Headers: GetVersion200ResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)},
		Body:    Version{ProductName: "Assetflow", ProductVersion: cmp.Or(s.Version, "unknown"), APIVersion: "v1"},
	}, nil
}
