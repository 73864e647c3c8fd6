package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"golang.org/x/sync/errgroup"

	"assetflow/addons"
	"assetflow/api"
	"assetflow/api/metastudio"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/devstack/folder"
	"assetflow/embedded/s3"
	"assetflow/embedded/temporal"
	"assetflow/embedded/ui"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
	"assetflow/telemetry"
	"assetflow/worker"
	"assetflow/workflows"
)

const (
	// bucket is the bucket that everything is kept in.
	bucket = "assetflow"
	// catalogFile is the catalog's name in the data folder.
	catalogFile = "catalog.db"
)

// parts are what a stack consists of. A part that does not run is nil.
type parts struct {
	logger   *slog.Logger
	lock     *folder.Lock
	catalog  *catalog.Catalog
	auth     *auth.Service
	s3       *s3.Server
	storage  *storage.Store
	keyRing  *replication.KeyRing
	fetcher  *replication.Fetcher
	targets  *addons.Targets
	temporal *temporal.Server
	client   client.Client
	ui       *ui.Server
	worker   *worker.Worker
	listener *listener
	endAPI   context.CancelFunc
	apiEnded chan struct{}
}

// start starts everything, what does not need each other at the same time, and calls fail when a part fails later. After
// an error, stop ends what did start.
func (p *parts) start(ctx context.Context, opts Options, fail func(error)) (Credentials, error) {
	p.logger = opts.Logger
	var err error
	if p.lock, err = folder.Take(opts.DataDir); err != nil {
		return Credentials{}, err
	}
	if p.listener, opts, err = reserve(ctx, opts); err != nil {
		return Credentials{}, err
	}
	secrets, err := folder.LoadSecrets(opts.DataDir, catalogFile)
	if err != nil {
		return Credentials{}, err
	}
	if opts.KeyRing != "" {
		secrets.KeyRing = opts.KeyRing
	}
	if p.keyRing, err = replication.ParseKeyRing(secrets.KeyRing); err != nil {
		return Credentials{}, err
	}
	if p.fetcher, err = replication.NewFetcher(replication.FetcherOptions{
		Sources: opts.Sources, Throughput: opts.CopyThroughput, Traces: opts.Traces,
	}); err != nil {
		return Credentials{}, err
	}
	var credentials Credentials
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		credentials, err = p.startCatalog(groupCtx, opts, secrets)
		return err
	})
	group.Go(func() error { return p.startStorage(groupCtx, opts, secrets) })
	group.Go(func() error { return p.startTemporal(groupCtx, opts) })
	if err := group.Wait(); err != nil {
		return Credentials{}, err
	}
	p.targets, err = addons.ParseTargets(opts.Targets, addons.Options{Client: p.storage.Client(), Bucket: p.storage.Bucket(), Logger: opts.Logger})
	if err != nil {
		return Credentials{}, err
	}
	if !opts.NoWorker {
		if err := p.startWorker(ctx, opts); err != nil {
			return Credentials{}, fmt.Errorf("start the worker: %w", err)
		}
	}
	credentials.Endpoint = "http://" + reachable(p.listener.Addr().String())
	credentials.S3Endpoint = p.s3Endpoint()
	credentials.TemporalUI = ""
	if p.ui != nil {
		credentials.TemporalUI = "http://" + reachable(p.ui.Addr())
	}
	// Before the API answers: who sees the stack ready finds the file.
	if err := credentials.Publish(opts.DataDir); err != nil {
		return Credentials{}, err
	}
	p.startAPI(opts, fail) //nolint:contextcheck // it outlives ctx, which bounds the start only
	go func() {
		select {
		case <-p.temporal.Failed():
			fail(fmt.Errorf("the temporal server failed: %w", p.temporal.Err()))
		case <-p.apiEnded:
		}
	}()
	return credentials, nil
}

func (p *parts) startCatalog(ctx context.Context, opts Options, secrets folder.Secrets) (Credentials, error) {
	var err error
	database := cmp.Or(opts.Database, "sqlite:"+filepath.Join(opts.DataDir, catalogFile))
	if p.catalog, err = catalog.Open(ctx, database, opts.Logger, catalog.WithTraces(opts.Traces)); err != nil {
		return Credentials{}, err
	}
	if err := p.catalog.Migrate(ctx); err != nil {
		return Credentials{}, err
	}
	keys, err := auth.ParseMasterKey(secrets.MasterKey)
	if err != nil {
		return Credentials{}, fmt.Errorf("%s: %w", folder.MasterKeyFile, err)
	}
	p.auth = auth.New(p.catalog, keys, auth.WithLogger(opts.Logger))
	credentials, err := folder.Seed(ctx, opts.DataDir, p.catalog, p.auth)
	if err != nil {
		return Credentials{}, fmt.Errorf("make the first user and project: %w", err)
	}
	return credentials, nil
}

func (p *parts) startStorage(ctx context.Context, opts Options, secrets folder.Secrets) error {
	var err error
	p.s3, err = s3.Start(ctx, s3.Options{
		Addr: opts.S3Addr, DataDir: filepath.Join(opts.DataDir, "s3"), Region: opts.Region,
		AccessKey: secrets.S3.AccessKey, SecretKey: secrets.S3.SecretKey,
	})
	if err != nil {
		return unusable(S3, opts.S3Addr, err)
	}
	p.storage, err = storage.Open(ctx, storage.Config{
		Endpoint: p.s3Endpoint(), Region: opts.Region, Bucket: bucket, PathStyle: true,
		AccessKey: secrets.S3.AccessKey, SecretKey: secrets.S3.SecretKey, PresignEndpoint: opts.PresignEndpoint,
		Traces: opts.Traces,
	})
	if err != nil {
		return err
	}
	return p.storage.EnsureBucket(ctx)
}

