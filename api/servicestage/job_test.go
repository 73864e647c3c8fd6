package servicestage_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/servicestage"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/workflows"
)

func TestJob(t *testing.T) {
	t.Parallel()
	d := newFullDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	created := d.install(e, "redis")
	id := strings.TrimPrefix(created.JobID, "JOB")
	head := func(status string) string {
		return fmt.Sprintf(`{"job_id": "JOB%s", "execution_status": %q, "job_type": "PROVISION", "project_id": %q, "rollback_enabled": true}`,
			id, status, d.project.ID)
	}
	show := d.as(d.submitter, "submitted", "GET", "/jobs/"+created.JobID, "", 200)
	show.WantJSON = `{"task_count": 0, "job": ` + head("SUBMITTED") + `, "tasks": []}`
	d.run(show)

	before := time.Now().UnixMilli()
	d.task(id, 0, "LoadChart", catalog.TaskRunning)
	d.task(id, 0, "LoadChart", catalog.TaskSucceeded, "redis 1.0.0.")
	d.task(id, 1, "PlanChart", catalog.TaskRunning)
	d.task(id, 1, "PlanChart", catalog.TaskSucceeded)
	d.task(id, 2, "ApplyChart", catalog.TaskRunning, "The target is away.", "<b>\"ü\"</b>")
	rows, err := d.catalog.JobTasks(t.Context(), id)
	require.NoError(t, err)
	task := func(i int, name, activity, status, messages string) string {
		require.GreaterOrEqual(t, rows[i].CreatedAt.UnixMilli(), before)
		return fmt.Sprintf(`{"task_id": "%s-%d", "task_index": %d, "task_name": %q, "task_type": %q, "task_status": %q, "messages": %s,
			"created_at": %q, "update_at": %q}`, id, i, i, name, activity, status, strconv.Quote(messages),
			strconv.FormatInt(rows[i].CreatedAt.UnixMilli(), 10), strconv.FormatInt(rows[i].UpdatedAt.UnixMilli(), 10))
	}
	tasks := []string{
		task(0, "Load the chart", "LoadChart", "SUCCEEDED", "redis 1.0.0."),
		task(1, "Check the chart on the target", "PlanChart", "SUCCEEDED", ""),
		task(2, "Apply the chart", "ApplyChart", "RUNNING", "The target is away.\n<b>\"ü\"</b>"),
	}
	page := func(query string, tasks ...string) apitest.Scenario {
		s := d.as(d.submitter, "tasks "+query, "GET", "/jobs/"+created.JobID+query, "", 200)
		s.WantJSON = `{"task_count": 3, "job": ` + head("RUNNING") + `, "tasks": [` + strings.Join(tasks, ",") + `]}`
		return s
	}
	refused := func(query, message string) apitest.Scenario {
		return d.refused("query "+query, "GET", "/jobs/"+created.JobID+query, "", "SVCSTG.00100400", message)
	}
	d.run(
		page("", tasks...),
		page("?desc=false&limit=100", tasks...),
		page("?desc=true", tasks[2], tasks[1], tasks[0]),
		page("?limit=2", tasks[0], tasks[1]),
		page("?limit=2&offset=2&x=y", tasks[2]),
		page("?limit=1&offset=1&desc=true", tasks[1]),
		page("?offset=3"),
		page("?offset=2147483647&limit=100"),
		refused("?desc=1", "desc"), refused("?desc=", "desc"), refused("?desc=TRUE", "desc"), refused("?desc=true&desc=true", "desc"),
		refused("?limit=0", "limit"), refused("?limit=101", "limit"), refused("?limit=-1", "limit"), refused("?limit=1e1", ""),
		refused("?limit=99999999999999999999", ""), refused("?offset=-1", "offset"), refused("?offset=2147483648", "offset"), refused("?offset=;", ""),
	)

	// The id as callers write it.
	for name, form := range map[string]string{
		"without the prefix": id, "in capitals": "JOB" + strings.ToUpper(id), "without dashes": "JOB" + strings.ReplaceAll(id, "-", ""),
	} {
		s := page("", tasks...)
		s.Name, s.URL = name, d.prefix+"/jobs/"+form
		d.run(s)
	}
	_, err = d.catalog.EndJob(t.Context(), id, catalog.JobOutcome{State: catalog.JobFailed})
	require.NoError(t, err)
	failed := d.as(d.submitter, "what still ran has ended as the job did", "GET", "/jobs/"+id, "", 200)
	failed.WantBody = []string{`"task_status":"FAILED"`, `"execution_status":"FAILED"`}
	failed.WantNotBody = []string{"RUNNING"}
	d.run(failed)
}

