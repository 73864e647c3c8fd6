package native_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/api/apitest"
	"assetflow/api/native"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

func TestListJobs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	two, err := d.catalog.CreateInstance(ctx, d.project.ID, "two")
	require.NoError(t, err)
	first := d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 1)
	second := d.addJob(d.project.ID, two.ID, d.admin.ID, 2)
	third := d.addJob(d.project.ID, d.instance.ID, d.submitter.ID, 3)
	elsewhere, err := d.catalog.CreateInstance(ctx, d.other.ID, "one")
	require.NoError(t, err)
	d.addJob(d.other.ID, elsewhere.ID, d.admin.ID, 4)
	_, err = d.catalog.EndJob(ctx, second.ID, catalog.JobOutcome{State: catalog.JobFailed})
	require.NoError(t, err)

	var next string
	for _, base := range []string{"/api/v1/projects/" + d.project.ID + "/jobs?", "/api/v1/jobs?project_id=" + d.project.ID + "&"} {
		list := func(name, query string, want ...catalog.Job) apitest.Scenario {
			return apitest.Scenario{
				Name: name, URL: base + query, Headers: as(d.submitterToken), WantStatus: 200,
				Check: read(func(t testing.TB, got native.JobPage) {
					t.Helper()
					wanted, ids := []string{}, []string{}
					for _, job := range want {
						wanted = append(wanted, job.ID)
					}
					for _, job := range got.Jobs {
						ids = append(ids, job.ID)
					}
					require.Equal(t, wanted, ids)
					next = ""
					if got.NextCursor != nil {
						next = *got.NextCursor
					}
				}),
			}
		}
		d.run(
			list("all, newest first", "", third, second, first),
			list("of an instance", "instance_id="+d.instance.ID, third, first),
			list("of a user", "user_id="+d.admin.ID, second, first),
			list("in a state", "state=failed", second),
			list("of a kind", "kind=asset-import&state=running&user_id="+d.submitter.ID, third),
			list("none", "state=succeeded"),
			list("the first page", "limit=2", third, second),
		)
		require.NotEmpty(t, next)
		d.run(list("the last page", "limit=2&cursor="+url.QueryEscape(next), first))
		require.Empty(t, next)
		d.run(
			refused("unknown state", base+"state=RUNNING", 400, "api.parameter", "state"),
			refused("unknown kind", base+"kind=robot", 400, "api.parameter", "kind"),
			refused("limit too large", base+"limit=501", 400, "api.parameter", "limit"),
			refused("bad cursor", base+"cursor=zzz", 400, "catalog.bad_cursor", ""),
			refusedTo(d.strangerToken, "no role", base, 404, "auth.project_not_found"),
			refusedTo(d.otherProjectToken, "token of another project", base, 403, "auth.project_mismatch"),
			refusedTo("", "no token", base, 401, "auth.missing"),
			refused("unknown project", strings.Replace(base, d.project.ID, "nowhere", 1), 404, "auth.project_not_found", ""),
		)
	}
	d.run(refused("which project?", "/api/v1/jobs", 400, "api.parameter", "project_id"))
}

// A copy is a job of a project and of none of its instances.
func TestCopyJobs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 1)
	job := catalog.Job{
		ID: jobs.NewID(), Kind: catalog.AssetCopy, ProjectID: d.project.ID, UserID: d.admin.ID, Subject: "the film",
		WorkflowID: jobs.WorkflowID(catalog.AssetCopy, d.project.ID, d.admin.ID), CreatedAt: time.Now(),
	}
	require.NoError(t, d.catalog.InsertJob(t.Context(), job))
	_, err := d.catalog.EndJob(t.Context(), job.ID, catalog.JobOutcome{State: catalog.JobFailed})
	require.NoError(t, err)
	check := func(t testing.TB, got native.Job) {
		t.Helper()
		require.Equal(t, job.ID, got.ID)
		require.Equal(t, "asset-copy", got.Kind)
		require.Empty(t, got.InstanceID)
		require.Equal(t, "the film", got.Subject)
		require.Equal(t, native.Failed, got.State)
	}
	d.run(
		apitest.Scenario{Name: "show", URL: "/api/v1/jobs/" + job.ID, Headers: as(d.submitterToken), WantStatus: 200, Check: read(check)},
		apitest.Scenario{
			Name: "list", URL: "/api/v1/projects/" + d.project.ID + "/jobs?kind=asset-copy", Headers: as(d.submitterToken), WantStatus: 200,
			Check: read(func(t testing.TB, page native.JobPage) {
				t.Helper()
				require.Len(t, page.Jobs, 1)
				check(t, page.Jobs[0])
			}),
		},
	)
}

