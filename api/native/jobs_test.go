package native_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
