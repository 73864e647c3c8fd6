package command

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	addonUUID   = "0194f7a0-2222-7000-8000-000000002222"
	addonsPath  = environmentPath + "/addons"
	targetsPath = "/api/v1/projects/" + projectID + "/targets"
	stageJob    = "JOB" + jobUUID
)

func addonJSON(id, name, target, version, status string) string {
	return `{"id":"` + id + `","name":"` + name + `","version":"` + version + `","cce_id":"` + target + `","cse_id":"","job_id":"` + stageJob + `",
		"environment_id":"` + environmentUUID + `","status":"` + status + `"}`
}

// addonsOf answers with the add-ons of the environment.
func addonsOf(list ...string) http.HandlerFunc {
	return reply(200, `{"addons":[`+strings.Join(list, ",")+`]}`)
}

// starts answers as a request does that starts a job, and notes its body and key.
func starts(t *testing.T, body, key *string) http.HandlerFunc {
	answer := noting(t, body, reply(200, `{"job_id":"`+stageJob+`","id":"`+addonUUID+`"}`))
	return func(w http.ResponseWriter, r *http.Request) {
		*key = r.Header.Get("Idempotency-Key")
		if r.Header.Get("Assetflow-On-Conflict") != "" {
			t.Error("jobs of add-ons do not wait")
		}
		answer(w, r)
	}
}

func TestAddonOutput(t *testing.T) {
	t.Parallel()
	installed := addonJSON(addonUUID, "demo", "gitops", "1.2.0", "SUCCEEDED")
	failed := addonJSON("0194f7a0-2222-7000-8000-000000002223", "proxy", "prod-1", "", "FAILED")
	moving := addonJSON("0194f7a0-2222-7000-8000-000000002224", "cache", "prod-1", "0.1.0", "UPGRADING")
	var body, key string
	endpoint := service(t, routes{
		"GET " + stagePath + "/environments":             environmentsNamed("production", "test"),
		"GET " + addonsPath:                              addonsOf(installed, failed, moving),
		"GET " + addonsPath + "/" + addonUUID:            reply(200, installed),
		"GET " + addonsPath + "/" + addonUUID[:35] + "3": reply(200, failed),
		"GET " + addonsPath + "/" + addonUUID[:35] + "4": reply(200, moving),
		"GET " + targetsPath:                             reply(200, `{"targets":[{"id":"gitops","kind":"bucket"},{"id":"prod-1","kind":"cluster"}]}`),
		"POST " + addonsPath:                             starts(t, &body, &key),
	})
	for name, args := range map[string]string{
		"addon-list":         "addon list --environment production",
		"addon-list-json":    "addons list -o json --environment production",
		"addon-show":         "addon show demo --environment production",
		"addon-show-json":    "addon show " + addonUUID + " --environment " + environmentUUID + " -o json",
		"addon-show-failed":  "addon show proxy --environment production",
		"addon-show-moving":  "addon show cache --environment production",
		"addon-targets":      "addon targets",
		"addon-targets-json": "addon targets -o json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), strings.Fields(args)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestAddonsStartJobs(t *testing.T) {
	t.Parallel()
	follow := "Watch it:   assetflow job watch " + jobUUID + "\nCancel it:  assetflow job cancel " + jobUUID + "\n"
	const in = " --environment production"
	for args, c := range map[string]struct{ method, body, key, stdout string }{
		"install demo --target gitops" + in:                                     {"POST", `{"name":"demo","cce_id":"gitops"}`, "", "Job " + jobUUID + " has started, for the add-on " + addonUUID + ".\n" + follow},
		"install demo --target gitops --cse-id c --idempotency-key k-1 -q" + in: {"POST", `{"name":"demo","cce_id":"gitops","cse_id":"c"}`, "k-1", jobUUID + "\n"},
		"install demo --target gitops -o json" + in:                             {"POST", `{"name":"demo","cce_id":"gitops"}`, "", "{\n  \"id\": \"" + addonUUID + "\",\n  \"job_id\": \"" + jobUUID + "\"\n}\n"},
		"redeploy demo --idempotency-key k-2" + in:                              {"action", `{"action":"redeploy"}`, "k-2", "Job " + jobUUID + " has started.\n" + follow},
		"restart " + strings.ToUpper(addonUUID) + " -o json" + in:               {"action", `{"action":"restart"}`, "", "{\n  \"job_id\": \"" + jobUUID + "\"\n}\n"},
		"uninstall demo -q" + in:                                                {"DELETE", "", "", jobUUID + "\n"},
		"uninstall demo --idempotency-key k-3" + in:                             {"DELETE", "", "k-3", "Job " + jobUUID + " has started.\n" + follow},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			body, key, method := "none", "none", ""
			answer := starts(t, &body, &key)
			as := func(name string) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					method = name
					answer(w, r)
				}
			}
			endpoint := service(t, routes{
				"GET " + stagePath + "/environments":               environmentsNamed("production", "test"),
				"GET " + addonsPath:                                addonsOf(addonJSON(addonUUID, "demo", "gitops", "1.2.0", "SUCCEEDED")),
				"POST " + addonsPath:                               as("POST"),
				"POST " + addonsPath + "/" + addonUUID + "/action": as("action"),
				"DELETE " + addonsPath + "/" + addonUUID:           as("DELETE"),
			})
			r := signedIn(t, endpoint).exec(t.Context(), append([]string{"addon"}, strings.Fields(args)...)...)
			require.Equal(t, result{stdout: c.stdout}, r)
			require.Equal(t, []string{c.method, c.body, c.key}, []string{method, body, key})
		})
	}
}

