package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"assetflow/assetpackage"
)

func (a *app) packageCommand() *cobra.Command {
	return group("package", "Make and check asset packages, without a service",
		`An asset package is a zip archive with a manifest.json and the files that it lists. These commands make one from a
folder, and check one with the same code as the service does. They need no service and no signing in.`,
		a.packageNewCommand(), a.packageCheckCommand(), a.packagePackCommand())
}

func (a *app) packageNewCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "new DIR",
		Short: "Make a folder with a small package to start from",
		Long: `Makes a folder with a manifest.json, one application and one task, as a start for a package of your own. The names of
its assets begin with the folder's name, or with what --name says.`,
		Example: `  assetflow package new shop
  assetflow package new /tmp/p --name "Web shop"`,
		Args: arguments("DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			if name == "" {
				absolute, err := filepath.Abs(dir)
				if err != nil {
					return fmt.Errorf("make the folder: %w", err)
				}
				name = filepath.Base(absolute)
			}
			if err := assetpackage.New(dir, name); err != nil {
				return err
			}
			return a.emit(map[string]string{"folder": dir, "name": name}, func(s *sheet) {
				s.line("Made %s. Change it, then:\n  assetflow package check %s\n  assetflow package pack %s", dir, dir, dir)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what the names of the assets begin with (default: the folder's name)")
	return cmd
}

func (a *app) packageCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Check a package, or a folder to be packed",
		Long: `Checks a package completely, as the service does when it imports it: the archive, the manifest, and every byte of
every file. Of a folder it checks what a package made from it would be. What only the instance knows, such as names that
are taken, is not checked. The exit code is 0 when the package is valid and 1 when it is not.`,
		Example: `  assetflow package check shop.zip
  assetflow package check shop -o json`,
		Args: arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			summary, err := assetpackage.Check(cmd.Context(), args[0], assetpackage.DefaultLimits())
			return a.checked(args[0], summary, err)
		},
	}
}

// checkResult is what a check found, for scripts.
type checkResult struct {
	Valid         bool                   `json:"valid"`
	Summary       *assetpackage.Summary  `json:"summary,omitempty"`
	Problems      []assetpackage.Problem `json:"problems"`
	ProblemsTotal int                    `json:"problems_total"` // more than there are in problems where there are many
}

// checked shows what a check found.
func (a *app) checked(path string, summary assetpackage.Summary, err error) error {
	var bad *assetpackage.ProblemsError
	if errors.As(err, &bad) {
		if err := a.emit(checkResult{Problems: bad.Problems, ProblemsTotal: bad.Total}, func(s *sheet) { showProblems(s, path, bad) }); err != nil {
			return err
		}
		return &silentError{code: ExitFailure}
	}
	if err != nil {
		return err
	}
	return a.emit(checkResult{Valid: true, Summary: &summary, Problems: []assetpackage.Problem{}}, func(s *sheet) {
		s.line("%s is a valid package: %s.", path, summaryText(summary))
	})
}

func showProblems(s *sheet, path string, bad *assetpackage.ProblemsError) {
	s.line("%s is not a valid package: %s.", path, count(bad.Total, "problem"))
	rows := make([][]string, 0, len(bad.Problems)+1)
	rows = append(rows, []string{"WHAT", "NAME", "CODE", "PROBLEM"})
	for _, p := range bad.Problems {
		what := p.ResourceType
		if p.ResourceName == "" {
			what = "package"
		}
		rows = append(rows, []string{what, p.ResourceName, p.Code, p.Message})
	}
	s.table(rows)
	if more := bad.Total - len(bad.Problems); more > 0 {
		s.line("… and %d more.", more)
	}
}

func summaryText(s assetpackage.Summary) string {
	parts := []string{}
	if s.Version != "" {
		parts = append(parts, "version "+printable(s.Version))
	}
	parts = append(parts, count(s.Applications, "application"), count(s.Tasks, "task"), count(s.DataSources, "data source"),
		fmt.Sprintf("%s (%s)", count(s.Files, "file"), size(s.Bytes)))
	return strings.Join(parts, ", ")
}

func (a *app) packagePackCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "pack DIR",
		Short: "Make a package of a folder",
		Long: `Makes a package of a folder that holds a manifest.json and the files it lists. Sizes and digests of the files may be
left out of the manifest; the package has them. The same content always gives the same bytes.`,
		Example: `  assetflow package pack shop
  assetflow package pack shop --out /tmp/shop-2.zip`,
		Args: arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				absolute, err := filepath.Abs(args[0])
				if err != nil {
					return fmt.Errorf("pack the folder: %w", err)
				}
				out = filepath.Base(absolute) + ".zip"
			}
			return a.pack(cmd.Context(), args[0], out)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (default: the folder's name with .zip, in the working directory)")
	return cmd
}

// pack writes the package beside its final name and puts it there when it is whole.
func (a *app) pack(ctx context.Context, dir, out string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(out), ".pack-*")
	if err != nil {
		return fmt.Errorf("write the package: %w", err)
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := assetpackage.Pack(ctx, dir, f); err != nil {
		var bad *assetpackage.ProblemsError
		if errors.As(err, &bad) {
			return a.checked(dir, assetpackage.Summary{}, err)
		}
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the package: %w", err)
	}
	// What was written is checked as the service will: nobody finds out by an import that failed.
	summary, err := assetpackage.Check(ctx, f.Name(), assetpackage.DefaultLimits())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return fmt.Errorf("write the package: %w", err)
	}
	return a.emit(struct {
		File    string               `json:"file"`
		Summary assetpackage.Summary `json:"summary"`
	}{out, summary}, func(s *sheet) {
		s.line("Wrote %s (%s): %s.", out, size(summary.ArchiveBytes), summaryText(summary))
	})
}
