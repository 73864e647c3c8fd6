package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"

	"github.com/spf13/cobra"

	"assetflow/prodstack"
)

const help = `Runs Assetflow as it runs in production, as processes on this machine: Temporal
on PostgreSQL, MinIO, the catalog on PostgreSQL, two APIs behind a proxy, and
three workers. "make production" builds the programs; PostgreSQL has to be
installed.

Everything is kept in a temporary folder that goes with the stack, or in the one
that --data-dir names, and is there again after a restart. The first start makes
a user "admin" with a random password and an access key, a project "demo", and
in it an instance "demo" and an environment "development", as assetflow-dev
does. What is needed to use them is in credentials.json in that folder, readable
by its owner only; what the processes write is in logs/.

The addresses are on this machine only, and whoever reaches that of Temporal is
not asked who they are.

Ctrl-C (or SIGTERM) lets requests and steps finish and ends all processes.

With a command after "--" only PostgreSQL, Temporal and MinIO run, on free
ports, until the command has ended. It finds them by variables of its
environment: ASSETFLOW_TEST_POSTGRES_URL, ASSETFLOW_TEST_TEMPORAL_ADDRESS,
ASSETFLOW_TEST_S3_ENDPOINT, ASSETFLOW_TEST_S3_ACCESS_KEY and
ASSETFLOW_TEST_S3_SECRET_KEY.`

const (
	startTimeout = 5 * time.Minute
	stopTimeout  = 2 * time.Minute
)

func newCommand() *cobra.Command {
	var opts prodstack.Options
	cmd := &cobra.Command{
		Use:   "assetflow-production [-- COMMAND…]",
		Short: "Run Assetflow as in production, as processes on this machine",
		Long:  help,
		Example: `  assetflow-production
  assetflow-production --data-dir /var/tmp/assetflow --workers 4
  assetflow-production -- go test ./catalog/...`,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return fmt.Errorf("what is %q? A command comes after --", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			if len(args) > 0 {
				opts.APIs, opts.Workers, opts.Volatile = 0, 0, true
				opts.TemporalSettings = prodstack.TestTemporalSettings
				opts.HTTPAddr, opts.TemporalAddr, opts.S3Addr = "", "", ""
			}
			return serve(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), opts, args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.DataDir, "data-dir", "", "`folder` that keeps everything (default a temporary one)")
	flags.StringVar(&opts.Programs, "programs", filepath.Join("bin", "production"), "`folder` with the programs")
	flags.StringVar(&opts.HTTPAddr, "http-addr", "127.0.0.1:8080", "`host:port` of the API")
	flags.StringVar(&opts.TemporalAddr, "temporal-addr", "127.0.0.1:7233", "`host:port` of the Temporal server")
	flags.StringVar(&opts.S3Addr, "s3-addr", "127.0.0.1:9000", "`host:port` of MinIO")
	flags.IntVar(&opts.APIs, "apis", 2, "how many APIs")
	flags.IntVar(&opts.Workers, "workers", 3, "how many workers")
	return cmd
}

// serve starts the stack and stops it when ctx ends, a process of it ends, or the command has.
func serve(ctx context.Context, out, logs io.Writer, opts prodstack.Options, args []string) (err error) {
	if opts.DataDir == "" {
		if opts.DataDir, err = os.MkdirTemp("", "assetflow-production-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(opts.DataDir)) }()
	}
	began := time.Now()
	_, _ = fmt.Fprintln(logs, "Starting …")
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stack, err := prodstack.Start(starting, opts)
	if err != nil {
		return err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stack.Stop(stopping)
	}()
	if len(args) > 0 {
		return with(ctx, stack, args)
	}
	if err := announce(out, opts, stack, time.Since(began)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(logs, "Stopping … (Ctrl-C again ends at once)")
		return nil
	case <-stack.Failed():
		return stack.Err()
	}
}

// with runs a command that finds the servers.
func with(ctx context.Context, stack *prodstack.Stack, args []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-stack.Failed():
			cancel(stack.Err())
		case <-ctx.Done():
		}
	}()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // G204: the person names it
	cmd.Env = append(os.Environ(), stack.TestEnviron()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	err := cmd.Run()
	if failed := stack.Err(); failed != nil {
		return failed
	}
	return err
}

// The secrets are not printed: they would end up in logs and scroll-back.
var announcement = template.Must(template.New("").Parse(`
Assetflow is ready ({{.Took}}).

  API          {{.C.Endpoint}}   (documents: /openapi, state: /readyz; {{.O.APIs}} behind a proxy, and {{.O.Workers}} workers)
  Temporal     {{.TemporalAddr}}
  MinIO        {{.C.S3Endpoint}}
  Data         {{.O.DataDir}}
  Logs         {{.Logs}}
  Credentials  {{.Credentials}}   (user {{.C.User}}, domain {{.C.Domain}})

Import the sample package, in a second terminal:

  {{.O.Programs}}/assetflow import examples/shop.zip --wait --credentials {{.Credentials}}

Ctrl-C stops it.

`))

func announce(out io.Writer, opts prodstack.Options, stack *prodstack.Stack, took time.Duration) error {
	return announcement.Execute(out, map[string]any{
		"Took": took.Round(100 * time.Millisecond), "C": stack.Credentials(), "O": opts, "TemporalAddr": stack.TemporalAddr(),
		"Logs": stack.Logs(), "Credentials": filepath.Join(opts.DataDir, "credentials.json"),
	})
}
