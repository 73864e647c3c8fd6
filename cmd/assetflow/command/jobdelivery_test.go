package command

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

func deliveryJob(state, progress, more string) string {
	return `{"id":"` + jobUUID + `","kind":"addon-delivery","project_id":"` + projectID + `","instance_id":"","user_id":"u1","user_name":"ada",
		"workflow_id":"addon:` + projectID + `:` + environmentUUID + `:gitops/demo","subject":"demo","state":"` + state + `","progress":` + progress + `,"reasons":[],
		"created_at":"2026-01-02T11:59:00Z","request":{"action":"install","environment_id":"` + environmentUUID + `","environment_name":"production",
		"addon_id":"` + addonUUID + `","name":"demo","cce_id":"gitops"}` + more + `}`
}

// tasks gives the field of a job with its tasks, each "state|name|message|…"; each takes two seconds.
func tasks(list ...string) string {
	texts := make([]string, len(list))
	for i, task := range list {
		parts := strings.Split(task, "|")
		messages := ""
		if len(parts) > 2 {
			messages = `"` + strings.Join(parts[2:], `","`) + `"`
		}
		texts[i] = fmt.Sprintf(`{"index":%d,"name":%q,"state":%q,"messages":[%s],"created_at":"2026-01-02T11:59:%02dZ","updated_at":"2026-01-02T11:59:%02dZ"}`,
			i, parts[1], parts[0], messages, 2*i, 2*i+2)
	}
	return `,"tasks":[` + strings.Join(texts, ",") + `]`
}

const (
	loaded  = "succeeded|Load the chart|demo 1.2.0 from the library."
	applied = "succeeded|Apply the chart|A stuck \\u001b[2J release was recovered.|Revision 3."
	awaits  = "running|Wait until the workloads are ready"
	isAway  = "The target gitops cannot be reached: connection refused."

	installed  = `,"ended_at":"2026-01-02T11:59:20Z","result":{"action":"install","addon_id":"` + addonUUID + `","name":"demo","cce_id":"gitops","version":"1.2.0","revision":"3"}`
	oneOfTwo   = `,"workloads":[{"kind":"Deployment","name":"demo","ready":1,"wanted":2,"message":"Pulling the image."},{"kind":"Job","name":"setup","ready":1,"wanted":1,"message":""}]`
	away       = `,"step":"Apply the chart","attempt":3,"last_failure":"` + isAway + `"`
	notHealthy = `,"ended_at":"2026-01-02T11:59:20Z","reasons":[{"resource_type":"add-on","resource_name":"demo","code":"not_healthy","message":"Deployment demo has 1 of 2 replicas."}]`
)

func TestShowADelivery(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"job-show-delivery":           deliveryJob("succeeded", "1", installed+tasks(loaded, applied, "succeeded|Wait until the workloads are ready")),
		"job-show-delivery-running":   deliveryJob("running", "0.5", `,"step":"Wait until the workloads are ready","attempt":1`+oneOfTwo+tasks(loaded, applied, awaits)),
		"job-show-delivery-away":      deliveryJob("running", "0.2", away+tasks(loaded, "running|Apply the chart|"+isAway)),
		"job-show-delivery-failed":    deliveryJob("failed", "0.97", notHealthy+tasks(loaded, applied, "failed|Wait until the workloads are ready|It took too long.", "succeeded|Roll back")),
		"job-show-delivery-submitted": deliveryJob("running", "0", ""),
		"job-show-uninstalled":        strings.ReplaceAll(deliveryJob("succeeded", "1", installed), "install", "uninstall"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint := service(t, routes{"GET /api/v1/jobs/" + jobUUID: reply(200, body)})
			r := signedIn(t, endpoint).exec(t.Context(), "job", "show", stageJob)
			require.Equal(t, ExitOK, r.code, r.stderr)
			require.NotContains(t, r.stdout, "\x1b")
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
			r = signedIn(t, endpoint).exec(t.Context(), "job", "show", stageJob, "-o", "json")
			require.JSONEq(t, body, r.stdout, "scripts get all of it")
		})
	}
}

