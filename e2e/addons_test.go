package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"assetflow/addons/addonstest"
	"assetflow/client"
	"assetflow/worker/workertest"
)

// target is the development stack's own.
const target = "gitops"

// environment makes an environment of the tenant's project.
func (tn *tenant) environment(t *testing.T) string {
	t.Helper()
	e, err := tn.CreateEnvironment(t.Context(), client.NewEnvironment{Name: "stage", VPCID: "vpc-1", DeployMode: "container"})
	require.NoError(t, err)
	return e.ID
}

// push puts a chart into the library.
func (tn *tenant) push(t *testing.T, name, version string, opts ...addonstest.Option) {
	t.Helper()
	_, added, err := tn.PushChart(t.Context(), addonstest.Chart(t, name, version, opts...).Archive)
	require.NoError(t, err)
	require.True(t, added)
}

// install installs an add-on of the newest chart and waits for the job's end.
func (tn *tenant) install(t *testing.T, environment, name string) (addonID string, job client.JobDetail) {
	t.Helper()
	addonID, jobID, err := tn.InstallAddon(t.Context(), environment, client.NewAddon{Name: name, TargetID: target}, "")
	require.NoError(t, err)
	return addonID, tn.delivered(t, jobID)
}

// delivered waits for the end of a delivery.
func (tn *tenant) delivered(t *testing.T, jobID string) client.JobDetail {
	t.Helper()
	var job client.JobDetail
	require.Eventually(t, func() bool {
		var err error
		job, err = tn.ShowJob(t.Context(), jobID)
		require.NoError(t, err)
		return job.State != "running"
	}, 2*time.Minute, 20*time.Millisecond)
	return job
}

// deliver starts a job on an add-on and waits for its end.
func (tn *tenant) deliver(t *testing.T, environment, addonID, action string) client.JobDetail {
	t.Helper()
	id, err := tn.DeliverAddon(t.Context(), environment, addonID, action, "")
	require.NoError(t, err)
	return tn.delivered(t, id)
}

// published is what a GitOps controller reads of an add-on.
type published struct {
	Metadata  struct{ Annotations map[string]string }
	Resources []string
}

// index reads the index of an add-on, as a GitOps controller does.
func index(t *testing.T, environment, name string) (published, bool) {
	t.Helper()
	text, ok := object(t, "gitops/"+environment+"/"+name+"/kustomization.yaml")
	var p published
	require.NoError(t, yaml.Unmarshal(text, &p))
	return p, ok
}

func object(t *testing.T, key string) ([]byte, bool) {
	t.Helper()
	out, err := stack.Storage().Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(stack.Storage().Bucket()), Key: &key})
	if err != nil {
		return nil, false
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	return text, true
}

// version is the chart version that a GitOps controller would apply; empty for none.
func version(t *testing.T, environment, name string) string {
	t.Helper()
	p, _ := index(t, environment, name)
	if len(p.Resources) == 0 {
		return ""
	}
	for _, file := range p.Resources {
		_, ok := object(t, "gitops/"+environment+"/"+name+"/"+file)
		require.True(t, ok, "%s is listed and not there", file)
	}
	var revision struct{ Version string }
	require.NoError(t, json.Unmarshal([]byte(p.Metadata.Annotations["assetflow.dev/revision"]), &revision))
	return revision.Version
}

// stage makes a call of ServiceStage as a client of it would, with a token.
func (tn *tenant) stage(t *testing.T, token, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method,
		stack.Credentials().Endpoint+"/v3/"+tn.project.ID+"/cas"+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Auth-Token", token)
	req.Header.Set("Content-Type", "application/json;charset=utf8")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var answer map[string]any
	if len(text) > 0 {
		require.NoError(t, json.Unmarshal(text, &answer), string(text))
	}
	return resp.StatusCode, answer
}

