package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) importCommand() *cobra.Command {
	var (
		flags connectionFlags
		opts  client.ImportOptions
		wait  bool
		dry   bool
	)
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import an asset package",
		Long: `Uploads an asset package and starts its import. The job goes on without this command; with --wait the command stays
until it has ended, and its exit code says how.

--type AddNew refuses names that are already taken in the instance. --type Merge gives an asset of the same name a new
version and leaves all others alone.

--dry-run says what the import would do to each asset, and why it would fail if it would: then the exit code is 6. It starts
no job and leaves nothing behind.

With --idempotency-key the command can be given again when its outcome is not known, such as after a broken connection:
within 24 hours the same key gives the job that has started already, and no second one.

You can have one import running at a time in a project. With --on-conflict queue a second one waits until those before it
have ended, with --on-conflict replace it cancels the running one first.

Package files are named like shop-1_2.zip: a letter or digit first, then letters, digits, +, - and _.`,
		Example: `  assetflow import shop.zip --wait
  assetflow import shop.zip --type Merge --dry-run
  assetflow import shop.zip --type Merge --datasource-overwrite
  assetflow import shop.zip --idempotency-key "release-$VERSION" --wait
  assetflow import shop.zip --on-conflict queue --wait
  assetflow import shop.zip --prefix test- --wait -o json | jq -r .result.created`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOfFlag("type", opts.Type, client.AddNew, client.Merge); err != nil {
				return err
			}
			if err := checkConflict(opts.OnConflict); err != nil {
				return err
			}
			if dry {
				return a.planImport(cmd.Context(), &flags, args[0], opts)
			}
			return a.importPackage(cmd.Context(), &flags, args[0], opts, wait)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&opts.Type, "type", client.AddNew, "AddNew or Merge: what to do with a name that is taken")
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "`text` to put in front of the name of every application and task")
	cmd.Flags().BoolVar(&opts.DataSourceOverwrite, "datasource-overwrite", false, "replace existing data sources of the same name")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the job has ended")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only say what the import would do")
	startFlags(cmd, &opts.IdempotencyKey, &opts.OnConflict)
	cmd.MarkFlagsMutuallyExclusive("dry-run", "wait")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "idempotency-key")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "on-conflict")
	_ = cmd.RegisterFlagCompletionFunc("type", cobra.FixedCompletions([]string{client.AddNew, client.Merge}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) importPackage(ctx context.Context, flags *connectionFlags, path string, opts client.ImportOptions, wait bool) error {
	c, conn, err := a.connect(flags, needProject|needInstance)
	if err != nil {
		return err
	}
	defer c.Close()
	id, err := a.upload(ctx, c, path, opts)
	if err != nil {
		return conn.blame(err)
	}
	return conn.blame(a.started(ctx, c, id, wait))
}

// startFlags adds the flags of commands that start a job.
func startFlags(cmd *cobra.Command, key, onConflict *string) {
	keyFlag(cmd, key)
	cmd.Flags().StringVar(onConflict, "on-conflict", "", "queue or replace: wait for my running job of this kind, or cancel it")
	_ = cmd.RegisterFlagCompletionFunc("on-conflict",
		cobra.FixedCompletions([]string{client.Queue, client.Replace}, cobra.ShellCompDirectiveNoFileComp))
}

func keyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "idempotency-key", "", "`key` under which giving the command again starts no second job")
}

func checkConflict(onConflict string) error {
	return oneOfFlag("on-conflict", onConflict, client.Queue, client.Replace)
}

// started shows that a job has started, or waits for its end.
func (a *app) started(ctx context.Context, c *client.Client, id string, wait bool) error {
	if wait {
		a.note("Job %s has started.", id)
		return a.watch(ctx, c, id)
	}
	return a.emit(map[string]string{"job_id": id}, func(s *sheet) {
		if a.quiet {
			s.line("%s", id)
			return
		}
		s.line("Job %s has started.\n%s", id, followHint(id))
	})
}

// unknownStart says what to do where it is not known whether a job has started: after a connection that broke.
func unknownStart(err error, what, key string) error {
	var away *client.UnreachableError
	if !errors.As(err, &away) || isDial(away) {
		return err
	}
	if key != "" {
		return &hintError{err: err, hint: "The connection broke. Give the same command again: with its key no second job starts."}
	}
	return &hintError{err: err, hint: fmt.Sprintf("The connection broke. See with `assetflow job list` whether the %s started nevertheless.", what)}
}

// upload sends a package and gives the id of the job that imports it.
func (a *app) upload(ctx context.Context, c *client.Client, path string, opts client.ImportOptions) (string, error) {
	var id string
	err := a.transfer(path, opts, func(name string, f *os.File, total int64, opts client.ImportOptions) (err error) {
		id, err = c.Import(ctx, name, f, total, opts)
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return "", &hintError{err: err, hint: "The upload was not complete, so nothing is imported."}
	case err != nil:
		return "", unknownStart(err, "import", opts.IdempotencyKey)
	}
	return client.CanonicalJobID(id)
}

// transfer opens a package and shows how far send has sent it.
func (a *app) transfer(path string, opts client.ImportOptions,
	send func(name string, f *os.File, total int64, opts client.ImportOptions) error,
) error {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("open the package: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open the package: %w", err)
	}
	switch {
	case info.IsDir():
		return &usageError{
			text: fmt.Sprintf("%s is a folder, not a package", path),
			hint: fmt.Sprintf("Make one of it with `assetflow package pack %s`.", path),
		}
	case !info.Mode().IsRegular():
		return usagef("%s is not a regular file: its size must be known", path)
	}
	name, total := filepath.Base(path), info.Size()
	m := a.uploadMeter(name, total)
	opts.Progress = func(sent, _ int64) { m.at(sent, "") }
	began := a.now()
	err = send(name, f, total, opts)
	m.end()
	if err != nil {
		return err
	}
	a.note("Uploaded %s (%s) in %s.", name, size(total), took(a.now().Sub(began)))
	return nil
}