func TestWatchADelivery(t *testing.T) {
	t.Parallel()
	twoOfTwo := strings.ReplaceAll(strings.Replace(oneOfTwo, "Pulling the image.", "", 1), `"ready":1,"wanted":2`, `"ready":2,"wanted":2`)
	steps := []http.HandlerFunc{
		reply(200, deliveryJob("running", "0", "")),
		reply(200, deliveryJob("running", "0.02", `,"step":"Load the chart"`+tasks("running|Load the chart"))),
		reply(200, deliveryJob("running", "0.1", strings.Replace(away, "3", "2", 1)+tasks(loaded, "running|Apply the chart|"+isAway))),
		reply(200, deliveryJob("running", "0.1", away+tasks(loaded, "running|Apply the chart|"+isAway))),
		reply(200, deliveryJob("running", "0.5", oneOfTwo+tasks(loaded, applied, awaits))),
		reply(200, deliveryJob("running", "0.9", twoOfTwo+tasks(loaded, applied, awaits))),
	}
	good := reply(200, deliveryJob("succeeded", "1", installed+tasks(loaded, applied, "succeeded|Wait until the workloads are ready|All are ready.", "succeeded|Commit to the catalog")))
	bad := func(state, more string) http.HandlerFunc {
		return reply(200, deliveryJob(state, "0.97", more+tasks(loaded, applied, "failed|Wait until the workloads are ready|It took too long.", "succeeded|Roll back")))
	}
	for name, c := range map[string]struct {
		last http.HandlerFunc
		args string
		code int
	}{
		"addon-install-wait":    {good, "addon install demo --environment production --target gitops --wait", ExitOK},
		"addon-install-quiet":   {good, "addon install demo --environment production --target gitops --wait -q", ExitOK},
		"addon-redeploy-failed": {bad("failed", notHealthy), "addon redeploy " + addonUUID + " --environment production --wait", ExitJobFailed},
		"job-watch-cancelled":   {bad("cancelled", `,"ended_at":"2026-01-02T11:59:20Z"`), "job watch " + stageJob, ExitJobFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body, key string
			a := signedIn(t, service(t, routes{
				"GET " + stagePath + "/environments":               environmentsNamed("production"),
				"POST " + addonsPath:                               starts(t, &body, &key),
				"POST " + addonsPath + "/" + addonUUID + "/action": starts(t, &body, &key),
				"GET /api/v1/jobs/" + jobUUID:                      inTurn(append(steps[:len(steps):len(steps)], c.last)...),
			}))
			r := a.exec(t.Context(), strings.Fields(c.args)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.NotContains(t, r.stdout+r.stderr, "\x1b")
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestWatchADeliveryOnATerminal(t *testing.T) {
	t.Parallel()
	a := signedIn(t, service(t, routes{"GET /api/v1/jobs/" + jobUUID: inTurn(
		reply(200, deliveryJob("running", "0.5", oneOfTwo+tasks(loaded, applied, awaits))), reply(200, deliveryJob("succeeded", "1", installed+tasks(loaded, applied))),
	)}))
	a.terminal = func(any) bool { return true }
	r := a.exec(t.Context(), "job", "watch", jobUUID)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Regexp(t, `\rWait until the workloads are ready\s+50% \[=+> +\]`, r.stderr)
	require.Contains(t, r.stderr, "\r  Deployment demo ready 1 of 2: Pulling the image.\n", "the bar makes room for it")
}

// lines is a meter that keeps what it is told.
type lines struct{ said []string }

func (m *lines) at(done int64, what string) {
	m.said = append(m.said, fmt.Sprintf("%s %d", what, done))
}
func (m *lines) say(line string) { m.said = append(m.said, line) }
func (m *lines) end()            {}

func TestADeliveryIsNotReportedTwice(t *testing.T) {
	t.Parallel()
	at := now
	m := &lines{}
	w := deliveryWatch{meter: m, now: func() time.Time { return at }}
	report := func(after time.Duration, attempt int, failure string, list ...client.JobTask) []string {
		at = at.Add(after)
		m.said = nil
		w.report(client.JobDetail{State: client.JobRunning, Attempt: attempt, LastFailure: failure, Tasks: list})
		return m.said
	}
	task := func(name, state string, messages ...string) client.JobTask {
		return client.JobTask{Name: name, State: state, Messages: messages}
	}
	require.Equal(t, []string{"Load 0", "Load 0"}, report(0, 1, "", task("Load", "running")))
	require.Equal(t, []string{"Load 0", "  Attempt 2, after: Away."}, report(time.Second, 2, "Away.", task("Load", "running", "Away.")))
	require.Equal(t, []string{"Load 0"}, report(time.Second, 3, "Away.", task("Load", "running", "Away.")), "now and then is enough")
	require.Equal(t, []string{"Load 0", "  Attempt 9, after: Away."}, report(lineEvery, 9, "Away.", task("Load", "running", "Away.")))
	require.Equal(t, []string{"Load 0"}, report(lineEvery, 9, "Away.", task("Load", "running", "Away.")), "nothing is new")
	require.Equal(t, []string{"  It is here.", "Apply 0", "  One.", "Wait 0", "Wait 0"},
		report(time.Second, 1, "", task("Load", "succeeded", "It is here."), task("Apply", "succeeded", "One."), task("Wait", "running")), "also what came and went in between")
	require.Equal(t, []string{"Wait 0"}, report(time.Second, 1, "", task("Load", "succeeded", "It is here."), task("Apply", "succeeded", "One."), task("Wait", "running")))
	require.Equal(t, []string{"Apply 0"}, report(time.Second, 1, "", task("Load", "succeeded"), task("Apply", "running")), "a list that is shorter is no reason to fall over")
}

func TestWhatADeliveryWaitsFor(t *testing.T) {
	t.Parallel()
	workload := func(name string, ready int) client.Workload {
		return client.Workload{Kind: "Deployment", Name: name, Ready: ready, Wanted: 2}
	}
	require.Empty(t, waitsFor(client.JobDetail{Workloads: []client.Workload{workload("a", 2)}}))
	require.Equal(t, "Deployment b ready 1 of 2", waitsFor(client.JobDetail{Workloads: []client.Workload{workload("a", 2), workload("b", 1)}}))
	require.Equal(t, "Deployment a ready 0 of 2; Deployment b ready 1 of 2; Deployment c ready 1 of 2; and 2 more", waitsFor(client.JobDetail{
		Workloads: []client.Workload{workload("a", 0), workload("b", 1), workload("c", 1), workload("d", 1), workload("e", 0)},
	}))
}

func TestCancelADelivery(t *testing.T) {
	t.Parallel()
	var query string
	endpoint := service(t, routes{
		"POST /api/v1/jobs/" + jobUUID + "/cancel": func(w http.ResponseWriter, r *http.Request) {
			query = r.URL.RawQuery
			reply(202, deliveryJob("running", "0.5", ""))(w, r)
		},
		"GET /api/v1/jobs/" + jobUUID:                reply(200, deliveryJob("cancelled", "0.5", `,"ended_at":"2026-01-02T11:59:20Z"`+tasks(loaded, "cancelled|Apply the chart"))),
		"POST /api/v1/jobs/" + addonUUID + "/cancel": reply(400, `{"detail":"Only a delivery can be cancelled so that what it has changed stays.","code":"job.no_leave"}`),
	})
	r := signedIn(t, endpoint).exec(t.Context(), "job", "cancel", jobUUID)
	require.Equal(t, result{stdout: "Job " + jobUUID + " will stop and clean up.\n"}, r)
	require.Empty(t, query)
	r = signedIn(t, endpoint).exec(t.Context(), "job", "cancel", "--leave", jobUUID)
	require.Equal(t, result{stdout: "Job " + jobUUID + " will stop, and what it has changed on the target stays.\n"}, r)
	require.Equal(t, "leave=true", query)
	r = signedIn(t, endpoint).exec(t.Context(), "job", "cancel", "--leave", "--wait", jobUUID)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "Job "+jobUUID+" was cancelled after 20s.\n\nSTEP  TASK             STATE      TOOK  MESSAGES\n"+
		"1     Load the chart   succeeded  2s    demo 1.2.0 from the library.\n2     Apply the chart  cancelled  2s\n", r.stdout)
	r = signedIn(t, endpoint).exec(t.Context(), "job", "cancel", "--leave", addonUUID)
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, "Only a delivery can be cancelled")
}
