package native_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/native"
	"assetflow/catalog"
)

// deleteAssets moves assets to the trash, as a job.
func (d *deployment) deleteAssets(apps, tasks []string) {
	d.t.Helper()
	job := catalog.Job{
		ID: catalog.NewID(), Kind: catalog.AssetDelete, ProjectID: d.project.ID, InstanceID: d.instance.ID, UserID: d.admin.ID,
		WorkflowID: catalog.NewID(), State: catalog.JobRunning, CreatedAt: time.Now(),
	}
	require.NoError(d.t, d.catalog.InsertJob(d.t.Context(), job))
	_, err := d.catalog.CommitDeletion(d.t.Context(), catalog.Deletion{
		JobID: job.ID, ProjectID: d.project.ID, InstanceID: d.instance.ID, UserID: d.admin.ID, Applications: apps, Tasks: tasks,
	})
	require.NoError(d.t, err)
}

func (d *deployment) instanceURL(rest string) string {
	return "/api/v1/projects/" + d.project.ID + "/instances/" + d.instance.ID + rest
}

func post(s apitest.Scenario) apitest.Scenario {
	s.Method = http.MethodPost
	return s
}

func TestTrash(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.lifetime = 30 * 24 * time.Hour
	d.handler = d.newHandler()
	result := d.importAssets("shop", "desk", "till")
	ids := map[string]string{}
	for _, a := range result.Assets {
		ids[string(a.Kind)+" "+a.Name] = a.ID
	}
	d.deleteAssets([]string{ids["application shop"], ids["application desk"]}, []string{ids["task shop"], ids["task desk"]})
	trash := d.instanceURL("/trash")

	names := func(want ...string) func(testing.TB, *http.Response, []byte) {
		return read(func(t testing.TB, page native.TrashPage) {
			t.Helper()
			var got []string
			for _, a := range page.Assets {
				got = append(got, a.Kind+" "+a.Name)
				require.Equal(t, ids[a.Kind+" "+a.Name], a.ID)
				require.Equal(t, d.admin.ID, a.DeletedBy)
				require.WithinDuration(t, time.Now(), a.DeletedAt, time.Minute)
				require.Equal(t, a.DeletedAt.Add(30*24*time.Hour), *a.PurgeAfter)
			}
			require.ElementsMatch(t, want, got)
		})
	}
	cursor := ""
	d.run(
		apitest.Scenario{Name: "all", URL: trash, WantStatus: 200, Check: names("application shop", "application desk", "task shop", "task desk")},
		apitest.Scenario{Name: "of a kind", URL: trash + "?kind=task", WantStatus: 200, Check: names("task shop", "task desk")},
		apitest.Scenario{Name: "by name", URL: trash + "?name=shop", WantStatus: 200, Check: names("application shop", "task shop")},
		apitest.Scenario{Name: "by part of a name", URL: trash + "?name_contains=es", WantStatus: 200, Check: names("application desk", "task desk")},
		apitest.Scenario{
			Name: "first page", URL: trash + "?limit=3", Headers: as(d.submitterToken), WantStatus: 200,
			Check: read(func(t testing.TB, page native.TrashPage) {
				t.Helper()
				require.Len(t, page.Assets, 3)
				cursor = *page.NextCursor
			}),
		},
	)
	d.run(
		apitest.Scenario{
			Name: "last page", URL: trash + "?limit=3&cursor=" + cursor, WantStatus: 200,
			Check: read(func(t testing.TB, page native.TrashPage) {
				t.Helper()
				require.Len(t, page.Assets, 1)
				require.Nil(t, page.NextCursor)
			}),
		},
		refused("bad cursor", trash+"?cursor=x", 400, "catalog.bad_cursor", ""),
		refused("bad kind", trash+"?kind=x", 400, "api.parameter", "kind"),
		refused("bad limit", trash+"?limit=0", 400, "api.parameter", "limit"),
		refused("unknown instance", "/api/v1/projects/"+d.project.ID+"/instances/nowhere/trash", 404, "catalog.instance_not_found", ""),
		refusedTo(d.strangerToken, "without a role", trash, 404, "auth.project_not_found"),
	)

	one := func(kind, name, rest string) string { return trash + "/" + ids[kind+" "+name] + rest }
	restored := func(kind, name string) apitest.Scenario {
		return post(apitest.Scenario{
			Name: "restore " + kind + " " + name, URL: one(kind, name, "/restore"), WantStatus: 200,
			Check: read(func(t testing.TB, a native.Asset) {
				t.Helper()
				require.Equal(t, ids[kind+" "+name], a.ID)
				require.Equal(t, name, a.Name)
			}),
		})
	}
	purged := func(kind, name string) apitest.Scenario {
		return apitest.Scenario{Name: "purge " + kind + " " + name, Method: http.MethodDelete, URL: one(kind, name, ""), WantStatus: 204}
	}
	purge := func(s apitest.Scenario) apitest.Scenario {
		s.Method = http.MethodDelete
		return s
	}
	d.run(
		post(refusedTo(d.submitterToken, "restore without permission", one("task", "shop", "/restore"), 403, "auth.forbidden")),
		purge(refusedTo(d.submitterToken, "purge without permission", one("task", "shop", ""), 403, "auth.forbidden")),
		post(refused("restore a task before its application", one("task", "shop", "/restore"), 409, "catalog.reference_deleted", "")),
		purge(refused("purge an application before its task", one("application", "shop", ""), 409, "catalog.in_use", "")),
		restored("application", "shop"), restored("task", "shop"),
		post(refused("restore what is not deleted", one("task", "shop", "/restore"), 404, "catalog.asset_not_found", "")),
		purge(refused("purge what is not deleted", one("task", "shop", ""), 404, "catalog.asset_not_found", "")),
		purged("task", "desk"), purged("application", "desk"),
		purge(refused("purge again", one("task", "desk", ""), 404, "catalog.asset_not_found", "")),
		apitest.Scenario{Name: "empty", URL: trash, WantStatus: 200, WantJSON: `{"assets": []}`},
	)

	d.deleteAssets([]string{ids["application till"]}, []string{ids["task till"]})
	d.importAssets("till")
	d.lifetime = 0
	d.handler = d.newHandler()
	d.run(
		post(refused("the name is taken", one("application", "till", "/restore"), 409, "catalog.name_taken", "")),
		apitest.Scenario{Name: "kept for ever", URL: trash, WantStatus: 200, WantNotBody: []string{"purge_after"}, WantBody: []string{"deleted_at"}},
	)
}

