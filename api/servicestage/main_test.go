package servicestage_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/api/apitest"
	"assetflow/api/middleware"
	"assetflow/api/servicestage"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/workflows"
)

// contentType is that of every answer, and what the vendor's clients send.
const contentType = "application/json;charset=utf8"

// fakeJobs stands for the job service: its jobs stand in the catalog, at most one that has not ended to a workflow id, and
// never run.
type fakeJobs struct {
	catalog *catalog.Catalog

	mu       sync.Mutex
	running  map[string]string // workflow id: job id
	startErr error             // instead of a start
	lostErr  error             // after a start whose answer is lost
	getErr   error
	started  []jobs.DeliverySubmission
}

func (f *fakeJobs) CheckDeliveryFree(ctx context.Context, sub jobs.DeliverySubmission) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.checkFree(ctx, sub)
}

func (f *fakeJobs) checkFree(ctx context.Context, sub jobs.DeliverySubmission) error {
	id, ok := f.running[workflowID(sub)]
	if !ok || id == sub.JobID {
		return nil
	}
	row, err := f.catalog.Job(ctx, id)
	if err != nil || row.State.Ended() {
		return err
	}
	return fault.New(fault.Conflict, jobs.CodeRunning, "A job is running on this add-on; wait until it has ended, or cancel it.").WithDetails(id)
}

func workflowID(sub jobs.DeliverySubmission) string {
	return jobs.DeliveryWorkflowID(sub.ProjectID, sub.EnvironmentID, sub.TargetID, sub.Name)
}

func (f *fakeJobs) StartDelivery(ctx context.Context, sub jobs.DeliverySubmission) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.startErr != nil {
		return jobs.Job{}, f.startErr
	}
	if err := f.checkFree(ctx, sub); err != nil {
		return jobs.Job{}, err
	}
	f.started = append(f.started, sub)
	parameters, err := json.Marshal(jobs.DeliveryParameters{
		Action: sub.Action, EnvironmentID: sub.EnvironmentID, EnvironmentName: sub.EnvironmentName, AddonID: sub.AddonID,
		Name: sub.Name, TargetID: sub.TargetID, CSEID: sub.CSEID,
	})
	if err != nil {
		return jobs.Job{}, err
	}
	row := catalog.Job{
		ID: sub.JobID, Kind: catalog.AddonDelivery, ProjectID: sub.ProjectID, UserID: sub.UserID, WorkflowID: workflowID(sub),
		Subject: sub.Name, State: catalog.JobRunning, Request: parameters,
	}
	err = f.catalog.InsertJob(ctx, row)
	if fault.CodeOf(err) == "catalog.job_exists" {
		row, err = f.catalog.Job(ctx, row.ID)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	f.running[row.WorkflowID] = row.ID
	return jobs.Job{Job: row}, f.lostErr
}

func (f *fakeJobs) ProjectOf(ctx context.Context, jobID string) (string, error) {
	row, err := f.catalog.Job(ctx, jobID)
	if fault.KindOf(err) == fault.NotFound {
		return "", noJob()
	}
	return row.ProjectID, err
}

func (f *fakeJobs) Get(ctx context.Context, projectID, jobID string) (jobs.Job, error) {
	if f.getErr != nil {
		return jobs.Job{}, f.getErr
	}
	row, err := f.catalog.Job(ctx, jobID)
	if fault.KindOf(err) == fault.NotFound || err == nil && row.ProjectID != projectID {
		return jobs.Job{}, noJob()
	}
	return jobs.Job{Job: row}, err
}

func (f *fakeJobs) Tasks(ctx context.Context, projectID, jobID string) ([]jobs.Task, error) {
	if _, err := f.Get(ctx, projectID, jobID); err != nil {
		return nil, err
	}
	rows, err := f.catalog.JobTasks(ctx, jobID)
	tasks := make([]jobs.Task, len(rows))
	for i, row := range rows {
		tasks[i] = jobs.Task{JobTask: row}
		for _, step := range workflows.DeliverySteps {
			if step.Activity == row.Activity {
				tasks[i].Title = step.Title
			}
		}
	}
	return tasks, err
}

