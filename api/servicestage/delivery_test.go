package servicestage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/servicestage"
	"assetflow/auth"
	"assetflow/auth/signature"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

func TestCreateAddon(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.2.0", "old")
	d.AddChart(t, "redis", "1.10.0-rc.1", "new")
	e := d.newEnvironment("prod")
	path := "/environments/" + e.ID + "/addons"
	var created servicestage.AddonCreated
	d.run(into(d.as(d.developer, "create", "POST", path,
		`{"name": "redis", "cce_id": "second", "cse_id": "engine", "unknown": {"a": [1]}}`, 200), &created))
	jobID := strings.TrimPrefix(created.JobID, "JOB")
	require.Equal(t, jobs.DeliverySubmission{
		JobID: jobID, ProjectID: d.project.ID, UserID: d.developer.user.ID, UserName: "dev", Action: catalog.AddonInstall,
		EnvironmentID: e.ID, EnvironmentName: "prod", AddonID: created.ID, Name: "redis", TargetID: "second", CSEID: "engine",
	}, d.last())

	// The add-on shows at once, under an id that is as old as its job.
	addonID, err := uuid.Parse(created.ID)
	require.NoError(t, err)
	require.EqualValues(t, 7, addonID.Version())
	require.Equal(t, uuid.RFC4122, addonID.Variant())
	require.Equal(t, uuid.MustParse(jobID).Time()/10_000, addonID.Time()/10_000, "to the millisecond")
	require.NotEqual(t, jobID, created.ID)
	addon := func(version, status string) string {
		return fmt.Sprintf(`{"id": %q, "name": "redis", "version": %q, "cce_id": "second", "cse_id": "engine", "job_id": %q,
			"environment_id": %q, "status": %q}`, created.ID, version, created.JobID, e.ID, status)
	}
	shown := d.as(d.developer, "show", "GET", path+"/"+created.ID, "", 200)
	listed := d.as(d.developer, "list", "GET", path, "", 200)
	shown.WantJSON, listed.WantJSON = addon("", "INITIALIZING"), `{"addons": [`+addon("", "INITIALIZING")+`]}`
	d.run(shown, listed)
	d.commit("7")
	shown.URL = d.prefix + path + "/" + strings.ToUpper(strings.ReplaceAll(created.ID, "-", ""))
	shown.WantJSON, listed.WantJSON = addon("1.10.0-rc.1", "SUCCEEDED"), `{"addons": [`+addon("1.10.0-rc.1", "SUCCEEDED")+`]}`
	d.run(shown, listed)

	// On another target it is another add-on.
	other := d.install(e, "redis")
	require.NotEqual(t, created.ID, other.ID)
	require.Len(t, d.jobs.started, 2)
}

func TestCreateAddonRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "redis")
	d.AddChart(t, "web", "1.0.0", "web")
	e := d.newEnvironment("prod")
	path := "/environments/" + e.ID + "/addons"
	var scenarios []apitest.Scenario
	for name, body := range map[string]string{
		"none": "", "not JSON": "{", "two values": `{"name": "redis", "cce_id": "gitops"}{}`, "a list": "[]", "null": "null",
		"a number for a name": `{"name": 1, "cce_id": "gitops"}`, "an object for a target": `{"name": "redis", "cce_id": {}}`,
		"a list for an engine": `{"name": "redis", "cce_id": "gitops", "cse_id": []}`,
		"deep JSON":            `{"name": "redis", "cce_id": "gitops", "x": ` + strings.Repeat(`{"x":`, 20000) + "1" + strings.Repeat("}", 20001),
	} {
		scenarios = append(scenarios, d.refused("body: "+name, "POST", path, body, "SVCSTG.00100400", "JSON object"))
	}
	for name, c := range map[string]struct{ body, message string }{
		"no name":                    {`{"cce_id": "gitops"}`, "name"},
		"an empty name":              {`{"name": "", "cce_id": "gitops"}`, "name"},
		"a long name":                {`{"name": "` + strings.Repeat("x", 54) + `", "cce_id": "gitops"}`, "name"},
		"a name with a NUL":          {`{"name": "a\u0000", "cce_id": "gitops"}`, "name"},
		"a name of two lines":        {`{"name": "a\nb", "cce_id": "gitops"}`, "name"},
		"no target":                  {`{"name": "redis"}`, "cce_id"},
		"an empty target":            {`{"name": "redis", "cce_id": ""}`, "cce_id"},
		"a long target":              {`{"name": "redis", "cce_id": "` + strings.Repeat("x", 65) + `"}`, "cce_id"},
		"a target with a NUL":        {`{"name": "redis", "cce_id": "gitops\u0000"}`, "cce_id"},
		"an unknown target":          {`{"name": "redis", "cce_id": "Gitops"}`, "/targets lists them"},
		"another project's target":   {`{"name": "redis", "cce_id": "theirs"}`, "/targets lists them"},
		"a long engine":              {`{"name": "redis", "cce_id": "gitops", "cse_id": "` + strings.Repeat("x", 65) + `"}`, "cse_id"},
		"an engine with a NUL":       {`{"name": "redis", "cce_id": "gitops", "cse_id": "\u0000"}`, "cse_id"},
		"a chart that is not there":  {`{"name": "mysql", "cce_id": "gitops"}`, `no chart "mysql"; push one first`},
		"a name that no chart has":   {`{"name": "Redis", "cce_id": "gitops"}`, `no chart "Redis"`},
		"a name that is a traversal": {`{"name": "../redis", "cce_id": "gitops"}`, "no chart"},
		"a name that is SQL":         {`{"name": "' OR 1=1 --", "cce_id": "gitops"}`, "no chart"},
	} {
		scenarios = append(scenarios, d.refused(name, "POST", path, c.body, "SVCSTG.00100400", c.message))
	}
	large := d.as(d.developer, "a large body", "POST", path, `{"name": "`+strings.Repeat("x", 1<<20)+`"}`, 413)
	large.Check = refusal("SVCSTG.00100400", "larger than")
	forged := d.as(d.developer, "not what was signed", "POST", path, `{"name": "redis", "cce_id": "gitops"}`, 401)
	delete(forged.Headers, "X-Auth-Token")
	forged.Prepare = func(t testing.TB, request *http.Request) {
		t.Helper()
		require.NoError(t, signature.Sign(request, d.developer.accessKey, d.developer.secretKey, time.Now()))
		other := strings.NewReader(`{"name": "web", "cce_id": "gitops"}`)
		replaced, err := http.NewRequestWithContext(t.Context(), http.MethodPost, request.URL.String(), other)
		require.NoError(t, err)
		request.Body, request.GetBody, request.ContentLength = replaced.Body, replaced.GetBody, replaced.ContentLength
	}
	forged.Check = refusal("SVCSTG.00100401", "Incorrect IAM authentication information: verify aksk signature fail")
	d.run(append(scenarios, large, forged)...)
	require.Empty(t, d.jobs.started)

	// What is there already.
	body := `{"name": "redis", "cce_id": "gitops"}`
	created := d.install(e, "redis")
	d.run(d.refused("while it is installed", "POST", path, body, "SVCSTG.00100400", "("+created.JobID+")."))
	d.commit("1")
	d.run(d.refused("installed", "POST", path, body, "SVCSTG.00100400", "("+created.ID+")."))
	require.Len(t, d.jobs.started, 1)
	addons, err := d.catalog.ListAddons(t.Context(), d.project.ID, e.ID)
	require.NoError(t, err)
	require.Len(t, addons, 1)
}

