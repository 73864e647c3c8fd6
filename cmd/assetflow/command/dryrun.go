package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"assetflow/client"
)

// maxFilesShown bounds the files that a plan lists for a person.
const maxFilesShown = 50

// planImport shows what an import would do. A plan that is not possible is a failure, after it has been shown.
func (a *app) planImport(ctx context.Context, flags *connectionFlags, path string, opts client.ImportOptions) error {
	c, conn, err := a.connect(flags, needProject|needInstance)
	if err != nil {
		return err
	}
	defer c.Close()
	var plan client.ImportPlan
	err = a.transfer(path, opts, func(name string, f *os.File, total int64, opts client.ImportOptions) (err error) {
		plan, err = c.PlanImport(ctx, name, f, total, opts)
		return err
	})
	if err != nil {
		return conn.blame(err)
	}
	if err := a.emit(plan, func(s *sheet) { showPlan(s, plan) }); err != nil {
		return err
	}
	if !plan.Possible {
		return &hintError{err: errors.New("the import would fail"), code: ExitJobFailed}
	}
	return nil
}

func showPlan(s *sheet, plan client.ImportPlan) {
	if len(plan.Assets) > 0 {
		rows := make([][]string, 0, len(plan.Assets)+1)
		rows = append(rows, []string{"KIND", "NAME", "WHAT", "DIFFERENCE"})
		for _, asset := range plan.Assets {
			rows = append(rows, []string{asset.Kind, asset.Name, strings.ReplaceAll(asset.Action, "_", " "), differenceText(asset)})
		}
		s.table(rows)
		showFileChanges(s, plan.Assets)
		s.line("\n%s", planSummary(plan))
	}
	if len(plan.Reasons) > 0 {
		if len(plan.Assets) > 0 {
			s.line("")
		}
		showReasons(s, plan.Reasons)
	}
}

// differenceText says in a line what is new about an asset.
func differenceText(asset client.PlannedAsset) string {
	if asset.Action == client.ActionCreate {
		if len(asset.FilesAdded) == 0 {
			return ""
		}
		return fmt.Sprintf("%s (%s)", count(len(asset.FilesAdded), "file"), size(newSize(asset.FilesAdded)))
	}
	var parts []string
	if len(asset.Fields) > 0 {
		parts = append(parts, strings.ReplaceAll(strings.Join(asset.Fields, ", "), "_", " "))
	}
	if files := counts(counted{len(asset.FilesAdded), "added"}, counted{len(asset.FilesRemoved), "removed"},
		counted{len(asset.FilesChanged), "changed"}); files != "" {
		parts = append(parts, "files: "+files)
	}
	return strings.Join(parts, "; ")
}

func newSize(files []client.FileChange) int64 {
	var sum int64
	for _, f := range files {
		sum += f.NewSize
	}
	return sum
}

// showFileChanges lists the files that differ in assets that exist.
func showFileChanges(s *sheet, assets []client.PlannedAsset) {
	rows := [][]string{{"NAME", "FILE", "WHAT", "SIZE"}}
	for _, asset := range assets {
		if asset.Action == client.ActionCreate {
			continue
		}
		for _, f := range asset.FilesAdded {
			rows = append(rows, []string{asset.Name, f.Path, "added", size(f.NewSize)})
		}
		for _, f := range asset.FilesRemoved {
			rows = append(rows, []string{asset.Name, f.Path, "removed", size(f.OldSize)})
		}
		for _, f := range asset.FilesChanged {
			rows = append(rows, []string{asset.Name, f.Path, "changed", size(f.OldSize) + " → " + size(f.NewSize)})
		}
	}
	if len(rows) == 1 {
		return
	}
	s.line("")
	s.table(rows[:min(len(rows), maxFilesShown+1)])
	if more := len(rows) - 1 - maxFilesShown; more > 0 {
		s.line("… and %s more; -o json lists all.", count(more, "file"))
	}
}

func planSummary(plan client.ImportPlan) string {
	n := plan.Counts
	summary := "Assets: " + counts(counted{n.Create, "to create"}, counted{n.NewVersion, "to get a new version"},
		counted{n.Unchanged, "unchanged"}, counted{n.Conflict, "in conflict"})
	sources := map[string]int{}
	for _, d := range plan.DataSources {
		sources[d.Action]++
	}
	if text := counts(counted{sources["create"], "to create"}, counted{sources["overwrite"], "to overwrite"},
		counted{sources["keep"], "to keep"}); text != "" {
		summary += "; data sources: " + text
	}
	return summary + "."
}
