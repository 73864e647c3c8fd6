package native_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/native"
	"assetflow/catalog/catalogtest"
)

func TestTemplateTrash(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.lifetime = 30 * 24 * time.Hour
	d.handler = d.newHandler()
	scene := catalogtest.Scene{Catalog: d.catalog, User: d.admin, Project: d.project, Instance: d.instance}
	made := scene.ImportTemplates(t, catalogtest.Template("acme", "disk", "01.00.00", "a"), catalogtest.Template("acme", "net", "01.00.00", "b"),
		catalogtest.Template("acme", "cpu", "01.00.00", "c")).Templates
	for _, m := range made[:2] {
		require.NoError(t, d.catalog.DeleteServiceTemplate(t.Context(), d.admin.ID, d.project.ID, m.Number))
	}
	trash := "/api/v1/projects/" + d.project.ID + "/service-templates/trash"
	one := func(i int, rest string) string { return fmt.Sprintf("%s/%d%s", trash, made[i].Number, rest) }
	has := func(count int, want ...string) func(testing.TB, *http.Response, []byte) {
		return read(func(t testing.TB, page native.TemplatePage) {
			t.Helper()
			require.Equal(t, count, page.Count)
			var got []string
			for _, s := range page.ServiceTemplates {
				got = append(got, s.KeyName)
				require.Equal(t, s.DeletedAt.Add(30*24*time.Hour), *s.PurgeAfter)
			}
			require.Equal(t, want, got)
		})
	}
	purge := func(s apitest.Scenario) apitest.Scenario {
		s.Method = http.MethodDelete
		return s
	}
	d.run(
		apitest.Scenario{Name: "all", URL: trash, WantStatus: 200, Check: has(2, "disk", "net")},
		apitest.Scenario{Name: "a page", URL: trash + "?limit=1&offset=1", WantStatus: 200, Check: has(2, "net")},
		refused("bad limit", trash+"?limit=0", 400, "api.parameter", "limit"),
		refused("bad offset", trash+"?offset=-1", 400, "api.parameter", "offset"),
		refusedTo(d.submitterToken, "without permission", trash, 403, "auth.forbidden"),
		refusedTo(d.strangerToken, "without a role", trash, 404, "auth.project_not_found"),
		post(refusedTo(d.submitterToken, "restore without permission", one(0, "/restore"), 403, "auth.forbidden")),
		purge(refusedTo(d.submitterToken, "purge without permission", one(0, ""), 403, "auth.forbidden")),
		post(refused("restore what is not deleted", one(2, "/restore"), 404, "catalog.template_not_found", "")),
		purge(refused("purge what is not deleted", one(2, ""), 404, "catalog.template_not_found", "")),
		post(refused("restore what is not there", trash+"/999999/restore", 404, "catalog.template_not_found", "")),
		post(apitest.Scenario{
			Name: "restore", URL: one(0, "/restore"), WantStatus: 200,
			Check: read(func(t testing.TB, s native.ServiceTemplate) {
				t.Helper()
				require.Equal(t, made[0].Number, s.Number)
				require.True(t, s.Latest)
				require.Nil(t, s.DeletedAt)
				require.Nil(t, s.PurgeAfter)
			}),
		}),
		purge(apitest.Scenario{Name: "purge", URL: one(1, ""), WantStatus: 204}),
		purge(refused("purge again", one(1, ""), 404, "catalog.template_not_found", "")),
		apitest.Scenario{Name: "empty", URL: trash, WantStatus: 200, WantJSON: `{"service_templates": [], "count": 0}`},
	)

	require.NoError(t, d.catalog.DeleteServiceTemplate(t.Context(), d.admin.ID, d.project.ID, made[2].Number))
	scene.ImportTemplates(t, catalogtest.Template("acme", "cpu", "01.00.00", "d"))
	d.run(post(refused("the name is taken", one(2, "/restore"), 409, "catalog.name_taken", "")))
}
