package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/addons"
	"assetflow/client"
	"assetflow/fault"
)

// readChart reads and checks the archive of a chart.
func readChart(ctx context.Context, path string) (addons.Chart, addons.Metadata, error) {
	f, err := os.Open(path) //nolint:gosec // the user names it
	if err != nil {
		return addons.Chart{}, addons.Metadata{}, fmt.Errorf("open the chart: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return addons.Chart{}, addons.Metadata{}, fmt.Errorf("open the chart: %w", err)
	case info.IsDir():
		return addons.Chart{}, addons.Metadata{}, &usageError{
			text: fmt.Sprintf("%s is a folder, not the archive of a chart", path),
			hint: fmt.Sprintf("Make one of it with `assetflow addon pack %s`.", path),
		}
	}
	return addons.ReadChart(ctx, f)
}

// chartProblem gives what err says of a file that is no chart that can be delivered; bad is false for any other error.
func chartProblem(err error) (problem string, bad bool) {
	f, ok := fault.As(err)
	if !ok || f.Code != addons.CodeBadChart && f.Code != addons.CodeChartTooLarge {
		return "", false
	}
	return faultText(f, err), true
}

// chartResult is a chart that was read, for scripts.
type chartResult struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	AppVersion  string `json:"app_version"`
	Description string `json:"description"`
	SHA256      string `json:"sha256"`
	Size        int    `json:"size"`
}

func resultOfChart(c addons.Chart, m addons.Metadata) chartResult {
	return chartResult{c.Name, c.Version, m.AppVersion, m.Description, c.SHA256, len(c.Archive)}
}

// text says in a line what the chart is.
func (r chartResult) text() string {
	app := ""
	if r.AppVersion != "" {
		app = ", app version " + r.AppVersion
	}
	return fmt.Sprintf("%s %s%s (%s)", r.Name, r.Version, app, size(int64(r.Size)))
}

func (a *app) addonCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check CHART.tgz",
		Short: "Check the archive of a chart",
		Long: `Checks the archive of a chart as the service does when it is pushed: that it is one, its size, name and version. What its
templates render to is for the target to check, when it is delivered. The exit code is 0 when the chart is valid and 1 when
it is not.`,
		Example: `  assetflow addon check demo-1.2.0.tgz
  assetflow addon check demo-1.2.0.tgz -o json | jq -r .chart.version`,
		Args: arguments("CHART.tgz"),
		RunE: func(cmd *cobra.Command, args []string) error {
			chart, meta, err := readChart(cmd.Context(), args[0])
			if err != nil {
				return a.refusedChart(args[0], err)
			}
			result := resultOfChart(chart, meta)
			return a.emit(chartCheck{Valid: true, Chart: &result}, func(s *sheet) { s.line("%s is a valid chart: %s.", args[0], result.text()) })
		},
	}
}

// chartCheck is what a check found, for scripts.
type chartCheck struct {
	Valid   bool         `json:"valid"`
	Chart   *chartResult `json:"chart,omitempty"`
	Problem string       `json:"problem,omitempty"`
}

// refusedChart says what is wrong with a chart; every other error it gives back.
func (a *app) refusedChart(path string, err error) error {
	problem, bad := chartProblem(err)
	if !bad {
		return err
	}
	if err := a.emit(chartCheck{Problem: problem}, func(s *sheet) { s.line("%s is not a valid chart: %s", path, problem) }); err != nil {
		return err
	}
	return &silentError{code: ExitFailure}
}

