package automation_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"assetflow/api/automation"
	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/assetpackage"
	"assetflow/assetpackage/servicetemplate"
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

// fakeJobs carries imports out at once on the real catalog and store, unless it is told otherwise.
type fakeJobs struct {
	catalog *catalog.Catalog
	store   *storage.Store

	mu       sync.Mutex
	running  string // id of the job that runs; empty: free
	startErr error
	awaitErr error
	outcome  *jobs.Job // how every job ends; nil: as its file has it
	never    bool      // no job ends
	started  []jobs.TemplateSubmission
	checked  int
	jobs     map[string]jobs.Job
}

func (f *fakeJobs) CheckFree(_ context.Context, kind catalog.JobKind, _, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked++
	if kind != catalog.ServiceTemplateImport {
		return fmt.Errorf("asked for %s", kind)
	}
	if f.running != "" {
		return fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(f.running)
	}
	return nil
}

func (f *fakeJobs) StartTemplateImport(ctx context.Context, sub jobs.TemplateSubmission) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.startErr != nil {
		return jobs.Job{}, f.startErr
	}
	if job, known := f.jobs[sub.JobID]; known {
		return job, nil
	}
	f.started = append(f.started, sub)
	job := jobs.Job{Job: catalog.Job{
		ID: sub.JobID, Kind: catalog.ServiceTemplateImport, ProjectID: sub.ProjectID, UserID: sub.UserID, Subject: sub.FileName,
		State: catalog.JobRunning, CreatedAt: time.Now().UTC(),
	}}
	if sub.OnConflict == jobs.OnConflictQueue {
		job.State = catalog.JobQueued
	}
	f.jobs[sub.JobID] = job
	if f.never {
		return job, nil
	}
	ended, err := f.carryOut(ctx, job, sub)
	f.jobs[sub.JobID] = ended
	return job, err
}

// carryOut does what the workflow does.
func (f *fakeJobs) carryOut(ctx context.Context, job jobs.Job, sub jobs.TemplateSubmission) (jobs.Job, error) {
	defer func() { _ = f.store.DeleteStaged(ctx, sub.Staged.Key) }()
	now := time.Now().UTC()
	job.EndedAt = &now
	if f.outcome != nil {
		job.State, job.Reasons, job.Result = f.outcome.State, f.outcome.Reasons, f.outcome.Result
		return job, nil
	}
	fail := func(reasons []catalog.Reason) (jobs.Job, error) {
		job.State, job.Reasons = catalog.JobFailed, reasons
		return job, nil
	}
	bundle, err := servicetemplate.Open(ctx, sub.FileName, f.store.OpenStaged(ctx, sub.Staged.Key, sub.Staged.Size), assetpackage.Limits{}, nil)
	var bad *assetpackage.ProblemsError
	if errors.As(err, &bad) {
		reasons := make([]catalog.Reason, 0, len(bad.Problems))
		for _, p := range bad.Problems {
			reasons = append(reasons, catalog.Reason(p))
		}
		return fail(reasons)
	}
	if err != nil {
		return job, err
	}
	row := job.Job
	row.WorkflowID, row.EndedAt = "template-import:"+sub.ProjectID+":"+sub.UserID, nil
	if err := f.catalog.InsertJob(ctx, row); err != nil {
		return job, err
	}
	imp := catalog.TemplateImport{JobID: sub.JobID, ProjectID: sub.ProjectID, UserID: sub.UserID}
	for _, t := range bundle.Templates() {
		m := t.Manifest
		imp.Templates = append(imp.Templates, catalog.ImportedTemplate{FileName: t.FileName, ServiceTemplate: catalog.ServiceTemplate{
			KeyName: m.KeyName, DisplayName: m.DisplayName, VendorID: m.VendorID, VendorName: m.VendorName, Version: m.Version,
			Description: m.Description, ReleaseState: m.ReleaseState, SupportedScheduleType: m.SupportedScheduleType,
			Tags: m.Tags, UsedServices: m.UsedServices, UsedTemplates: m.UsedTemplates, SHA256: t.SHA256, Size: t.Size,
		}})
		if err := f.storeBlob(ctx, t); err != nil {
			return job, err
		}
	}
	reasons, err := f.catalog.CompareTemplates(ctx, imp)
	if err != nil {
		return job, err
	}
	if len(reasons) > 0 {
		return fail(reasons)
	}
	result, err := f.catalog.CommitTemplates(ctx, imp)
	if err != nil {
		return job, err
	}
	job.State = catalog.JobSucceeded
	job.Result, err = json.Marshal(result)
	return job, err
}

