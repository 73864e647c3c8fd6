// Package serve puts the service together: configuration in, a running api or worker out.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"

	"assetflow/api"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/config"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/worker"
)

// dialTimeout bounds how long Temporal is waited for at the start.
const dialTimeout = 10 * time.Second

// Backends are what the service stands on: catalog, object store and Temporal, each open.
type Backends struct {
	Config   config.Config
	Catalog  *catalog.Catalog
	Storage  *storage.Store
	Temporal client.Client
	Logger   *slog.Logger
}

// Open opens the backends that the configuration names. Each has answered when Open returns; nothing is changed in them.
// Errors: Unavailable for one that does not answer, Invalid for a setting that one refuses.
func Open(ctx context.Context, cfg config.Config, logger *slog.Logger) (_ *Backends, err error) {
	b := &Backends{Config: cfg, Logger: logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.Catalog, err = catalog.Open(ctx, string(cfg.Database.URL), logger); err != nil {
		return nil, err
	}
	if b.Storage, err = storage.Open(ctx, storage.Config{
		Endpoint: cfg.S3.Endpoint, Region: cfg.S3.Region, Bucket: cfg.S3.Bucket,
		AccessKey: string(cfg.S3.AccessKey), SecretKey: string(cfg.S3.SecretKey), PathStyle: cfg.S3.PathStyle,
	}); err != nil {
		return nil, err
	}
	b.Temporal, err = dial(ctx, cfg.Temporal, logger)
	return b, err
}

func dial(ctx context.Context, cfg config.Temporal, logger *slog.Logger) (client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort: cfg.Address, Namespace: cfg.Namespace,
		Logger: tlog.NewStructuredLogger(logger.With("component", "temporal")),
	})
	if err != nil {
		return nil, fault.New(fault.Unavailable, "temporal.unavailable",
			"Temporal cannot be reached at %s (temporal.address).", cfg.Address).Wrap(err)
	}
	return c, nil
}

// Close closes the backends.
func (b *Backends) Close() error {
	if b.Temporal != nil {
		b.Temporal.Close()
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
	return worker.Prepare(ctx, b.Temporal, b.Config.Temporal.Namespace)
}

// Check makes sure that the backends answer and that Prepare has been run.
func (b *Backends) Check(ctx context.Context) error {
	for _, name := range []string{"database", "s3", "temporal"} {
		if err := b.ready()[name](ctx); err != nil {
			return err
		}
	}
	return nil
}

// ready gives the checks by which the API tells that it is ready, by the name of what they check.
func (b *Backends) ready() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"database": b.Catalog.Ping,
		"s3": func(ctx context.Context) error {
			err := b.Storage.Ping(ctx)
			if fault.KindOf(err) == fault.NotFound {
				return fault.New(fault.Unavailable, "storage.no_bucket",
					`There is no bucket %q: run "assetflow migrate".`, b.Storage.Bucket()).Wrap(err)
			}
			return err
		},
		"temporal": func(ctx context.Context) error {
			_, err := b.Temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
			if err != nil {
				return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal does not answer.").Wrap(err)
			}
			return nil
		},
	}
}

// API answers requests on ln until ctx ends, then lets those under way end, and returns. It closes ln.
func (b *Backends) API(ctx context.Context, ln net.Listener, version string) error {
	keys, err := auth.ParseMasterKey(string(b.Config.MasterKey))
	if err != nil {
		_ = ln.Close()
		return fault.New(fault.Invalid, "config.master_key", "master_key is not right: %s; want the output of `assetflow master-key`.", err)
	}
	handler := api.New(api.Options{
		Auth:    auth.New(b.Catalog, keys, auth.WithLogger(b.Logger)),
		Jobs:    jobs.NewService(b.Temporal, b.Catalog, b.Storage, b.Logger, jobs.WithNamespace(b.Config.Temporal.Namespace)),
		Catalog: b.Catalog, Storage: b.Storage, Logger: b.Logger,
		MaxUploadBytes: b.Config.MaxUploadBytes, Region: b.Config.Region, Version: version,
		Ready: b.ready(),
	})
	if err := api.Serve(ctx, ln, handler, b.Logger); err != nil {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

// Worker runs jobs' steps until ctx ends, then lets those under way end, and returns.
func (b *Backends) Worker(ctx context.Context) error {
	w := worker.New(b.Temporal, worker.Options{Catalog: b.Catalog, Storage: b.Storage, Logger: b.Logger})
	if err := w.Start(); err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	b.Logger.InfoContext(ctx, "worker started", "namespace", b.Config.Temporal.Namespace)
	<-ctx.Done()
	b.Logger.InfoContext(ctx, "worker stops")
	w.Stop()
	return nil
}
