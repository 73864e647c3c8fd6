package client_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

const (
	environmentID = "0194f7a0-dddd-7000-8000-00000000dddd"
	addonID       = "0194f7a0-eeee-7000-8000-00000000eeee"
)

// requests notes what is asked for, as "METHOD path body", and answers all of it alike.
func requests(t *testing.T, got *[]string, status int, body string) *client.Client {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		text := fmt.Sprintf("%s %s %s %s", r.Method, strings.TrimPrefix(r.RequestURI, "/v3/"+project+"/cas"), r.Header.Get("Idempotency-Key"), content)
		*got = append(*got, strings.Join(strings.Fields(text), " "))
		if body == "" {
			w.WriteHeader(status)
			return
		}
		answer(w, status, "application/json;charset=utf8", body)
	})
}

func TestEnvironments(t *testing.T) {
	t.Parallel()
	const one = `{"id":"` + environmentID + `","name":"test","description":"d","project_id":"` + project + `","deploy_mode":"container","vpc_id":"v",
		"labels":[{"key":"k","value":"a"},{"key":"k","value":"b"}],"creator":"ada","create_time":1767355140000,"update_time":1767355200500}`
	var got []string
	cl := requests(t, &got, 200, one)
	made, err := cl.CreateEnvironment(t.Context(), client.NewEnvironment{Name: "test", VPCID: "v", Labels: []client.Label{{Key: "k", Value: "a"}}})
	require.NoError(t, err)
	require.Equal(t, client.Environment{
		ID: environmentID, Name: "test", Description: "d", ProjectID: project, DeployMode: "container", VPCID: "v", Creator: "ada",
		Labels: []client.Label{{Key: "k", Value: "a"}, {Key: "k", Value: "b"}}, CreateTime: 1767355140000, UpdateTime: 1767355200500,
	}, made)
	require.Equal(t, time.Date(2026, 1, 2, 11, 59, 0, 0, time.UTC), made.Created().UTC())
	require.Equal(t, 500*time.Millisecond, made.Updated().Sub(made.Created().Add(time.Minute)))
	require.True(t, client.Environment{}.Created().IsZero())
	shown, err := cl.Environment(t.Context(), environmentID)
	require.NoError(t, err)
	require.Equal(t, made, shown)
	empty, labels := "", []client.Label{}
	_, err = cl.UpdateEnvironment(t.Context(), environmentID, client.EnvironmentChange{Description: &empty, Labels: &labels})
	require.NoError(t, err)
	require.Equal(t, []string{
		`POST /environments {"name":"test","vpc_id":"v","labels":[{"key":"k","value":"a"}]}`,
		"GET /environments/" + environmentID,
		"PUT /environments/" + environmentID + ` {"description":"","labels":[]}`,
	}, got)

	got = nil
	page, err := requests(t, &got, 200, `{"count":12,"environments":[`+one+`]}`).ListEnvironments(t.Context(), 5, 10)
	require.NoError(t, err)
	require.Equal(t, client.EnvironmentPage{Count: 12, Environments: []client.Environment{made}}, page)
	require.NoError(t, requests(t, &got, 204, "").DeleteEnvironment(t.Context(), environmentID))
	require.Equal(t, []string{"GET /environments?limit=5&offset=10", "DELETE /environments/" + environmentID}, got)

	_, err = requests(t, &got, 400, `{"error_code":"SVCSTG.00100449","error_msg":"The name is in use."}`).CreateEnvironment(t.Context(), client.NewEnvironment{})
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, client.CodeEnvironmentExists, refusal.Code)
	require.ErrorContains(t, err, "create the environment: The name is in use. (SVCSTG.00100449, HTTP 400, request r-1)")
}

func TestDeliveries(t *testing.T) {
	t.Parallel()
	var got []string
	cl := requests(t, &got, 200, `{"job_id":"JOB`+jobUUID+`","id":"`+addonID+`"}`)
	id, jobID, err := cl.InstallAddon(t.Context(), environmentID, client.NewAddon{Name: "demo", TargetID: "gitops", CSEID: "c"}, "k-1")
	require.NoError(t, err)
	require.Equal(t, []string{addonID, jobUUID}, []string{id, jobID})
	jobID, err = cl.DeliverAddon(t.Context(), environmentID, addonID, client.Restart, "")
	require.NoError(t, err)
	require.Equal(t, jobUUID, jobID)
	jobID, err = cl.UninstallAddon(t.Context(), environmentID, addonID, "k-2")
	require.NoError(t, err)
	require.Equal(t, jobUUID, jobID)
	addons := "/environments/" + environmentID + "/addons"
	require.Equal(t, []string{
		"POST " + addons + ` k-1 {"name":"demo","cce_id":"gitops","cse_id":"c"}`,
		"POST " + addons + "/" + addonID + `/action {"action":"restart"}`,
		"DELETE " + addons + "/" + addonID + " k-2",
	}, got)

	for body, says := range map[string]string{
		`{"id":"` + addonID + `"}`:                                 "the answer carries no job id",
		`{"job_id":"JOB` + jobUUID + `"}`:                          "the answer carries no id of the add-on",
		`{"job_id":"JOB-of-a-kind","id":"` + addonID + `"}`:        "a job id is a UUID",
		`{"job_id":["JOB` + jobUUID + `"],"id":"` + addonID + `"}`: "read the answer",
	} {
		_, _, err := requests(t, &got, 200, body).InstallAddon(t.Context(), environmentID, client.NewAddon{Name: "demo"}, "")
		require.ErrorContains(t, err, "install add-on demo")
		require.ErrorContains(t, err, says)
	}
}