func (f *fakeJobs) storeBlob(ctx context.Context, t servicetemplate.Template) error {
	if _, err := f.catalog.TouchBlobs(ctx, []catalog.Blob{{SHA256: t.SHA256, Size: t.Size}}); err != nil {
		return err
	}
	content, err := t.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	return f.store.PutBlob(ctx, t.SHA256, t.Size, content)
}

func (f *fakeJobs) Await(ctx context.Context, projectID, jobID string, most time.Duration) (jobs.Job, error) {
	f.mu.Lock()
	job, known := f.jobs[jobID]
	never, err := f.never, f.awaitErr
	f.mu.Unlock()
	if err != nil {
		return jobs.Job{}, err
	}
	if !known || job.ProjectID != projectID {
		return jobs.Job{}, fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	}
	if never {
		select {
		case <-time.After(most):
		case <-ctx.Done():
			return job, ctx.Err()
		}
	}
	return job, nil
}

func (f *fakeJobs) ProjectOf(_ context.Context, jobID string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	job, known := f.jobs[jobID]
	if !known {
		return "", fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	}
	return job.ProjectID, nil
}

// deployment is the contract on a real catalog, real sign-in and a real S3 server.
type deployment struct {
	t         *testing.T
	catalog   *catalog.Catalog
	store     *storage.Store
	auth      *auth.Service
	now       func() time.Time // of auth
	jobs      *fakeJobs
	handler   http.Handler
	project   catalog.Project
	other     catalog.Project // in which only multi has a role
	admin     caller
	developer caller
	modifier  caller
	submitter caller
	stranger  caller // without any role
	multi     caller // Develop in project and other
	staging   upload.StagingReader
	blobs     automation.Blobs
	wait      time.Duration
}

type caller struct {
	user  catalog.User
	basic string // header Authorization
	token string // X-Auth-Token
}

const (
	maxUpload = 4 << 20
	password  = "correct horse battery"
)

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	ctx := t.Context()
	store, err := storage.Open(ctx, s3Config)
	require.NoError(t, err)
	d := &deployment{t: t, catalog: catalogtest.New(t), store: store, now: time.Now, wait: 30 * time.Second}
	d.jobs = &fakeJobs{catalog: d.catalog, store: store, jobs: map[string]jobs.Job{}}
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	d.auth = auth.New(d.catalog, keys, auth.WithLogger(slog.New(slog.DiscardHandler)), auth.WithClock(func() time.Time { return d.now() }))
	d.project, err = d.catalog.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	d.other, err = d.catalog.CreateProject(ctx, "acme", "other")
	require.NoError(t, err)
	d.admin = d.newCaller("admin", auth.RoleAdmin, d.project)
	d.developer = d.newCaller("dev", auth.RoleDevelop, d.project)
	d.modifier = d.newCaller("mod", auth.RoleModify, d.project)
	d.submitter = d.newCaller("sub", auth.RoleSubmit, d.project)
	d.stranger = d.newCaller("stranger", "")
	d.multi = d.newCaller("multi", auth.RoleDevelop, d.project, d.other)
	d.staging, d.blobs = store, store
	d.renew(middleware.DefaultPace(10 * time.Second))
	return d
}

// renew puts the handler together again after a change of what it works with.
func (d *deployment) renew(pace middleware.Pace) {
	logger := slog.New(slog.DiscardHandler)
	engine := middleware.NewEngine(logger, nil, middleware.NewForms("automation", automation.WriteError))
	automation.Register(engine, automation.Options{
		Auth: d.auth, Jobs: d.jobs, Templates: d.catalog, Submissions: d.catalog, Staging: d.staging, Blobs: d.blobs,
		Logger: logger, MaxUploadBytes: maxUpload, Wait: d.wait, Version: "1.2.3",
	})
	d.handler = middleware.SlowClients(engine, pace)
}

