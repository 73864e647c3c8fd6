package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"assetflow/auth"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/telemetry"
)

const settingsHelp = `Every setting can stand in a YAML file (--config or ASSETFLOW_CONFIG), in the environment or on the command line, each
stronger than the one before. ` + "`assetflow config`" + ` shows what they come to.`

// settingsFlags are the flags of a command that reads the configuration.
type settingsFlags struct {
	file string
	cmd  *cobra.Command
}

func addSettings(cmd *cobra.Command, add func(cmd *cobra.Command)) *settingsFlags {
	f := &settingsFlags{cmd: cmd}
	cmd.Flags().StringVar(&f.file, "config", "", "YAML `file` with settings (or ASSETFLOW_CONFIG)")
	add(cmd)
	return f
}

func (a *app) settings(f *settingsFlags, needs config.Need) (config.Config, error) {
	return config.Load(config.Source{File: f.file, Environ: a.environ, Flags: f.cmd.Flags()}, needs)
}

func allSettings(cmd *cobra.Command) { config.AddFlags(cmd.Flags()) }

func (a *app) logger(cfg config.Config) (*slog.Logger, error) {
	return telemetry.NewLogger(a.stderr, telemetry.Options{Level: cfg.Log.Level, Format: cfg.Log.Format})
}

// withBackends runs what needs an open service.
func (a *app) withBackends(ctx context.Context, f *settingsFlags, needs config.Need, run func(b *serve.Backends) error) (err error) {
	cfg, err := a.settings(f, needs)
	if err != nil {
		return err
	}
	logger, err := a.logger(cfg)
	if err != nil {
		return err
	}
	b, err := serve.Open(ctx, cfg, logger, serve.As("assetflow-"+f.cmd.Name(), Version))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }() //nolint:contextcheck // also after ctx has ended
	b.Metrics.Built(Version)
	return run(b)
}

func (a *app) apiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Answer the REST contracts",
		Long: `Runs the HTTP side of the service. It keeps no state: any number of them can run side by side, and jobs go on without
it. It does not start on a database that ` + "`assetflow migrate`" + ` has not prepared.

After SIGTERM or Ctrl-C it goes on for http.shutdown_delay while /readyz fails, so that whoever spreads requests over several
sends it no more; then requests under way have http.drain_timeout to end. An upload that has not ended by then is answered
503. A second Ctrl-C ends it at once.

` + settingsHelp,
		Example: `  ASSETFLOW_DATABASE_URL=postgres://… ASSETFLOW_MASTER_KEY_FILE=/run/secrets/master-key assetflow api --http-addr :8080
  assetflow api --config /etc/assetflow.yaml`,
		Args: noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		return a.withBackends(ctx, flags, config.NeedDatabase|config.NeedMasterKey, func(b *serve.Backends) error {
			if err := b.Check(ctx); err != nil {
				return err
			}
			if err := b.ListenForOperators(ctx); err != nil {
				return err
			}
			ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", b.Config.HTTP.Addr)
			if err != nil {
				return fmt.Errorf("listen for requests: %w", err)
			}
			return b.API(ctx, ln, Version)
		})
	}
	return cmd
}

func (a *app) workerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the steps of jobs",
		Long: `Runs the steps of jobs. It keeps no state: any number of workers can run side by side, and the steps of one that dies
are done again by others. After SIGTERM or Ctrl-C steps under way have worker.stop_timeout to end; those that have not are
handed over to other workers at once. A second Ctrl-C ends it at once.

With worker.deployment_name and worker.build_id the worker has a version: it gets jobs once its version is promoted, see
` + "`assetflow worker-version`" + `.

` + settingsHelp,
		Example: `  assetflow worker --config /etc/assetflow.yaml`,
		Args:    noArguments,
	}
	flags := addSettings(cmd, allSettings)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		return a.withBackends(ctx, flags, config.NeedDatabase, func(b *serve.Backends) error {
			if err := b.Check(ctx); err != nil {
				return err
			}
			if err := b.ListenForOperators(ctx); err != nil {
				return err
			}
			return b.Worker(ctx)
		})
	}
	return cmd
}

func (a *app) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Prepare database, bucket and Temporal namespace",
		Long: `Brings the schema of the database to this program's version, makes the bucket where it is missing, and registers the
search attributes in the Temporal namespace. Run it before api and worker of a new version; it can be run any number of
times, and does not disturb what runs. With --database-only the database alone is prepared.

` + settingsHelp,
		Example: `  assetflow migrate --config /etc/assetflow.yaml
  assetflow migrate --database-only --database-url sqlite:assetflow.db`,
		Args: noArguments,
	}
	var databaseOnly bool
	flags := addSettings(cmd, allSettings)
	cmd.Flags().BoolVar(&databaseOnly, "database-only", false, "prepare the database and nothing else")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		if databaseOnly {
			cat, err := a.openCatalog(ctx, flags, config.NeedDatabase)
			if err != nil {
				return err
			}
			defer func() { _ = cat.Close() }()
			if err := cat.Migrate(ctx); err != nil {
				return err
			}
		} else if err := a.withBackends(ctx, flags, config.NeedDatabase, func(b *serve.Backends) error { return b.Prepare(ctx) }); err != nil {
			return err
		}
		return a.emit(map[string]bool{"prepared": true}, func(s *sheet) {
			what := "Database, bucket and Temporal namespace are up to date."
			if databaseOnly {
				what = "The database is up to date."
			}
			s.line("%s", what)
		})
	}
	return cmd
}

func (a *app) masterKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "master-key",
		Short: "Make a master key",
		Long: `Makes a random master key and writes it to stdout. The service signs tokens and seals the secret keys of access keys
with it: give the same one to every api, keep it secret, and keep a copy. What one master key has sealed, no other opens.`,
		Example: `  assetflow master-key > master-key && chmod 600 master-key`,
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			key := auth.GenerateMasterKey()
			return a.emit(map[string]string{"master_key": key}, func(s *sheet) {
				s.line("%s", key)
			})
		},
	}
}