func TestVersions(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	first := d.importAssets("shop").Assets[0]
	second := d.mergeApplication("shop", "Another text.")
	require.Equal(t, first.ID, second.ID)
	asset := d.instanceURL("/assets/" + first.ID)
	versions := func(want ...int) func(testing.TB, *http.Response, []byte) {
		return read(func(t testing.TB, list native.VersionList) {
			t.Helper()
			var got []int
			for _, v := range list.Versions {
				got = append(got, v.Number)
				require.Equal(t, d.admin.ID, v.CreatedBy)
				require.Len(t, v.Digest, 64)
			}
			require.Equal(t, want, got)
		})
	}
	described := func(number int, text string) func(testing.TB, *http.Response, []byte) {
		return read(func(t testing.TB, a native.AssetDetail) {
			t.Helper()
			require.Equal(t, first.ID, a.ID)
			require.Equal(t, number, a.VersionNumber)
			require.Equal(t, text, a.Description)
			require.Len(t, a.Files, 2-number)
		})
	}
	current := func(number int) func(testing.TB, *http.Response, []byte) {
		return read(func(t testing.TB, a native.Asset) {
			t.Helper()
			require.Equal(t, number, a.VersionNumber)
		})
	}
	elsewhere := fmt.Sprintf("/api/v1/projects/%s/instances/%s/assets/%s", d.other.ID, d.instance.ID, first.ID)
	d.run(
		apitest.Scenario{Name: "list", URL: asset + "/versions", Headers: as(d.submitterToken), WantStatus: 200, Check: versions(2, 1)},
		apitest.Scenario{Name: "the first", URL: asset + "/versions/1", Headers: as(d.submitterToken), WantStatus: 200, Check: described(1, "An application.")},
		apitest.Scenario{Name: "the second", URL: asset + "/versions/2", WantStatus: 200, Check: described(2, "Another text.")},
		post(refusedTo(d.submitterToken, "restore without permission", asset+"/versions/1/restore", 403, "auth.forbidden")),
		post(apitest.Scenario{Name: "restore the current one", URL: asset + "/versions/2/restore", WantStatus: 200, Check: current(2)}),
		post(apitest.Scenario{Name: "restore the first", URL: asset + "/versions/1/restore", WantStatus: 200, Check: current(3)}),
		apitest.Scenario{Name: "list again", URL: asset + "/versions", WantStatus: 200, Check: versions(3, 2, 1)},
		refused("unknown version", asset+"/versions/4", 404, "catalog.version_not_found", ""),
		post(refused("restore an unknown version", asset+"/versions/4/restore", 404, "catalog.version_not_found", "")),
		refused("version 0", asset+"/versions/0", 400, "api.parameter", "version"),
		refused("no number", asset+"/versions/latest", 400, "api.parameter", "version"),
		post(refused("a number too large", asset+"/versions/2147483648/restore", 400, "api.parameter", "version")),
		refused("unknown asset", d.instanceURL("/assets/nothing/versions"), 404, "catalog.asset_not_found", ""),
		refused("unknown asset's version", d.instanceURL("/assets/nothing/versions/1"), 404, "catalog.asset_not_found", ""),
		refused("in another project", elsewhere+"/versions", 404, "catalog.instance_not_found", ""),
		refusedTo(d.strangerToken, "without a role", asset+"/versions", 404, "auth.project_not_found"),
	)
}

