package servicestage_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/servicestage"
	"assetflow/catalog"
)

func TestEnvironments(t *testing.T) {
	t.Parallel()
	d := newFullDeployment(t)
	before := time.Now().UnixMilli()
	var made, bare servicestage.Environment
	plain := into(d.as(d.admin, "with what is needed", "POST", "/environments", `{"name": "E2", "vpc_id": "v", "labels": null, "description": null}`, 200), &bare)
	plain.OutsideDocument = true // null is as good as nothing
	d.run(
		into(d.as(d.developer, "with everything", "POST", "/environments", `{"name": "prod_1", "vpc_id": "29d55020-ae0e", "deploy_mode": "mixed",
			"description": "two\nlines ☕", "labels": [{"key": "team", "value": "a"}, {"key": "empty", "value": ""}],
			"enterprise_project_id": "0", "charge_mode": 1}`, 200), &made),
		plain,
	)
	want := fmt.Sprintf(`{"id": %q, "name": "prod_1", "description": "two\nlines ☕", "project_id": %q, "deploy_mode": "mixed",
		"vpc_id": "29d55020-ae0e", "labels": [{"key": "team", "value": "a"}, {"key": "empty", "value": ""}], "creator": "dev",
		"create_time": %d, "update_time": %d}`, made.ID, d.project.ID, made.CreateTime, made.CreateTime)
	require.GreaterOrEqual(t, made.CreateTime, before)
	require.LessOrEqual(t, made.CreateTime, time.Now().UnixMilli())
	wantBare := fmt.Sprintf(`{"id": %q, "name": "E2", "description": "", "project_id": %q, "deploy_mode": "container", "vpc_id": "v", "labels": [],
		"creator": "adm", "create_time": %d, "update_time": %d}`, bare.ID, d.project.ID, bare.CreateTime, bare.CreateTime)

	list := func(name, query, want string) apitest.Scenario {
		s := d.as(d.submitter, name, "GET", "/environments"+query, "", 200)
		s.WantJSON = want
		return s
	}
	for name, id := range map[string]string{
		"by its id": made.ID, "in capitals": strings.ToUpper(made.ID), "without dashes": strings.ReplaceAll(made.ID, "-", ""),
	} {
		shown := d.as(d.submitter, name, "GET", "/environments/"+id, "", 200)
		shown.WantJSON = want
		d.run(shown)
	}
	d.run(
		list("list", "", `{"count": 2, "environments": [`+want+`, `+wantBare+`]}`),
		list("the first", "?limit=1", `{"count": 2, "environments": [`+want+`]}`),
		list("the second", "?limit=1&offset=1&unknown=x", `{"count": 2, "environments": [`+wantBare+`]}`),
		list("beyond the last", "?offset=2147483647", `{"count": 2, "environments": []}`),
		d.refused("limit 0", "GET", "/environments?limit=0", "", "SVCSTG.00100400", "limit"),
		d.refused("limit 101", "GET", "/environments?limit=101", "", "SVCSTG.00100400", "limit"),
		d.refused("a limit that is none", "GET", "/environments?limit=x", "", "SVCSTG.00100400", ""),
		d.refused("a limit given twice", "GET", "/environments?limit=1&limit=2", "", "SVCSTG.00100400", "limit"),
		d.refused("a negative offset", "GET", "/environments?offset=-1", "", "SVCSTG.00100400", "offset"),
		d.refused("a large offset", "GET", "/environments?offset=2147483648", "", "SVCSTG.00100400", "offset"),
		d.refused("a bad query", "GET", "/environments?limit=%zz", "", "SVCSTG.00100400", "query"),
	)

	// What a change leaves out stays.
	path := "/environments/" + made.ID
	var changed servicestage.Environment
	d.run(
		into(d.as(d.developer, "the labels", "PUT", path, `{"labels": [], "vpc_id": "another", "deploy_mode": "container"}`, 200), &changed),
		d.refused("another's name", "PUT", path, `{"name": "E2"}`, "SVCSTG.00100449", "E2"),
	)
	require.Empty(t, changed.Labels)
	require.GreaterOrEqual(t, changed.UpdateTime, made.UpdateTime)
	made.Labels, made.UpdateTime = servicestage.Labels{}, changed.UpdateTime
	require.Equal(t, made, changed)
	d.run(into(d.as(d.developer, "name and description", "PUT", path, `{"name": "other", "description": ""}`, 200), &changed))
	require.Equal(t, "other", changed.Name)
	require.Empty(t, changed.Description)
	require.Equal(t, "dev", changed.Creator)

	d.AddChart(t, "redis", "1.0.0", "redis")
	addon := d.install(made, "redis")
	gone := d.as(d.developer, "remove", "DELETE", "/environments/"+bare.ID, "", 204)
	gone.WantBody = nil
	gone.Check = func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		require.Empty(t, body)
	}
	d.run(
		d.refused("one with add-ons", "DELETE", path, "", "SVCSTG.00100400", "(redis)"),
		gone,
		d.missing("removed", "GET", "/environments/"+bare.ID, "", "SVCSTG.00100411"),
		d.missing("removed twice", "DELETE", "/environments/"+bare.ID, "", "SVCSTG.00100411"),
		d.missing("changed", "PUT", "/environments/"+bare.ID, `{"name": "aa"}`, "SVCSTG.00100411"),
	)
	require.Equal(t, servicestage.AddonStatusINITIALIZING, d.show(made, addon.ID).Status)
	entries, _, err := d.catalog.ListAudit(t.Context(), catalog.AuditFilter{ProjectID: d.project.ID, ResourceID: bare.ID})
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, catalog.EnvironmentRemoved, entries[0].Action)
	require.Equal(t, "dev", entries[0].ActorName)
	require.Equal(t, "adm", entries[1].ActorName)
}

func TestEnvironmentRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	e := d.newEnvironment("taken")
	with := func(field, value string) string {
		return fmt.Sprintf(`{"name": "xx", "vpc_id": "v", %q: %s}`, field, value)
	}
	labels := func(n int, key, value string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"key": %q, "value": %q},`, key, value), n), ",") + "]"
	}
	var scenarios []apitest.Scenario
	for name, body := range map[string]string{
		"none": "", "not JSON": "{", "two values": `{"name": "xx", "vpc_id": "v"}{}`, "a list": "[]", "null": "null", "a text": `"x"`,
		"a number for a name": `{"name": 1, "vpc_id": "v"}`, "a list for a description": with("description", "[]"),
		"labels that are no list": with("labels", `{}`), "a label that is no object": with("labels", `["a"]`),
		"deep JSON":              with("x", strings.Repeat("[", 20000)+strings.Repeat("]", 20000)),
		"invalid UTF-8 in a key": "{\"n\xff",
	} {
		scenarios = append(scenarios,
			d.refused("create, body: "+name, "POST", "/environments", body, "SVCSTG.00100400", "JSON object"),
			d.refused("change, body: "+name, "PUT", "/environments/"+e.ID, body, "SVCSTG.00100400", "JSON object"))
	}
	for name, c := range map[string]struct{ body, message string }{
		"no vpc":             {`{"name": "xx"}`, "vpc_id"},
		"an empty vpc":       {`{"name": "xx", "vpc_id": ""}`, "vpc_id"},
		"a long vpc":         {`{"name": "xx", "vpc_id": "` + strings.Repeat("v", 65) + `"}`, "vpc_id"},
		"a vpc with a NUL":   {`{"name": "xx", "vpc_id": "a\u0000"}`, "vpc_id"},
		"a number for mode":  {with("deploy_mode", "1"), "JSON object"},
		"an unknown mode":    {with("deploy_mode", `"Container"`), "deploy_mode"},
		"an empty mode":      {with("deploy_mode", `""`), "deploy_mode"},
		"no name":            {`{"vpc_id": "v"}`, "name"},
		"capital field":      {`{"NAME": "", "vpc_id": "v"}`, "name"},
		"a long description": {with("description", `"`+strings.Repeat("é", 257)+`"`), "description"},
		"a NUL":              {with("description", `"a\u0000"`), "description"},
		"too many labels":    {with("labels", labels(21, "k", "v")), "labels"},
		"an empty key":       {with("labels", labels(1, "", "v")), "labels"},
		"a long key":         {with("labels", labels(1, strings.Repeat("é", 129), "v")), "labels"},
		"a long value":       {with("labels", labels(1, "k", strings.Repeat("é", 256))), "labels"},
		"a label of 2 lines": {with("labels", labels(1, "k", "a\nb")), "labels"},
	} {
		scenarios = append(scenarios, d.refused("create: "+name, "POST", "/environments", c.body, "SVCSTG.00100400", c.message))
	}
	for _, name := range []string{"", "x", "1x", "x-", "_x", "-x", "a b", "é1", "a.b", "xx\\n", "x\\u0000x", strings.Repeat("x", 65)} {
		scenarios = append(scenarios,
			d.refused("create: the name "+name, "POST", "/environments", `{"vpc_id": "v", "name": "`+name+`"}`, "SVCSTG.00100400", "name"),
			d.refused("change: the name "+name, "PUT", "/environments/"+e.ID, `{"name": "`+name+`"}`, "SVCSTG.00100400", "name"))
	}
	scenarios = append(scenarios,
		d.refused("create: a name that is taken", "POST", "/environments", `{"name": "taken", "vpc_id": "v"}`, "SVCSTG.00100449", "taken"),
		d.refused("change: a long description", "PUT", "/environments/"+e.ID, `{"description": "`+strings.Repeat("é", 257)+`"}`, "SVCSTG.00100400", "description"),
		d.refused("change: too many labels", "PUT", "/environments/"+e.ID, `{"labels": `+labels(21, "k", "v")+`}`, "SVCSTG.00100400", "labels"),
	)
	large := d.as(d.developer, "a large body", "POST", "/environments", with("x", `"`+strings.Repeat("x", 1<<20)+`"`), 413)
	large.Check = refusal("SVCSTG.00100400", "larger than")
	d.run(append(scenarios, large)...)

	// What is just within bounds is taken.
	longest := strings.Repeat("x", 64)
	d.run(d.as(d.developer, "as long as can be", "POST", "/environments", fmt.Sprintf(
		`{"name": %q, "vpc_id": %q, "description": %q, "labels": %s}`, longest, longest, strings.Repeat("😀", 256),
		labels(20, strings.Repeat("😀", 128), strings.Repeat("😀", 255))), 200))
	_, total, err := d.catalog.ListEnvironments(t.Context(), d.project.ID, 0, 0)
	require.NoError(t, err)
	require.Equal(t, 2, total)
	unchanged, err := d.catalog.Environment(t.Context(), d.project.ID, e.ID)
	require.NoError(t, err)
	require.Equal(t, "taken", unchanged.Name)
	require.Empty(t, unchanged.Description)
}

// What cannot be an id, and what is not there, look alike.
func TestUnknownEnvironments(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	e := d.newEnvironment("prod")
	foreign, err := d.catalog.CreateEnvironment(t.Context(), d.developer.user.ID, catalog.Environment{
		ProjectID: d.other.ID, Name: "theirs", DeployMode: catalog.DeployContainer, VPCID: "v",
	})
	require.NoError(t, err)
	for name, id := range map[string]string{
		"none": catalog.NewID(), "no id": "nothing", "a long one": strings.Repeat("x", 5000), "a NUL": "%00", "a path": "%2e%2e%2f",
		"of another project": foreign.ID, "a job's": jobForm(e.ID), "invalid UTF-8": "%ff%fe",
	} {
		for _, o := range operations(id, catalog.NewID()) {
			d.run(d.missing(name+": "+o.method+" "+o.path, o.method, o.path, o.body, "SVCSTG.00100411"))
		}
	}
}

func jobForm(id string) string { return "JOB" + id }

// operation is one on an environment, or on what is in it.
type operation struct{ method, path, body string }

func operations(environment, addon string) []operation {
	path := "/environments/" + environment
	return []operation{
		{"GET", path, ""},
		{"PUT", path, `{"description": "d"}`},
		{"DELETE", path, ""},
		{"GET", path + "/addons", ""},
		{"GET", path + "/addons-metadata", ""},
		{"POST", path + "/addons", `{"name": "redis", "cce_id": "gitops"}`},
		{"GET", path + "/addons/" + addon, ""},
		{"POST", path + "/addons/" + addon + "/action", `{"action": "redeploy"}`},
		{"DELETE", path + "/addons/" + addon, ""},
	}
}
