// Package serve puts the service together: configuration in, a running api or worker out.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	tlog "go.temporal.io/sdk/log"

	"assetflow/addons"
	"assetflow/api"
	"assetflow/api/codec"
	"assetflow/api/metastudio"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/config"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/payload"
	"assetflow/replication"
	"assetflow/storage"
	"assetflow/telemetry"
	"assetflow/worker"
	"assetflow/workflows"
)

// answerTimeout bounds how long each backend is waited for at the start.
const answerTimeout = 10 * time.Second

// How long Temporal is given to use new search attributes, and how often it is asked.
const (
	attributesTimeout = time.Minute
	attributesPoll    = 250 * time.Millisecond
)

// Backends are what the service stands on: catalog, object store and Temporal.
type Backends struct {
	Config   config.Config
	Catalog  *catalog.Catalog
	Storage  *storage.Store
	Temporal client.Client
	Payloads *payload.Codec       // nil: Temporal keeps payloads in clear
	KeyRing  *replication.KeyRing // nil: this region takes part in no copies
	Fetcher  *replication.Fetcher // reads from the regions that are copied from
	Targets  *addons.Targets      // where add-ons can be delivered to
	Metrics  *telemetry.Metrics
	Logger   *slog.Logger
	Tracing  *telemetry.Tracing // nil: nothing is traced

	process process
	// Interceptors see every workflow and step of Worker: for tests that hold a step.
	Interceptors []interceptor.WorkerInterceptor

	operators net.Listener // nil: operators are not answered
}

// Open opens the backends that the configuration names. It changes nothing in them; whether they answer is what Check
// finds out. Errors: Unavailable where the database does not answer, Invalid for a setting that a backend refuses.
func Open(ctx context.Context, cfg config.Config, logger *slog.Logger, opts ...Option) (_ *Backends, err error) {
	b := &Backends{Config: cfg, Logger: logger, process: process{"assetflow", "unknown"}}
	for _, opt := range opts {
		opt(b)
	}
	defer func() { //nolint:contextcheck // Close is for when ctx has ended, too
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.Tracing, err = NewTracing(ctx, cfg.Telemetry.Traces, b.process.service, b.process.version, logger); err != nil {
		return nil, err
	}
	if b.Metrics, err = newMetrics(logger); err != nil {
		return nil, err
	}
	if b.KeyRing, err = keyRing(cfg); err != nil {
		return nil, err
	}
	if b.Payloads, err = payloadCodec(cfg.Temporal); err != nil {
		return nil, err
	}
	if b.Fetcher, err = replication.NewFetcher(replication.FetcherOptions{
		Sources: cfg.Replication.Sources, Throughput: cfg.Replication.Throughput,
		Received: b.Metrics.Copied, Traces: b.Tracing.Provider(),
	}); err != nil {
		return nil, fault.New(fault.Invalid, "config.sources", "replication.sources is not right: %s.", err)
	}
	if b.Catalog, err = catalog.Open(ctx, string(cfg.Database.URL), logger,
		catalog.WithJobWatch(jobs.CountChanges(b.Metrics)), catalog.WithTraces(b.Tracing.Provider())); err != nil {
		return nil, err
	}
	if err = watchPools(b.Metrics, b.Catalog); err != nil {
		return nil, err
	}
	if b.Storage, err = openStorage(ctx, cfg.S3, b.Metrics, b.Tracing.Provider()); err != nil {
		return nil, err
	}
	if b.Targets, err = targets(cfg, b.Storage, logger); err != nil {
		return nil, err
	}
	traces, err := telemetry.JobInterceptor(b.Tracing.Provider(), workflows.TracedAlone()...)
	if err != nil {
		return nil, err
	}
	data, failures := payload.Converters(b.Payloads)
	options, err := connect(cfg.Temporal, client.Options{
		DataConverter: data, FailureConverter: failures,
		Logger:         tlog.NewStructuredLogger(logger.With("component", "temporal")),
		MetricsHandler: b.Metrics.Temporal(),
		Interceptors:   []interceptor.ClientInterceptor{traces},
	})
	if err != nil {
		return nil, err
	}
	if b.Temporal, err = client.NewLazyClient(options); err != nil {
		return nil, fmt.Errorf("open Temporal: %w", err)
	}
	return b, nil
}

// Close closes the backends, and sends the spans that have not been sent yet.
func (b *Backends) Close() error {
	defer b.flush()
	if b.Temporal != nil {
		b.Temporal.Close()
	}
	if b.Fetcher != nil {
		b.Fetcher.Close()
	}
	if b.operators != nil {
		_ = b.operators.Close() // it may have been served, and closed with that
	}
	if b.Catalog != nil {
		return b.Catalog.Close()
	}
	return nil
}

// Prepare brings the backends to what this program needs: the catalog's schema, the bucket, and the search attributes
// of the namespace. It can be run again, and by several at once.
func (b *Backends) Prepare(ctx context.Context) error {
	if err := b.Catalog.Migrate(ctx); err != nil {
		return err
	}
	if err := b.Storage.EnsureBucket(ctx); err != nil {
		return err
	}
	if err := b.reachTemporal(ctx); err != nil {
		return err
	}
	if err := worker.Prepare(ctx, b.Temporal, b.Config.Temporal.Namespace); err != nil {
		return err
	}
	return b.awaitSearchAttributes(ctx)
}

// Check makes sure that the backends answer and that Prepare has been run.
func (b *Backends) Check(ctx context.Context) error {
	for _, check := range []func(context.Context) error{b.Catalog.Ping, b.checkStorage, b.reachTemporal, b.checkSearchAttributes} {
		limited, cancel := context.WithTimeout(ctx, answerTimeout)
		err := check(limited)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Backends) checkStorage(ctx context.Context) error {
	err := b.Storage.Ping(ctx)
	if fault.KindOf(err) == fault.NotFound {
		return fault.New(fault.Unavailable, "storage.no_bucket", `There is no bucket %q: run "assetflow migrate".`, b.Storage.Bucket()).Wrap(err)
	}
	return err
}

// checkTemporal asks for the namespace: the frontend answers a health check without the database behind it.
func (b *Backends) checkTemporal(ctx context.Context) error {
	_, err := b.Temporal.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{
		Namespace: b.Config.Temporal.Namespace,
	})
	var unknown *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &unknown):
		return fault.New(fault.Unavailable, "temporal.no_namespace",
			"Temporal has no namespace %q: make it with `temporal operator namespace create -n %[1]s`.", b.Config.Temporal.Namespace).Wrap(err)
	case err != nil:
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal cannot be reached at %s.", b.Config.Temporal.Address).Wrap(err)
	}
	return nil
}

