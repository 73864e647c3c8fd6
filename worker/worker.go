// Package worker registers the workflows and their activities, in this one place, and sets the worker's options.
package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/assetpackage"
	"assetflow/catalog"
	"assetflow/replication"
	"assetflow/storage"
	"assetflow/telemetry"
	"assetflow/workflows"
)

// Options are a worker's dependencies and limits.
type Options struct {
	Catalog *catalog.Catalog
	Storage *storage.Store
	Logger  *slog.Logger
	// Limits for packages; the zero value stands for assetpackage.DefaultLimits.
	Limits assetpackage.Limits
	// StopTimeout is how long Stop lets running steps finish before it hands them over; they go on elsewhere at once.
	// 0 stands for 8 s.
	StopTimeout time.Duration
	// Version is which program this is; the zero value stands for a worker without a version.
	Version Version
	// Parallel is how many steps run at the same time; 0 stands for 32. It bounds the worker's memory.
	Parallel int
	// KeepArchives is how long the archive of an export waits for its download; 0 stands for 24 hours.
	KeepArchives time.Duration
	// KeepTrash is how long a deleted asset can be restored; 0 stands for 30 days.
	KeepTrash time.Duration
	// SweepGrace is how old a leftover must be before a sweep takes it; 0 stands for 24 hours.
	SweepGrace time.Duration
	// Copies is how copies from other regions are made; the zero value lets none succeed.
	Copies Copies
	// Targets are those that add-ons are delivered to; nil: deliveries are left to another worker.
	Targets activities.Targets
	// Jobs looks after jobs beyond their own steps; nil: the sweep settles none, and those that wait are left to another
	// worker.
	Jobs Jobs
	// Metrics count steps and measure them; nil: nothing is counted.
	Metrics *telemetry.Metrics
	// Interceptors see every workflow and step: for tracing, and for tests that hold a step.
	Interceptors []interceptor.WorkerInterceptor
}

// Version names a worker's program in a Worker Deployment. A job stays with the version that it began on.
type Version struct {
	DeploymentName string // empty together with BuildID: there are no versions
	BuildID        string
}

// Copies is how a worker copies digital assets from other regions.
type Copies struct {
	KeyRing *replication.KeyRing // opens replication infos; nil: none
	Region  string               // this region's name
	Fetcher *replication.Fetcher // reads from source regions; nil: from none
	// ParallelFiles is how many files of one copy are fetched at the same time; 0 stands for 4.
	ParallelFiles int
}

// Jobs is what a worker needs of the service that starts jobs.
type Jobs interface {
	// Settle looks a job's workflow up and settles the job where it has closed or never started.
	Settle(ctx context.Context, projectID, jobID string) error
	// Wake has the jobs started that wait for the same workflow id.
	Wake(ctx context.Context, job catalog.Job) error
	// RunningJob tells the job that an open run of the workflow id belongs to; empty where none is open.
	RunningJob(ctx context.Context, workflowID string) (string, error)
}

// Worker polls the task queues of this service.
type Worker struct {
	data        worker.Worker
	addons      worker.Worker // nil without targets
	failed      chan error
	handover    *handover
	stopTimeout time.Duration
}

const (
	defaultStopTimeout = 8 * time.Second
	defaultParallel    = 32
	defaultKeep        = 24 * time.Hour
	defaultKeepTrash   = 30 * 24 * time.Hour
	defaultGrace       = 24 * time.Hour
	defaultFiles       = 4
	// pollers is how many tasks of a kind a worker fetches at the same time. The SDK's default of 2 leaves a busy
	// worker waiting for the server's answers.
	pollers = 8
	// heartbeatThrottle bounds how late a step hears of a cancellation and a caller of its progress.
	heartbeatThrottle = time.Second
)