func TestJob(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	running := d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 1)
	ended := d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 2)
	_, err := d.catalog.EndJob(ctx, ended.ID, catalog.JobOutcome{State: catalog.JobFailed, Reasons: []catalog.Reason{
		{ResourceType: "task", ResourceName: "orders", Code: "name_taken", Message: "The name is taken."},
	}})
	require.NoError(t, err)
	elsewhere, err := d.catalog.CreateInstance(ctx, d.other.ID, "one")
	require.NoError(t, err)
	foreign := d.addJob(d.other.ID, elsewhere.ID, d.admin.ID, 3)

	url := func(id string) string { return "/api/v1/jobs/" + id }
	show := apitest.Scenario{
		Name: "a running job", URL: url(running.ID), Headers: as(d.submitterToken), WantStatus: 200,
		WantJSON: `{"id": "` + running.ID + `", "kind": "asset-import", "project_id": "` + d.project.ID + `", "instance_id": "` + d.instance.ID + `",
			"user_id": "` + d.admin.ID + `", "user_name": "admin", "workflow_id": "` + running.WorkflowID + `", "subject": "shop.zip",
			"state": "running", "progress": 0.25, "step": "Store the files", "request": {"mode": "AddNew"}, "reasons": [],
			"created_at": "2026-01-02T03:01:00Z"}`,
	}
	failed := apitest.Scenario{Name: "a failed job", URL: url(ended.ID), WantStatus: 200, Check: read(func(t testing.TB, got native.Job) {
		t.Helper()
		require.Equal(t, native.Failed, got.State)
		require.Equal(t, []native.Reason{{ResourceType: "task", ResourceName: "orders", Code: "name_taken", Message: "The name is taken."}}, got.Reasons)
		require.NotNil(t, got.EndedAt)
	})}
	asHex := show
	asHex.Name, asHex.URL = "as 32 hex digits", url(strings.ReplaceAll(running.ID, "-", ""))

	cancel := func(s apitest.Scenario) apitest.Scenario {
		s.Method, s.Name, s.URL = "POST", "cancel: "+s.Name, s.URL+"/cancel"
		return s
	}
	d.run(show, asHex, failed,
		cancel(refused("ended", url(ended.ID), 409, "job.ended", "")),
		cancel(refusedTo(d.submitterToken, "role too weak", url(running.ID), 403, "auth.forbidden")),
		cancel(refusedTo("", "no token", url(running.ID), 401, "auth.missing")),
	)
	require.Empty(t, d.jobs.cancelled)
	d.run(cancel(apitest.Scenario{Name: "running", URL: url(running.ID), WantStatus: 202, WantBody: []string{running.ID}}))
	require.Equal(t, []string{running.ID}, d.jobs.cancelled)

	// A foreign job and one that does not exist look the same, whatever is wrong with the caller.
	var answers []string
	keep := func(s apitest.Scenario) apitest.Scenario {
		s.Check = read(func(t testing.TB, got native.Problem) {
			t.Helper()
			got.RequestID = ""
			answers = append(answers, strings.Join([]string{got.Code, got.Detail, got.Title}, "|"))
		})
		s.WantStatus, s.WantHeaders = 404, map[string]string{"X-Request-Id": "*"}
		return s
	}
	for _, hidden := range []apitest.Scenario{
		{Name: "unknown", URL: url(catalog.NewID())},
		{Name: "not an id", URL: url("latest")},
		{Name: "of another project", URL: url(foreign.ID), Headers: as(d.submitterToken)},
		{Name: "no role anywhere", URL: url(running.ID), Headers: as(d.strangerToken)},
		{Name: "token of another project", URL: url(running.ID), Headers: as(d.otherProjectToken)},
	} {
		d.run(keep(hidden), keep(cancel(hidden)))
	}
	require.Len(t, answers, 10)
	for _, answer := range answers {
		require.Equal(t, answers[0], answer)
	}
	require.Equal(t, []string{running.ID}, d.jobs.cancelled)

	d.jobs.err = errors.New("a secret of ours")
	internal := refused("our failure", url(running.ID), 500, "internal", "request id")
	internal.WantNotBody = []string{"secret"}
	d.run(internal)
	d.jobs.err = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(errors.New("a secret of ours"))
	away := refused("the job service is away", url(running.ID), 503, jobs.CodeNotReady, "Try again")
	away.WantNotBody = []string{"secret"}
	d.run(away)
}

