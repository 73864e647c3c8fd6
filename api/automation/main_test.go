package automation_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/automation"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/embedded/s3"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

// s3Config is the bucket of this package's tests: one server per process.
var s3Config storage.Config

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "automation-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := s3.Start(ctx, s3.Options{Addr: "127.0.0.1:0", DataDir: dir, AccessKey: "test", SecretKey: "testtesttest"})
	if err != nil {
		panic(err)
	}
	defer server.Stop()
	s3Config = storage.Config{
		Endpoint: server.Endpoint(), Region: "us-east-1", Bucket: "automation-test",
		AccessKey: "test", SecretKey: "testtesttest", PathStyle: true,
	}
	store, err := storage.Open(ctx, s3Config)
	if err != nil {
		panic(err)
	}
	if err := store.EnsureBucket(ctx); err != nil {
		panic(err)
	}
	return m.Run()
}

// fakeJobs stands for the job service, to force what it can answer. It imports nothing.
type fakeJobs struct {
	mu       sync.Mutex
	running  string // id of the job that runs; empty: free
	startErr error
	awaitErr error
	end      func(job *jobs.Job) // how the jobs end; nil: they run
	started  []jobs.TemplateSubmission
	waited   time.Duration
	rows     map[string]string // project by id: jobs that were written down, whether or not they started
}

func (f *fakeJobs) CheckFree(_ context.Context, kind catalog.JobKind, _, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != "" && kind == catalog.ServiceTemplateImport {
		return fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(f.running)
	}
	return nil
}

func (f *fakeJobs) StartTemplateImport(_ context.Context, sub jobs.TemplateSubmission) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.startErr != nil {
		return jobs.Job{}, f.startErr
	}
	f.started = append(f.started, sub)
	return jobs.Job{Job: catalog.Job{ID: sub.JobID, ProjectID: sub.ProjectID, Subject: sub.FileName, State: catalog.JobRunning}}, nil
}

func (f *fakeJobs) ProjectOf(_ context.Context, jobID string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	project, ok := f.rows[jobID]
	if !ok {
		return "", fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	}
	return project, nil
}

func (f *fakeJobs) Await(_ context.Context, projectID, jobID string, most time.Duration) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waited = most
	if f.awaitErr != nil {
		return jobs.Job{}, f.awaitErr
	}
	job := jobs.Job{Job: catalog.Job{ID: jobID, ProjectID: projectID, State: catalog.JobRunning, CreatedAt: time.Now().UTC(), Subject: f.started[len(f.started)-1].FileName}}
	if f.end != nil {
		f.end(&job)
	}
	return job, nil
}

// succeed lets imports end with these templates.
func succeed(t testing.TB, items ...catalog.TemplateImportItem) func(*jobs.Job) {
	t.Helper()
	result, err := json.Marshal(catalog.TemplateImportResult{Created: len(items), Templates: items})
	require.NoError(t, err)
	return func(job *jobs.Job) {
		end := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
		job.State, job.Result, job.EndedAt = catalog.JobSucceeded, result, &end
	}
}

func reject(reasons ...catalog.Reason) func(*jobs.Job) {
	return func(job *jobs.Job) { job.State, job.Reasons = catalog.JobFailed, reasons }
}

// deployment is the contract on a real catalog, real sign-in and a real S3 server.
type deployment struct {
	t       *testing.T
	scene   catalogtest.Scene // its project is the one that the users have roles in
	catalog *catalog.Catalog
	store   *storage.Store
	auth    *auth.Service
	jobs    *fakeJobs
	options automation.Options
	handler http.Handler
}

const (
	maxUpload = 1 << 20
	password  = "correct horse battery"
	objects   = "/Automation/v1/objects/ServiceTemplates"
	services  = "/Automation/v1/services/ServiceTemplates"
	invoke    = services + "/actions/import/invoke"
)

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	store, err := storage.Open(t.Context(), s3Config)
	require.NoError(t, err)
	d := &deployment{t: t, catalog: catalogtest.New(t), store: store, jobs: &fakeJobs{}}
	d.scene = catalogtest.NewScene(t, d.catalog)
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	d.auth = auth.New(d.catalog, keys, auth.WithLogger(logger))
	for _, role := range auth.Roles() {
		d.addUser(strings.ToLower(role), role)
	}
	d.addUser("stranger", "")
	d.options = automation.Options{
		Auth: d.auth, Jobs: d.jobs, Templates: d.catalog, Submissions: d.catalog, Store: store, Logger: logger,
		MaxUploadBytes: maxUpload, Version: "1.2.3",
	}
	d.handler = d.newHandler()
	return d
}

func (d *deployment) newHandler() http.Handler {
	engine := middleware.NewEngine(d.options.Logger, middleware.NewForms(automation.WriteError))
	automation.Register(engine, d.options)
	return middleware.SlowClients(engine, middleware.DefaultPace(10*time.Second))
}

func (d *deployment) addUser(name, role string) catalog.User {
	d.t.Helper()
	user, err := d.auth.AddUser(d.t.Context(), "acme", name, password)
	require.NoError(d.t, err)
	if role != "" {
		require.NoError(d.t, d.auth.GrantRole(d.t.Context(), user.ID, d.scene.Project.ID, role))
	}
	return user
}

// run plays scenarios and validates the answers.
func (d *deployment) run(scenarios ...apitest.Scenario) {
	d.t.Helper()
	apitest.Run(d.t, d.handler, apitest.Validator(d.t, automation.Document()), scenarios)
}

// as gives a Prepare that signs in by name and password.
func as(user string) func(testing.TB, *http.Request) {
	return func(_ testing.TB, r *http.Request) { r.SetBasicAuth(user, password) }
}

// stock puts a template into the project whose file has the given content.
func (d *deployment) stock(tmpl catalog.ImportedTemplate, content string) catalog.ServiceTemplate {
	d.t.Helper()
	sum := sha256.Sum256([]byte(content))
	tmpl.SHA256, tmpl.Size = hex.EncodeToString(sum[:]), int64(len(content))
	require.NoError(d.t, d.store.PutBlob(d.t.Context(), tmpl.SHA256, tmpl.Size, strings.NewReader(content)))
	item := d.scene.ImportTemplates(d.t, tmpl).Templates[0]
	stocked, err := d.catalog.ServiceTemplate(d.t.Context(), d.scene.Project.ID, item.Number)
	require.NoError(d.t, err)
	return stocked
}

// staged lists what is in the project's staging.
func (d *deployment) staged() []string {
	d.t.Helper()
	var left []string
	prefix := "staging/" + d.scene.Project.ID + "/"
	for o, err := range d.store.ListStaged(context.Background(), prefix) {
		require.NoError(d.t, err)
		left = append(left, o.Key)
	}
	for u, err := range d.store.ListUnfinishedUploads(context.Background(), prefix) {
		require.NoError(d.t, err)
		left = append(left, u.Key+" (unfinished)")
	}
	return left
}

const boundary = "------------------------5564f06622f7727e"

const formType = "multipart/form-data; boundary=" + boundary

// form is what curl -F file=@name sends.
func form(name, content string) string {
	return formOf(fmt.Sprintf(`form-data; name="file"; filename="%s"`, name), content)
}

func formOf(disposition, content string) string {
	var body strings.Builder
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary(boundary); err != nil {
		panic(err)
	}
	pw, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {"application/octet-stream"}})
	if err != nil {
		panic(err)
	}
	if _, err := io.WriteString(pw, content); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return body.String()
}
