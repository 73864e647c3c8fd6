package api

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"assetflow/addons"
	"assetflow/api/codec"
	"assetflow/api/metastudio"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/telemetry"
)

// DefaultMaxUploadBytes is the largest package an upload may carry where Options says nothing: 5 GiB.
const DefaultMaxUploadBytes int64 = 5 << 30

// DefaultStallTimeout is how long a client may move next to nothing where Options says nothing.
const DefaultStallTimeout = 30 * time.Second

// Options are what the API is made of. Auth, Jobs, Catalog and Storage are required.
type Options struct {
	Auth    *auth.Service
	Jobs    *jobs.Service
	Catalog *catalog.Catalog
	Storage *storage.Store
	Targets *addons.Targets      // where add-ons can be delivered to; nowhere where nil
	Logger  *slog.Logger         // slog.Default where nil
	Traces  trace.TracerProvider // makes the spans of requests; none where nil

	MaxUploadBytes int64 // of one package, in bytes; DefaultMaxUploadBytes where 0
	// StallTimeout is how long a client may send next to nothing of a body before its request is ended, and a quarter of
	// how long it may take next to nothing of an answer; DefaultStallTimeout where 0. A slow but moving transfer may take
	// as long as it likes.
	StallTimeout time.Duration

	// TemplateImportWait is how long the answer to an import of service templates waits for its end;
	// automation.DefaultWait where 0.
	TemplateImportWait time.Duration

	TrashLifetime time.Duration // how long a deleted asset is kept; 0: until somebody purges it

	Replication metastudio.Replication // how this region takes part in copies

	Payloads codec.Payloads // who may read encrypted payloads; the zero value: there are none

	Region  string // the region's name, shown in the index of /openapi, under which others know it as well
	Version string // the program's version, shown in the index of /openapi

	Metrics *telemetry.Metrics // counts requests; nil: nothing is counted

	// Ready are the checks of /readyz by the name of the dependency, such as "temporal", "s3" and "database".
	// Each gets a context that ends after 2 s.
	Ready map[string]func(context.Context) error
}

func (o Options) withDefaults() Options {
	if o.Targets == nil {
		o.Targets = &addons.Targets{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.MaxUploadBytes == 0 {
		o.MaxUploadBytes = DefaultMaxUploadBytes
	}
	if o.Traces == nil {
		o.Traces = noop.NewTracerProvider()
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = DefaultStallTimeout
	}
	return o
}