// A delivery shows what it waits for, why it tries again, and its steps.
func TestDeliveryJobs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	ctx := t.Context()
	e, err := d.catalog.CreateEnvironment(ctx, d.admin.ID, catalog.Environment{ProjectID: d.project.ID, Name: "prod"})
	require.NoError(t, err)
	id := d.addDelivery(e, "redis", catalog.AddonInstall).JobID
	imported := d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 1)
	url := "/api/v1/jobs/" + id
	head := `"id": "` + id + `", "kind": "addon-delivery", "project_id": "` + d.project.ID + `", "instance_id": "",
		"user_id": "` + d.admin.ID + `", "user_name": "admin", "workflow_id": "addon:` + id + `", "subject": "redis",
		"state": "running", "progress": 0.25, "step": "Store the files", "reasons": [], "created_at": "2026-01-02T03:04:00Z"`
	d.run(apitest.Scenario{Name: "begun", URL: url, Headers: as(d.submitterToken), WantStatus: 200, WantJSON: `{` + head + `, "tasks": []}`})

	d.jobs.running = jobs.Job{
		Workloads: []addons.Workload{{Kind: "Deployment", Name: "redis", Ready: 1, Wanted: 3, Message: "no room"}, {Kind: "Job", Name: "init"}},
		Attempt:   4, LastFailure: "The target is away.",
	}
	require.NoError(t, d.catalog.SetTask(ctx, catalog.JobTask{JobID: id, Index: 0, Activity: "LoadChart", State: catalog.TaskSucceeded}))
	require.NoError(t, d.catalog.SetTask(ctx, catalog.JobTask{JobID: id, Index: 1, Activity: "PlanChart", State: catalog.TaskRunning, Messages: []string{"a", "b"}}))
	rows, err := d.catalog.JobTasks(ctx, id)
	require.NoError(t, err)
	stamp := func(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
	workloads := `"attempt": 4, "last_failure": "The target is away.", "workloads": [
		{"kind": "Deployment", "name": "redis", "ready": 1, "wanted": 3, "message": "no room"},
		{"kind": "Job", "name": "init", "ready": 0, "wanted": 0, "message": ""}]`
	tasks := `"tasks": [
		{"index": 0, "name": "The step LoadChart", "state": "succeeded", "messages": [], "created_at": "` + stamp(rows[0].CreatedAt) + `",
			"updated_at": "` + stamp(rows[0].UpdatedAt) + `"},
		{"index": 1, "name": "The step PlanChart", "state": "running", "messages": ["a", "b"], "created_at": "` + stamp(rows[1].CreatedAt) + `",
			"updated_at": "` + stamp(rows[1].UpdatedAt) + `"}]`
	cancel := func(name, id, query string, status int) apitest.Scenario {
		return apitest.Scenario{Name: name, Method: "POST", URL: "/api/v1/jobs/" + id + "/cancel" + query, WantStatus: status}
	}
	answered := cancel("cancel", id, "?leave=false", 202)
	answered.WantJSON = `{` + head + `, ` + workloads + `}`
	noLeave := cancel("an import leaves nothing", imported.ID, "?leave=true", 400)
	noLeave.Check = problem("job.no_leave", "")
	unclear := cancel("what is meant is not clear", id, "?leave=perhaps", 400)
	unclear.Check = problem("api.parameter", "leave")
	d.run(
		apitest.Scenario{Name: "under way", URL: url, Headers: as(d.submitterToken), WantStatus: 200, WantJSON: `{` + head + `, ` + workloads + `, ` + tasks + `}`},
		apitest.Scenario{
			Name: "in a list, without tasks", URL: "/api/v1/projects/" + d.project.ID + "/jobs?kind=addon-delivery", WantStatus: 200,
			WantNotBody: []string{`"tasks"`}, WantBody: []string{id},
		},
		answered, noLeave, unclear,
	)
	require.Equal(t, []string{id}, d.jobs.cancelled)
	require.Empty(t, d.jobs.left)
	d.run(cancel("cancel, and leave things as they are", id, "?leave=true", 202))
	require.Equal(t, []string{id}, d.jobs.left)
	// Only deliveries have tasks.
	d.jobs.running = jobs.Job{}
	d.run(apitest.Scenario{Name: "an import", URL: "/api/v1/jobs/" + imported.ID, WantStatus: 200, WantNotBody: []string{"tasks", "workloads", "attempt", "last_failure"}})
}
