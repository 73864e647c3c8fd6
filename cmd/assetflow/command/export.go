package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

// exportChoice says what is exported: an export of before, everything, or what is named.
type exportChoice struct {
	job                 string
	all                 bool
	applications, tasks []string // ids or names
}

func (a *app) exportCommand() *cobra.Command {
	var (
		flags  connectionFlags
		choice exportChoice
		opts   client.StartOptions
		out    string
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Export assets as a package",
		Long: `Starts an export of assets, waits until it has ended, and downloads the package that it made, which is of the format that
` + "`assetflow import`" + ` takes. Assets are named by their ids or names, at most 100 in one export. A task needs the
applications that it uses where the package is imported: export them with it.

The download goes on where it was when the connection breaks, and the package is checked when it is whole. The service
keeps it for a while: after Ctrl-C, --job with the id of the export's job fetches it. Once fetched it is gone there.`,
		Example: `  assetflow export --all --out shop.zip
  assetflow export --application Shop --task "Orders sync" --task "Stock sync" --out shop.zip
  assetflow export --job 0194f7a0-cccc-7000-8000-00000000cccc --out shop.zip`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkConflict(opts.OnConflict); err != nil {
				return err
			}
			if err := choice.check(out); err != nil {
				return err
			}
			return a.export(cmd.Context(), &flags, choice, opts, out)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&choice.applications, "application", nil, "`name` or id of an application; may be repeated")
	cmd.Flags().StringArrayVar(&choice.tasks, "task", nil, "`name` or id of a task; may be repeated")
	cmd.Flags().BoolVar(&choice.all, "all", false, "export all assets of the instance")
	cmd.Flags().StringVar(&choice.job, "job", "", "fetch the package of the export with this `job` instead of starting one")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write")
	startFlags(cmd, &opts.IdempotencyKey, &opts.OnConflict)
	for _, other := range []string{"application", "task"} {
		cmd.MarkFlagsMutuallyExclusive("all", other)
		cmd.MarkFlagsMutuallyExclusive("job", other)
	}
	cmd.MarkFlagsMutuallyExclusive("job", "all")
	cmd.MarkFlagsMutuallyExclusive("job", "idempotency-key")
	cmd.MarkFlagsMutuallyExclusive("job", "on-conflict")
	return cmd
}

func (e exportChoice) check(out string) error {
	named := len(e.applications) + len(e.tasks)
	switch {
	case out == "":
		return usagef("--out is needed: the file to write")
	case e.job == "" && !e.all && named == 0:
		return usagef("nothing is chosen: name assets with --application and --task, or use --all")
	case named > maxSelected:
		return usagef("%d assets are named: one export takes at most %d", named, maxSelected)
	}
	return nil
}

// export makes the file before it asks for anything: a folder that cannot be written to is found at once.
func (a *app) export(ctx context.Context, flags *connectionFlags, choice exportChoice, opts client.StartOptions, out string) error {
	needs := needProject | needInstance
	if choice.job != "" {
		needs = 0 // the job knows
	}
	c, conn, err := a.connect(flags, needs)
	if err != nil {
		return err
	}
	defer c.Close()
	if info, err := os.Stat(out); err == nil && info.IsDir() {
		return usagef("--out %s: is a folder", out)
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".export-*")
	if err != nil {
		return fmt.Errorf("write the package: %w", err)
	}
	kept := false
	defer func() {
		_ = f.Close()
		if !kept {
			_ = os.Remove(f.Name())
		}
	}()
	job, err := a.exported(ctx, c, choice, opts, out)
	if err != nil {
		return conn.blame(err)
	}
	var result client.ExportResult
	if err := json.Unmarshal(job.Result, &result); err != nil || result.ArchiveID == "" {
		return fmt.Errorf("job %s has no archive", job.ID)
	}
	where := conn.profile
	where.ProjectID, where.InstanceID = job.ProjectID, job.InstanceID
	archives := a.newClient(where)
	defer archives.Close()
	if err := a.fetch(ctx, archives, result, f); err != nil {
		return conn.blame(fetchFailed(err, job.ID, out))
	}
	// From here on this file is all that there is of the package.
	kept = true
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close(), os.Rename(f.Name(), out)); err != nil {
		return &hintError{err: fmt.Errorf("write the package: %w", err), hint: "What was downloaded is in " + f.Name() + "."}
	}
	return a.emit(exportView{job.ID, out, result.Size, result.SHA256, result.Applications, result.Tasks}, func(s *sheet) {
		if !a.quiet {
			s.line("Wrote %s (%s): %s.", out, size(result.Size), exportSummary(result))
		}
	})
}

