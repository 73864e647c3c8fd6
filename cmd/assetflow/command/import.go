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
	)
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import an asset package",
		Long: `Uploads an asset package and starts its import. The job goes on without this command; with --wait the command stays
until it has ended, and its exit code says how.

--type AddNew refuses names that are already taken in the instance. --type Merge gives an asset of the same name a new
version and leaves all others alone.

You can have one import running at a time in a project. Package files are named like shop-1_2.zip: a letter or digit
first, then letters, digits, +, - and _.`,
		Example: `  assetflow import shop.zip --wait
  assetflow import shop.zip --type Merge --datasource-overwrite
  assetflow import shop.zip --prefix test- --wait -o json | jq -r .result.created`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOfFlag("type", opts.Type, client.AddNew, client.Merge); err != nil {
				return err
			}
			return a.importPackage(cmd.Context(), &flags, args[0], opts, wait)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&opts.Type, "type", client.AddNew, "AddNew or Merge: what to do with a name that is taken")
	cmd.Flags().StringVar(&opts.Prefix, "prefix", "", "`text` to put in front of the name of every application and task")
	cmd.Flags().BoolVar(&opts.DataSourceOverwrite, "datasource-overwrite", false, "replace existing data sources of the same name")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the job has ended")
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
	if wait {
		a.note("Job %s has started.", id)
		return conn.blame(a.watch(ctx, c, id))
	}
	return a.emit(map[string]string{"job_id": id}, func(s *sheet) {
		if a.quiet {
			s.line("%s", id)
			return
		}
		s.line("Job %s has started.\n%s", id, followHint(id))
	})
}

// upload sends a package and gives the id of the job that imports it.
func (a *app) upload(ctx context.Context, c *client.Client, path string, opts client.ImportOptions) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return "", fmt.Errorf("open the package: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("open the package: %w", err)
	}
	switch {
	case info.IsDir():
		return "", &usageError{
			text: fmt.Sprintf("%s is a folder, not a package", path),
			hint: fmt.Sprintf("Make one of it with `assetflow package pack %s`.", path),
		}
	case !info.Mode().IsRegular():
		return "", usagef("%s is not a regular file: its size must be known", path)
	}
	name, total := filepath.Base(path), info.Size()
	m := a.uploadMeter(name, total)
	opts.Progress = func(sent, _ int64) { m.at(sent, "") }
	began := a.now()
	id, err := c.Import(ctx, name, f, total, opts)
	m.end()
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return "", &hintError{err: err, hint: "The upload was not complete, so nothing is imported."}
		}
		var away *client.UnreachableError
		if errors.As(err, &away) && !isDial(away) {
			return "", &hintError{err: err, hint: "The connection broke. See with `assetflow job list` whether the import started nevertheless."}
		}
		return "", err
	}
	a.note("Uploaded %s (%s) in %s.", name, size(total), took(a.now().Sub(began)))
	return client.CanonicalJobID(id)
}