// checkSearchAttributes makes sure that jobs can be started with their search attributes.
func (b *Backends) checkSearchAttributes(ctx context.Context) error {
	names := workflows.SearchAttributeNames()
	conditions := make([]string, 0, len(names))
	for _, name := range names {
		conditions = append(conditions, name+" = 'none'")
	}
	_, err := b.Temporal.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Namespace: b.Config.Temporal.Namespace, Query: strings.Join(conditions, " AND "),
	})
	var refused *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &refused):
		return fault.New(fault.Unavailable, "temporal.not_prepared",
			`The namespace %q lacks the search attributes of jobs: run "assetflow migrate".`, b.Config.Temporal.Namespace).Wrap(err)
	case err != nil:
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal does not answer queries at %s.", b.Config.Temporal.Address).Wrap(err)
	}
	return nil
}

// awaitSearchAttributes waits until Temporal uses search attributes that it has just been given: its services look for
// changes every few seconds, and until then they refuse to start a job.
func (b *Backends) awaitSearchAttributes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attributesTimeout)
	defer cancel()
	tick := time.NewTicker(attributesPoll)
	defer tick.Stop()
	for {
		err := b.checkSearchAttributes(ctx)
		if fault.CodeOf(err) != "temporal.not_prepared" {
			return err
		}
		b.Logger.DebugContext(ctx, "waiting for Temporal to use the search attributes")
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for Temporal to use the search attributes: %w", err)
		case <-tick.C:
		}
	}
}

// dependencies are the checks of /readyz by the name of what is asked.
func (b *Backends) dependencies() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"database": b.Catalog.Ping, "s3": b.checkStorage, "temporal": b.checkTemporal,
	}
}

