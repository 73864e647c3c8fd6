// Package metastudio answers the digital asset paths of MetaStudio v1: digital assets and their files, and copying an
// asset from another region. openapi.yaml describes what works.
package metastudio

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.0 -config oapi-codegen.yaml openapi.yaml

import (
	"context"
	_ "embed"
	"log/slog"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
)

//go:embed openapi.yaml
var document []byte

// Document gives the OpenAPI document of this contract, as YAML.
func Document() []byte { return document }

// Jobs is what this contract needs of *jobs.Service.
type Jobs interface {
	CheckFree(ctx context.Context, kind catalog.JobKind, projectID, userID string) error
	StartCopy(ctx context.Context, sub jobs.CopySubmission) (jobs.Job, error)
	ProjectOf(ctx context.Context, jobID string) (string, error)
}

// Catalog is what this contract needs of *catalog.Catalog.
type Catalog interface {
	CreateDigitalAsset(ctx context.Context, userID, projectID string, m catalog.DigitalMetadata) (catalog.DigitalAsset, error)
	ListDigitalAssets(ctx context.Context, filter catalog.DigitalFilter) ([]catalog.DigitalAsset, int, error)
	DigitalAsset(ctx context.Context, projectID, id string) (catalog.DigitalAsset, error)
	UpdateDigitalAsset(ctx context.Context, userID, projectID, id string, change func(*catalog.DigitalMetadata) error) (catalog.DigitalAsset, error)
	DeleteDigitalAsset(ctx context.Context, userID, projectID, id string) error
	PurgeDigitalAsset(ctx context.Context, userID, projectID, id string) error
	RestoreDigitalAsset(ctx context.Context, userID, projectID, id string) (catalog.DigitalAsset, error)

	CreateDigitalFile(ctx context.Context, userID string, f catalog.DigitalFile) (catalog.DigitalFile, error)
	DigitalFile(ctx context.Context, projectID, fileID string) (catalog.DigitalFile, error)
	CompleteDigitalFile(ctx context.Context, userID, projectID, fileID, sha256 string) (catalog.DigitalFile, error)
	AbandonDigitalFile(ctx context.Context, userID, projectID, fileID string, state catalog.FileState) error
	DeleteDigitalFile(ctx context.Context, userID, projectID, fileID string) error
	TouchBlobs(ctx context.Context, blobs []catalog.Blob) (missing []catalog.Blob, err error)

	CheckCopy(ctx context.Context, t catalog.CopyTarget) error
	BeginCopy(ctx context.Context, t catalog.CopyTarget) error
}

// Replication says how this region takes part in copies.
type Replication struct {
	// KeyRing seals replication info and opens that of other regions; nil where the region takes no part in copies.
	KeyRing *replication.KeyRing
	// Lifetime is how long a replication info is good; DefaultLifetime where 0.
	Lifetime time.Duration
	// Trusts tells whether a copy may be fetched from a URL; nil: from none.
	Trusts func(url string) bool
}

// DefaultLifetime is how long a replication info is good where nobody says otherwise.
const DefaultLifetime = time.Hour

// Options are what the handlers work with. All but what Replication leaves out are required.
type Options struct {
	Auth        middleware.Auth
	Jobs        Jobs
	Catalog     Catalog
	Submissions middleware.SubmissionStore
	Storage     *storage.Store
	Logger      *slog.Logger
	Region      string // this region's name, as others know it
	Replication Replication
}

// The routes, as gin knows them.
const (
	routeAssets      = "/v1/:project_id/digital-assets"
	routeAsset       = "/v1/:project_id/digital-assets/:asset_id"
	routeRestore     = "/v1/:project_id/digital-assets/:asset_id/restore"
	routeReplication = "/v1/:project_id/digital-assets/:asset_id/replication-info"
	routeCopy        = "/v1/:project_id/digital-assets-by-replication-info"
	routeFiles       = "/v1/:project_id/files"
	routeFile        = "/v1/:project_id/files/:file_id"
	routeComplete    = "/v1/:project_id/files/:file_id/complete"
)

// permissions says what an operation needs.
var permissions = map[string]auth.Permission{
	"POST " + routeAssets:     auth.AssetsEdit,
	"GET " + routeAssets:      auth.AssetsRead,
	"GET " + routeAsset:       auth.AssetsRead,
	"PUT " + routeAsset:       auth.AssetsEdit,
	"DELETE " + routeAsset:    auth.AssetsDelete, // for good: auth.AssetsPurge as well
	"POST " + routeRestore:    auth.AssetsRestore,
	"GET " + routeReplication: auth.AssetsExport,
	"POST " + routeCopy:       auth.AssetsCopy,
	"POST " + routeFiles:      auth.AssetsEdit,
	"POST " + routeComplete:   auth.AssetsEdit,
	"DELETE " + routeFile:     auth.AssetsEdit,
}

type server struct{ Options }

// Register mounts the paths of this contract on r.
func Register(r gin.IRouter, opts Options) {
	s := &server{Options: opts}
	if s.Replication.Lifetime == 0 {
		s.Replication.Lifetime = DefaultLifetime
	}
	group := r.Group("", noStore, middleware.LimitBody(middleware.MaxJSONBytes, WriteError), middleware.Authenticate(s.Auth, WriteError),
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

// noStore keeps answers out of caches: there are URLs in them that say by themselves who may read.
func noStore(c *gin.Context) { c.Header("Cache-Control", "no-store") }

// authorize lets only callers pass who may do this in the project.
func (s *server) authorize(c *gin.Context) {
	ctx := c.Request.Context()
	// An operation without a permission is nobody's: the empty one is in no role.
	if err := s.permit(ctx, c.Param("project_id"), permissions[c.Request.Method+" "+c.FullPath()]); err != nil {
		WriteError(c, err)
	}
}

// permit checks what the caller may do in the project.
func (s *server) permit(ctx context.Context, projectID string, perm auth.Permission) error {
	p, _ := auth.PrincipalFrom(ctx)
	return s.Auth.Authorize(ctx, p, projectID, perm)
}

// userID names the caller. ctx is the one that generated code hands on.
func userID(ctx context.Context) string {
	p, _ := auth.PrincipalFrom(middleware.Context(ctx))
	return p.UserID
}

// done is the answer of an operation that has nothing to say.
func done(ctx context.Context) DoneResponse {
	return DoneResponse{Headers: DoneResponseHeaders{XRequestID: middleware.RequestIDOf(ctx)}}
}
