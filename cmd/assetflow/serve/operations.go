package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"assetflow/api"
	"assetflow/catalog"
	"assetflow/jobs"
	"assetflow/telemetry"
)

// newMetrics makes the metrics of a process, also where nobody is to ask for them: counting costs next to nothing.
func newMetrics(logger *slog.Logger) (*telemetry.Metrics, error) {
	return telemetry.NewMetrics(telemetry.MetricsOptions{JobKinds: jobs.Kinds(), Logger: logger})
}

// watchPools has the connections to the database in the metrics.
func watchPools(m *telemetry.Metrics, cat *catalog.Catalog) error {
	for name, pool := range cat.Pools() {
		if err := m.WatchDatabase(name, pool); err != nil {
			return fmt.Errorf("watch the database: %w", err)
		}
	}
	return nil
}

// ListenForOperators opens the listener that API and Worker answer operators on, where the settings name one.
func (b *Backends) ListenForOperators(ctx context.Context) error {
	if b.Config.Telemetry.Metrics.Addr == "" {
		return nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", b.Config.Telemetry.Metrics.Addr)
	if err != nil {
		return fmt.Errorf("listen for operators: %w", err)
	}
	b.operators = ln
	return nil
}

// OperatorsAddr is where operators are answered; empty: nowhere.
func (b *Backends) OperatorsAddr() string {
	if b.operators == nil {
		return ""
	}
	return b.operators.Addr().String()
}

// whileObserved runs what a process is for, and answers operators meanwhile and until it has ended, its drain included.
func (b *Backends) whileObserved(ctx context.Context, checks map[string]func(context.Context) error, run func(context.Context) error) error {
	if err := b.Metrics.WatchDependencies(checks); err != nil {
		return fmt.Errorf("watch the dependencies: %w", err)
	}
	if b.operators == nil {
		return run(ctx)
	}
	handler := api.NewOperations(api.OperationsOptions{
		Metrics: b.Metrics, Ready: checks, Logger: b.Logger, Profiles: b.Config.Telemetry.Metrics.Pprof,
		Stopping: func() bool { return ctx.Err() != nil },
	})
	b.Logger.InfoContext(ctx, "listening for operators", "address", b.OperatorsAddr(), "pprof", b.Config.Telemetry.Metrics.Pprof)
	observed, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	running, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() {
		err := api.Serve(observed, b.operators, handler, b.Logger, api.Shutdown{})
		if err != nil {
			stop() // nobody would see any more how the process is
			err = fmt.Errorf("answer operators: %w", err)
		}
		failed <- err
	}()
	err := run(running)
	end()
	return errors.Join(err, <-failed)
}
