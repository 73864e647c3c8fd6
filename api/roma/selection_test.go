package roma_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/roma"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// entries is a JSON list of n assets with different ids.
func entries(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"id": "a%d"}`, i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestSelection(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	accepted := func(started *[]jobs.SelectionSubmission, want jobs.SelectionSubmission) func(testing.TB, *http.Response, []byte) {
		return func(t testing.TB, _ *http.Response, body []byte) {
			t.Helper()
			var got map[string]string
			require.NoError(t, json.Unmarshal(body, &got))
			require.Len(t, got, 1)
			require.Regexp(t, "^[0-9a-f]{32}$", got["job_id"])
			require.Len(t, *started, 1)
			sub := (*started)[0]
			*started = nil
			require.Equal(t, got["job_id"], strings.ReplaceAll(sub.JobID, "-", ""))
			want.JobID, want.ProjectID, want.InstanceID = sub.JobID, d.project.ID, d.instance.ID
			want.UserID, want.UserName = d.developer.user.ID, "dev"
			require.Equal(t, want, sub)
		}
	}
	scenario := func(operation, name, body string, apps, tasks []string) apitest.Scenario {
		started := &d.jobs.exports
		if operation == "delete" {
			started = &d.jobs.deletions
		}
		return apitest.Scenario{
			Name: operation + ": " + name, Method: http.MethodPost, URL: d.prefix + "/" + operation, Body: body,
			Headers:    map[string]string{"X-Auth-Token": d.developer.token, "Content-Type": "application/json"},
			WantStatus: http.StatusOK,
			WantHeaders: map[string]string{
				"X-Request-Id": "*", "Content-Type": "application/json", "Idempotency-Replayed": "",
			},
			Check: accepted(started, jobs.SelectionSubmission{Applications: apps, Tasks: tasks}),
		}
	}
	none := []string{}
	hundred := make([]string, 100)
	for i := range hundred {
		hundred[i] = fmt.Sprintf("a%d", i)
	}
	signed := scenario("delete", "signed as the vendor's SDK does", `{"apps": [{"id": "a"}], "tasks": []}`, []string{"a"}, none)
	delete(signed.Headers, "X-Auth-Token")
	signed.Prepare = d.developer.sign(time.Now())
	var scenarios []apitest.Scenario
	for _, operation := range []string{"export", "delete"} {
		scenarios = append(scenarios,
			scenario(operation, "both", `{"apps": [{"id": "a"}, {"id": "b"}], "tasks": [{"id": "t"}]}`, []string{"a", "b"}, []string{"t"}),
			scenario(operation, "only tasks", `{"apps": [], "tasks": [{"id": "t"}]}`, none, []string{"t"}),
			scenario(operation, "named twice", `{"apps": [{"id": "b"}, {"id": "a"}, {"id": "b"}], "tasks": [{"id": "a"}]}`, []string{"b", "a"}, []string{"a"}),
			scenario(operation, "unknown fields", `{"apps": [{"id": "a", "name": "x"}], "tasks": [], "force": true}`, []string{"a"}, none),
			scenario(operation, "a hundred", `{"apps": `+entries(100)+`, "tasks": []}`, hundred, none),
			scenario(operation, "longest id", `{"apps": [{"id": "`+strings.Repeat("é", 64)+`"}], "tasks": []}`, []string{strings.Repeat("é", 64)}, none),
		)
	}
	scenarios = append(scenarios, signed,
		scenario("export", "without tasks", `{"apps": [{"id": "a"}]}`, []string{"a"}, none),
		scenario("export", "null tasks", `{"apps": [{"id": "a"}], "tasks": null}`, []string{"a"}, none))
	apitest.Run(t, d.handler, apitest.Validator(t, roma.Document()), scenarios)
	require.Contains(t, d.jobs.checked, catalog.AssetExport)
	require.Contains(t, d.jobs.checked, catalog.AssetDelete)
}

func TestSelectionRefusals(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	modifier := d.newCaller("mod", auth.RoleModify)
	scenario := func(operation, name, body string, status int, code, message string) apitest.Scenario {
		return apitest.Scenario{
			Name: operation + ": " + name, Method: http.MethodPost, URL: d.prefix + "/" + operation, Body: body,
			Headers:    map[string]string{"X-Auth-Token": d.developer.token, "Content-Type": "application/json"},
			WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"}, Check: refusal(code, message, ""),
		}
	}
	good := `{"apps": [{"id": "a"}], "tasks": []}`
	var scenarios []apitest.Scenario
	for _, operation := range []string{"export", "delete"} {
		bad := func(name, body, message string) apitest.Scenario {
			return scenario(operation, name, body, 400, "ROMA.13000", message)
		}
		as := func(name string, c caller, status int, code string) apitest.Scenario {
			s := scenario(operation, name, good, status, code, "")
			s.Headers["X-Auth-Token"] = c.token
			return s
		}
		anonymous := scenario(operation, "not signed in", good, 401, "APIGW.0301", "")
		delete(anonymous.Headers, "X-Auth-Token")
		unknown := scenario(operation, "unknown instance", good, 404, "ROMA.1007", "")
		unknown.URL = "/v2/" + d.project.ID + "/instances/nowhere/assets/" + operation
		forged := scenario(operation, "not what was signed", good, 401, "APIGW.0301", "")
		delete(forged.Headers, "X-Auth-Token")
		forged.Prepare = func(t testing.TB, r *http.Request) {
			t.Helper()
			d.developer.sign(time.Now())(t, r)
			r.Body, r.GetBody = http.NoBody, nil
			replaced, err := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), strings.NewReader(strings.Replace(good, `"a"`, `"b"`, 1)))
			require.NoError(t, err)
			r.Body, r.GetBody = replaced.Body, replaced.GetBody
		}
		badConflict := scenario(operation, "unknown way to deal with a conflict", good, 400, "ROMA.13000", "Assetflow-On-Conflict")
		badConflict.Headers["Assetflow-On-Conflict"] = "wait"
		badKey := scenario(operation, "key with a space", good, 400, "ROMA.13000", "Idempotency-Key")
		badKey.Headers["Idempotency-Key"] = "a b"
		longKey := scenario(operation, "key too long", good, 400, "ROMA.13000", "Idempotency-Key")
		longKey.Headers["Idempotency-Key"] = strings.Repeat("k", 256)
		emptyKey := scenario(operation, "empty key", good, 400, "ROMA.13000", "Idempotency-Key")
		emptyKey.Headers["Idempotency-Key"] = ""
		twoKeys := scenario(operation, "two keys", good, 400, "ROMA.13000", "Idempotency-Key")
		twoKeys.Prepare = func(_ testing.TB, r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }
		scenarios = append(scenarios,
			scenario(operation, "no body", "", 400, "ROMA.13001", "body"),
			bad("nothing named", `{"apps": [], "tasks": []}`, "no asset"),
			bad("no lists", `{}`, "apps is missing"),
			bad("no apps", `{"tasks": [{"id": "t"}]}`, "apps is missing"),
			bad("null apps", `{"apps": null, "tasks": [{"id": "t"}]}`, "apps is missing"),
			bad("no JSON", `apps=a`, "JSON object"),
			bad("two values", good+good, "JSON object"),
			bad("cut off", good[:20], "JSON object"),
			bad("a list", `[]`, "JSON object"),
			bad("apps no list", `{"apps": {"id": "a"}, "tasks": []}`, "JSON object"),
			bad("plain ids", `{"apps": ["a"], "tasks": []}`, "JSON object"),
			bad("a number", `{"apps": [{"id": 7}], "tasks": []}`, "JSON object"),
			bad("no id", `{"apps": [{}], "tasks": []}`, "1 to 64"),
			bad("empty id", `{"apps": [], "tasks": [{"id": ""}]}`, "tasks needs an id"),
			bad("id too long", `{"apps": [{"id": "`+strings.Repeat("x", 65)+`"}], "tasks": []}`, "1 to 64"),
			bad("too many in a list", `{"apps": `+entries(101)+`, "tasks": []}`, "101 entries"),
			bad("too many together", `{"apps": `+entries(60)+`, "tasks": `+entries(41)+`}`, "101 assets"),
			scenario(operation, "a large body", `{"apps": [], "x": "`+strings.Repeat("x", 2<<20)+`"}`, 413, "ROMA.13000", ""),
			as("no right to", d.submitter, 403, "ROMA.1006"),
			as("no role", d.stranger, 404, "ROMA.1007"),
			anonymous, unknown, forged, badConflict, badKey, longKey, emptyKey, twoKeys,
		)
	}
	scenarios = append(scenarios,
		scenario("delete", "no tasks", `{"apps": [{"id": "a"}]}`, 400, "ROMA.13000", "tasks is missing"),
		scenario("delete", "null tasks", `{"apps": [{"id": "a"}], "tasks": null}`, 400, "ROMA.13000", "tasks is missing"))
	modify := scenario("delete", "one who may export only", good, 403, "ROMA.1006", "")
	modify.Headers["X-Auth-Token"] = modifier.token
	scenarios = append(scenarios, modify)
	v := apitest.Validator(t, roma.Document())
	apitest.Run(t, d.handler, v, scenarios)

	const running = "01936b2e-7f00-7abc-8def-0123456789ab"
	inTheWay := scenario("delete", "a job runs", good, 403, "ROMA.10012", "")
	inTheWay.Check = refusal("ROMA.10012", "", strings.ReplaceAll(running, "-", ""))
	d.jobs.running = running
	apitest.Run(t, d.handler, v, []apitest.Scenario{inTheWay})

	require.Empty(t, d.jobs.exports)
	require.Empty(t, d.jobs.deletions)

	// With a way to deal with it, the start is what decides.
	d.jobs.startErr = fault.New(fault.Conflict, jobs.CodeQueueFull, "The queue is full.")
	full := scenario("delete", "the queue is full", good, 403, "ROMA.10012", "queue is full")
	full.Headers["Assetflow-On-Conflict"] = "queue"
	apitest.Run(t, d.handler, v, []apitest.Scenario{full})
	d.jobs.startErr = nil
	for _, choice := range []jobs.OnConflict{jobs.OnConflictQueue, jobs.OnConflictReplace} {
		chosen := scenario("delete", "conflict: "+string(choice), good, 200, "", "")
		chosen.Headers["Assetflow-On-Conflict"] = string(choice)
		chosen.Check = nil
		apitest.Run(t, d.handler, v, []apitest.Scenario{chosen})
		require.Equal(t, choice, d.jobs.deletions[len(d.jobs.deletions)-1].OnConflict)
	}
}