func (d *deployment) newCaller(name string, role auth.Role, projects ...catalog.Project) caller {
	d.t.Helper()
	ctx := d.t.Context()
	user, err := d.auth.AddUser(ctx, "acme", name, password)
	require.NoError(d.t, err)
	for _, p := range projects {
		require.NoError(d.t, d.auth.GrantRole(ctx, user.ID, p.ID, string(role)))
	}
	token, err := d.auth.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: name, Password: password})
	require.NoError(d.t, err)
	return caller{user: user, basic: basicOf(name, password), token: token.Value}
}

func basicOf(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// newSystem makes the user of the vendor's example, whose password is shorter than we allow to set.
func (d *deployment) newSystem() {
	d.t.Helper()
	ctx := d.t.Context()
	salt := bytes.Repeat([]byte{1}, 16)
	b64 := base64.RawStdEncoding.EncodeToString
	hash := fmt.Sprintf("$argon2id$v=%d$m=1024,t=1,p=1$%s$%s", argon2.Version, b64(salt), b64(argon2.IDKey([]byte("manager"), salt, 1, 1024, 1, 32)))
	user, err := d.catalog.CreateUser(ctx, "acme", "system", hash)
	require.NoError(d.t, err)
	require.NoError(d.t, d.auth.GrantRole(ctx, user.ID, d.project.ID, string(auth.RoleAdmin)))
}

func (d *deployment) staged() []string {
	d.t.Helper()
	var left []string
	for _, p := range []catalog.Project{d.project, d.other} {
		for o, err := range d.store.ListStaged(context.Background(), "staging/"+p.ID+"/") {
			require.NoError(d.t, err)
			left = append(left, o.Key)
		}
		for u, err := range d.store.ListUnfinishedUploads(context.Background(), "staging/"+p.ID+"/") {
			require.NoError(d.t, err)
			left = append(left, u.Key+" (unfinished)")
		}
	}
	return left
}

// template makes a .st file.
func template(t testing.TB, m servicetemplate.Manifest) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, servicetemplate.Write(context.Background(), &b, m, nil, nil))
	return b.Bytes()
}

func manifest(vendorID, keyName, version string) servicetemplate.Manifest {
	return servicetemplate.Manifest{VendorID: vendorID, KeyName: keyName, Version: version}
}

// bundleFile is a file of a bundle.
type bundleFile struct {
	name    string
	content []byte
}

// bundle makes a .zip with the files in the given order.
func bundle(t testing.TB, files ...bundleFile) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		require.NoError(t, err)
		_, err = w.Write(f.content)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.Bytes()
}

const boundary = "------------------------5564f06622f7727e"

const formType = "multipart/form-data; boundary=" + boundary

// part is one part of a form.
type part struct {
	disposition string // header Content-Disposition
	content     string
}

func filePart(filename, content string) part {
	return part{disposition: fmt.Sprintf(`form-data; name="file"; filename="%s"`, filename), content: content}
}

func form(parts ...part) string {
	var body strings.Builder
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary(boundary); err != nil {
		panic(err)
	}
	for _, p := range parts {
		pw, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}, "Content-Disposition": {p.disposition}})
		if err != nil {
			panic(err)
		}
		if _, err := io.WriteString(pw, p.content); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return body.String()
}

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// awayStaging is a store that cannot be reached.
type awayStaging struct{}

func (*awayStaging) Stage(context.Context, string, io.Reader, int64) (storage.Staged, error) {
	return storage.Staged{}, fault.New(fault.Unavailable, "storage.unavailable", "The store is away.").Wrap(errors.New("a secret of ours"))
}

func (*awayStaging) OpenStaged(context.Context, string, int64) *storage.Object {
	panic("nothing is staged")
}

func (*awayStaging) DeleteStaged(context.Context, string) error { return nil }

// slowStaging is a store that takes its time.
type slowStaging struct {
	*storage.Store
	pass func()
}

func (s slowStaging) Stage(ctx context.Context, key string, r io.Reader, limit int64) (storage.Staged, error) {
	s.pass()
	return s.Store.Stage(ctx, key, r, limit)
}
