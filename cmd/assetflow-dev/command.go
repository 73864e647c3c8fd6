package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"assetflow/config"
	"assetflow/devstack"
	"assetflow/telemetry"
)

const help = `Runs Assetflow with everything it needs in one process: Temporal with its web
UI, an S3 server, a SQLite catalog, the API and a worker. Nothing else has to be
installed.

Everything is kept in one folder (--data-dir) and is there again after a
restart; remove the folder to begin anew. The first start makes a user "admin"
with a random password and an access key, a project "demo", and in it an
instance "demo" and an environment "development". Each start writes what is
needed to use them, with the addresses, to <data-dir>/credentials.json, readable
by its owner only.

It is for development. Whoever reaches the addresses of Temporal and its UI is
not asked who they are: they are on this machine only, unless you name another
host. After a power failure the last moments of running jobs may be lost; a
crash of the process loses nothing.

An address is host:port; without a host it is on this machine only, with port 0
a free port is taken.

Ctrl-C (or SIGTERM) lets requests and steps finish for a few seconds and ends.
Jobs that still run then go on with the next start. A second Ctrl-C ends at
once.`

// flag is a flag with its environment variable.
type flag struct {
	name, variable, fallback, usage string
	value                           *string
}

func flags(o *devstack.Options, logLevel *string) []flag {
	return []flag{
		{"data-dir", "ASSETFLOW_DEV_DATA_DIR", ".assetflow", "`folder` that keeps everything", &o.DataDir},
		{httpFlag, "ASSETFLOW_DEV_HTTP_ADDR", "127.0.0.1:8080", "`host:port` of the API", &o.HTTPAddr},
		{temporalFlag, "ASSETFLOW_DEV_TEMPORAL_ADDR", "127.0.0.1:7233", "`host:port` of the Temporal server", &o.TemporalAddr},
		{uiFlag, "ASSETFLOW_DEV_UI_ADDR", "127.0.0.1:8233", "`host:port` of the Temporal web UI", &o.UIAddr},
		{s3Flag, "ASSETFLOW_DEV_S3_ADDR", "127.0.0.1:9000", "`host:port` of the S3 server", &o.S3Addr},
		{"region", "ASSETFLOW_DEV_REGION", "region-a", "`name` of the region this stack stands for", &o.Region},
		{"log-level", "ASSETFLOW_LOG_LEVEL", "info", "what is logged to stderr: `level` debug, info, warn or error", logLevel},
	}
}

// The flags that name addresses.
const (
	httpFlag     = "http-addr"
	temporalFlag = "temporal-addr"
	uiFlag       = "ui-addr"
	s3Flag       = "s3-addr"
)

// Secrets have no flags: command lines are public.
const (
	keyRingVariable     = "ASSETFLOW_REPLICATION_KEY_RING"
	keyRingFileVariable = keyRingVariable + "_FILE"
	keyRingFlag         = "replication-key-ring-file"
	sourcesVariable     = "ASSETFLOW_REPLICATION_SOURCES"
	sourcesFlag         = "replication-sources"
)

// Targets are many lines.
const (
	targetsVariable     = "ASSETFLOW_ADDONS_TARGETS"
	targetsFileVariable = targetsVariable + "_FILE"
	targetsFlag         = "addons-targets-file"
)

// fileOr reads the file, or where none is named the variable; empty where neither is.
func fileOr(file, variable, what string) (string, error) {
	if file == "" {
		return os.Getenv(variable), nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the person names it
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return string(text), nil
}

// runner runs a stack until ctx ends.
type runner func(ctx context.Context, out, logs io.Writer, opts devstack.Options) error

func newCommand(run runner) *cobra.Command {
	var opts devstack.Options
	var logLevel, keyRingFile, sources, targetsFile string
	observing := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlagsUnder(observing, tracesKey)
	cmd := &cobra.Command{
		Use:           "assetflow-dev",
		Short:         "Run Assetflow with everything it needs in one process",
		Long:          help,
		Args:          cobra.NoArgs,
		Version:       version(),
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			logger, err := telemetry.NewLogger(cmd.ErrOrStderr(), telemetry.Options{Level: logLevel})
			if err != nil {
				return fmt.Errorf("--log-level: %w", err)
			}
			opts.Logger, opts.Version = logger, version()
			if opts.KeyRing, err = fileOr(keyRingFile, keyRingVariable, "the replication key ring"); err != nil {
				return err
			}
			if opts.Targets, err = fileOr(targetsFile, targetsVariable, "the targets"); err != nil {
				return err
			}
			if opts.Sources, err = config.Origins(sources); err != nil {
				return fmt.Errorf("--%s: %w", sourcesFlag, err)
			}
			tracing, err := newTracing(cmd.Context(), observing, logger)
			if err != nil {
				return err
			}
			opts.Traces = tracing.Provider()
			defer endTracing(tracing, logger)
			return run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), opts)
		},
	}
	for _, f := range flags(&opts, &logLevel) {
		fallback := f.fallback
		if value := os.Getenv(f.variable); value != "" {
			fallback = value
		}
		cmd.Flags().StringVar(f.value, f.name, fallback, fmt.Sprintf("%s (or %s)", f.usage, f.variable))
	}
	cmd.Flags().StringVar(&keyRingFile, keyRingFlag, os.Getenv(keyRingFileVariable),
		fmt.Sprintf("`file` with the replication key ring (or %s; default one made for this folder)", keyRingFileVariable))
	cmd.Flags().StringVar(&targetsFile, targetsFlag, os.Getenv(targetsFileVariable),
		fmt.Sprintf("`file` with the targets of add-ons (or %s, or %s for the text itself; default one in the stack's own bucket)",
			targetsFileVariable, targetsVariable))
	cmd.Flags().StringVar(&sources, sourcesFlag, os.Getenv(sourcesVariable),
		fmt.Sprintf("`urls` of the S3 servers that may be copied from, with commas between (or %s)", sourcesVariable))
	cmd.Flags().AddFlagSet(observing)
	return cmd
}

// explain adds to an error the flag that helps.
func explain(err error) string {
	var address *devstack.AddressError
	if errors.As(err, &address) {
		name := map[devstack.Part]string{
			devstack.HTTP: httpFlag, devstack.Temporal: temporalFlag, devstack.UI: uiFlag, devstack.S3: s3Flag,
		}[address.Part]
		for _, f := range flags(&devstack.Options{}, nil) {
			if f.name == name {
				return fmt.Sprintf("%v: choose another with --%s (or %s)", address, f.name, f.variable)
			}
		}
	}
	var locked *devstack.LockedError
	if errors.As(err, &locked) {
		return fmt.Sprintf("%v with --data-dir (or ASSETFLOW_DEV_DATA_DIR)", locked)
	}
	return err.Error()
}