// exportView is what an export did, for scripts.
type exportView struct {
	JobID        string `json:"job_id"`
	File         string `json:"file"`
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
	Applications int    `json:"applications"`
	Tasks        int    `json:"tasks"`
}

// exported gives the job of an export that has succeeded, starting one where none is named.
func (a *app) exported(ctx context.Context, c *client.Client, choice exportChoice, opts client.StartOptions, out string) (client.JobDetail, error) {
	id := choice.job
	if id == "" {
		selection, err := selectExport(ctx, c, choice)
		if err != nil {
			return client.JobDetail{}, err
		}
		if id, err = c.StartExport(ctx, selection, opts); err != nil {
			return client.JobDetail{}, unknownStart(err, "export", opts.IdempotencyKey)
		}
	}
	id, err := client.CanonicalJobID(id)
	if err != nil {
		return client.JobDetail{}, err
	}
	if choice.job == "" {
		a.note("Job %s has started.", id)
	}
	hint := fetchHint(id, out)
	job, err := a.await(ctx, c, id, hint, "\n"+hint)
	switch {
	case err != nil:
		return job, err
	case job.Kind != client.KindExport:
		return job, usagef("job %s is no export but of the kind %s", id, job.Kind)
	case job.State != client.JobSucceeded:
		return job, a.ended(job)
	}
	return job, nil
}

// selectExport finds the assets of a choice.
func selectExport(ctx context.Context, c *client.Client, choice exportChoice) (s client.Selection, err error) {
	if choice.all {
		return selectAll(ctx, c)
	}
	if s.Applications, err = selectNamed(ctx, c, choice.applications, kindApplication); err != nil {
		return s, err
	}
	s.Tasks, err = selectNamed(ctx, c, choice.tasks, kindTask)
	return s, err
}

func selectNamed(ctx context.Context, c *client.Client, texts []string, kind string) ([]string, error) {
	ids := make([]string, len(texts))
	for i, text := range texts {
		if uuidForm.MatchString(text) {
			ids[i] = strings.ToLower(text)
			continue
		}
		asset, err := liveNamed(ctx, c, text, kind)
		if err != nil {
			return nil, err
		}
		ids[i] = asset.ID
	}
	return ids, nil
}

func selectAll(ctx context.Context, c *client.Client) (client.Selection, error) {
	var s client.Selection
	page, err := c.ListAssets(ctx, client.AssetFilter{Limit: maxSelected})
	switch {
	case err != nil:
		return s, err
	case page.NextCursor != "":
		return s, usagef("the instance has more than %d assets, and one export takes no more: name some with --application and --task", maxSelected)
	case len(page.Assets) == 0:
		return s, &hintError{err: errors.New("the instance has no assets"), code: ExitNotFound}
	}
	for _, asset := range page.Assets {
		if asset.Kind == kindApplication {
			s.Applications = append(s.Applications, asset.ID)
		} else {
			s.Tasks = append(s.Tasks, asset.ID)
		}
	}
	return s, nil
}

// fetch downloads an archive into f.
func (a *app) fetch(ctx context.Context, c *client.Client, result client.ExportResult, f *os.File) error {
	m := a.downloadMeter(result.FileName, result.Size)
	began := a.now()
	_, err := c.DownloadArchive(ctx, result.ArchiveID, f, func(done, _ int64) { m.at(done, "") })
	m.end()
	if err == nil {
		a.note("Downloaded %s (%s) in %s.", result.FileName, size(result.Size), took(a.now().Sub(began)))
	}
	return err
}

// fetchFailed says whether there is a second chance.
func fetchFailed(err error, jobID, out string) error {
	var refusal *client.Error
	switch {
	case errors.As(err, &refusal) && refusal.Status == http.StatusNotFound, errors.Is(err, client.ErrArchiveChanged):
		return &hintError{err: err, hint: "A package can be fetched once, and only for a while: export the assets again."}
	case errors.As(err, &refusal) && refusal.Status < http.StatusInternalServerError:
		return err
	}
	return &hintError{err: err, hint: "The service keeps a package until it is fetched whole, or too old.\n" + fetchHint(jobID, out)}
}

// fetchHint says how to fetch the package of an export.
func fetchHint(jobID, out string) string {
	return fmt.Sprintf("Fetch it:   assetflow export --job %s --out %s", jobID, out)
}