func TestActions(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	created := d.install(e, "redis")
	path := "/environments/" + e.ID + "/addons/" + created.ID
	d.end(catalog.JobFailed)
	require.Equal(t, servicestage.AddonStatusFAILED, d.show(e, created.ID).Status)
	d.run(d.refused("restart what was never delivered", "POST", path+"/action", `{"action": "restart"}`, "SVCSTG.00100400", "redeploy it first"))

	var started servicestage.JobStarted
	step := func(name, method, path, body string, action catalog.AddonAction) apitest.Scenario {
		s := d.as(d.developer, name, method, path, body, 200)
		s.Check = func(t testing.TB, _ *http.Response, answer []byte) {
			t.Helper()
			sub := d.last()
			require.JSONEq(t, `{"job_id": "JOB`+sub.JobID+`"}`, string(answer))
			started.JobID = "JOB" + sub.JobID
			require.Equal(t, jobs.DeliverySubmission{
				JobID: sub.JobID, ProjectID: d.project.ID, UserID: d.developer.user.ID, UserName: "dev", Action: action,
				EnvironmentID: e.ID, EnvironmentName: "prod", AddonID: created.ID, Name: "redis", TargetID: "gitops",
			}, sub)
		}
		return s
	}
	redeploy := `{"action": "redeploy", "parameters": null}`
	d.run(step("redeploy", "POST", path+"/action", redeploy, catalog.AddonRedeploy))
	addon := d.show(e, created.ID)
	require.Equal(t, servicestage.AddonStatusUPGRADING, addon.Status)
	require.Equal(t, started.JobID, addon.JobID)
	for _, o := range []operation{
		{"POST", path + "/action", redeploy}, {"POST", path + "/action", `{"action": "restart"}`}, {"DELETE", path, ""},
	} {
		d.run(d.refused("while a job runs: "+o.method+" "+o.body, o.method, o.path, o.body, "SVCSTG.00100400", "("+started.JobID+")."))
	}
	d.commit("2")
	d.run(step("restart", "POST", path+"/action", `{"action": "restart"}`, catalog.AddonRestart))
	require.Equal(t, servicestage.AddonStatusUPGRADING, d.show(e, created.ID).Status)
	d.commit("3")

	// The job service may not know of a job that the catalog knows to work on the add-on.
	d.NextDelivery(t, d.addon(e, created.ID), catalog.AddonRestart)
	begun := d.NextDelivery(t, d.addon(e, created.ID), catalog.AddonRestart)
	_, _, err := d.catalog.BeginDelivery(t.Context(), begun)
	require.NoError(t, err)
	d.run(d.refused("while another works on it", "DELETE", path, "", "SVCSTG.00100400", "(JOB"+begun.JobID+")."))
	_, err = d.catalog.EndJob(t.Context(), begun.JobID, catalog.JobOutcome{State: catalog.JobCancelled})
	require.NoError(t, err)

	d.run(step("delete", "DELETE", path, "", catalog.AddonUninstall))
	require.Equal(t, servicestage.AddonStatusDELETING, d.show(e, created.ID).Status)
	d.commit("")
	d.run(
		d.missing("gone", "GET", path, "", "SVCSTG.00100404"),
		d.missing("deleted again", "DELETE", path, "", "SVCSTG.00100404"),
		d.missing("redeployed", "POST", path+"/action", redeploy, "SVCSTG.00100404"),
	)
}

// addon gives an add-on as the catalog has it.
func (d *deployment) addon(e servicestage.Environment, id string) catalog.Addon {
	d.t.Helper()
	a, err := d.catalog.Addon(d.t.Context(), d.project.ID, e.ID, id)
	require.NoError(d.t, err)
	return a
}

func TestActionRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e, elsewhere := d.newEnvironment("prod"), d.newEnvironment("test")
	created := d.installed(e, "redis")
	path := "/environments/" + e.ID + "/addons/" + created.ID
	var scenarios []apitest.Scenario
	for _, body := range []string{
		`{}`, `{"action": ""}`, `{"action": null}`, `{"action": "Restart"}`, `{"action": "redeploy "}`, `{"action": "restart\u0000"}`,
		`{"action": "rollback"}`, `{"action": "install"}`, `{"action": "uninstall"}`, `{"action": "` + strings.Repeat("x", 100000) + `"}`,
	} {
		scenarios = append(scenarios, d.refused("action "+body[:min(len(body), 40)], "POST", path+"/action", body, "SVCSTG.00100418", "restart or redeploy"))
	}
	for _, body := range []string{"", "[]", "{", `{"action": 1}`, `{"action": ["restart"]}`, `{"action": {}}`, `"restart"`} {
		scenarios = append(scenarios, d.refused("body "+body, "POST", path+"/action", body, "SVCSTG.00100400", "JSON object"))
	}
	for name, id := range map[string]string{
		"none": catalog.NewID(), "no id": "nothing", "a NUL": "%00", "a path": "%2e%2e%2f", "a job's": created.JobID, "long": strings.Repeat("a", 5000),
	} {
		for _, o := range operations(e.ID, id)[6:] {
			scenarios = append(scenarios, d.missing("add-on "+name+": "+o.method, o.method, o.path, o.body, "SVCSTG.00100404"))
		}
	}
	for _, o := range operations(elsewhere.ID, created.ID)[6:] {
		scenarios = append(scenarios, d.missing("in another environment: "+o.method, o.method, o.path, o.body, "SVCSTG.00100404"))
	}
	d.run(scenarios...)
	require.Len(t, d.jobs.started, 1)

	// What has gone from the library or the configuration meanwhile.
	require.NoError(t, d.catalog.DeleteEnvironment(t.Context(), d.developer.user.ID, d.project.ID, elsewhere.ID))
	d.AddChart(t, "web", "1.0.0", "web")
	web := d.install(e, "web")
	d.end(catalog.JobFailed)
	require.NoError(t, d.catalog.DeleteChart(t.Context(), d.developer.user.ID, d.project.ID, "web", "1.0.0"))
	d.run(d.refused("no chart any more", "POST", "/environments/"+e.ID+"/addons/"+web.ID+"/action", `{"action": "redeploy"}`, "SVCSTG.00100400", `no chart "web"`))
	d.targets = newDeployment(t).targets // "second" is another project's there
	var second servicestage.AddonCreated
	d.call(d.developer, "POST", "/environments/"+e.ID+"/addons", `{"name": "redis", "cce_id": "second"}`, &second)
	d.commit("1")
	d.handler = d.newHandler(d.catalog)
	for _, o := range operations(e.ID, second.ID)[7:] {
		d.run(d.refused("no target any more: "+o.method, o.method, o.path, o.body, "SVCSTG.00100400", `no target "second"`))
	}
}

func TestAddonsMetadata(t *testing.T) {
	t.Parallel()
	d := newFullDeployment(t)
	e := d.newEnvironment("prod")
	path := "/environments/" + e.ID + "/addons-metadata"
	empty := d.as(d.submitter, "an empty library", "GET", path, "", 200)
	empty.WantJSON = `{"addons": []}`
	d.run(empty)
	for i, chart := range []string{"web 1.0.0", "redis 1.10.0", "redis 1.9.0", "mysql 2.0.0-rc.1", "mysql 1.0.0", "a 0.1.0", "z 1.0.0+build"} {
		name, version, _ := strings.Cut(chart, " ")
		d.AddChart(t, name, version, fmt.Sprint(i))
	}
	d.handler = d.newHandler(twoCharts{d.catalog}) // on several pages
	all := d.as(d.submitter, "all charts with their newest versions", "GET", path, "", 200)
	all.WantJSON = `{"addons": [{"name": "a", "latest_version": "0.1.0"}, {"name": "mysql", "latest_version": "2.0.0-rc.1"},
		{"name": "redis", "latest_version": "1.10.0"}, {"name": "web", "latest_version": "1.0.0"}, {"name": "z", "latest_version": "1.0.0+build"}]}`
	d.run(all)
}

// twoCharts is a catalog that gives two charts a page.
type twoCharts struct{ *catalog.Catalog }

func (c twoCharts) ListCharts(ctx context.Context, projectID string, _ int, cursor string) ([]catalog.Chart, string, error) {
	return c.Catalog.ListCharts(ctx, projectID, 2, cursor)
}

