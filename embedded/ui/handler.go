package ui

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/temporalio/ui-server/v2/server/api"
	"github.com/temporalio/ui-server/v2/server/config"
	"github.com/temporalio/ui-server/v2/server/csrf"
	"github.com/temporalio/ui-server/v2/server/headers"
	"github.com/temporalio/ui-server/v2/server/route"
	"github.com/temporalio/ui-server/v2/server/rpc"
	"github.com/temporalio/ui-server/v2/ui"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// newHandler puts the UI server together from its parts. Its own server package does the same, but ends the process when
// it cannot listen and never closes its connection to Temporal. The caller closes the connection.
func newHandler(opts Options) (http.Handler, *grpc.ClientConn, error) {
	cfg, err := config.NewConfigProviderWithRefresh(&config.Config{
		TemporalGRPCAddress: opts.TemporalAddr,
		EnableUI:            true,
		DefaultNamespace:    cmp.Or(opts.Namespace, "default"),
		DisableNewsFetch:    true,
		HideLogs:            true,
		CORS:                config.CORS{CookieInsecure: true}, // it is served over plain HTTP
	})
	if err != nil {
		return nil, nil, err
	}
	assets, err := pages()
	if err != nil {
		return nil, nil, err
	}
	conn, err := rpc.Dial(opts.TemporalAddr, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to temporal: %w", err)
	}
	e := echo.New()
	e.Use(
		middleware.Recover(),
		middleware.Gzip(),
		middleware.Secure(),
		csrf.EnsureTokenCookie(false),
		middleware.CSRFWithConfig(csrf.MiddlewareConfig(cfg, false)),
	)
	route.SetHealthRoute(e)
	setProxyRoutes(e, cfg, conn)
	if err := route.SetUIRoutes(e, "", assets, cfg); err != nil {
		return nil, nil, fmt.Errorf("read the pages: %w", err)
	}
	route.SetRenderRoute(e, "/")
	return e, conn, nil
}

// setProxyRoutes is what the pages call: Temporal's gRPC API as JSON, and a few questions about the UI itself.
func setProxyRoutes(e *echo.Echo, cfg *config.ConfigProviderWithRefresh, conn *grpc.ClientConn) {
	forwarded := []api.Middleware{headers.WithForwardHeaders([]string{"Caller-Type"})}
	routes := e.Group("/api/v1")
	routes.GET("/settings", api.GetSettings(cfg))
	routes.GET("/releases", api.GetLatestReleases(cfg, api.NewReleaseChecker())) // empty: NotifyOnNewVersion is off
	routes.GET("/ui-extensions", api.GetUIExtensions(cfg, api.TemporalAccessCheck(conn, forwarded)))
	routes.GET(api.WorkflowRawHistoryUrl, api.WorkflowRawHistoryHandler(workflowservice.NewWorkflowServiceClient(conn)))
	routes.Match([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, "/*", api.TemporalAPIHandler(cfg, forwarded, conn))
}

// pages are the UI's files, those for a server of one's own.
func pages() (fs.FS, error) {
	assets, err := ui.Assets()
	if err != nil {
		return nil, fmt.Errorf("read the pages: %w", err)
	}
	return fs.Sub(assets, "local")
}
