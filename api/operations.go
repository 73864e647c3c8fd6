package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"

	"assetflow/api/middleware"
	"assetflow/telemetry"
)

// OperationsOptions are what operators may ask a process.
type OperationsOptions struct {
	Metrics *telemetry.Metrics
	Logger  *slog.Logger
	// Ready are the checks of /readyz, as in Options.
	Ready map[string]func(context.Context) error
	// Stopping tells whether the process has been told to end; nil: never.
	Stopping func() bool
	// Profiles lets them have profiles taken: whoever may sees memory and slows the process down.
	Profiles bool
}

// NewOperations is the handler of what operators ask an api or a worker, on a listener of its own that nobody else
// reaches: it asks nobody who they are.
//
//	/metrics       for Prometheus
//	/healthz       200 as long as the process answers
//	/readyz        whether its dependencies answer, see Readiness
//	/debug/pprof/  profiles, where Profiles says so
func NewOperations(opts OperationsOptions) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", opts.Metrics.Handler())
	mux.HandleFunc("GET "+pathAlive, alive)
	mux.HandleFunc("GET "+pathReady, ready(opts.Ready, opts.Stopping, opts.Logger))
	if opts.Profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return middleware.SlowClients(http.MaxBytesHandler(mux, middleware.MaxJSONBytes), middleware.DefaultPace(DefaultStallTimeout))
}