// A failure of ours is never the caller's, and says nothing of us.
func TestDeliveriesThatAreNotStarted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	path, body := "/environments/"+e.ID+"/addons", `{"name": "redis", "cce_id": "gitops"}`
	failing := func(name string, status int, message string) apitest.Scenario {
		s := d.as(d.developer, name, "POST", path, body, status)
		s.Check, s.WantNotBody = refusal("SVCSTG.00100500", message), []string{"secret"}
		return s
	}
	d.jobs.startErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(errors.New("a secret of ours"))
	d.run(failing("away", 503, "Try again."))
	d.jobs.startErr = errors.New("a secret of ours")
	d.run(failing("broken", 500, "internal error"))
	// The start decides, not what was seen before.
	d.jobs.startErr = fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails("the-other")
	d.run(d.refused("another was faster", "POST", path, body, "SVCSTG.00100400", "A job runs (JOBthe-other)."))
	addons, err := d.catalog.ListAddons(t.Context(), d.project.ID, e.ID)
	require.NoError(t, err)
	require.Empty(t, addons, "nothing shows of what was refused")
	d.jobs.startErr = nil

	// A job that has ended before the API could show it is a job all the same.
	d.handler = d.newHandler(endingCatalog{d.catalog})
	var created servicestage.AddonCreated
	d.run(into(d.as(d.developer, "one that ends at once", "POST", path, body, 200), &created))
	require.Equal(t, "JOB"+d.last().JobID, created.JobID)

	// An add-on that somebody has made meanwhile.
	d.handler = d.newHandler(faultyCatalog{d.catalog, fault.New(fault.Conflict, "catalog.addon_exists", "there is one").WithDetails("the-other")})
	d.run(d.refused("made meanwhile", "POST", path, body, "SVCSTG.00100400", "(the-other)"))
	d.end(catalog.JobFailed)
	d.handler = d.newHandler(faultyCatalog{d.catalog, fault.New(fault.NotFound, "catalog.chart_not_found", "no such chart")})
	d.run(d.refused("the chart was deleted meanwhile", "POST", path, body, "SVCSTG.00100400", "no such chart"))
	d.handler = d.newHandler(faultyCatalog{d.catalog, errors.New("a secret of ours")})
	d.end(catalog.JobFailed)
	d.run(failing("the catalog is away", 500, "internal error"))
}

// endingCatalog has jobs end before their deliveries are begun.
type endingCatalog struct{ *catalog.Catalog }

func (c endingCatalog) BeginDelivery(ctx context.Context, d catalog.Delivery) (catalog.Addon, catalog.Chart, error) {
	if _, err := c.EndJob(ctx, d.JobID, catalog.JobOutcome{State: catalog.JobFailed}); err != nil {
		return catalog.Addon{}, catalog.Chart{}, err
	}
	return c.Catalog.BeginDelivery(ctx, d)
}

// faultyCatalog begins no delivery.
type faultyCatalog struct {
	*catalog.Catalog
	err error
}

func (c faultyCatalog) BeginDelivery(context.Context, catalog.Delivery) (catalog.Addon, catalog.Chart, error) {
	return catalog.Addon{}, catalog.Chart{}, c.err
}

func TestSubmissionHeaders(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	e := d.newEnvironment("prod")
	created := d.installed(e, "redis")
	for _, o := range operations(e.ID, created.ID)[5:] {
		if o.method == http.MethodGet {
			continue
		}
		t.Run(o.method+" "+o.path, func(t *testing.T) {
			var scenarios []apitest.Scenario
			for name, key := range map[string]string{"with a space": "a b", "too long": strings.Repeat("k", 256), "not ASCII": "é"} {
				scenarios = append(scenarios, keyed(d.refused("a key "+name, o.method, o.path, o.body, "SVCSTG.00100400", "Idempotency-Key"), key))
			}
			twice := d.refused("two keys", o.method, o.path, o.body, "SVCSTG.00100400", "Idempotency-Key")
			twice.Prepare = func(_ testing.TB, r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }
			scenarios = append(scenarios, twice)
			for choice, message := range map[string]string{"queue": "do not wait", "replace": "do not wait", "ignore": "Assetflow-On-Conflict"} {
				s := d.refused("on conflict: "+choice, o.method, o.path, o.body, "SVCSTG.00100400", message)
				s.Headers["Assetflow-On-Conflict"] = choice
				scenarios = append(scenarios, s)
			}
			apitest.Run(t, d.handler, apitest.Validator(t, servicestage.Document()), scenarios)
		})
	}
	require.Len(t, d.jobs.started, 1)
}