func TestAudit(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	asset := d.importAssets("shop").Assets[1] // a task
	d.deleteAssets(nil, []string{asset.ID})
	audit := "/api/v1/projects/" + d.project.ID + "/audit"
	actions := func(want ...string) func(testing.TB, *http.Response, []byte) {
		return read(func(t testing.TB, page native.AuditPage) {
			t.Helper()
			var got []string
			for _, e := range page.Entries {
				got = append(got, e.Action)
				require.Equal(t, d.project.ID, e.ProjectID)
				require.NotEmpty(t, e.ID)
			}
			require.Equal(t, want, got)
		})
	}
	cursor := ""
	d.run(
		post(apitest.Scenario{Name: "something happens", URL: d.instanceURL("/trash/" + asset.ID + "/restore"), WantStatus: 200}),
		apitest.Scenario{
			Name: "newest first", URL: audit + "?limit=3", WantStatus: 200,
			Check: read(func(t testing.TB, page native.AuditPage) {
				t.Helper()
				cursor = *page.NextCursor
				restored := page.Entries[0]
				require.Equal(t, "asset.restored", restored.Action)
				require.Equal(t, d.admin.ID, restored.ActorID)
				require.Equal(t, "admin", restored.ActorName)
				require.Equal(t, d.instance.ID, restored.InstanceID)
				require.Equal(t, "task", restored.ResourceKind)
				require.Equal(t, asset.ID, restored.ResourceID)
				require.Equal(t, "job.ended", page.Entries[1].Action)
				require.Equal(t, "job.started", page.Entries[2].Action)
			}),
		},
		apitest.Scenario{Name: "an action", URL: audit + "?action=job.ended", WantStatus: 200, Check: actions("job.ended", "job.ended")},
		apitest.Scenario{Name: "a resource", URL: audit + "?resource_id=" + asset.ID, WantStatus: 200, Check: actions("asset.restored")},
		apitest.Scenario{Name: "an actor", URL: audit + "?action=asset.restored&actor_id=" + d.admin.ID, WantStatus: 200, Check: actions("asset.restored")},
		apitest.Scenario{Name: "nobody", URL: audit + "?actor_id=nobody", WantStatus: 200, WantJSON: `{"entries": []}`},
		refused("bad cursor", audit+"?cursor=x", 400, "catalog.bad_cursor", ""),
		refused("bad limit", audit+"?limit=501", 400, "api.parameter", "limit"),
		refusedTo(d.submitterToken, "no administrator", audit, 403, "auth.forbidden"),
		refusedTo(d.strangerToken, "without a role", audit, 404, "auth.project_not_found"),
		refusedTo(d.otherProjectToken, "with a token of another project", audit, 403, "auth.project_mismatch"),
	)
	d.run(apitest.Scenario{
		Name: "next page", URL: audit + "?limit=2&cursor=" + cursor, WantStatus: 200,
		Check: read(func(t testing.TB, page native.AuditPage) {
			t.Helper()
			require.Len(t, page.Entries, 2)
			require.Equal(t, "job.ended", page.Entries[0].Action)
		}),
	})
}
