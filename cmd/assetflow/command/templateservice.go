package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/client"
)

func (a *app) templateImportCommand() *cobra.Command {
	var (
		flags connectionFlags
		opts  client.TemplateImportOptions
		wait  bool
	)
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import a service template, or a bundle of several",
		Long: `Uploads a service template (.st) or a bundle of several (.zip), which is imported whole or not at all, and waits for its
end for as long as the service waits; with --wait until it has ended, however long that takes.

A debug build takes the place of the debug build of the same vendor, name and version. A release that is there already
stays as it is, and one that differs from it is refused.`,
		Example: `  assetflow template import SP_GenericApplication_01.20.00.st
  assetflow template import templates.zip --on-conflict queue --wait`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkConflict(opts.OnConflict); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			return conn.blame(a.importTemplates(cmd.Context(), c, args[0], opts, wait))
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the import has ended, also when the service waits no longer")
	startFlags(cmd, &opts.IdempotencyKey, &opts.OnConflict)
	return cmd
}

func (a *app) importTemplates(ctx context.Context, c *client.Client, path string, opts client.TemplateImportOptions, wait bool) error {
	var done client.TemplateImport
	err := a.transfer(path, client.ImportOptions{}, func(name string, f *os.File, total int64, upload client.ImportOptions) (err error) {
		opts.Progress = upload.Progress
		done, err = c.ImportTemplates(ctx, name, f, total, opts)
		return err
	})
	var refusal *client.Error
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return &hintError{err: err, hint: "See with `assetflow job list` whether the import started nevertheless."}
	case errors.As(err, &refusal) && isAboutTheFile(refusal.Code):
		return &hintError{err: err, code: ExitJobFailed}
	case err != nil:
		return unknownStart(err, "import", opts.IdempotencyKey)
	case done.State == client.TemplateImportSucceeded:
		return a.emit(done, func(s *sheet) {
			for i, m := range done.Messages {
				if a.quiet && i < len(done.Templates) {
					s.line("%s", templateID(done.Templates[i]))
					continue
				}
				s.line("%s", m.Message)
			}
		})
	}
	return a.started(ctx, c, done.JobID, wait)
}

// isAboutTheFile tells the messages about an import that has failed because of its file.
func isAboutTheFile(messageID string) bool {
	return strings.HasPrefix(messageID, "KNAE9000") || messageID == "KNAE90010-E"
}

