package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"assetflow/client"
)

// listJobs writes a table of jobs.
func (a *app) listJobs(w io.Writer, jobs []client.JobDetail) error {
	if len(jobs) == 0 {
		a.note("No jobs.")
		return nil
	}
	rows := [][]string{{"JOB", "KIND", "SUBJECT", "STATE", "USER", "STARTED", "TOOK"}}
	for _, j := range jobs {
		rows = append(rows, []string{j.ID, j.Kind, j.Subject, stateAndProgress(j), j.UserName, a.time(j.CreatedAt), a.took(j)})
	}
	return table(w, rows)
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
func (a *app) showJob(w io.Writer, j client.JobDetail) error {
	state := stateAndProgress(j)
	if j.Step != "" {
		state += ": " + j.Step
	}
	ended := ""
	if j.EndedAt != nil {
		ended = fmt.Sprintf("%s (took %s)", a.time(*j.EndedAt), a.took(j))
	}
	pairs := [][2]string{
		{"Job", j.ID}, {"Kind", j.Kind}, {"State", state}, {"Subject", j.Subject},
	}
	pairs = append(pairs, requestFields(j)...)
	pairs = append(pairs, [][2]string{
		{"User", j.UserName}, {"Project", j.ProjectID}, {"Instance", j.InstanceID},
		{"Started", a.time(j.CreatedAt)}, {"Ended", ended}, {"Workflow", j.WorkflowID},
	}...)
	if err := fields(w, pairs...); err != nil {
		return err
	}
	return a.showOutcome(w, j)
}

// requestFields gives what an import was started with.
func requestFields(j client.JobDetail) [][2]string {
	var r client.ImportRequest
	if j.Kind != kindImport || json.Unmarshal(j.Request, &r) != nil {
		return nil
	}
	mode := r.Mode
	if r.OverwriteDataSources {
		mode += ", overwriting data sources"
	}
	return [][2]string{{"Size", size(r.PackageSize)}, {"SHA-256", r.PackageSHA256}, {"Type", mode}, {"Prefix", r.Prefix}}
}

// kindImport is the kind of an import.
const kindImport = "asset-import"

// showEnd says how a job ended, after it was watched.
func (a *app) showEnd(w io.Writer, j client.JobDetail) error {
	if a.quiet && j.State == client.JobSucceeded {
		return nil
	}
	if _, err := fmt.Fprintf(w, "Job %s %s after %s.\n", j.ID, stateText(j.State), a.took(j)); err != nil {
		return err
	}
	return a.showOutcome(w, j)
}

// showOutcome writes what a job has done, or why it failed.
func (a *app) showOutcome(w io.Writer, j client.JobDetail) error {
	if len(j.Reasons) > 0 {
		rows := [][]string{{"WHAT", "NAME", "CODE", "REASON"}}
		for _, r := range j.Reasons {
			rows = append(rows, []string{r.ResourceType, r.ResourceName, r.Code, r.Message})
		}
		fmt.Fprintln(w)
		return table(w, rows)
	}
	var r client.ImportResult
	if j.Kind != kindImport || len(j.Result) == 0 || json.Unmarshal(j.Result, &r) != nil {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", importSummary(r))
	rows := [][]string{{"KIND", "NAME", "VERSION", "DONE", "ASSET"}}
	for _, asset := range r.Assets {
		rows = append(rows, []string{asset.Kind, asset.Name, fmt.Sprint(asset.VersionNumber), actionText(asset.Action), asset.ID})
	}
	return table(w, rows)
}

// importSummary says in a line what an import did.
func importSummary(r client.ImportResult) string {
	parts := []string{}
	for _, p := range []struct {
		n    int
		text string
	}{
		{r.Created, "%d created"}, {r.NewVersions, "%d with a new version"}, {r.Unchanged, "%d unchanged"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf(p.text, p.n))
		}
	}
	summary := "Assets: " + strings.Join(parts, ", ")
	if len(parts) == 0 {
		summary = "No assets"
	}
	parts = nil
	for _, p := range []struct {
		n    int
		text string
	}{
		{r.DataSourcesCreated, "%d created"}, {r.DataSourcesOverwritten, "%d overwritten"}, {r.DataSourcesKept, "%d kept"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf(p.text, p.n))
		}
	}
	if len(parts) > 0 {
		summary += "; data sources: " + strings.Join(parts, ", ")
	}
	return summary + "."
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