func TestWhatThereIsOneOfNeedNotBeNamed(t *testing.T) {
	t.Parallel()
	var body, key string
	endpoint := service(t, routes{
		"GET " + stagePath + "/environments": environmentsNamed("production"),
		"GET " + targetsPath:                 reply(200, `{"targets":[{"id":"gitops","kind":"bucket"}]}`),
		"POST " + addonsPath:                 starts(t, &body, &key),
		"GET " + addonsPath:                  addonsOf(),
	})
	r := signedIn(t, endpoint).exec(t.Context(), "addon", "install", "demo")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "In the environment production, the only one of the project.\nTo the target gitops, the only one.\n", r.stderr)
	require.Equal(t, `{"name":"demo","cce_id":"gitops"}`, body)
	r = signedIn(t, endpoint).exec(t.Context(), "addon", "install", "demo", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Empty(t, r.stderr)
	r = signedIn(t, endpoint).exec(t.Context(), "addon", "list")
	require.Equal(t, result{stderr: "In the environment production, the only one of the project.\nNo add-ons. Deliver one with `assetflow addon install NAME`.\n"}, r)
}

func TestWhatThereIsNotOneOfMustBeNamed(t *testing.T) {
	t.Parallel()
	many := strings.Fields("a b c d e f g h i j k")
	targets := make([]string, len(many))
	for i, name := range many {
		targets[i] = `{"id":"` + name + `","kind":"cluster"}`
	}
	const environments, one = "GET " + stagePath + "/environments", `{"id":"gitops","kind":"bucket"}`
	list := func(targets ...string) http.HandlerFunc {
		return reply(200, `{"targets":[`+strings.Join(targets, ",")+`]}`)
	}
	for name, c := range map[string]struct {
		routes routes
		code   int
		says   string
	}{
		"no environment":    {routes{environments: environmentsNamed()}, ExitNotFound, "the project has no environment\nMake one with `assetflow environment create NAME`."},
		"two environments":  {routes{environments: environmentsNamed("test", "prod")}, ExitUsage, "which environment?\nSay with --environment which of them:\n  test\n  prod\n"},
		"many environments": {routes{environments: environmentsNamed(many...)}, ExitUsage, "  i\n  j\n  …\n"},
		"no target":         {routes{environments: environmentsNamed("test"), "GET " + targetsPath: list()}, ExitNotFound, "the service has no target for this project"},
		"two targets": {
			routes{environments: environmentsNamed("test"), "GET " + targetsPath: list(one, targets[0])}, ExitUsage,
			"which target?\nSay with --target which of them:\n  gitops  bucket\n  a  cluster\n",
		},
		"many targets": {routes{environments: environmentsNamed("test"), "GET " + targetsPath: list(targets...)}, ExitUsage, "  j  cluster\n  …\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, service(t, c.routes)).exec(t.Context(), "addon", "install", "demo")
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Empty(t, r.stdout)
		})
	}
	r := signedIn(t, service(t, routes{"GET " + targetsPath: list()})).exec(t.Context(), "addon", "targets")
	require.Equal(t, result{stderr: "No targets. The service's configuration says which there are.\n"}, r)
}

func TestAddonsThatAreRefused(t *testing.T) {
	t.Parallel()
	running := stageRefusal(400, "00100400", "A job works on the add-on ("+stageJob+").")
	endpoint := service(t, routes{
		"GET " + stagePath + "/environments": environmentsNamed("test"),
		"GET " + addonsPath: addonsOf(addonJSON(addonUUID, "demo", "gitops", "1.2.0", "SUCCEEDED"),
			addonJSON(addonUUID, "proxy", "gitops", "1.2.0", "SUCCEEDED"), addonJSON(environmentUUID, "proxy", "prod-1", "1.2.0", "SUCCEEDED")),
		"GET " + addonsPath + "/" + addonUUID:              stageRefusal(404, "00100404", "There is no such add-on."),
		"POST " + addonsPath:                               stageRefusal(400, "00100400", "The library has no chart demo."),
		"POST " + addonsPath + "/" + addonUUID + "/action": running,
		"DELETE " + addonsPath + "/" + addonUUID: func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	})
	runs := "assetflow: a job of this add-on is running already: " + jobUUID + "\nWatch it:   assetflow job watch " + jobUUID + "\nCancel it:  assetflow job cancel " + jobUUID + "\n"
	for args, c := range map[string]struct {
		code int
		says string
	}{
		"show demo":                          {ExitNotFound, "There is no such add-on. (SVCSTG.00100404, HTTP 404, request r-1)\nCheck the ids, and that you have a role in the project; `assetflow addon list`"},
		"show none":                          {ExitNotFound, "the environment has no add-on of the name \"none\"\nSee what there is with `assetflow addon list`."},
		"restart proxy":                      {ExitUsage, "2 add-ons have the name \"proxy\"\nUse the id of one:\n  " + addonUUID + "  on gitops\n  " + environmentUUID + "  on prod-1\n"},
		"install demo --target x":            {ExitFailure, "The library has no chart demo. (SVCSTG.00100400, HTTP 400, request r-1)\nSee what there is with `assetflow addon charts`"},
		"redeploy demo":                      {ExitConflict, runs},
		"restart demo --wait":                {ExitConflict, runs},
		"uninstall demo":                     {ExitUnreachable, "The connection broke. See with `assetflow job list` whether the uninstall started nevertheless."},
		"uninstall demo --idempotency-key k": {ExitUnreachable, "Give the same command again"},
		"uninstall":                          {ExitUsage, "addon uninstall needs ADDON"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), append([]string{"addon"}, strings.Fields(args)...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.Empty(t, r.stdout)
		})
	}
}