func TestUnknownJobs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	created := d.install(d.newEnvironment("prod"), "redis")
	id := strings.TrimPrefix(created.JobID, "JOB")
	var err error
	d.Instance, err = d.catalog.CreateInstance(t.Context(), d.project.ID, "one")
	require.NoError(t, err)
	imported := d.NewJob(t)
	for name, id := range map[string]string{
		"none": "JOB" + catalog.NewID(), "no id": "JOB", "another prefix": "job" + id, "two prefixes": "JOBJOB" + id, "a NUL": "JOB%00",
		"a path": "JOB%2e%2e%2f", "a long one": "JOB" + strings.Repeat("a", 10000), "an import": "JOB" + imported, "braces": "JOB{" + id + "}",
		"invalid UTF-8": "JOB%ff",
	} {
		d.run(d.missing(name, "GET", "/jobs/"+id, "", "SVCSTG.00100429"))
	}
	// Another project's, also for who may read both.
	require.NoError(t, d.auth.GrantRole(t.Context(), d.developer.user.ID, d.other.ID, "Admin"))
	foreign := d.missing("from another project", "GET", "/jobs/"+created.JobID, "", "SVCSTG.00100429")
	foreign.URL = strings.Replace(foreign.URL, d.project.ID, d.other.ID, 1)
	d.run(foreign)

	d.jobs.getErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.").Wrap(errors.New("a secret of ours"))
	away := d.as(d.developer, "away", "GET", "/jobs/"+created.JobID, "", 503)
	away.Check, away.WantNotBody = refusal("SVCSTG.00100500", "Away."), []string{"secret"}
	d.run(away)
}

func TestJobTypes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	created := d.installed(e, "redis")
	path := "/environments/" + e.ID + "/addons/" + created.ID
	info := func(jobID string) servicestage.JobInfo {
		var info servicestage.JobInfo
		d.run(into(d.as(d.developer, jobID, "GET", "/jobs/"+jobID, "", 200), &info))
		return info
	}
	got := info(created.JobID)
	require.Equal(t, servicestage.ExecutionStatusSUCCEEDED, got.Job.ExecutionStatus)
	require.Equal(t, servicestage.PROVISION, got.Job.JobType)
	require.True(t, got.Job.RollbackEnabled)
	for _, c := range []struct {
		method, path, body string
		kind               servicestage.JobJobType
		rollback           bool
	}{
		{"POST", path + "/action", `{"action": "redeploy"}`, servicestage.DAILYOPERATION, true},
		{"POST", path + "/action", `{"action": "restart"}`, servicestage.DAILYOPERATION, false},
		{"DELETE", path, "", servicestage.DEPROVISION, false},
	} {
		var started servicestage.JobStarted
		d.call(d.developer, c.method, c.path, c.body, &started)
		got := info(started.JobID)
		require.Equal(t, servicestage.ExecutionStatusSUBMITTED, got.Job.ExecutionStatus)
		require.Equal(t, c.kind, got.Job.JobType)
		require.Equal(t, c.rollback, got.Job.RollbackEnabled)
		d.commit("1")
	}
}

func TestExecutionStatus(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	rollBack := func(s workflows.Step) bool { return s.Activity == "RollBack" }
	require.True(t, slices.ContainsFunc(workflows.DeliverySteps, rollBack), "the step has another name now: tell the contract")
	type tasks []catalog.TaskState // of ApplyChart and RollBack
	for name, c := range map[string]struct {
		tasks tasks
		end   catalog.JobState // empty: it runs
		want  servicestage.ExecutionStatus
	}{
		"begun":                       {tasks{catalog.TaskRunning}, "", servicestage.ExecutionStatusRUNNING},
		"between two tasks":           {tasks{catalog.TaskSucceeded}, "", servicestage.ExecutionStatusRUNNING},
		"rolling back":                {tasks{catalog.TaskFailed, catalog.TaskRunning}, "", servicestage.ExecutionStatusROLLBACKING},
		"rolled back, not ended":      {tasks{catalog.TaskFailed, catalog.TaskSucceeded}, "", servicestage.ExecutionStatusRUNNING},
		"rolled back":                 {tasks{catalog.TaskFailed, catalog.TaskSucceeded}, catalog.JobFailed, servicestage.ExecutionStatusROLLBACKED},
		"failed before":               {tasks{catalog.TaskFailed}, catalog.JobFailed, servicestage.ExecutionStatusFAILED},
		"failed without any":          {nil, catalog.JobFailed, servicestage.ExecutionStatusFAILED},
		"not rolled back":             {tasks{catalog.TaskFailed, catalog.TaskFailed}, catalog.JobFailed, servicestage.ExecutionStatusFAILED},
		"ended while it rolled back":  {tasks{catalog.TaskFailed, catalog.TaskRunning}, catalog.JobFailed, servicestage.ExecutionStatusFAILED},
		"cancelled":                   {tasks{catalog.TaskCancelled}, catalog.JobCancelled, servicestage.ExecutionStatusCANCELLED},
		"cancelled and rolled back":   {tasks{catalog.TaskCancelled, catalog.TaskSucceeded}, catalog.JobCancelled, servicestage.ExecutionStatusCANCELLED},
		"cancelled before everything": {nil, catalog.JobCancelled, servicestage.ExecutionStatusCANCELLED},
	} {
		e := d.newEnvironment("e" + strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", ""))
		created := d.install(e, "redis")
		for i, state := range c.tasks {
			d.task(d.last().JobID, i, []string{"ApplyChart", "RollBack"}[i], state)
		}
		if c.end != "" {
			d.end(c.end)
		}
		var info servicestage.JobInfo
		d.run(into(d.as(d.developer, name, "GET", "/jobs/"+created.JobID, "", 200), &info))
		require.Equal(t, c.want, info.Job.ExecutionStatus, name)
		require.Equal(t, len(c.tasks), info.TaskCount, name)
	}
}
