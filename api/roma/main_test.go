package roma_test

import (
	"context"
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

	"assetflow/api/middleware"
	"assetflow/api/roma"
	"assetflow/auth"
	"assetflow/auth/signature"
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

// fakeJobs stands for the job service, to force what it can answer.
type fakeJobs struct {
	mu       sync.Mutex
	running  string // id of the job that runs; empty: free
	startErr error
	starting func(jobs.ImportSubmission) error
	getErr   error
	started  []jobs.ImportSubmission
	jobs     map[string]jobs.Job
	rows     map[string]string // project by id: jobs that were written down, whether or not they started

	exports, deletions []jobs.SelectionSubmission
	checked            []catalog.JobKind // what CheckFree was asked
}

func (f *fakeJobs) CheckFree(_ context.Context, kind catalog.JobKind, _, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checked = append(f.checked, kind)
	if f.running != "" {
		return fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(f.running)
	}
	return nil
}

func (f *fakeJobs) StartImport(_ context.Context, sub jobs.ImportSubmission) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.starting != nil {
		if err := f.starting(sub); err != nil {
			return jobs.Job{}, err
		}
	}
	if f.startErr != nil {
		return jobs.Job{}, f.startErr
	}
	f.started = append(f.started, sub)
	return jobs.Job{Job: catalog.Job{ID: sub.JobID}}, nil
}

func (f *fakeJobs) StartExport(_ context.Context, sub jobs.SelectionSubmission) (jobs.Job, error) {
	return f.startSelection(&f.exports, sub)
}

func (f *fakeJobs) StartDeletion(_ context.Context, sub jobs.SelectionSubmission) (jobs.Job, error) {
	return f.startSelection(&f.deletions, sub)
}

func (f *fakeJobs) startSelection(started *[]jobs.SelectionSubmission, sub jobs.SelectionSubmission) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.startErr != nil {
		return jobs.Job{}, f.startErr
	}
	*started = append(*started, sub)
	return jobs.Job{Job: catalog.Job{ID: sub.JobID}}, nil
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

func (f *fakeJobs) Get(_ context.Context, projectID, jobID string) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.getErr != nil {
		return jobs.Job{}, f.getErr
	}
	job, ok := f.jobs[jobID]
	if !ok || job.ProjectID != projectID {
		return jobs.Job{}, fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	}
	return job, nil
}

// deployment is the contract on a real catalog, real sign-in and a real S3 server.
type deployment struct {
	t         *testing.T
	catalog   *catalog.Catalog
	store     *storage.Store
	auth      *auth.Service
	yesterday *auth.Service // the same, 25 hours ago
	jobs      *fakeJobs
	handler   http.Handler
	project   catalog.Project
	instance  catalog.Instance
	other     catalog.Project // in which nobody has a role
	developer caller
	submitter caller
	stranger  caller // without any role
	prefix    string // of the import path and the job path
	maxUpload int64
	staging   roma.Staging
	archives  roma.Archives
	archived  roma.ArchiveStore
}

type caller struct {
	user                        catalog.User
	token, accessKey, secretKey string
}

const maxUpload = 1 << 20

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	ctx := t.Context()
	store, err := storage.Open(ctx, s3Config)
	require.NoError(t, err)
	d := &deployment{t: t, catalog: catalogtest.New(t), store: store, jobs: &fakeJobs{jobs: map[string]jobs.Job{}}}
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	quiet := auth.WithLogger(slog.New(slog.DiscardHandler))
	d.auth = auth.New(d.catalog, keys, quiet)
	d.yesterday = auth.New(d.catalog, keys, quiet, auth.WithClock(func() time.Time { return time.Now().Add(-25 * time.Hour) }))

	d.project, err = d.catalog.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	d.other, err = d.catalog.CreateProject(ctx, "acme", "other")
	require.NoError(t, err)
	d.instance, err = d.catalog.CreateInstance(ctx, d.project.ID, "one")
	require.NoError(t, err)
	d.prefix = "/v2/" + d.project.ID + "/instances/" + d.instance.ID + "/assets"
	d.developer = d.newCaller("dev", auth.RoleDevelop)
	d.submitter = d.newCaller("sub", auth.RoleSubmit)
	d.stranger = d.newCaller("stranger", "")

	d.maxUpload, d.staging, d.archives, d.archived = maxUpload, store, d.catalog, store
	d.handler = d.newHandler(middleware.DefaultPace(10 * time.Second))
	return d
}

func (d *deployment) newHandler(pace middleware.Pace) http.Handler {
	logger := slog.New(slog.DiscardHandler)
	engine := middleware.NewEngine(logger, nil, middleware.NewForms("roma", roma.WriteError))
	roma.Register(engine, roma.Options{
		Auth: d.auth, Jobs: d.jobs, Instances: d.catalog, Submissions: d.catalog, Archives: d.archives, Staging: d.staging,
		ArchiveStore: d.archived, Logger: logger, MaxUploadBytes: d.maxUpload,
	})
	return middleware.SlowClients(engine, pace)
}

// awayStaging is a store that cannot be reached.
type awayStaging struct{}

func (awayStaging) Stage(context.Context, string, io.Reader, int64) (storage.Staged, error) {
	return storage.Staged{}, fault.New(fault.Unavailable, "storage.unavailable", "The store is away.").Wrap(errors.New("a secret of ours"))
}

func (awayStaging) OpenStaged(context.Context, string, int64) *storage.Object {
	panic("nothing is staged")
}

func (awayStaging) DeleteStaged(context.Context, string) error { return nil }

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
	login := auth.PasswordLogin{Domain: "acme", User: name, Password: "correct horse battery"}
	token, err := d.auth.IssueToken(ctx, login)
	require.NoError(d.t, err)
	c.token = token.Value
	return c
}

// sign gives a Prepare for a scenario that signs the request as the vendor's SDK does.
func (c caller) sign(at time.Time) func(testing.TB, *http.Request) {
	return func(t testing.TB, r *http.Request) {
		t.Helper()
		require.NoError(t, signature.Sign(r, c.accessKey, c.secretKey, at))
	}
}

// requireNothingStaged fails unless the project has neither staged objects nor unfinished uploads.
func (d *deployment) requireNothingStaged() {
	d.t.Helper()
	require.Empty(d.t, d.staged())
}

func (d *deployment) staged() []string {
	d.t.Helper()
	var left []string
	for o, err := range d.store.ListStaged(context.Background(), "staging/"+d.project.ID+"/") {
		require.NoError(d.t, err)
		left = append(left, o.Key)
	}
	for u, err := range d.store.ListUnfinishedUploads(context.Background(), "staging/"+d.project.ID+"/") {
		require.NoError(d.t, err)
		left = append(left, u.Key+" (unfinished)")
	}
	return left
}

const boundary = "0123456789abcdef"

const formType = "multipart/form-data; boundary=" + boundary

// part is one part of a form.
type part struct {
	disposition string // header Content-Disposition
	content     string
	header      map[string]string
}

func packagePart(filename, content string) part {
	return part{disposition: fmt.Sprintf(`form-data; name="ImportAssetRequestBody"; filename="%s"`, filename), content: content}
}

func form(parts ...part) string {
	var body strings.Builder
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary(boundary); err != nil {
		panic(err)
	}
	for _, p := range parts {
		header := textproto.MIMEHeader{"Content-Type": {"application/octet-stream"}}
		if p.disposition != "" {
			header.Set("Content-Disposition", p.disposition)
		}
		for name, value := range p.header {
			header.Set(name, value)
		}
		pw, err := w.CreatePart(header)
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
