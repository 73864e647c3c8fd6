// Package automation answers the service template paths of the JP1/Automatic Operation REST API v1: importing, listing,
// showing, exporting and deleting service templates. openapi.yaml describes what works.
package automation

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml

import (
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
	"assetflow/storage"
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
	ProjectOf(ctx context.Context, jobID string) (string, error)
	Await(ctx context.Context, projectID, jobID string, most time.Duration) (jobs.Job, error)
}

// Templates is what this contract needs of *catalog.Catalog.
type Templates interface {
	ServiceTemplate(ctx context.Context, projectID string, number int64) (catalog.ServiceTemplate, error)
	ListServiceTemplates(ctx context.Context, filter catalog.TemplateFilter) ([]catalog.ServiceTemplate, int, error)
	DeleteServiceTemplate(ctx context.Context, userID, projectID string, number int64) error
}

// Store is what imports and exports need of *storage.Store.
type Store interface {
	upload.Staging
	OpenStaged(ctx context.Context, key string, size int64) *storage.Object
	OpenBlob(ctx context.Context, sha256 string) (io.ReadCloser, int64, error)
}

// Options are what the handlers work with. All are required but Wait and Version.
type Options struct {
	Auth        Auth
	Jobs        Jobs
	Templates   Templates
	Submissions middleware.SubmissionStore
	Store       Store
	Logger      *slog.Logger

	MaxUploadBytes int64         // of one upload, in bytes
	Wait           time.Duration // for an import to end, before it is answered as running; DefaultWait where 0
	Version        string        // of the program
}

// The routes, as gin knows them.
const (
	root         = "/Automation/v1/"
	objects      = root + "objects/ServiceTemplates"
	routeImport  = root + "services/ServiceTemplates/actions/import/invoke"
	routeForm    = root + "services/ServiceTemplates/actions/import"
	routeList    = objects
	routeObject  = objects + "/:instanceID"
	routeActions = objects + "/:instanceID/actions"
	routeExport  = objects + "/:instanceID/actions/export/invoke"
	routeVersion = root + "configuration/version"
)

// permissions says what an operation needs. That of the version needs none.
var permissions = map[string]auth.Permission{
	"POST " + routeImport:   auth.TemplatesImport,
	"GET " + routeForm:      auth.TemplatesImport,
	"GET " + routeList:      auth.TemplatesRead,
	"GET " + routeObject:    auth.TemplatesRead,
	"DELETE " + routeObject: auth.TemplatesDelete,
	"GET " + routeActions:   auth.TemplatesRead,
	"POST " + routeExport:   auth.TemplatesExport,
}

type server struct{ Options }

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	if opts.Wait == 0 {
		opts.Wait = DefaultWait
	}
	s := &server{Options: opts}
	for _, route := range []string{routeImport, routeForm, routeList, routeObject, routeActions, routeExport, routeVersion} {
		r.OPTIONS(route, preflight)
	}
	group := r.Group("", shareHeaders, s.limitBody, s.authenticate, s.authorize, s.checkAccept, s.checkImport)
	strict := NewStrictHandlerWithOptions(s, nil, StrictGinServerOptions{
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { WriteError(c, requestFault(err)) },
		HandlerErrorFunc:         WriteError,
		ResponseErrorHandlerFunc: WriteError,
	})
	RegisterHandlersWithOptions(group, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { WriteError(c, requestFault(err)) },
	})
}

// shareHeaders lets scripts of other sites see the answers, as the vendor does. They have to sign in by themselves.
func shareHeaders(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE, PUT, HEAD, OPTIONS")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Cache-Control", "no-cache")
}

// preflight tells a browser which headers a script of another site may send. It says nothing of what they open.
func preflight(c *gin.Context) {
	shareHeaders(c)
	c.Header("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, X-Project-Id, X-Auth-Token, Idempotency-Key, Assetflow-On-Conflict")
	c.Header("Allow", "GET, POST, DELETE, HEAD, OPTIONS")
	c.Status(http.StatusNoContent)
}

func (s *server) limitBody(c *gin.Context) {
	if c.FullPath() == routeImport {
		// Its declared length is looked at later: first comes who is calling.
		middleware.CapBody(c.Request, s.receiver().MaxBody())
		return
	}
	middleware.LimitBody(middleware.MaxJSONBytes, WriteError)(c)
}

// checkAccept refuses a caller who does not take the only type that there is.
func (s *server) checkAccept(c *gin.Context) {
	only := map[string]string{routeForm: "text/html", routeExport: "application/octet-stream"}[c.FullPath()]
	if only != "" && !accepts(c.Request.Header.Values("Accept"), only) {
		WriteError(c, fault.New(fault.Invalid, codeNotAcceptable, "The answer is of the type %s, which the header Accept excludes.", only))
	}
}
