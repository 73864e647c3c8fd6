// Package servicestage answers the add-on paths of ServiceStage v3: environments, the add-ons that are delivered to them,
// and following the jobs that deliver. openapi.yaml describes what works.
package servicestage

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml

import (
	"context"
	_ "embed"
	"log/slog"

	"github.com/gin-gonic/gin"

	"assetflow/addons"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

//go:embed openapi.yaml
var document []byte

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { return document }

// Prefix is what the paths of this contract begin with: "*" stands for one segment, the project's id.
const Prefix = "/v3/*/cas/"

// Jobs is what this contract needs of *jobs.Service.
type Jobs interface {
	CheckDeliveryFree(ctx context.Context, sub jobs.DeliverySubmission) error
	StartDelivery(ctx context.Context, sub jobs.DeliverySubmission) (jobs.Job, error)
	ProjectOf(ctx context.Context, jobID string) (string, error)
	Get(ctx context.Context, projectID, jobID string) (jobs.Job, error)
	Tasks(ctx context.Context, projectID, jobID string) ([]jobs.Task, error)
}

// Catalog is what this contract needs of *catalog.Catalog.
type Catalog interface {
	CreateEnvironment(ctx context.Context, userID string, e catalog.Environment) (catalog.Environment, error)
	ListEnvironments(ctx context.Context, projectID string, limit, offset int) ([]catalog.Environment, int, error)
	Environment(ctx context.Context, projectID, id string) (catalog.Environment, error)
	UpdateEnvironment(ctx context.Context, userID, projectID, id string, change func(*catalog.Environment) error) (catalog.Environment, error)
	DeleteEnvironment(ctx context.Context, userID, projectID, id string) error

	ListAddons(ctx context.Context, projectID, environmentID string) ([]catalog.Addon, error)
	Addon(ctx context.Context, projectID, environmentID, id string) (catalog.Addon, error)
	CheckDelivery(ctx context.Context, d catalog.Delivery) error
	BeginDelivery(ctx context.Context, d catalog.Delivery) (catalog.Addon, catalog.Chart, error)
	ListCharts(ctx context.Context, projectID string, limit int, cursor string) (charts []catalog.Chart, next string, err error)
}

// Targets finds where add-ons are delivered to: *addons.Targets.
type Targets interface {
	// For finds a target that is open to the project. NotFound addons.CodeNoTarget.
	For(projectID, id string) (addons.Target, error)
}

// Options are what the handlers work with. All are required.
type Options struct {
	Auth        middleware.Auth
	Jobs        Jobs
	Catalog     Catalog
	Targets     Targets
	Submissions middleware.SubmissionStore
	Logger      *slog.Logger
}

// The routes, as gin knows them.
const (
	routeEnvironments = "/v3/:project_id/cas/environments"
	routeEnvironment  = "/v3/:project_id/cas/environments/:environment_id"
	routeAddons       = "/v3/:project_id/cas/environments/:environment_id/addons"
	routeMetadata     = "/v3/:project_id/cas/environments/:environment_id/addons-metadata"
	routeAddon        = "/v3/:project_id/cas/environments/:environment_id/addons/:addon_id"
	routeAction       = "/v3/:project_id/cas/environments/:environment_id/addons/:addon_id/action"
	routeJob          = "/v3/:project_id/cas/jobs/:job_id"
)

// operation is what is to be known of an operation before its body is read.
type operation struct {
	permission auth.Permission
	takesBody  bool
	startsJob  bool
}

var operations = map[string]operation{
	"POST " + routeEnvironments:  {permission: auth.EnvironmentsEdit, takesBody: true},
	"GET " + routeEnvironments:   {permission: auth.EnvironmentsRead},
	"GET " + routeEnvironment:    {permission: auth.EnvironmentsRead},
	"PUT " + routeEnvironment:    {permission: auth.EnvironmentsEdit, takesBody: true},
	"DELETE " + routeEnvironment: {permission: auth.EnvironmentsEdit},
	"POST " + routeAddons:        {permission: auth.AddonsCreate, takesBody: true, startsJob: true},
	"GET " + routeAddons:         {permission: auth.AddonsRead},
	"GET " + routeMetadata:       {permission: auth.AddonsRead},
	"GET " + routeAddon:          {permission: auth.AddonsRead},
	"DELETE " + routeAddon:       {permission: auth.AddonsDelete, startsJob: true},
	"POST " + routeAction:        {permission: auth.AddonsModify, takesBody: true, startsJob: true},
	"GET " + routeJob:            {permission: auth.JobsRead},
}

// operationOf gives what is known of a request's operation. One that is not in the table is nobody's: the empty
// permission is in no role.
func operationOf(c *gin.Context) operation { return operations[c.Request.Method+" "+c.FullPath()] }

type server struct{ Options }

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	s := &server{Options: opts}
	group := r.Group("", middleware.LimitBody(middleware.MaxJSONBytes, WriteError), middleware.Authenticate(s.Auth, WriteError),
		s.authorize, checkHeaders, checkQuery, checkBody)
	strict := NewStrictHandlerWithOptions(s, nil, StrictGinServerOptions{
		// checkBody has read the body: the JSON is not of the right form. The decoder's text stays inside.
		RequestErrorHandlerFunc:  func(c *gin.Context, err error) { WriteError(c, middleware.BadBody().Wrap(err)) },
		HandlerErrorFunc:         WriteError,
		ResponseErrorHandlerFunc: WriteError,
	})
	RegisterHandlersWithOptions(group, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) {
			WriteError(c, fault.New(fault.Invalid, middleware.CodeParameter, "A parameter is invalid.").Wrap(err))
		},
	})
}

// authorize lets only callers pass who may do this in the project.
func (s *server) authorize(c *gin.Context) {
	p, _ := auth.PrincipalFrom(c.Request.Context())
	if err := s.Auth.Authorize(c.Request.Context(), p, c.Param("project_id"), operationOf(c).permission); err != nil {
		WriteError(c, err)
	}
}

// userID names the caller. ctx is the one that generated code hands on.
func userID(ctx context.Context) string {
	p, _ := auth.PrincipalFrom(middleware.Context(ctx))
	return p.UserID
}
