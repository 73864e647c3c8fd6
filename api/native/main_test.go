package native_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/activities"
	"assetflow/addons"
	"assetflow/api/apitest"
	"assetflow/api/middleware"
	"assetflow/api/native"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/storage/storagetest"
)

// s3Config is the bucket of this package's tests.
var s3Config storage.Config

func TestMain(m *testing.M) { os.Exit(storagetest.Main(m, &s3Config)) }

// catalogJobs stands for the job service: jobs as the catalog has them, none of which moves.
type catalogJobs struct {
	catalog   *catalog.Catalog
	cancelled []string
	left      []string // of the cancelled ones, those whose changes stay
	// running is what a job is said to be while it runs, beside what the catalog has.
	running jobs.Job
	err     error
	planned []jobs.ImportSubmission
	plan    func(jobs.ImportSubmission) (activities.ImportComparison, error)
}

func (f *catalogJobs) PlanImport(_ context.Context, sub jobs.ImportSubmission) (activities.ImportComparison, error) {
	f.planned = append(f.planned, sub)
	return f.plan(sub)
}

func (f *catalogJobs) ProjectOf(ctx context.Context, jobID string) (string, error) {
	job, err := f.catalog.Job(ctx, jobID)
	return job.ProjectID, err
}

func (f *catalogJobs) Get(ctx context.Context, projectID, jobID string) (jobs.Job, error) {
	if f.err != nil {
		return jobs.Job{}, f.err
	}
	row, err := f.catalog.Job(ctx, jobID)
	if err == nil && row.ProjectID != projectID {
		panic("asked for a job of another project")
	}
	job := show(row)
	job.Workloads, job.Attempt, job.LastFailure = f.running.Workloads, f.running.Attempt, f.running.LastFailure
	return job, err
}

func (f *catalogJobs) List(ctx context.Context, filter catalog.JobFilter) ([]jobs.Job, string, error) {
	rows, next, err := f.catalog.ListJobs(ctx, filter)
	list := make([]jobs.Job, len(rows))
	for i, row := range rows {
		list[i] = show(row)
	}
	return list, next, err
}

func (f *catalogJobs) Cancel(ctx context.Context, projectID, jobID string) error {
	job, err := f.Get(ctx, projectID, jobID)
	if err != nil {
		return err
	}
	if job.State != catalog.JobRunning {
		return fault.New(fault.Conflict, jobs.CodeEnded, "The job has ended.")
	}
	f.cancelled = append(f.cancelled, jobID)
	return nil
}

func (f *catalogJobs) CancelLeaving(ctx context.Context, projectID, jobID string) error {
	job, err := f.Get(ctx, projectID, jobID)
	if err != nil {
		return err
	}
	if job.Kind != catalog.AddonDelivery {
		return fault.New(fault.Invalid, jobs.CodeNoLeave, "Only a delivery can be cancelled so that what it has changed stays.")
	}
	if err := f.Cancel(ctx, projectID, jobID); err != nil {
		return err
	}
	f.left = append(f.left, jobID)
	return nil
}

func (f *catalogJobs) Tasks(ctx context.Context, projectID, jobID string) ([]jobs.Task, error) {
	if _, err := f.Get(ctx, projectID, jobID); err != nil {
		return nil, err
	}
	rows, err := f.catalog.JobTasks(ctx, jobID)
	tasks := make([]jobs.Task, len(rows))
	for i, row := range rows {
		tasks[i] = jobs.Task{JobTask: row, Title: "The step " + row.Activity}
	}
	return tasks, err
}

func show(row catalog.Job) jobs.Job {
	if row.State == catalog.JobSucceeded {
		return jobs.Job{Job: row, Progress: 1}
	}
	return jobs.Job{Job: row, Progress: 0.25, Step: "Store the files"}
}

type deployment struct {
	t                 *testing.T
	catalog           *catalog.Catalog
	auth              *auth.Service
	jobs              *catalogJobs
	handler           http.Handler
	validation        *apitest.Validation
	project, other    catalog.Project
	instance          catalog.Instance
	admin, submitter  catalog.User
	adminToken        string
	submitterToken    string
	strangerToken     string
	otherProjectToken string // the administrator's, for the other project
	lifetime          time.Duration
	staging           *memoryStaging
	store             *storage.Store
	targets           *addons.Targets
}