func TestIdempotentDeliveries(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	d.AddChart(t, "web", "1.0.0", "2")
	e := d.newEnvironment("prod")
	addons := "/environments/" + e.ID + "/addons"
	body := `{"name": "redis", "cce_id": "gitops"}`
	create := func(name string) apitest.Scenario { return d.as(d.developer, name, "POST", addons, body, 200) }
	var first, again servicestage.AddonCreated
	d.run(
		keyed(d.refused("a refusal is not remembered", "POST", addons, `{"name": "none", "cce_id": "gitops"}`, "SVCSTG.00100400", "no chart"), "k"),
		into(keyed(create("first"), "k"), &first),
		into(replayed(create("again, while it runs"), "k"), &again),
	)
	require.Equal(t, first, again)
	spaced := replayed(create("the same, written otherwise"), "k")
	spaced.Body = ` { "cce_id" : "gitops", "name":"redis", "more": 1 }`
	d.run(
		into(spaced, &again),
		keyed(d.refused("another body", "POST", addons, `{"name": "web", "cce_id": "gitops"}`, "SVCSTG.00100400", "another request"), "k"),
		keyed(d.refused("another operation", "DELETE", addons+"/"+first.ID, "", "SVCSTG.00100400", "another request"), "k"),
		d.refused("without the key it is another request", "POST", addons, body, "SVCSTG.00100400", first.JobID),
	)
	require.Equal(t, first, again)
	d.commit("1")
	d.run(into(replayed(create("again, when it has ended"), "k"), &again))
	require.Equal(t, first, again)
	require.Len(t, d.jobs.started, 1)

	// The others, of which the last takes the add-on away.
	path := addons + "/" + first.ID
	for i, o := range []operation{{"POST", path + "/action", `{"action": "restart"}`}, {"POST", path + "/action", `{"action": "redeploy"}`}, {"DELETE", path, ""}} {
		key := fmt.Sprint("key-", i)
		var started, again servicestage.JobStarted
		d.run(into(keyed(d.as(d.developer, "first: "+o.method+o.body, o.method, o.path, o.body, 200), key), &started))
		d.commit(fmt.Sprint(i + 2))
		d.run(into(replayed(d.as(d.developer, "again: "+o.method+o.body, o.method, o.path, o.body, 200), key), &again))
		require.Equal(t, started, again)
	}
	require.Len(t, d.jobs.started, 4)
	d.run(d.missing("it is gone", "GET", path, "", "SVCSTG.00100404"))

	// A colleague's key is another one.
	colleague := d.newCaller("dev2", auth.RoleDevelop)
	d.run(into(keyed(d.as(colleague, "a colleague's", "POST", addons, body, 200), "k"), &again))
	require.NotEqual(t, first.ID, again.ID)
}