func (p *parts) s3Endpoint() string {
	return "http://" + reachable(strings.TrimPrefix(p.s3.Endpoint(), "http://"))
}

func (p *parts) startTemporal(ctx context.Context, opts Options) error {
	var err error
	p.temporal, err = temporal.Start(ctx, temporal.Options{
		Addr: opts.TemporalAddr, DataDir: opts.DataDir, Logger: opts.Logger,
		SearchAttributes: workflows.SearchAttributeNames(),
	})
	if err != nil {
		return unusable(Temporal, opts.TemporalAddr, err)
	}
	traces, err := telemetry.JobInterceptor(opts.Traces, workflows.TracedAlone()...)
	if err != nil {
		return err
	}
	p.client, err = client.DialContext(ctx, client.Options{
		HostPort: p.temporal.Addr(), Logger: sdklog.NewStructuredLogger(opts.Logger), Interceptors: []interceptor.ClientInterceptor{traces},
	})
	if err != nil {
		return fmt.Errorf("connect to temporal: %w", err)
	}
	if opts.NoUI {
		return nil
	}
	p.ui, err = ui.Start(ctx, ui.Options{Addr: opts.UIAddr, TemporalAddr: p.temporal.Addr()})
	if err != nil {
		return unusable(UI, opts.UIAddr, err)
	}
	return nil
}

func (p *parts) startWorker(ctx context.Context, opts Options) error {
	service := p.jobs(opts)
	w := worker.New(p.client, worker.Options{
		Catalog: p.catalog, Storage: p.storage, Logger: opts.Logger,
		KeepTrash: opts.KeepTrash, KeepArchives: opts.KeepArchives, SweepGrace: opts.SweepGrace,
		Jobs:        service,
		Copies:      worker.Copies{KeyRing: p.keyRing, Region: opts.Region, Fetcher: p.fetcher},
		Targets:     p.targets,
		StopTimeout: drainTime, Interceptors: opts.Interceptors,
	})
	if err := w.Start(); err != nil {
		return err
	}
	p.worker = w
	return worker.EnsureSchedule(ctx, p.client, opts.SweepEvery)
}

func (p *parts) jobs(opts Options) *jobs.Service {
	return jobs.NewService(p.client, p.catalog, p.storage, opts.Logger, jobs.WithDelivery(opts.DeliveryDeadline, opts.HealthTimeout))
}

func (p *parts) startAPI(opts Options, fail func(error)) {
	handler := api.New(api.Options{
		Auth: p.auth, Catalog: p.catalog, Storage: p.storage, Logger: opts.Logger, Region: opts.Region, Traces: opts.Traces,
		Jobs:        p.jobs(opts),
		Targets:     p.targets,
		Replication: metastudio.Replication{KeyRing: p.keyRing, Trusts: p.fetcher.Trusts},
		Version:     opts.Version, MaxUploadBytes: opts.MaxUploadBytes, TrashLifetime: opts.KeepTrash,
		Ready: map[string]func(context.Context) error{
			"temporal": func(ctx context.Context) error {
				_, err := p.client.CheckHealth(ctx, &client.CheckHealthRequest{})
				return err
			},
			"s3":       p.storage.Ping,
			"database": p.catalog.Ping,
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	p.endAPI, p.apiEnded = cancel, make(chan struct{})
	go func() {
		defer close(p.apiEnded)
		if err := api.Serve(ctx, p.listener, handler, opts.Logger, api.Shutdown{}); err != nil {
			fail(err)
		}
	}()
}

// stop ends what runs: first what takes work from outside, then what that needs.
func (p *parts) stop(logger *slog.Logger) {
	atOnce(
		func() { p.stopAPI(logger) },
		func() {
			if p.worker != nil {
				p.worker.Stop()
			}
		},
	)
	if p.client != nil {
		p.client.Close()
	}
	if p.fetcher != nil {
		p.fetcher.Close()
	}
	atOnce(
		func() {
			if p.ui != nil {
				p.ui.Stop()
			}
			if p.temporal != nil {
				p.temporal.Stop()
			}
		},
		func() {
			if p.s3 != nil {
				p.s3.Stop()
			}
		},
	)
	if p.catalog != nil {
		if err := p.catalog.Close(); err != nil {
			logger.Error("close the catalog", "error", err)
		}
	}
	if p.lock != nil {
		p.lock.Release()
	}
}

// stopAPI lets requests finish, and cuts off what has not after drainTime.
func (p *parts) stopAPI(logger *slog.Logger) {
	if p.listener == nil {
		return
	}
	if p.endAPI == nil {
		_ = p.listener.Close()
		return
	}
	p.endAPI()
	cut := p.listener.closeAfter(drainTime, func(open int) {
		logger.Warn("requests are cut off: they did not finish in time", "connections", open, "after", drainTime)
	})
	<-p.apiEnded
	cut.Stop()
}

func atOnce(steps ...func()) {
	var all sync.WaitGroup
	for _, step := range steps {
		all.Go(step)
	}
	all.Wait()
}

// unusable tells a taken address from other failures to start a part.
func unusable(part Part, addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &AddressError{Part: part, Addr: addr, Err: err}
	}
	return err
}

// reachable replaces the host of a listener on all interfaces by this machine's.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
