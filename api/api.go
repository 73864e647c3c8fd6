// Package api is the HTTP edge: it puts the contract packages together to one handler and serves it.
//
// Each contract is a package with its OpenAPI document, the server's types generated from it, its handlers, and one
// place that turns faults into the contract's statuses, codes and bodies. What they share is in package middleware.
package api

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/api/automation"
	"assetflow/api/codec"
	"assetflow/api/iam"
	"assetflow/api/metastudio"
	"assetflow/api/middleware"
	"assetflow/api/native"
	"assetflow/api/openapi"
	"assetflow/api/roma"
	"assetflow/api/servicestage"
)

// The paths that need no authentication and are asked for all the time.
const (
	pathAlive = "/healthz"
	pathReady = "/readyz"
)

// New assembles the handler of all contracts. The result is an http.Handler of its own and needs nothing of Serve, but
// only a real connection has deadlines that end slow clients.
func New(opts Options) http.Handler {
	opts = opts.withDefaults()
	return middleware.SlowClients(routes(opts), middleware.DefaultPace(opts.StallTimeout))
}

func routes(opts Options) *gin.Engine {
	forms := middleware.NewForms("native", native.WriteError).Add("metastudio", "/v1/", metastudio.WriteError).
		Add("roma", "/v2/", roma.WriteError).Add("servicestage", servicestage.Prefix, servicestage.WriteError).
		Add("iam", "/v3/", iam.WriteError).Add("automation", "/Automation/", automation.WriteError)
	first := gin.HandlersChain{middleware.Trace(opts.Traces, pathAlive, pathReady)}
	r := middleware.NewEngineBehind(first, opts.Logger, opts.Metrics, forms, pathAlive, pathReady)

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		r.Handle(method, pathAlive, gin.WrapF(alive))
		r.Handle(method, pathReady, gin.WrapF(ready(opts.Ready, nil, opts.Logger)))
	}
	openapi.Register(r, opts.Version, opts.Region,
		openapi.Document{Name: "automation", Title: "JP1/Automatic Operation service templates", YAML: automation.Document()},
		openapi.Document{Name: "codec", Title: "Temporal payload codec", YAML: codec.Document()},
		openapi.Document{Name: "iam", Title: "Identity service: tokens", YAML: iam.Document()},
		openapi.Document{Name: "metastudio", Title: "MetaStudio digital assets", YAML: metastudio.Document()},
		openapi.Document{Name: "native", Title: "Assetflow", YAML: native.Document()},
		openapi.Document{Name: "roma", Title: "ROMA Connect asset management", YAML: roma.Document()},
		openapi.Document{Name: "servicestage", Title: "ServiceStage environment add-ons", YAML: servicestage.Document()},
	)
	iam.Register(r, opts.Auth)
	roma.Register(r, roma.Options{
		Auth: opts.Auth, Jobs: opts.Jobs, Instances: opts.Catalog, Submissions: opts.Catalog, Archives: opts.Catalog,
		Staging: opts.Storage, ArchiveStore: opts.Storage, Logger: opts.Logger, MaxUploadBytes: opts.MaxUploadBytes,
	})
	metastudio.Register(r, metastudio.Options{
		Auth: opts.Auth, Jobs: opts.Jobs, Catalog: opts.Catalog, Submissions: opts.Catalog, Storage: opts.Storage,
		Logger: opts.Logger, Region: opts.Region, Replication: opts.Replication,
	})
	automation.Register(r, automation.Options{
		Auth: opts.Auth, Jobs: opts.Jobs, Templates: opts.Catalog, Submissions: opts.Catalog, Staging: opts.Storage, Blobs: opts.Storage,
		Logger: opts.Logger, MaxUploadBytes: opts.MaxUploadBytes, Wait: opts.TemplateImportWait, Version: opts.Version,
	})
	servicestage.Register(r, servicestage.Options{
		Auth: opts.Auth, Jobs: opts.Jobs, Catalog: opts.Catalog, Targets: opts.Targets, Submissions: opts.Catalog, Logger: opts.Logger,
	})
	native.Register(r, native.Options{
		Auth: opts.Auth, Jobs: opts.Jobs, Catalog: opts.Catalog, Staging: opts.Storage, Blobs: opts.Storage, Targets: opts.Targets, Logger: opts.Logger,
		MaxUploadBytes: opts.MaxUploadBytes, TrashLifetime: opts.TrashLifetime,
	})
	if opts.Payloads.Codec != nil {
		codec.Register(r, codec.Options{Auth: opts.Auth, Payloads: opts.Payloads, Logger: opts.Logger})
	}
	return r
}