func noJob() error { return fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.") }

// deployment is the contract on a real catalog, real sign-in and real targets.
type deployment struct {
	catalogtest.Scene // the developer's
	t                 *testing.T
	catalog           *catalog.Catalog
	auth              *auth.Service
	jobs              *fakeJobs
	targets           *addons.Targets
	handler           http.Handler
	project           catalog.Project
	other             catalog.Project // in which nobody has a role
	prefix            string          // of all paths

	developer caller
	// Of newFullDeployment only: whoever signs in takes time.
	admin, modifier, submitter, stranger caller
}

type caller struct {
	user                        catalog.User
	token, accessKey, secretKey string
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	ctx := t.Context()
	d := &deployment{t: t, catalog: catalogtest.New(t)}
	d.jobs = &fakeJobs{catalog: d.catalog, running: map[string]string{}}
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	d.auth = auth.New(d.catalog, keys, auth.WithLogger(slog.New(slog.DiscardHandler)))
	d.project, err = d.catalog.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	d.other, err = d.catalog.CreateProject(ctx, "acme", "other")
	require.NoError(t, err)
	d.prefix = "/v3/" + d.project.ID + "/cas"
	store, err := storage.Open(ctx, storage.Config{
		Endpoint: "http://127.0.0.1:1", Region: "us-east-1", Bucket: "bucket", AccessKey: "test", SecretKey: "testtesttest", PathStyle: true,
	})
	require.NoError(t, err) // nobody is asked
	d.targets, err = addons.ParseTargets(fmt.Sprintf(`
- {id: gitops, kind: bucket, prefix: gitops/}
- {id: second, kind: bucket, prefix: second/, projects: [%q]}
- {id: theirs, kind: bucket, prefix: theirs/, projects: [%q]}
`, d.project.ID, d.other.ID), addons.Options{Client: store.Client(), Bucket: store.Bucket(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	d.developer = d.newCaller("dev", auth.RoleDevelop)
	d.Scene = catalogtest.Scene{Catalog: d.catalog, Project: d.project, User: d.developer.user}
	d.handler = d.newHandler(d.catalog)
	return d
}

// newFullDeployment makes a deployment with a caller of every role.
func newFullDeployment(t *testing.T) *deployment {
	t.Helper()
	d := newDeployment(t)
	d.admin = d.newCaller("adm", auth.RoleAdmin)
	d.modifier = d.newCaller("mod", auth.RoleModify)
	d.submitter = d.newCaller("sub", auth.RoleSubmit)
	d.stranger = d.newCaller("stranger", "")
	return d
}

func (d *deployment) newHandler(cat servicestage.Catalog) http.Handler {
	logger := slog.New(slog.DiscardHandler)
	engine := middleware.NewEngine(logger, nil, middleware.NewForms("servicestage", servicestage.WriteError))
	servicestage.Register(engine, servicestage.Options{
		Auth: d.auth, Jobs: d.jobs, Catalog: cat, Targets: d.targets, Submissions: d.catalog, Logger: logger,
	})
	return engine
}

func (d *deployment) newCaller(name string, role auth.Role) caller {
	d.t.Helper()
	ctx := d.t.Context()
	user, err := d.auth.AddUser(ctx, "acme", name, "correct horse battery")
	require.NoError(d.t, err)
	c := caller{user: user}
	if role != "" {
		require.NoError(d.t, d.auth.GrantRole(ctx, user.ID, d.project.ID, string(role)))
	}
	c.accessKey, c.secretKey, err = d.auth.AddAccessKey(ctx, user.ID)
	require.NoError(d.t, err)
	token, err := d.auth.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: name, Password: "correct horse battery"})
	require.NoError(d.t, err)
	c.token = token.Value
	return c
}

// as gives a scenario of the caller.
func (d *deployment) as(c caller, name, method, path, body string, status int) apitest.Scenario {
	s := apitest.Scenario{
		Name: name, Method: method, URL: d.prefix + path, Body: body,
		Headers:    map[string]string{"X-Auth-Token": c.token, "Content-Type": contentType},
		WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*", "Content-Type": contentType},
	}
	if status == http.StatusNoContent {
		s.WantHeaders["Content-Type"] = ""
	}
	return s
}

// refused gives a scenario of the developer that ends in a 400.
func (d *deployment) refused(name, method, path, body, code, message string) apitest.Scenario {
	s := d.as(d.developer, name, method, path, body, http.StatusBadRequest)
	s.Check = refusal(code, message)
	return s
}

// missing gives a scenario of the developer that ends in a 404.
func (d *deployment) missing(name, method, path, body, code string) apitest.Scenario {
	s := d.as(d.developer, name, method, path, body, http.StatusNotFound)
	s.Check = refusal(code, "")
	return s
}

// run plays scenarios and holds every answer against the document.
func (d *deployment) run(scenarios ...apitest.Scenario) {
	d.t.Helper()
	apitest.Run(d.t, d.handler, apitest.Validator(d.t, servicestage.Document()), scenarios)
}

// keyed gives the scenario an Idempotency-Key.
func keyed(s apitest.Scenario, key string) apitest.Scenario {
	s.Headers["Idempotency-Key"] = key
	if s.WantStatus == http.StatusOK {
		s.WantHeaders["Idempotency-Replayed"] = ""
	}
	return s
}

func replayed(s apitest.Scenario, key string) apitest.Scenario {
	s = keyed(s, key)
	s.WantHeaders["Idempotency-Replayed"] = "true"
	return s
}

// refusal checks the form of an error, its code, and a part of its message.
func refusal(code, message string) func(testing.TB, *http.Response, []byte) {
	return func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		var got map[string]string
		require.NoError(t, json.Unmarshal(body, &got))
		require.Len(t, got, 2)
		require.Equal(t, code, got["error_code"], got["error_msg"])
		require.NotEmpty(t, got["error_msg"])
		require.Contains(t, got["error_msg"], message)
	}
}

// into decodes an answer.
func into(s apitest.Scenario, value any) apitest.Scenario {
	s.Check = func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		require.NoError(t, json.Unmarshal(body, value))
	}
	return s
}