const maxUpload = 1 << 20

const password = "correct horse battery"

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	ctx := t.Context()
	d := &deployment{t: t, catalog: catalogtest.New(t), validation: apitest.Validator(t, native.Document())}
	d.jobs, d.staging = &catalogJobs{catalog: d.catalog}, &memoryStaging{objects: map[string]string{}}
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	d.auth = auth.New(d.catalog, keys)
	d.project, err = d.catalog.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	d.other, err = d.catalog.CreateProject(ctx, "acme", "other")
	require.NoError(t, err)
	d.instance, err = d.catalog.CreateInstance(ctx, d.project.ID, "one")
	require.NoError(t, err)
	add := func(name string) catalog.User {
		user, err := d.auth.AddUser(ctx, "acme", name, password)
		require.NoError(t, err)
		return user
	}
	token := func(login auth.PasswordLogin) string {
		login.Domain, login.Password = "acme", password
		token, err := d.auth.IssueToken(ctx, login)
		require.NoError(t, err)
		return token.Value
	}
	d.admin, d.submitter = add("admin"), add("sub")
	add("stranger")
	require.NoError(t, d.auth.GrantRole(ctx, d.admin.ID, d.project.ID, "Admin"))
	require.NoError(t, d.auth.GrantRole(ctx, d.submitter.ID, d.project.ID, "Submit"))
	d.adminToken, d.strangerToken = token(auth.PasswordLogin{User: "admin"}), token(auth.PasswordLogin{User: "stranger"})
	d.submitterToken = token(auth.PasswordLogin{User: "sub", ProjectID: d.project.ID})
	require.NoError(t, d.auth.GrantRole(ctx, d.admin.ID, d.other.ID, "Admin"))
	d.otherProjectToken = token(auth.PasswordLogin{User: "admin", ProjectID: d.other.ID})

	d.store, err = storage.Open(ctx, s3Config)
	require.NoError(t, err)
	d.targets, err = addons.ParseTargets(fmt.Sprintf(`
- {id: second, kind: bucket, prefix: second/, projects: [%q]}
- {id: gitops, kind: bucket, prefix: gitops/}
- {id: theirs, kind: bucket, prefix: theirs/, projects: [%q]}
`, d.project.ID, d.other.ID), addons.Options{Client: d.store.Client(), Bucket: d.store.Bucket(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	d.handler = d.newHandler()
	return d
}

func (d *deployment) newHandler() http.Handler { return d.handlerOf(d.catalog, d.store) }

func (d *deployment) handlerOf(cat native.Catalog, blobs native.Blobs) http.Handler {
	engine := middleware.NewEngine(slog.New(slog.DiscardHandler), nil, middleware.NewForms("native", native.WriteError))
	native.Register(engine, native.Options{
		Auth: d.auth, Jobs: d.jobs, Catalog: cat, Staging: d.staging, Blobs: blobs, Targets: d.targets, Logger: slog.New(slog.DiscardHandler),
		MaxUploadBytes: maxUpload, TrashLifetime: d.lifetime,
	})
	return middleware.SlowClients(engine, middleware.DefaultPace(10*time.Second))
}

// addJob inserts a job at a minute of an hour.
func (d *deployment) addJob(project, instance, user string, minute int) catalog.Job {
	d.t.Helper()
	job := catalog.Job{
		ID: catalog.NewID(), Kind: catalog.AssetImport, ProjectID: project, InstanceID: instance, UserID: user,
		WorkflowID: fmt.Sprintf("asset-import:%s:%s:%d", project, user, minute), Subject: "shop.zip", State: catalog.JobRunning,
		Request: json.RawMessage(`{"mode":"AddNew"}`), CreatedAt: time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC),
	}
	require.NoError(d.t, d.catalog.InsertJob(d.t.Context(), job))
	return job
}

// importAssets brings an application with a data source and a file, and a task that uses it.
func (d *deployment) importAssets(names ...string) catalog.ImportResult {
	d.t.Helper()
	ctx := d.t.Context()
	job := d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 0)
	digest := strings.Repeat("ab", 32)
	_, err := d.catalog.TouchBlobs(ctx, []catalog.Blob{{SHA256: digest, Size: 7}})
	require.NoError(d.t, err)
	imp := catalog.Import{
		JobID: job.ID, ProjectID: d.project.ID, InstanceID: d.instance.ID, UserID: d.admin.ID, Mode: catalog.AddNew, VersionLabel: "1.2",
	}
	for _, name := range names {
		imp.Applications = append(imp.Applications, catalog.ImportAsset{
			SourceID: "src-" + name, Name: name, Description: "An application.", Definition: json.RawMessage(`{"a":1}`),
			DataSources: []catalog.ImportDataSource{{Name: "db", Type: "mysql", Settings: json.RawMessage(`{"encoding":"utf8"}`)}},
			Files:       []catalog.File{{Path: name + "/main.js", SHA256: digest, Size: 7}},
		})
		imp.Tasks = append(imp.Tasks, catalog.ImportAsset{Name: name, Applications: []string{name}})
	}
	result, err := d.catalog.CommitImport(ctx, imp)
	require.NoError(d.t, err)
	return result
}