func (a *app) addonPackCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pack DIR",
		Short: "Make the archive of a chart of a folder",
		Long: `Makes the archive of a chart of a folder that holds a Chart.yaml, leaving out what its .helmignore says, and checks it.
The same content always gives the same bytes, so that it can be pushed again. The dependencies of the chart must be in its
folder charts: ` + "`helm dependency build`" + ` brings them there.`,
		Example: `  assetflow addon pack demo
  assetflow addon pack demo --out /tmp/demo.tgz && assetflow addon push /tmp/demo.tgz`,
		Args: arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			packed, err := addons.PackChart(args[0])
			if err != nil {
				return a.refusedChart(args[0], err)
			}
			// What was made is read as the service will: nobody finds out by a push that failed.
			chart, meta, err := addons.ReadChart(cmd.Context(), bytes.NewReader(packed))
			if err != nil {
				return a.refusedChart(args[0], err)
			}
			result := resultOfChart(chart, meta)
			file := out
			if file == "" {
				if file, err = chartFileName(result.Name, result.Version); err != nil {
					return err
				}
			}
			if err := writeBeside(file, func(w io.Writer) error {
				_, err := w.Write(packed)
				return err
			}); err != nil {
				return err
			}
			return a.emit(struct {
				File  string      `json:"file"`
				Chart chartResult `json:"chart"`
			}{file, result}, func(s *sheet) { s.line("Wrote %s: %s.", file, result.text()) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (default: the chart's name and version, in the working directory)")
	return cmd
}

// chartFileName gives the name that the archive of a chart usually has. Name and version may be somebody else's: it never
// leads out of the working directory.
func chartFileName(name, version string) (string, error) {
	file := name + "-" + version + ".tgz"
	if strings.ContainsAny(file, `/\`+"\x00") || !filepath.IsLocal(file) {
		return "", usagef("%q is no name of a file here: say with --out where to write the chart", file)
	}
	return file, nil
}

// writeBeside writes a file in the same folder, and puts it in its place when it is whole.
func writeBeside(file string, write func(w io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".chart-*")
	if err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	defer func() {
		_ = f.Close()           // it is closed already where that matters
		_ = os.Remove(f.Name()) // it has another name by then where all went well
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	return nil
}

func (a *app) addonPushCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "push CHART.tgz",
		Short: "Put a chart into the library",
		Long: `Checks the archive of a chart, as ` + "`helm package`" + ` or ` + "`assetflow addon pack`" + ` makes it, and puts it into the project's library. A
version stays as it was pushed: the same bytes again change nothing, others are refused. Add-ons are not touched until
` + "`assetflow addon redeploy`" + `.`,
		Example: `  assetflow addon push demo-1.2.0.tgz
  helm package demo && assetflow addon push demo-1.2.0.tgz -o json | jq -r .sha256`,
		Args: arguments("CHART.tgz"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.pushChart(cmd.Context(), &flags, args[0]) },
	}
	flags.add(cmd)
	return cmd
}

func (a *app) pushChart(ctx context.Context, flags *connectionFlags, path string) error {
	read, _, err := readChart(ctx, path)
	if problem, bad := chartProblem(err); bad {
		return fmt.Errorf("%s is not a valid chart: %s", path, problem)
	}
	if err != nil {
		return err
	}
	c, conn, err := a.connect(flags, needProject)
	if err != nil {
		return err
	}
	defer c.Close()
	chart, added, err := c.PushChart(ctx, read.Archive)
	var refusal *client.Error
	switch {
	case errors.As(err, &refusal) && refusal.Status == http.StatusConflict:
		return &hintError{err: err, hint: "A version stays as it was pushed: raise the version in Chart.yaml."}
	case err != nil:
		return conn.blame(err)
	}
	return a.emit(struct {
		client.Chart
		Added bool `json:"added"`
	}{chart, added}, func(s *sheet) {
		switch {
		case a.quiet:
		case !added:
			s.line("%s %s is in the library already, with the same bytes.", chart.Name, chart.Version)
		default:
			s.line("Pushed %s %s (%s). Deliver it:  assetflow addon install %s", chart.Name, chart.Version, size(chart.Size), chart.Name)
		}
	})
}

func (a *app) addonChartsCommand() *cobra.Command {
	var (
		flags  connectionFlags
		paging paging
	)
	cmd := &cobra.Command{
		Use:   "charts [NAME]",
		Short: "List the charts of the library, or the versions of one",
		Long: `Lists the charts of the project's library by name, each with its newest version, which is the one that is delivered. With
NAME lists all versions of that chart, the newest first.`,
		Example: `  assetflow addon charts
  assetflow addon charts demo
  assetflow addon charts --all -o json | jq -r '.charts[] | .name + " " + .version'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one NAME, got %q as well", commandName(cmd), args[1])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := paging.check(); err != nil {
				return err
			}
			if len(args) == 1 && cmd.Flags().Changed("limit") {
				return usagef("--limit is for the list of charts: of one chart all versions are listed")
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			if len(args) == 1 {
				return conn.blame(a.listChartVersions(cmd.Context(), c, args[0]))
			}
			charts, next, err := collect(paging, func(limit int, cursor string) ([]client.Chart, string, error) {
				page, err := c.ListCharts(cmd.Context(), limit, cursor)
				return page.Charts, page.NextCursor, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(client.ChartPage{Charts: charts, NextCursor: next}, func(s *sheet) { a.listCharts(s, charts) })
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	paging.add(cmd)
	return cmd
}

func (a *app) listChartVersions(ctx context.Context, c *client.Client, name string) error {
	versions, err := c.ChartVersions(ctx, name)
	if err != nil {
		return noChart(err)
	}
	return a.emit(map[string][]client.Chart{"versions": orEmpty(versions)}, func(s *sheet) { a.listCharts(s, versions) })
}

// noChart says where to look for what there is, where a chart is not there.
func noChart(err error) error {
	var refusal *client.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound && refusal.Code == codeNoChart {
		return &hintError{err: err, hint: "See what there is with `assetflow addon charts`."}
	}
	return err
}

// codeNoChart is the service's code where a chart, or a version of it, is not in the library.
const codeNoChart = "catalog.chart_not_found"

func (a *app) listCharts(s *sheet, charts []client.Chart) {
	if len(charts) == 0 {
		a.note("No charts. Push one with `assetflow addon push CHART.tgz`.")
		return
	}
	rows := make([][]string, 0, len(charts)+1)
	rows = append(rows, []string{"CHART", "VERSION", "APP VERSION", "SIZE", "PUSHED", "BY", "DESCRIPTION"})
	for _, c := range charts {
		rows = append(rows, []string{c.Name, c.Version, c.AppVersion, size(c.Size), a.time(c.CreatedAt), c.CreatorName, shorten(c.Description)})
	}
	s.table(rows)
}

// shorten cuts a text to what fits into a column.
func shorten(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

func (a *app) addonPullCommand() *cobra.Command {
	var (
		flags        connectionFlags
		version, out string
	)
	cmd := &cobra.Command{
		Use:   "pull NAME",
		Short: "Download a chart from the library",
		Long: `Downloads the archive of the newest version of a chart, or of the one that --version says, byte for byte as it was pushed,
and compares it with its SHA-256.`,
		Example: `  assetflow addon pull demo
  assetflow addon pull demo --version 1.2.0 --out /tmp/demo.tgz`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			return conn.blame(a.pullChart(cmd.Context(), c, args[0], version, out))
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&version, "version", "", "`version` to download (default: the newest)")
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (default: the chart's name and version, in the working directory)")
	return cmd
}

func (a *app) pullChart(ctx context.Context, c *client.Client, name, version, out string) error {
	if version == "" {
		versions, err := c.ChartVersions(ctx, name)
		if err != nil {
			return noChart(err)
		}
		if len(versions) == 0 {
			return &hintError{err: fmt.Errorf("the library has no chart of the name %q", name), code: ExitNotFound, hint: "See what there is with `assetflow addon charts`."}
		}
		version = versions[0].Version
	}
	file := out
	if file == "" {
		var err error
		if file, err = chartFileName(name, version); err != nil {
			return err
		}
	}
	var archive client.Archive
	if err := writeBeside(file, func(w io.Writer) (err error) {
		archive, err = c.PullChart(ctx, name, version, w, nil)
		return noChart(err)
	}); err != nil {
		return err
	}
	return a.emit(map[string]any{"file": file, "name": name, "version": version, "size": archive.Size, "sha256": archive.SHA256}, func(s *sheet) {
		if !a.quiet {
			s.line("Wrote %s: %s %s (%s).", file, name, version, size(archive.Size))
		}
	})
}

func (a *app) addonDeleteChartCommand() *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "delete-chart NAME VERSION",
		Short: "Delete a version of a chart from the library",
		Long: `Deletes a version of a chart from the library. It is refused while an add-on consists of it, or is about to. This cannot be
undone.`,
		Example: `  assetflow addon delete-chart demo 1.2.0`,
		Args:    arguments("NAME", "VERSION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.DeleteChart(cmd.Context(), args[0], args[1]); err != nil {
				return conn.blame(noChart(err))
			}
			return a.emit(map[string]string{"name": args[0], "version": args[1]}, func(s *sheet) {
				if !a.quiet {
					s.line("Deleted %s %s from the library.", args[0], args[1])
				}
			})
		},
	}
	flags.add(cmd)
	return cmd
}
