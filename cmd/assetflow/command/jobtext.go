package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assetflow/client"
)

// listJobs writes a table of jobs.
func (a *app) listJobs(s *sheet, jobs []client.JobDetail) {
	if len(jobs) == 0 {
		a.note("No jobs.")
		return
	}
	rows := make([][]string, 0, len(jobs)+1)
	rows = append(rows, []string{"JOB", "KIND", "SUBJECT", "STATE", "USER", "STARTED", "TOOK"})
	for _, j := range jobs {
		rows = append(rows, []string{j.ID, j.Kind, j.Subject, stateAndProgress(j), j.UserName, a.time(j.CreatedAt), a.took(j)})
	}
	s.table(rows)
}

func stateAndProgress(j client.JobDetail) string {
	if j.State == client.JobRunning {
		return fmt.Sprintf("%s %d%%", j.State, percent(j.Progress))
	}
	return j.State
}

// took gives how long a job took, or has taken so far.
func (a *app) took(j client.JobDetail) string {
	end := a.now()
	if j.EndedAt != nil {
		end = *j.EndedAt
	}
	return took(end.Sub(j.CreatedAt))
}

// showJob writes all that there is about a job.
func (a *app) showJob(s *sheet, j client.JobDetail) {
	state := stateAndProgress(j)
	if j.Step != "" {
		state += ": " + j.Step
	}
	ended := ""
	if j.EndedAt != nil {
		ended = fmt.Sprintf("%s (took %s)", a.time(*j.EndedAt), a.took(j))
	}
	s.fields(slices.Concat(
		[][2]string{{"Job", j.ID}, {"Kind", j.Kind}, {"State", state}, {"Subject", j.Subject}},
		requestFields(j),
		[][2]string{
			{"User", j.UserName}, {"Project", j.ProjectID}, {"Instance", j.InstanceID},
			{"Started", a.time(j.CreatedAt)}, {"Ended", ended}, {"Workflow", j.WorkflowID},
		},
		attemptFields(j),
	)...)
	a.showTasks(s, j)
	showWorkloads(s, j.Workloads)
	showOutcome(s, j)
}

// requestFields gives what a job was started with.
func requestFields(j client.JobDetail) [][2]string {
	switch j.Kind {
	case client.KindImport:
		var r client.ImportRequest
		if json.Unmarshal(j.Request, &r) != nil {
			return nil
		}
		mode := r.Mode
		if r.OverwriteDataSources {
			mode += ", overwriting data sources"
		}
		return [][2]string{{"Size", size(r.PackageSize)}, {"SHA-256", r.PackageSHA256}, {"Type", mode}, {"Prefix", r.Prefix}}
	case client.KindExport, client.KindDelete:
		var r client.SelectionRequest
		if json.Unmarshal(j.Request, &r) != nil {
			return nil
		}
		return [][2]string{{"Applications", fewIDs(r.Applications)}, {"Tasks", fewIDs(r.Tasks)}}
	case client.KindCopy:
		var r client.CopyRequest
		if json.Unmarshal(j.Request, &r) != nil {
			return nil
		}
		return [][2]string{{"Asset", r.AssetID}, {"From region", r.SourceRegion}}
	case client.KindDelivery:
		return deliveryFields(j.Request)
	}
	return nil
}

// fewIDs lists ids where that fits a line, and else counts them: -o json has them all.
func fewIDs(ids []string) string {
	if len(ids) > 3 {
		return fmt.Sprint(len(ids))
	}
	return strings.Join(ids, ", ")
}

// showEnd says how a job ended, after it was watched.
func (a *app) showEnd(s *sheet, j client.JobDetail) {
	if a.quiet && j.State == client.JobSucceeded {
		return
	}
	s.line("Job %s %s after %s.", j.ID, stateText(j.State), a.took(j))
	if j.State != client.JobSucceeded {
		a.showTasks(s, j)
	}
	showOutcome(s, j)
}