// mergeApplication gives an application without files a new version.
func (d *deployment) mergeApplication(name, description string) catalog.ImportedAsset {
	d.t.Helper()
	job := d.addJob(d.project.ID, d.instance.ID, d.admin.ID, 1)
	result, err := d.catalog.CommitImport(d.t.Context(), catalog.Import{
		JobID: job.ID, ProjectID: d.project.ID, InstanceID: d.instance.ID, UserID: d.admin.ID, Mode: catalog.Merge,
		Applications: []catalog.ImportAsset{{Name: name, Description: description}},
	})
	require.NoError(d.t, err)
	return result.Assets[0]
}

func (d *deployment) run(scenarios ...apitest.Scenario) {
	d.t.Helper()
	for i := range scenarios {
		s := &scenarios[i]
		if s.Method == "" {
			s.Method = http.MethodGet
		}
		if s.Headers == nil {
			s.Headers = map[string]string{"X-Auth-Token": d.adminToken}
		}
		if s.WantHeaders == nil {
			s.WantHeaders = map[string]string{}
		}
		s.WantHeaders["X-Request-Id"] = "*"
	}
	apitest.Run(d.t, d.handler, d.validation, scenarios)
}

// do does what a scenario does, as the administrator.
func (d *deployment) do(method, url string, body []byte) *httptest.ResponseRecorder {
	d.t.Helper()
	request := httptest.NewRequestWithContext(d.t.Context(), method, url, bytes.NewReader(body))
	request.Header.Set("X-Auth-Token", d.adminToken)
	request.Header.Set("Content-Type", "application/gzip")
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, request)
	return answer
}

func as(token string) map[string]string { return map[string]string{"X-Auth-Token": token} }

// problem checks an error answer.
func problem(code, detail string) func(testing.TB, *http.Response, []byte) {
	return func(t testing.TB, resp *http.Response, body []byte) {
		t.Helper()
		require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		var got native.Problem
		require.NoError(t, json.Unmarshal(body, &got))
		require.Equal(t, "about:blank", got.Type)
		require.Equal(t, resp.StatusCode, got.Status)
		require.Equal(t, http.StatusText(resp.StatusCode), got.Title)
		require.Equal(t, code, got.Code)
		require.Regexp(t, detail, got.Detail)
		require.NotEmpty(t, got.Detail)
		require.Equal(t, resp.Header.Get("X-Request-Id"), got.RequestID)
	}
}

func refused(name, url string, status int, code, detail string) apitest.Scenario {
	return apitest.Scenario{Name: name, URL: url, WantStatus: status, Check: problem(code, detail)}
}

func refusedTo(token, name, url string, status int, code string) apitest.Scenario {
	s := refused(name, url, status, code, "")
	s.Headers = as(token)
	return s
}

// read decodes an answer into a value and hands it on.
func read[T any](check func(t testing.TB, got T)) func(testing.TB, *http.Response, []byte) {
	return func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		var got T
		require.NoError(t, json.Unmarshal(body, &got))
		check(t, got)
	}
}
