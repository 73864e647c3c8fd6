package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/assetpackage"
	"assetflow/assetpackage/servicetemplate"
)

func (a *app) templateCommand() *cobra.Command {
	return group("template", "Make, check and import service templates",
		`A service template (.st) is a zip archive with a template.json, plug-ins and an icon; a bundle (.zip) holds several of
them. check and pack work on files, with the same code as the service, and need no service and no signing in; the others
work with the templates of a project.`,
		a.templateCheckCommand(), a.templatePackCommand(), a.templateImportCommand(), a.templateListCommand(), a.templateShowCommand(),
		a.templateExportCommand(), a.templateDeleteCommand(), a.templateTrashCommand(), a.templateRestoreCommand(), a.templatePurgeCommand())
}

func (a *app) templateCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Check a service template or a bundle, or a folder to be packed",
		Long: `Checks a service template, or a bundle of several, completely, as the service does when it imports it: the archive,
template.json, the icon, and every byte of every file. Of a folder it checks the template that is made of it. What only
the service knows, such as releases that exist, is not checked. The exit code is 0 when all is valid and 1 when it is not.`,
		Example: `  assetflow template check SP_GenericApplication_01.20.00.st
  assetflow template check templates.zip -o json
  assetflow template check restart-service`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			templates, err := checkTemplate(cmd.Context(), args[0])
			if err != nil {
				return a.refusedTemplate(args[0], err)
			}
			if err := a.emit(templateCheck{Valid: true, Templates: templateResults(templates), Problems: []assetpackage.Problem{}}, func(s *sheet) {
				s.line("%s is valid: %s.", args[0], count(len(templates), "service template"))
				showTemplates(s, templates)
			}); err != nil {
				return err
			}
			for _, t := range templates {
				if want := t.Manifest.FileName(); t.FileName != want {
					a.note("%s is usually called %s.", t.FileName, want)
				}
			}
			return nil
		},
	}
}