// token signs in.
func (tn *tenant) token(t *testing.T) string {
	t.Helper()
	body := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"password":%q,"domain":{"name":"e2e"}}}},
		"scope":{"project":{"id":%q}}}}`, tn.user.Name, tn.password, tn.project.ID)
	resp, err := http.Post(stack.Credentials().Endpoint+"/v3/auth/tokens", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	return resp.Header.Get("X-Subject-Token")
}

// A client of ServiceStage installs an add-on, redeploys it to a newer chart, restarts and deletes it, as the vendor's page
// has it.
func TestAnAddonAsAClientOfServiceStageSeesIt(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	token := tn.token(t)
	call := func(method, path, body string) map[string]any {
		t.Helper()
		status, answer := tn.stage(t, token, method, path, body)
		require.Equal(t, http.StatusOK, status, "%v", answer)
		return answer
	}
	environment := call(http.MethodPost, "/environments", `{"name":"stage","vpc_id":"vpc-1","deploy_mode":"container"}`)["id"].(string)
	tn.push(t, "hello", "1.0.0")
	base := "/environments/" + environment
	require.Equal(t, map[string]any{"addons": []any{map[string]any{"name": "hello", "latest_version": "1.0.0"}}},
		call(http.MethodGet, base+"/addons-metadata", ""))

	// job waits for the end of a job and gives its tasks by type.
	job := func(answer map[string]any, kind string) (tasks []string) {
		t.Helper()
		id := answer["job_id"].(string)
		require.Regexp(t, "^JOB[0-9a-f-]{36}$", id)
		var got map[string]any
		require.Eventually(t, func() bool {
			got = call(http.MethodGet, "/jobs/"+id, "")
			return got["job"].(map[string]any)["execution_status"] == "SUCCEEDED"
		}, time.Minute, 50*time.Millisecond, "%v", got)
		require.Equal(t, kind, got["job"].(map[string]any)["job_type"])
		for _, task := range got["tasks"].([]any) {
			require.Equal(t, "SUCCEEDED", task.(map[string]any)["task_status"])
			tasks = append(tasks, task.(map[string]any)["task_type"].(string))
		}
		require.EqualValues(t, len(tasks), got["task_count"])
		return tasks
	}
	created := call(http.MethodPost, base+"/addons", `{"name":"hello","cce_id":"gitops"}`)
	addon := base + "/addons/" + created["id"].(string)
	require.Equal(t, []string{"LoadChart", "PlanChart", "ApplyChart", "AwaitHealthy", "CommitDelivery"}, job(created, "PROVISION"))
	shown := call(http.MethodGet, addon, "")
	require.Equal(t, []any{"hello", "1.0.0", "gitops", "SUCCEEDED", created["job_id"]},
		[]any{shown["name"], shown["version"], shown["cce_id"], shown["status"], shown["job_id"]})
	require.Equal(t, "1.0.0", version(t, environment, "hello"))

	tn.push(t, "hello", "1.1.0")
	require.Equal(t, []string{"LoadChart", "PlanChart", "ApplyChart", "AwaitHealthy", "CommitDelivery"},
		job(call(http.MethodPost, addon+"/action", `{"action":"redeploy"}`), "DAILY_OPERATION"))
	require.Equal(t, "1.1.0", version(t, environment, "hello"))
	require.Equal(t, "1.1.0", call(http.MethodGet, addon, "")["version"])
	before, _ := index(t, environment, "hello")
	require.Equal(t, []string{"LoadChart", "RestartWorkloads", "AwaitHealthy", "CommitDelivery"},
		job(call(http.MethodPost, addon+"/action", `{"action":"restart"}`), "DAILY_OPERATION"))
	after, _ := index(t, environment, "hello")
	require.NotEqual(t, before.Resources, after.Resources)
	require.Equal(t, "1.1.0", version(t, environment, "hello"))

	status, refused := tn.stage(t, token, http.MethodDelete, base, "")
	require.Equal(t, http.StatusBadRequest, status, "an environment with add-ons stays: %v", refused)
	require.Equal(t, []string{"LoadChart", "RemoveRelease", "AwaitRemoved", "CommitDelivery"},
		job(call(http.MethodDelete, addon, ""), "DEPROVISION"))
	require.Empty(t, version(t, environment, "hello"))
	status, refused = tn.stage(t, token, http.MethodGet, addon, "")
	require.Equal(t, http.StatusNotFound, status)
	require.Equal(t, "SVCSTG.00100404", refused["error_code"])
	status, _ = tn.stage(t, token, http.MethodDelete, base, "")
	require.Equal(t, http.StatusNoContent, status)
}

// At most one job per add-on, whoever asks: the others are told which one runs, and none of them leaves anything behind.
func TestOneJobPerAddon(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	colleague := addUser(t, tn.project, tn.instance)
	environment := tn.environment(t)
	tn.push(t, "hello", "1.0.0")
	addonID, job := tn.install(t, environment, "hello")
	require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)

	held := steps.Hold(t, tn.project.ID, "PlanChart", workertest.Before)
	running, err := tn.DeliverAddon(t.Context(), environment, addonID, client.Redeploy, "")
	require.NoError(t, err)
	held.Wait(t)
	for _, c := range []*tenant{tn, colleague} {
		for _, action := range []string{client.Redeploy, client.Restart} {
			_, err := c.DeliverAddon(t.Context(), environment, addonID, action, "")
			require.ErrorContains(t, err, running)
		}
		_, err := c.UninstallAddon(t.Context(), environment, addonID, "")
		require.ErrorContains(t, err, running)
	}
	held.Release()
	require.Equal(t, client.JobSucceeded, tn.delivered(t, running).State)

	// Of many at once those that are accepted all have their effect, one after the other.
	ids := make([]string, 20)
	var group errgroup.Group
	for i := range ids {
		group.Go(func() error {
			caller := []*tenant{tn, colleague}[i%2]
			id, err := caller.DeliverAddon(t.Context(), environment, addonID, client.Restart, "")
			if err == nil {
				ids[i] = id
			} else if !strings.Contains(err.Error(), "SVCSTG.00100400") {
				return err
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	accepted := 0
	for _, id := range ids {
		if id == "" {
			continue
		}
		accepted++
		require.Equal(t, client.JobSucceeded, tn.delivered(t, id).State)
	}
	require.Positive(t, accepted)
	page, err := tn.ListJobs(t.Context(), client.JobFilter{Limit: 100})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 2+accepted, "a refused job left its row")
}

// Whoever has seen a job ended can start the next at once.
func TestDeliveriesOneAfterTheOther(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	environment := tn.environment(t)
	tn.push(t, "hello", "1.0.0")
	addonID, job := tn.install(t, environment, "hello")
	require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
	for range 20 {
		require.Equal(t, client.JobSucceeded, tn.deliver(t, environment, addonID, client.Restart).State)
	}
}

// A chart that the target refuses changes nothing, and the next version mends it.
func TestARefusedChartChangesNothing(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	environment := tn.environment(t)
	tn.push(t, "hello", "1.0.0")
	addonID, job := tn.install(t, environment, "hello")
	require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
	before, _ := index(t, environment, "hello")

	tn.push(t, "hello", "1.1.0", addonstest.NotRendering())
	job = tn.deliver(t, environment, addonID, client.Redeploy)
	require.Equal(t, client.JobFailed, job.State)
	require.Len(t, job.Reasons, 1)
	require.Equal(t, []string{"addon", "hello", "refused"}, []string{job.Reasons[0].ResourceType, job.Reasons[0].ResourceName, job.Reasons[0].Code})
	after, _ := index(t, environment, "hello")
	require.Equal(t, before, after)
	addon, err := tn.Addon(t.Context(), environment, addonID)
	require.NoError(t, err)
	require.Equal(t, []string{client.AddonFailed, "1.0.0"}, []string{addon.Status, addon.Version})

	tn.push(t, "hello", "1.1.1")
	require.Equal(t, client.JobSucceeded, tn.deliver(t, environment, addonID, client.Redeploy).State)
	require.Equal(t, "1.1.1", version(t, environment, "hello"))

	// The first delivery of another add-on leaves nothing of it.
	tn.push(t, "broken", "1.0.0", addonstest.NotRendering())
	brokenID, job := tn.install(t, environment, "broken")
	require.Equal(t, client.JobFailed, job.State)
	_, there := index(t, environment, "broken")
	require.False(t, there)
	id, err := tn.UninstallAddon(t.Context(), environment, brokenID, "")
	require.NoError(t, err)
	require.Equal(t, client.JobSucceeded, tn.delivered(t, id).State)
}

// A delivery that is cancelled goes back to the last good version, or leaves things as they are, as the caller says.
func TestACancelledDelivery(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		step   string
		when   workertest.When
		cancel func(c *client.Client, ctx context.Context, id string) (client.JobDetail, error)
		first  bool   // the installation itself is cancelled
		want   string // version on the target, and of the add-on
	}{
		"before it is applied": {"PlanChart", workertest.Before, (*client.Client).CancelJob, false, "1.0.0"},
		"while it waits":       {"AwaitHealthy", workertest.Before, (*client.Client).CancelJob, false, "1.0.0"},
		"leaving things":       {"AwaitHealthy", workertest.Before, (*client.Client).CancelJobLeaving, false, "1.1.0"},
		"the installation":     {"AwaitHealthy", workertest.Before, (*client.Client).CancelJob, true, ""},
		"leaving the first":    {"AwaitHealthy", workertest.Before, (*client.Client).CancelJobLeaving, true, "1.0.0"},
		"after its effect":     {"CommitDelivery", workertest.After, (*client.Client).CancelJob, false, "1.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tn := newTenant(t)
			environment := tn.environment(t)
			tn.push(t, "hello", "1.0.0")
			var addonID, id string
			var held *workertest.Hold
			var err error
			if test.first {
				held = steps.Hold(t, tn.project.ID, test.step, test.when)
				addonID, id, err = tn.InstallAddon(t.Context(), environment, client.NewAddon{Name: "hello", TargetID: target}, "")
			} else {
				var job client.JobDetail
				addonID, job = tn.install(t, environment, "hello")
				require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
				tn.push(t, "hello", "1.1.0")
				held = steps.Hold(t, tn.project.ID, test.step, test.when)
				id, err = tn.DeliverAddon(t.Context(), environment, addonID, client.Redeploy, "")
			}
			require.NoError(t, err)
			held.Wait(t)
			_, err = test.cancel(tn.Client, t.Context(), id)
			require.NoError(t, err)
			want := client.JobCancelled
			if test.step == "CommitDelivery" { // comes too late, and is not heard
				want = client.JobSucceeded
				held.Release()
			}
			job := tn.delivered(t, id)
			require.Equal(t, want, job.State, "%+v", job.Reasons)
			require.Equal(t, test.want, version(t, environment, "hello"))
			addon, err := tn.Addon(t.Context(), environment, addonID)
			require.NoError(t, err)
			require.Equal(t, test.want, addon.Version)
			held.Release()
			// Whatever it left, the next one works.
			require.Equal(t, client.JobSucceeded, tn.deliver(t, environment, addonID, client.Redeploy).State)
		})
	}
}

// The same key starts one job, also when fifty requests come at once.
func TestADeliveryIsSubmittedOnce(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	environment := tn.environment(t)
	tn.push(t, "hello", "1.0.0")
	type ids struct{ addon, job string }
	got := make([]ids, 50)
	var group errgroup.Group
	for i := range got {
		group.Go(func() (err error) {
			got[i].addon, got[i].job, err = tn.InstallAddon(t.Context(), environment, client.NewAddon{Name: "hello", TargetID: target}, "once")
			return err
		})
	}
	require.NoError(t, group.Wait())
	for _, g := range got {
		require.Equal(t, got[0], g)
	}
	require.Equal(t, client.JobSucceeded, tn.delivered(t, got[0].job).State)
	list, err := tn.ListAddons(t.Context(), environment)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// What is pushed is pulled byte for byte, and stays while an add-on consists of it.
func TestTheLibraryOfCharts(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	environment := tn.environment(t)
	chart := addonstest.Chart(t, "hello", "1.0.0")
	tn.push(t, "hello", "1.0.0")
	var pulled bytes.Buffer
	_, err := tn.PullChart(t.Context(), "hello", "1.0.0", &pulled, nil)
	require.NoError(t, err)
	require.Equal(t, chart.Archive, pulled.Bytes())
	_, job := tn.install(t, environment, "hello")
	require.Equal(t, client.JobSucceeded, job.State, "%+v", job.Reasons)
	require.ErrorContains(t, tn.DeleteChart(t.Context(), "hello", "1.0.0"), "add-on")

	other := newTenant(t)
	_, err = other.Chart(t.Context(), "hello", "1.0.0")
	require.Error(t, err, "a chart of another project")
}