func TestAJobOfTheAddonIsInTheWay(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"A job works on the add-on (JOB" + jobUUID + ").":                              jobHex,
		"The add-on has a job that runs. It is the job JOB" + strings.ToUpper(jobUUID): jobHex,
		"The target has the add-on " + addonID + " of this name.":                      "",
		"The parameter name is wrong: XJOB" + jobUUID + ".":                            "",
	} {
		var got []string
		_, err := requests(t, &got, 400, `{"error_code":"SVCSTG.00100400","error_msg":"`+message+`"}`).DeliverAddon(t.Context(), environmentID, addonID, client.Redeploy, "")
		var refusal *client.Error
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, want, refusal.RunningJob(), message)
		require.Len(t, got, 1, "a start is sent once")
	}
}

func TestAddonsAndTargets(t *testing.T) {
	t.Parallel()
	const one = `{"id":"` + addonID + `","name":"demo","version":"1.2.0","cce_id":"gitops","cse_id":"c","job_id":"JOB` + jobUUID + `",
		"environment_id":"` + environmentID + `","status":"SUCCEEDED"}`
	want := client.Addon{
		ID: addonID, Name: "demo", Version: "1.2.0", TargetID: "gitops", CSEID: "c", JobID: "JOB" + jobUUID, EnvironmentID: environmentID, Status: client.AddonSucceeded,
	}
	var got []string
	list, err := requests(t, &got, 200, `{"addons":[`+one+`]}`).ListAddons(t.Context(), environmentID)
	require.NoError(t, err)
	require.Equal(t, []client.Addon{want}, list)
	addon, err := requests(t, &got, 200, one).Addon(t.Context(), environmentID, addonID)
	require.NoError(t, err)
	require.Equal(t, want, addon)
	targets, err := requests(t, &got, 200, `{"targets":[{"id":"gitops","kind":"bucket"}]}`).ListTargets(t.Context())
	require.NoError(t, err)
	require.Equal(t, []client.Target{{ID: "gitops", Kind: "bucket"}}, targets)
	require.Equal(t, []string{
		"GET /environments/" + environmentID + "/addons", "GET /environments/" + environmentID + "/addons/" + addonID, "GET /api/v1/projects/" + project + "/targets",
	}, got)
}

func TestJobsOfDeliveries(t *testing.T) {
	t.Parallel()
	id, err := client.CanonicalJobID("JOB" + jobUUID)
	require.NoError(t, err)
	require.Equal(t, jobUUID, id)
	_, err = client.CanonicalJobID("JOBJOB" + jobUUID)
	require.ErrorIs(t, err, client.ErrBadJobID)

	body := `{"id":"` + jobUUID + `","kind":"addon-delivery","state":"running","progress":0.5,"attempt":3,"last_failure":"The target is away.",
		"tasks":[{"index":0,"name":"Load the chart","state":"succeeded","messages":["demo 1.2.0"],"created_at":"2026-01-02T11:59:00Z","updated_at":"2026-01-02T11:59:01Z"}],
		"workloads":[{"kind":"Deployment","name":"demo","ready":1,"wanted":2,"message":"pulling"}]}`
	var got []string
	cl := requests(t, &got, 200, body)
	job, err := cl.ShowJob(t.Context(), "JOB"+jobUUID)
	require.NoError(t, err)
	require.Equal(t, client.KindDelivery, job.Kind)
	require.Equal(t, []client.Workload{{Kind: "Deployment", Name: "demo", Ready: 1, Wanted: 2, Message: "pulling"}}, job.Workloads)
	require.Equal(t, "demo 1.2.0", job.Tasks[0].Messages[0])
	require.Equal(t, 3, job.Attempt)
	_, err = cl.CancelJob(t.Context(), jobUUID)
	require.NoError(t, err)
	_, err = cl.CancelJobLeaving(t.Context(), jobHex)
	require.NoError(t, err)
	path := "/api/v1/jobs/" + jobUUID
	require.Equal(t, []string{"GET " + path, "POST " + path + "/cancel", "POST " + path + "/cancel?leave=true"}, got)

	plain, err := json.Marshal(client.JobDetail{Kind: client.KindImport})
	require.NoError(t, err)
	require.NotContains(t, string(plain), "tasks", "what only deliveries have is not there with others")
}