// call does what a scenario does and gives the answer's body, decoded into into unless that is nil.
func (d *deployment) call(c caller, method, path, body string, into any) {
	d.t.Helper()
	request := httptest.NewRequestWithContext(d.t.Context(), method, d.prefix+path, strings.NewReader(body))
	request.Header.Set("X-Auth-Token", c.token)
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, request)
	require.Less(d.t, answer.Code, 300, "%s %s: %s", method, path, answer.Body)
	if into != nil {
		require.NoError(d.t, json.Unmarshal(answer.Body.Bytes(), into))
	}
}

func (d *deployment) newEnvironment(name string) servicestage.Environment {
	d.t.Helper()
	var e servicestage.Environment
	d.call(d.developer, "POST", "/environments", fmt.Sprintf(`{"name": %q, "vpc_id": "vpc"}`, name), &e)
	require.NotEmpty(d.t, e.ID)
	return e
}

// install makes an add-on on the target gitops; its job runs.
func (d *deployment) install(e servicestage.Environment, name string) servicestage.AddonCreated {
	d.t.Helper()
	var created servicestage.AddonCreated
	d.call(d.developer, "POST", "/environments/"+e.ID+"/addons", fmt.Sprintf(`{"name": %q, "cce_id": "gitops"}`, name), &created)
	return created
}

// installed makes an add-on whose job has succeeded.
func (d *deployment) installed(e servicestage.Environment, name string) servicestage.AddonCreated {
	d.t.Helper()
	created := d.install(e, name)
	d.commit("revision 1")
	return created
}

// commit has the job that was started last succeed.
func (d *deployment) commit(revision string) {
	d.t.Helper()
	sub := d.last()
	if sub.Action == catalog.AddonUninstall {
		revision = "" // there is nothing left to have one
	}
	_, err := d.catalog.CommitDelivery(d.t.Context(), catalog.Delivery{
		JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID, Action: sub.Action, EnvironmentID: sub.EnvironmentID,
		AddonID: sub.AddonID, Name: sub.Name, TargetID: sub.TargetID, CSEID: sub.CSEID,
	}, revision)
	require.NoError(d.t, err)
}

// end ends the job that was started last without success.
func (d *deployment) end(state catalog.JobState) {
	d.t.Helper()
	_, err := d.catalog.EndJob(d.t.Context(), d.last().JobID, catalog.JobOutcome{State: state})
	require.NoError(d.t, err)
}

// last gives what was started last.
func (d *deployment) last() jobs.DeliverySubmission {
	d.jobs.mu.Lock()
	defer d.jobs.mu.Unlock()
	require.NotEmpty(d.t, d.jobs.started)
	return d.jobs.started[len(d.jobs.started)-1]
}

func (d *deployment) show(e servicestage.Environment, addonID string) servicestage.Addon {
	d.t.Helper()
	var a servicestage.Addon
	d.call(d.developer, "GET", "/environments/"+e.ID+"/addons/"+addonID, "", &a)
	return a
}

// task writes a task of a job down.
func (d *deployment) task(jobID string, index int, activity string, state catalog.TaskState, messages ...string) {
	d.t.Helper()
	require.NoError(d.t, d.catalog.SetTask(d.t.Context(), catalog.JobTask{
		JobID: jobID, Index: index, Activity: activity, State: state, Messages: messages,
	}))
}