// showOutcome writes what a job has done, or why it failed.
func showOutcome(s *sheet, j client.JobDetail) {
	if len(j.Reasons) > 0 {
		s.line("")
		showReasons(s, j.Reasons)
		return
	}
	if len(j.Result) == 0 {
		return
	}
	switch j.Kind {
	case client.KindImport:
		showImported(s, j.Result)
	case client.KindExport:
		showExported(s, j)
	case client.KindDelete:
		showDeleted(s, j.Result)
	case client.KindCopy:
		showCopied(s, j)
	case client.KindDelivery:
		showDelivered(s, j.Result)
	}
}

func showReasons(s *sheet, reasons []client.Reason) {
	rows := make([][]string, 0, len(reasons)+1)
	rows = append(rows, []string{"WHAT", "NAME", "CODE", "REASON"})
	for _, r := range reasons {
		rows = append(rows, []string{r.ResourceType, r.ResourceName, r.Code, r.Message})
	}
	s.table(rows)
}

func showImported(s *sheet, result json.RawMessage) {
	var r client.ImportResult
	if json.Unmarshal(result, &r) != nil {
		return
	}
	s.line("\n%s", importSummary(r))
	rows := make([][]string, 0, len(r.Assets)+1)
	rows = append(rows, []string{"KIND", "NAME", "VERSION", "DONE", "ASSET"})
	for _, asset := range r.Assets {
		rows = append(rows, []string{asset.Kind, asset.Name, fmt.Sprint(asset.VersionNumber), actionText(asset.Action), asset.ID})
	}
	s.table(rows)
}

func showExported(s *sheet, j client.JobDetail) {
	var r client.ExportResult
	if json.Unmarshal(j.Result, &r) != nil {
		return
	}
	s.line("\nExported: %s (%s). The archive can be fetched once:\n%s", exportSummary(r), size(r.Size), fetchHint(j.ID, r.FileName))
}

func exportSummary(r client.ExportResult) string {
	return count(r.Applications, "application") + ", " + count(r.Tasks, "task")
}

func showDeleted(s *sheet, result json.RawMessage) {
	var r client.DeletionResult
	if json.Unmarshal(result, &r) != nil {
		return
	}
	s.line("\nInto the trash: %s. Get back with `assetflow trash restore`.", count(r.Deleted, "asset"))
	rows := make([][]string, 0, len(r.Assets)+1)
	rows = append(rows, []string{"KIND", "NAME", "ASSET"})
	for _, asset := range r.Assets {
		rows = append(rows, []string{asset.Kind, asset.Name, asset.ID})
	}
	s.table(rows)
}

func showCopied(s *sheet, j client.JobDetail) {
	var r client.CopyResult
	if json.Unmarshal(j.Result, &r) != nil {
		return
	}
	what := fmt.Sprintf("%s (%s): version %d, %s (%s)", j.Subject, r.AssetID, r.VersionNumber, count(r.Files, "file"), size(r.Bytes))
	if r.Unchanged {
		s.line("\nNothing to copy, it was equal already: %s.", what)
		return
	}
	s.line("\nCopied and verified: %s.", what)
}

// importSummary says in a line what an import did.
func importSummary(r client.ImportResult) string {
	summary := "No assets"
	if assets := counts(counted{r.Created, "created"}, counted{r.NewVersions, "with a new version"}, counted{r.Unchanged, "unchanged"}); assets != "" {
		summary = "Assets: " + assets
	}
	if sources := counts(counted{r.DataSourcesCreated, "created"}, counted{r.DataSourcesOverwritten, "overwritten"},
		counted{r.DataSourcesKept, "kept"}); sources != "" {
		summary += "; data sources: " + sources
	}
	return summary + "."
}

type counted struct {
	n    int
	what string
}

// counts lists what there is some of.
func counts(all ...counted) string {
	parts := make([]string, 0, len(all))
	for _, c := range all {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return strings.Join(parts, ", ")
}

func actionText(action string) string {
	switch action {
	case "create":
		return "created"
	case "new_version":
		return "new version"
	}
	return action
}