// checkTemplate reads a file, or what a folder gives.
func checkTemplate(ctx context.Context, path string) ([]servicetemplate.Template, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("check template: %w", err)
	}
	if !info.IsDir() {
		return servicetemplate.Check(ctx, path)
	}
	work, err := os.MkdirTemp("", "assetflow-check-*")
	if err != nil {
		return nil, fmt.Errorf("check template: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	m, err := servicetemplate.ReadFolder(path)
	if err != nil {
		return nil, err
	}
	packed := filepath.Join(work, m.FileName())
	f, err := os.Create(packed) //nolint:gosec // a name of ours in a folder of ours
	if err != nil {
		return nil, fmt.Errorf("check template: %w", err)
	}
	_, err = servicetemplate.Pack(ctx, path, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return servicetemplate.Check(ctx, packed)
}

// templateCheck is what a check found, for scripts.
type templateCheck struct {
	Valid         bool                   `json:"valid"`
	Templates     []templateResult       `json:"templates"`
	Problems      []assetpackage.Problem `json:"problems"`
	ProblemsTotal int                    `json:"problems_total"` // more than there are in problems where there are many
}

type templateResult struct {
	FileName     string `json:"file_name"`
	VendorID     string `json:"vendor_id"`
	KeyName      string `json:"key_name"`
	Version      string `json:"version"`
	ReleaseState string `json:"release_state"`
	DisplayName  string `json:"display_name"`
	Properties   int    `json:"properties"`
	Steps        int    `json:"steps"`
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
}

func templateResults(templates []servicetemplate.Template) []templateResult {
	out := make([]templateResult, len(templates))
	for i, t := range templates {
		m := t.Manifest
		out[i] = templateResult{
			FileName: t.FileName, VendorID: m.VendorID, KeyName: m.KeyName, Version: m.Version, ReleaseState: m.ReleaseState,
			DisplayName: m.DisplayName, Properties: len(m.Properties), Steps: len(m.Steps), Size: t.Size, SHA256: t.SHA256,
		}
	}
	return out
}

func showTemplates(s *sheet, templates []servicetemplate.Template) {
	rows := make([][]string, 0, len(templates)+1)
	rows = append(rows, []string{"VENDOR", "NAME", "VERSION", "STATE", "PROPERTIES", "STEPS", "SIZE"})
	for _, t := range templates {
		m := t.Manifest
		rows = append(rows, []string{m.VendorID, m.KeyName, m.Version, m.ReleaseState, fmt.Sprint(len(m.Properties)), fmt.Sprint(len(m.Steps)), size(t.Size)})
	}
	s.table(rows)
}

// refusedTemplate shows the problems in err; every other error it gives back.
func (a *app) refusedTemplate(path string, err error) error {
	var bad *assetpackage.ProblemsError
	if !errors.As(err, &bad) {
		return err
	}
	result := templateCheck{Templates: []templateResult{}, Problems: bad.Problems, ProblemsTotal: bad.Total}
	if err := a.emit(result, func(s *sheet) {
		s.line("%s is not valid: %s.", path, count(bad.Total, "problem"))
		rows := make([][]string, 0, len(bad.Problems)+1)
		rows = append(rows, []string{"FILE", "CODE", "PROBLEM"})
		for _, p := range bad.Problems {
			rows = append(rows, []string{p.ResourceName, p.Code, p.Message})
		}
		s.table(rows)
		if more := bad.Total - len(bad.Problems); more > 0 {
			s.line("… and %d more.", more)
		}
	}); err != nil {
		return err
	}
	return &silentError{code: ExitFailure}
}

func (a *app) templatePackCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pack DIR...",
		Short: "Make a service template of a folder, or a bundle of several",
		Long: `Makes a service template of a folder that holds a template.json, and perhaps an icon.png and a folder plugins. Of
several folders it makes a bundle. The same content always gives the same bytes.`,
		Example: `  assetflow template pack restart-service
  assetflow template pack restart-service extend-volume --out templates.zip`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s needs at least one DIR", commandName(cmd))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			suffix := ".st"
			if len(args) > 1 {
				suffix = ".zip"
			}
			if out != "" && !strings.HasSuffix(strings.ToLower(out), suffix) {
				return usagef("--out %q: the name must end in %s", out, suffix)
			}
			return a.packTemplates(cmd.Context(), args, out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write, .st or .zip (default: the template's own name, or templates.zip for a bundle, in the working directory)")
	return cmd
}

// packTemplates writes the file in a folder beside its final name and moves it there when it is whole.
func (a *app) packTemplates(ctx context.Context, dirs []string, out string) error {
	write := func(w io.Writer) error { return servicetemplate.PackBundle(ctx, dirs, w) }
	name := "templates.zip"
	if len(dirs) == 1 {
		m, err := servicetemplate.ReadFolder(dirs[0])
		if err != nil {
			return a.refusedTemplate(dirs[0], err)
		}
		name = m.FileName()
		write = func(w io.Writer) error {
			_, err := servicetemplate.Pack(ctx, dirs[0], w)
			return err
		}
	}
	if out == "" {
		out = name
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".pack-*")
	if err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	f, err := os.Create(filepath.Join(work, filepath.Base(out))) //nolint:gosec // the caller says where
	if err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	defer func() { _ = f.Close() }() // it is closed already where that matters
	if err := write(f); err != nil {
		return a.refusedTemplate(strings.Join(dirs, ", "), err)
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	// What was written is checked as the service will: nobody finds out by an import that failed.
	templates, err := servicetemplate.Check(ctx, f.Name())
	if err != nil {
		return a.refusedTemplate(strings.Join(dirs, ", "), err)
	}
	info, err := os.Stat(f.Name())
	if err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return fmt.Errorf("write the template: %w", err)
	}
	return a.emit(struct {
		File      string           `json:"file"`
		Templates []templateResult `json:"templates"`
	}{out, templateResults(templates)}, func(s *sheet) {
		s.line("Wrote %s (%s): %s.", out, size(info.Size()), count(len(templates), "service template"))
		showTemplates(s, templates)
	})
}