// A process that died between the start and its answer leaves a job: whoever repeats the request gets that one, and the
// add-on that it makes.
func TestInterruptedDeliveriesAreCarriedThrough(t *testing.T) {
	t.Parallel()
	lost := fault.New(fault.Unavailable, jobs.CodeNotReady, "Away.")
	for name, c := range map[string]struct {
		interrupt func(*deployment)
		between   func(*deployment)
	}{
		"not started":                  {func(d *deployment) { d.jobs.startErr = lost }, func(*deployment) {}},
		"started":                      {func(d *deployment) { d.jobs.lostErr = lost }, func(*deployment) {}},
		"started and begun by the job": {func(d *deployment) { d.jobs.lostErr = lost }, func(d *deployment) { d.begin() }},
		"succeeded":                    {func(d *deployment) { d.jobs.lostErr = lost }, func(d *deployment) { d.begin(); d.commit("r") }},
		"failed":                       {func(d *deployment) { d.jobs.lostErr = lost }, func(d *deployment) { d.begin(); d.end(catalog.JobFailed) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t)
			d.AddChart(t, "redis", "1.0.0", "1")
			e := d.newEnvironment("prod")
			addons := "/environments/" + e.ID + "/addons"
			interrupted := func(key string, o operation) string {
				c.interrupt(d)
				first := keyed(d.as(d.developer, "interrupted "+key, o.method, o.path, o.body, 503), key)
				first.Check = refusal("SVCSTG.00100500", "Away.")
				d.run(first)
				d.jobs.startErr, d.jobs.lostErr = nil, nil
				c.between(d)
				claim, _, err := d.catalog.ClaimSubmission(t.Context(), d.developer.user.ID, key, "some other fingerprint", catalog.NewID(), time.Now())
				require.NoError(t, err)
				return claim.JobID
			}
			create := operation{"POST", addons, `{"name": "redis", "cce_id": "gitops"}`}
			jobID := interrupted("create", create)
			var created servicestage.AddonCreated
			d.run(into(keyed(d.as(d.developer, "again", create.method, create.path, create.body, 200), "create"), &created))
			require.Equal(t, "JOB"+jobID, created.JobID)
			addon := d.show(e, created.ID)
			require.Equal(t, created.JobID, addon.JobID)
			if _, err := d.catalog.Addon(t.Context(), d.project.ID, e.ID, created.ID); addon.Status == servicestage.AddonStatusINITIALIZING {
				require.NoError(t, err)
				d.commit("1")
			}

			remove := operation{"DELETE", addons + "/" + created.ID, ""}
			jobID = interrupted("remove", remove)
			var started servicestage.JobStarted
			d.run(into(keyed(d.as(d.developer, "removed again", remove.method, remove.path, remove.body, 200), "remove"), &started))
			require.Equal(t, "JOB"+jobID, started.JobID)
			ids := map[string]bool{}
			for _, sub := range d.jobs.started {
				ids[sub.JobID] = true
			}
			require.Len(t, ids, 2, "no second job")
		})
	}
}

// begin does what the first step of the job that was started last does.
func (d *deployment) begin() {
	d.t.Helper()
	sub := d.last()
	_, _, err := d.catalog.BeginDelivery(d.t.Context(), catalog.Delivery{
		JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, Action: sub.Action, EnvironmentID: sub.EnvironmentID,
		AddonID: sub.AddonID, Name: sub.Name, TargetID: sub.TargetID, CSEID: sub.CSEID,
	})
	require.NoError(d.t, err)
}

// Fifty requests at once make one add-on: with a key all are given it, without all but one are told which job is in the way.
func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.AddChart(t, "redis", "1.0.0", "1")
	d.AddChart(t, "web", "1.0.0", "2")
	e := d.newEnvironment("prod")
	server := httptest.NewServer(d.handler)
	t.Cleanup(server.Close)
	post := func(name, key string) (statuses map[int]int, answers map[string]int) {
		var requests sync.WaitGroup
		var mu sync.Mutex
		statuses, answers = map[int]int{}, map[string]int{}
		for range 50 {
			requests.Go(func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+d.prefix+"/environments/"+e.ID+"/addons",
					strings.NewReader(fmt.Sprintf(`{"name": %q, "cce_id": "gitops"}`, name)))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("X-Auth-Token", d.developer.token)
				if key != "" {
					r.Header.Set("Idempotency-Key", key)
				}
				resp, err := server.Client().Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = resp.Body.Close() }()
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				statuses[resp.StatusCode]++
				answers[string(body)]++
			})
		}
		requests.Wait()
		return statuses, answers
	}
	statuses, answers := post("redis", "k")
	require.Equal(t, map[int]int{200: 50}, statuses, answers)
	require.Len(t, answers, 1)
	require.Len(t, d.jobs.started, 1)

	statuses, answers = post("web", "")
	require.Equal(t, map[int]int{200: 1, 400: 49}, statuses, answers)
	require.Len(t, d.jobs.started, 2)
	for answer := range answers {
		require.Contains(t, answer, "JOB"+d.last().JobID)
	}
	addons, err := d.catalog.ListAddons(t.Context(), d.project.ID, e.ID)
	require.NoError(t, err)
	require.Len(t, addons, 2)
}
