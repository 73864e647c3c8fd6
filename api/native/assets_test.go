package native_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/native"
)

func TestAssets(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	imported := d.importAssets("billing", "shop", "shop-2")
	base := "/api/v1/projects/" + d.project.ID + "/instances/" + d.instance.ID
	assets := base + "/assets"
	var next string
	names := func(want ...string) func(testing.TB, native.AssetPage) {
		return func(t testing.TB, got native.AssetPage) {
			t.Helper()
			list := []string{}
			for _, a := range got.Assets {
				list = append(list, a.Kind+" "+a.Name)
			}
			require.Equal(t, want, list)
			next = ""
			if got.NextCursor != nil {
				next = *got.NextCursor
			}
		}
	}
	list := func(name, query string, want ...string) apitest.Scenario {
		return apitest.Scenario{Name: name, URL: assets + query, WantStatus: 200, Check: read(names(want...))}
	}
	d.run(
		list("all, by kind and name", "", "application billing", "application shop", "application shop-2", "task billing", "task shop", "task shop-2"),
		list("of a kind", "?kind=task", "task billing", "task shop", "task shop-2"),
		list("by name", "?name=shop", "application shop", "task shop"),
		list("by a part of the name", "?name_contains=sho&kind=application", "application shop", "application shop-2"),
		list("none", "?name=nothing", []string{}...),
		list("an unknown parameter", "?colour=red&name=billing&kind=task", "task billing"),
		list("the first page", "?limit=4", "application billing", "application shop", "application shop-2", "task billing"),
	)
	require.NotEmpty(t, next)
	d.run(list("the last page", "?limit=4&cursor="+url.QueryEscape(next), "task shop", "task shop-2"))
	require.Empty(t, next)

	shop := imported.Assets[1]
	require.Equal(t, "shop", shop.Name)
	one := apitest.Scenario{Name: "one asset", URL: assets + "/" + shop.ID, WantStatus: 200, Headers: as(d.submitterToken)}
	one.Check = read(func(t testing.TB, got native.AssetDetail) {
		t.Helper()
		require.Equal(t, "shop", got.Name)
		require.Equal(t, "application", got.Kind)
		require.Equal(t, 1, got.VersionNumber)
		require.Equal(t, "1.2", got.VersionLabel)
		require.Equal(t, "src-shop", got.SourceID)
		require.Equal(t, d.admin.ID, got.UpdatedBy)
		require.JSONEq(t, `{"a":1}`, string(got.Definition))
		require.Equal(t, []native.File{{Path: "shop/main.js", Sha256: strings.Repeat("ab", 32), Size: 7}}, got.Files)
		require.Len(t, got.DataSources, 1)
		require.JSONEq(t, `{"encoding":"utf8"}`, string(got.DataSources[0].Settings))
	})
	task := apitest.Scenario{Name: "a task without a definition", URL: assets + "/" + imported.Assets[4].ID, WantStatus: 200}
	task.Check = read(func(t testing.TB, got native.AssetDetail) {
		t.Helper()
		require.Equal(t, []native.AssetReference{{ID: shop.ID, Name: "shop"}}, got.Applications)
		require.JSONEq(t, `{}`, string(got.Definition))
		require.Empty(t, got.Files)
	})
	sources := apitest.Scenario{Name: "data sources", URL: base + "/data-sources", WantStatus: 200}
	sources.Check = read(func(t testing.TB, got native.DataSourceList) {
		t.Helper()
		require.Len(t, got.DataSources, 1)
		require.Equal(t, "db", got.DataSources[0].Name)
		require.Equal(t, "mysql", got.DataSources[0].Type)
	})
	elsewhere, err := d.catalog.CreateInstance(t.Context(), d.project.ID, "two")
	require.NoError(t, err)
	d.run(one, task, sources,
		refused("unknown asset", assets+"/nothing", 404, "catalog.asset_not_found", ""),
		refused("asset of another instance", strings.Replace(assets, d.instance.ID, elsewhere.ID, 1)+"/"+shop.ID, 404, "catalog.asset_not_found", ""),
	)

	for _, path := range []string{"/assets", "/assets/" + shop.ID, "/data-sources"} {
		url := base + path
		d.run(
			apitest.Scenario{
				Name: "no token " + path, URL: url, Headers: map[string]string{"Accept": "*/*"}, WantStatus: 401,
				Check: problem("auth.missing", "x-auth-token not found"),
			},
			refusedTo("garbage", "garbage token "+path, url, 401, "auth.token_invalid"),
			refusedTo(d.strangerToken, "no role "+path, url, 404, "auth.project_not_found"),
			refusedTo(d.otherProjectToken, "token of another project "+path, url, 403, "auth.project_mismatch"),
			refused("unknown project "+path, strings.Replace(url, d.project.ID, "nowhere", 1), 404, "auth.project_not_found", ""),
			refused("unknown instance "+path, strings.Replace(url, d.instance.ID, "nowhere", 1), 404, "catalog.instance_not_found", ""),
			refused("instance of another project "+path, strings.Replace(url, d.project.ID, d.other.ID, 1), 404, "catalog.instance_not_found", ""),
		)
	}
	d.run(
		refused("unknown kind", assets+"?kind=robot", 400, "api.parameter", "kind"),
		refused("empty kind", assets+"?kind=", 400, "api.parameter", "kind"),
		refused("limit 0", assets+"?limit=0", 400, "api.parameter", "limit"),
		refused("limit above 500", assets+"?limit=501", 400, "api.parameter", "limit"),
		refused("limit not a number", assets+"?limit=ten", 400, "api.parameter", "limit"),
		refused("repeated limit", assets+"?limit=1&limit=2", 400, "api.parameter", "limit"),
		refused("bad cursor", assets+"?cursor=zzz", 400, "catalog.bad_cursor", ""),
		refused("bad encoding", assets+"?name=%zz", 400, "api.parameter", "query"),
	)
}

func TestMe(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	domain := d.admin.DomainID
	d.run(
		apitest.Scenario{
			Name: "not bound to a project", URL: "/api/v1/me", WantStatus: 200,
			WantJSON: `{"user_id": "` + d.admin.ID + `", "user_name": "admin", "domain_id": "` + domain + `", "domain_name": "acme", "method": "token"}`,
		},
		apitest.Scenario{
			Name: "bound to a project", URL: "/api/v1/me", Headers: as(d.submitterToken), WantStatus: 200,
			WantBody: []string{`"project_id":"` + d.project.ID + `"`},
		},
		apitest.Scenario{
			Name: "nobody", URL: "/api/v1/me", Headers: map[string]string{"Accept": "*/*"}, WantStatus: 401,
			Check: problem("auth.missing", ""),
		},
	)
}

func TestOutsideTheDocument(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	outside := func(s apitest.Scenario) apitest.Scenario {
		s.OutsideDocument = true
		return s
	}
	post := outside(refused("POST to a list", "/api/v1/jobs", 405, "api.method_not_allowed", ""))
	post.Method, post.WantHeaders = "POST", map[string]string{"Allow": "GET"}
	large := outside(refused("a large body", "/api/v1/jobs/x/cancel", 413, "api.body_too_large", ""))
	large.Method, large.Body = "POST", strings.Repeat("x", 2<<20)
	d.run(post, large,
		outside(refused("unknown path", "/api/v1/nothing", 404, "api.no_route", "")),
		outside(refused("the root", "/", 404, "api.no_route", "")),
	)
}