// API answers requests on ln until ctx ends, then announces its end, lets requests under way end, and returns. It closes ln.
func (b *Backends) API(ctx context.Context, ln net.Listener, version string) error {
	keys, err := masterKey(b.Config)
	if err != nil {
		_ = ln.Close()
		return err
	}
	if err := b.Metrics.WatchJobs(jobs.OpenJobs(b.Catalog)); err != nil {
		_ = ln.Close()
		return fmt.Errorf("watch the jobs: %w", err)
	}
	ready := b.dependencies()
	handler := api.New(api.Options{ //nolint:contextcheck // every request brings a context of its own
		Auth:    auth.New(b.Catalog, keys, auth.WithLogger(b.Logger), auth.WithMetrics(b.Metrics)),
		Jobs:    b.jobs(),
		Catalog: b.Catalog, Storage: b.Storage, Logger: b.Logger, Traces: b.Tracing.Provider(),
		MaxUploadBytes: b.Config.MaxUploadBytes, TrashLifetime: b.Config.Trash.Keep, Region: b.Config.Region, Version: version,
		TemplateImportWait: b.Config.Jobs.ImportWait, Payloads: b.payloads(),
		Replication: metastudio.Replication{
			KeyRing: b.KeyRing, Lifetime: b.Config.Replication.Lifetime, Trusts: b.Fetcher.Trusts,
		},
		Targets: b.Targets,
		Metrics: b.Metrics, Ready: ready,
	})
	return b.whileObserved(ctx, ready, func(ctx context.Context) error {
		b.Logger.InfoContext(ctx, "listening", "address", ln.Addr().String(), "version", version)
		end := api.Shutdown{Delay: b.Config.HTTP.ShutdownDelay, Drain: b.Config.HTTP.DrainTimeout}
		if err := api.Serve(ctx, ln, handler, b.Logger, end); err != nil {
			return fmt.Errorf("serve the API: %w", err)
		}
		return nil
	})
}

func (b *Backends) jobs() *jobs.Service {
	data, _ := payload.Converters(b.Payloads)
	return jobs.NewService(b.Temporal, b.Catalog, b.Storage, b.Logger,
		jobs.WithNamespace(b.Config.Temporal.Namespace), jobs.WithDataConverter(data), jobs.WithQueueLength(b.Config.Jobs.QueueLength),
		jobs.WithDelivery(b.Config.Addons.Deadline, b.Config.Addons.HealthTimeout))
}

// payloads says who may read encrypted payloads.
func (b *Backends) payloads() codec.Payloads {
	if b.Payloads == nil {
		return codec.Payloads{}
	}
	return codec.Payloads{Codec: b.Payloads, Readers: b.Config.Temporal.PayloadReaders, Origins: b.Config.Temporal.UIOrigins}
}

// Worker runs jobs' steps and has the sweep started from time to time, until ctx ends, then lets those under way end or hands
// them over, and returns.
func (b *Backends) Worker(ctx context.Context) error {
	service := b.jobs()
	opts := worker.Options{
		Catalog: b.Catalog, Storage: b.Storage, Logger: b.Logger,
		KeepTrash: b.Config.Trash.Keep, KeepArchives: b.Config.Archive.Keep, SweepGrace: b.Config.Sweep.Grace,
		Jobs: service, Metrics: b.Metrics, Interceptors: b.Interceptors, StopTimeout: b.Config.Worker.StopTimeout,
		Version: worker.Version{DeploymentName: b.Config.Worker.DeploymentName, BuildID: b.Config.Worker.BuildID},
		Copies: worker.Copies{
			KeyRing: b.KeyRing, Region: b.Config.Region, Fetcher: b.Fetcher,
			ParallelFiles: b.Config.Replication.ParallelFiles,
		},
	}
	if b.Config.Addons.Targets != "" { // otherwise deliveries are for workers that know the targets
		opts.Targets = b.Targets
	}
	w := worker.New(b.Temporal, opts)
	if err := w.Start(); err != nil {
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal cannot be reached at %s.", b.Config.Temporal.Address).Wrap(err)
	}
	if err := worker.EnsureSchedule(ctx, b.Temporal, b.Config.Sweep.Every); err != nil {
		w.Stop()
		return fault.New(fault.Unavailable, "temporal.no_schedule", "Temporal does not take the schedule of the sweep at %s.", b.Config.Temporal.Address).Wrap(err)
	}
	ready := b.dependencies()
	ready["poller"] = b.checkPollers
	return b.whileObserved(ctx, ready, func(ctx context.Context) error {
		b.Logger.InfoContext(ctx, "worker started", "namespace", b.Config.Temporal.Namespace,
			"deployment", b.Config.Worker.DeploymentName, "build", b.Config.Worker.BuildID)
		var failure error
		select {
		case <-ctx.Done():
		case err := <-w.Failed(): // another start may help; to stay without a task does not
			failure = fault.New(fault.Unavailable, "temporal.no_tasks", "Temporal gives this worker no tasks any more.").Wrap(err)
		}
		b.Logger.InfoContext(ctx, "worker stops")
		w.Stop()
		return failure
	})
}