// New makes a worker for the data queue and, where there are targets, the add-on queue. Nothing runs until Start.
func New(c client.Client, opts Options) *Worker {
	if opts.Limits == (assetpackage.Limits{}) {
		opts.Limits = assetpackage.DefaultLimits()
	}
	if opts.StopTimeout == 0 {
		opts.StopTimeout = defaultStopTimeout
	}
	if opts.KeepArchives == 0 {
		opts.KeepArchives = defaultKeep
	}
	if opts.KeepTrash == 0 {
		opts.KeepTrash = defaultKeepTrash
	}
	if opts.SweepGrace == 0 {
		opts.SweepGrace = defaultGrace
	}
	if opts.Parallel == 0 {
		opts.Parallel = defaultParallel
	}
	if opts.Copies.Fetcher == nil {
		opts.Copies.Fetcher = new(replication.Fetcher)
	}
	if opts.Copies.ParallelFiles == 0 {
		opts.Copies.ParallelFiles = defaultFiles
	}
	handover := newHandover()
	seeing := []interceptor.WorkerInterceptor{handover}
	if opts.Metrics != nil {
		seeing = append(seeing, &counting{metrics: opts.Metrics})
	}
	failed := make(chan error, 1)
	settings := worker.Options{
		WorkerStopTimeout:                  opts.StopTimeout + handoverTime,
		MaxConcurrentActivityExecutionSize: opts.Parallel,
		MaxConcurrentWorkflowTaskPollers:   pollers,
		MaxConcurrentActivityTaskPollers:   pollers,
		MaxHeartbeatThrottleInterval:       heartbeatThrottle,
		DefaultHeartbeatThrottleInterval:   heartbeatThrottle,
		Interceptors:                       append(seeing, opts.Interceptors...),
		OnFatalError: func(err error) {
			select {
			case failed <- err:
			default: // the first is told
			}
		},
	}
	if opts.Version != (Version{}) {
		settings.DeploymentOptions = worker.DeploymentOptions{UseVersioning: true, Version: worker.WorkerDeploymentVersion(opts.Version)}
	}
	w := worker.New(c, workflows.DataQueue, settings)
	RegisterWorkflows(w)
	w.RegisterActivity(&activities.Import{
		Catalog: opts.Catalog, Storage: opts.Storage, Limits: opts.Limits, Logger: opts.Logger,
	})
	w.RegisterActivity(&activities.Delete{Catalog: opts.Catalog, Logger: opts.Logger})
	w.RegisterActivity(&activities.Export{
		Catalog: opts.Catalog, Storage: opts.Storage, Logger: opts.Logger, Keep: opts.KeepArchives,
	})
	w.RegisterActivity(&activities.Copy{
		Catalog: opts.Catalog, Storage: opts.Storage, Logger: opts.Logger,
		KeyRing: opts.Copies.KeyRing, Region: opts.Copies.Region, ParallelFiles: opts.Copies.ParallelFiles,
		Fetcher: opts.Copies.Fetcher, Window: activities.NewWindow(),
	})
	w.RegisterActivity(&activities.Templates{Catalog: opts.Catalog, Storage: opts.Storage, Logger: opts.Logger})
	end := &activities.End{Catalog: opts.Catalog, Storage: opts.Storage, Logger: opts.Logger}
	queue := &activities.Queue{Catalog: opts.Catalog}
	sweep := &activities.Sweep{
		Catalog: opts.Catalog, Storage: opts.Storage, Logger: opts.Logger, Grace: opts.SweepGrace, KeepTrash: opts.KeepTrash,
	}
	if opts.Jobs != nil {
		end.Wake, queue.Running, sweep.Settle = opts.Jobs.Wake, opts.Jobs.RunningJob, opts.Jobs.Settle
	}
	w.RegisterActivity(end)
	w.RegisterActivity(queue)
	w.RegisterActivity(sweep)
	if opts.Targets == nil {
		opts.Logger.Info("no targets are known to this worker: it delivers no add-ons")
		return &Worker{data: w, failed: failed, handover: handover, stopTimeout: opts.StopTimeout}
	}
	d := worker.New(c, workflows.AddonQueue, settings)
	d.RegisterWorkflowWithOptions(workflows.DeliverAddon, pinned)
	d.RegisterActivity(&activities.Delivery{
		Catalog: opts.Catalog, Storage: opts.Storage, Targets: opts.Targets, Logger: opts.Logger,
	})
	d.RegisterActivity(end)
	return &Worker{data: w, addons: d, failed: failed, handover: handover, stopTimeout: opts.StopTimeout}
}

// What becomes of a workflow that runs when another version of the workers becomes the current one. A job is short: it
// ends on the version that it began on, which need therefore not replay what another one has recorded. What goes on for as
// long as there is work (a queue) or begins by the clock (the sweep) moves to the new version with its next step, so that
// the old one can go; it must replay.
var (
	pinned      = workflow.RegisterOptions{VersioningBehavior: workflow.VersioningBehaviorPinned}
	autoUpgrade = workflow.RegisterOptions{VersioningBehavior: workflow.VersioningBehaviorAutoUpgrade}
)

// RegisterWorkflows registers every workflow: with a worker, a replayer or a test environment.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	r.RegisterWorkflowWithOptions(workflows.ImportAssets, pinned)
	r.RegisterWorkflowWithOptions(workflows.DeleteAssets, pinned)
	r.RegisterWorkflowWithOptions(workflows.ExportAssets, pinned)
	r.RegisterWorkflowWithOptions(workflows.CopyAsset, pinned)
	r.RegisterWorkflowWithOptions(workflows.ImportServiceTemplates, pinned)
	r.RegisterWorkflowWithOptions(workflows.DeliverAddon, pinned)
	r.RegisterWorkflowWithOptions(workflows.ServeQueue, autoUpgrade)
	r.RegisterWorkflowWithOptions(workflows.SweepAll, autoUpgrade)
}

// Start begins to poll. It returns an error where the Temporal server cannot be reached; nothing is polled then.
func (w *Worker) Start() error {
	if err := w.data.Start(); err != nil || w.addons == nil {
		return err
	}
	if err := w.addons.Start(); err != nil {
		w.data.Stop()
		return err
	}
	return nil
}

// Failed gives the error for which Temporal gives this worker no tasks any more, and never will: its namespace is gone, or
// it does not speak with this version. Nothing is polled then.
func (w *Worker) Failed() <-chan error { return w.failed }

// Stop stops polling and waits until the running steps have ended. Those that have not within the stop timeout are handed
// over to other workers; Stop returns once the server knows, or 5 s later.
func (w *Worker) Stop() {
	late := time.AfterFunc(w.stopTimeout, w.handover.interrupt)
	defer late.Stop()
	var stopping sync.WaitGroup
	stopping.Go(w.data.Stop)
	if w.addons != nil {
		stopping.Go(w.addons.Stop)
	}
	stopping.Wait()
}