// templateID gives the id at the end of a template's URL.
func templateID(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func (a *app) templateListCommand() *cobra.Command {
	var (
		flags  connectionFlags
		filter client.TemplateFilter
		page   paging
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List service templates",
		Long: `Lists the service templates of the project that all conditions hold for. --filter and --sort take the language of the
API (HQL): comparisons with = <> > < >= <= starts ends in and "not in", joined by and, or and parentheses, with text in single
quotes.`,
		Example: `  assetflow template list
  assetflow template list --search "disk linux" --tag storage
  assetflow template list --filter "version ge '01.20.00' and latest = true" --sort "vendorID, version desc"`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := page.check(); err != nil {
				return err
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			templates, next, err := collectCounted(page, func(limit, offset int) ([]client.ServiceTemplate, int, error) {
				filter.Limit, filter.Offset = limit, offset
				list, err := c.ListTemplates(cmd.Context(), filter)
				return list.Templates, list.Count, err
			})
			if err != nil {
				return conn.blame(err)
			}
			err = a.emit(map[string]any{"service_templates": templates}, func(s *sheet) {
				rows := make([][]string, 0, len(templates)+1)
				rows = append(rows, []string{"ID", "VENDOR", "NAME", "VERSION", "STATE", "LATEST", "MODIFIED", "TAGS"})
				for _, t := range templates {
					latest := ""
					if t.Latest {
						latest = "yes"
					}
					rows = append(rows, []string{fmt.Sprint(t.ID), t.VendorID, t.KeyName, t.Version, t.ReleaseState, latest, a.time(t.Modified()), t.Tags})
				}
				s.table(rows)
			})
			a.noteMore(next)
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&filter.Q, "search", "", "`words` that are somewhere in the names, vendor, tags or description")
	cmd.Flags().StringArrayVar(&filter.Tags, "tag", nil, "only those with this `tag`; may be repeated")
	cmd.Flags().StringVar(&filter.VendorID, "vendor", "", "only those of the vendor with this `id`")
	cmd.Flags().StringVar(&filter.KeyName, "name", "", "only those with this key `name`")
	cmd.Flags().StringVar(&filter.Version, "version", "", "only those of this `version`")
	cmd.Flags().StringVar(&filter.Where, "filter", "", "only those that this `condition` holds for")
	cmd.Flags().StringVar(&filter.SortBy, "sort", "", "`fields` to sort by, each with asc or desc")
	page.add(cmd)
	return cmd
}

func (a *app) templateShowCommand() *cobra.Command {
	return a.templateCommandOf("show", "Show a service template", "Shows what a service template says of itself.", func(ctx context.Context, c *client.Client, id int64) error {
		t, err := c.ShowTemplate(ctx, id)
		if err != nil {
			return err
		}
		return a.emit(t, func(s *sheet) {
			s.fields([2]string{"ID", fmt.Sprint(t.ID)}, [2]string{"Name", t.KeyName}, [2]string{"Shown as", t.DisplayName},
				[2]string{"Vendor", t.VendorID}, [2]string{"Vendor's name", t.VendorName}, [2]string{"Version", t.Version},
				[2]string{"State", t.ReleaseState}, [2]string{"Latest", fmt.Sprint(t.Latest)}, [2]string{"Tags", t.Tags},
				[2]string{"Description", t.Description}, [2]string{"Schedules", t.SupportedScheduleType},
				[2]string{"Uses services", t.UsedServices}, [2]string{"Uses templates", t.UsedTemplates},
				[2]string{"Created", a.time(t.Created())}, [2]string{"Modified", a.time(t.Modified())})
		})
	})
}

func (a *app) templateDeleteCommand() *cobra.Command {
	return a.templateCommandOf("delete", "Delete a service template", "Moves a service template to the trash. One that is not there is no error.",
		func(ctx context.Context, c *client.Client, id int64) error {
			if err := c.DeleteTemplate(ctx, id); err != nil {
				return err
			}
			return a.emit(map[string]int64{"deleted": id}, func(s *sheet) {
				if !a.quiet {
					s.line("Service template %d is deleted.", id)
				}
			})
		})
}

func (a *app) templateExportCommand() *cobra.Command {
	var out string
	cmd := a.templateCommandOf("export", "Download a service template",
		"Downloads the file of a service template as it was imported, byte for byte, and checks it.",
		func(ctx context.Context, c *client.Client, id int64) error { return a.exportTemplate(ctx, c, id, out) })
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (default: the template's own name, in the working directory)")
	return cmd
}

// exportTemplate writes beside the final name and moves the file there when it is whole.
func (a *app) exportTemplate(ctx context.Context, c *client.Client, id int64, out string) error {
	f, err := os.CreateTemp(filepath.Dir(out), ".export-*")
	if err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	defer func() {
		_ = f.Close()           // it is closed already where that matters
		_ = os.Remove(f.Name()) // it has another name by then where all went well
	}()
	archive, err := c.ExportTemplate(ctx, id, f)
	if err != nil {
		return err
	}
	if out == "" {
		if out = archive.FileName; out == "" || out == "." || out == ".." {
			return usagef("the service gives the template no name: say with --out where to write it")
		}
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close(), os.Rename(f.Name(), out)); err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	return a.emit(map[string]any{"file": out, "size": archive.Size, "sha256": archive.SHA256}, func(s *sheet) {
		if !a.quiet {
			s.line("Wrote %s (%s).", out, size(archive.Size))
		}
	})
}

// templateCommandOf makes a command about one service template.
func (a *app) templateCommandOf(verb, short, long string, run func(ctx context.Context, c *client.Client, id int64) error) *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Long:    long + "\nIts id is the number that `assetflow template list` shows.",
		Example: "  assetflow template " + verb + " 1116",
		Args:    arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef("%q is no id of a service template: it is a number, such as 1116", args[0])
			}
			c, conn, err := a.connect(&flags, needProject)
			if err != nil {
				return err
			}
			defer c.Close()
			return conn.blame(run(cmd.Context(), c, id))
		},
	}
	flags.add(cmd)
	return cmd
}
