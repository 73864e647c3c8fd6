package metastudio_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/metastudio"
	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
	"assetflow/storage/storagetest"
)

// s3Config is the bucket of this package's tests.
var s3Config storage.Config

// keyRing is the one that all regions of these tests share.
const keyRing = `{"primary": "1", "keys": {"1": "AAECAwQFBgcICQoLDA0ODw=="}}`

func TestMain(m *testing.M) { os.Exit(storagetest.Main(m, &s3Config)) }

// fakeJobs stands for the job service: its jobs stand in the catalog and never run.
type fakeJobs struct {
	catalog *catalog.Catalog

	mu       sync.Mutex
	running  string // id of another job that runs; empty: free
	startErr error
	started  []jobs.CopySubmission
}

func (f *fakeJobs) CheckFree(_ context.Context, kind catalog.JobKind, _, _ string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kind != catalog.AssetCopy {
		return fmt.Errorf("asked for %s", kind)
	}
	if f.running != "" {
		return fault.New(fault.Conflict, jobs.CodeRunning, "A job runs.").WithDetails(f.running)
	}
	return nil
}

func (f *fakeJobs) StartCopy(ctx context.Context, sub jobs.CopySubmission) (jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.startErr != nil {
		return jobs.Job{}, f.startErr
	}
	f.started = append(f.started, sub)
	row := catalog.Job{
		ID: sub.JobID, Kind: catalog.AssetCopy, ProjectID: sub.ProjectID, UserID: sub.UserID,
		WorkflowID: jobs.WorkflowID(catalog.AssetCopy, sub.ProjectID, sub.UserID), Subject: sub.AssetName, State: catalog.JobRunning,
	}
	err := f.catalog.InsertJob(ctx, row)
	if fault.CodeOf(err) == "catalog.job_exists" {
		row, err = f.catalog.Job(ctx, row.ID)
	}
	return jobs.Job{Job: row}, err
}

func (f *fakeJobs) ProjectOf(ctx context.Context, jobID string) (string, error) {
	row, err := f.catalog.Job(ctx, jobID)
	if fault.KindOf(err) == fault.NotFound {
		return "", fault.New(fault.NotFound, jobs.CodeNotFound, "The job does not exist.")
	}
	return row.ProjectID, err
}

// region is the contract on a real catalog, real sign-in and a real S3 server.
type region struct {
	t       *testing.T
	catalog *catalog.Catalog
	store   *storage.Store
	auth    *auth.Service
	jobs    *fakeJobs
	name    string
	config  metastudio.Replication
	handler http.Handler
	project catalog.Project
	other   catalog.Project // in which nobody has a role
	prefix  string          // of all paths

	developer caller
	// Of newFullRegion only: whoever signs in takes time.
	admin, modifier, submitter, stranger caller
}

type caller struct {
	user                        catalog.User
	token, accessKey, secretKey string
}

func newRegion(t *testing.T, name string) *region {
	t.Helper()
	ctx := t.Context()
	store, err := storage.Open(ctx, s3Config)
	require.NoError(t, err)
	ring, err := replication.ParseKeyRing(keyRing)
	require.NoError(t, err)
	r := &region{t: t, name: name, catalog: catalogtest.New(t), store: store, config: metastudio.Replication{
		KeyRing: ring, Trusts: func(url string) bool { return strings.HasPrefix(url, s3Config.Endpoint+"/") },
	}}
	r.jobs = &fakeJobs{catalog: r.catalog}
	keys, err := auth.ParseMasterKey(auth.GenerateMasterKey())
	require.NoError(t, err)
	r.auth = auth.New(r.catalog, keys, auth.WithLogger(slog.New(slog.DiscardHandler)))
	r.project, err = r.catalog.CreateProject(ctx, "acme", "shop")
	require.NoError(t, err)
	r.other, err = r.catalog.CreateProject(ctx, "acme", "other")
	require.NoError(t, err)
	r.prefix = "/v1/" + r.project.ID
	r.developer = r.newCaller("dev", auth.RoleDevelop)
	r.handler = r.newHandler(r.catalog)
	return r
}

// newFullRegion makes a region with a caller of every role.
func newFullRegion(t *testing.T, name string) *region {
	t.Helper()
	r := newRegion(t, name)
	r.admin = r.newCaller("adm", auth.RoleAdmin)
	r.modifier = r.newCaller("mod", auth.RoleModify)
	r.submitter = r.newCaller("sub", auth.RoleSubmit)
	r.stranger = r.newCaller("stranger", "")
	return r
}

func (r *region) newHandler(cat metastudio.Catalog) http.Handler {
	logger := slog.New(slog.DiscardHandler)
	engine := middleware.NewEngine(logger, nil, middleware.NewForms("metastudio", metastudio.WriteError))
	metastudio.Register(engine, metastudio.Options{
		Auth: r.auth, Jobs: r.jobs, Catalog: cat, Submissions: r.catalog, Storage: r.store, Logger: logger,
		Region: r.name, Replication: r.config,
	})
	return engine
}

func (r *region) newCaller(name string, role auth.Role) caller {
	r.t.Helper()
	ctx := r.t.Context()
	user, err := r.auth.AddUser(ctx, "acme", name, "correct horse battery")
	require.NoError(r.t, err)
	c := caller{user: user}
	if role != "" {
		require.NoError(r.t, r.auth.GrantRole(ctx, user.ID, r.project.ID, string(role)))
	}
	c.accessKey, c.secretKey, err = r.auth.AddAccessKey(ctx, user.ID)
	require.NoError(r.t, err)
	token, err := r.auth.IssueToken(ctx, auth.PasswordLogin{Domain: "acme", User: name, Password: "correct horse battery"})
	require.NoError(r.t, err)
	c.token = token.Value
	return c
}

// as gives a scenario of the caller.
func (r *region) as(c caller, name, method, path, body string, status int) apitest.Scenario {
	s := apitest.Scenario{
		Name: name, Method: method, URL: r.prefix + path, Body: body,
		Headers:    map[string]string{"X-Auth-Token": c.token, "Content-Type": "application/json"},
		WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"},
	}
	if c.token != "" {
		s.WantHeaders["Cache-Control"] = "no-store"
	}
	return s
}

// refused gives a scenario of the developer that ends in an error.
func (r *region) refused(name, method, path, body, code, message string) apitest.Scenario {
	s := r.as(r.developer, name, method, path, body, http.StatusBadRequest)
	s.Check = refusal(code, message)
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

// call does what a scenario does and gives the answer's body, decoded into into unless that is nil.
func (r *region) call(c caller, method, path, body string, into any) http.Header {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.t.Context(), method, r.prefix+path, strings.NewReader(body))
	request.Header.Set("X-Auth-Token", c.token)
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, request)
	require.Equal(r.t, http.StatusOK, answer.Code, "%s %s: %s", method, path, answer.Body)
	if into != nil {
		require.NoError(r.t, json.Unmarshal(answer.Body.Bytes(), into))
	}
	return answer.Header()
}

func (r *region) newAsset(name string) string {
	r.t.Helper()
	var created metastudio.AssetCreated
	r.call(r.developer, "POST", "/digital-assets", fmt.Sprintf(`{"asset_name": %q, "asset_type": "VIDEO"}`, name), &created)
	require.NotEmpty(r.t, created.AssetID)
	return created.AssetID
}

func (r *region) show(assetID string) metastudio.Asset {
	r.t.Helper()
	var asset metastudio.Asset
	r.call(r.developer, "GET", "/digital-assets/"+assetID, "", &asset)
	return asset
}

func md5Of(content string) string {
	sum := md5.Sum([]byte(content))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func fileBody(assetID, name, category, content string) string {
	return fmt.Sprintf(`{"file_name": %q, "file_md5": %q, "file_size": %d, "file_type": "mp4", "asset_id": %q, "asset_file_category": %q}`,
		name, md5Of(content), len(content), assetID, category)
}

func (r *region) announce(assetID, name, category, content string) metastudio.FileCreated {
	r.t.Helper()
	var created metastudio.FileCreated
	r.call(r.developer, "POST", "/files", fileBody(assetID, name, category, content), &created)
	return created
}

// put uploads to a presigned URL as a client does, and gives the status; 0 where the server hung up on the body instead.
func (r *region) put(url, content, md5 string) int {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPut, url, strings.NewReader(content))
	require.NoError(r.t, err)
	request.Header.Set("Content-MD5", md5)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Log(err)
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func (r *region) confirm(fileID string) {
	r.t.Helper()
	r.call(r.developer, "POST", "/files/"+fileID+"/complete", `{"state": "CREATED"}`, nil)
}

// upload takes a file the whole way.
func (r *region) upload(assetID, name, category, content string) string {
	r.t.Helper()
	file := r.announce(assetID, name, category, content)
	require.Equal(r.t, http.StatusOK, r.put(file.UploadURL, content, md5Of(content)))
	r.confirm(file.FileID)
	return file.FileID
}

// get follows a presigned URL.
func get(t testing.TB, url string) (string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
	return string(body), answer.Header
}

// replicationInfo asks for an asset's replication info.
func (r *region) replicationInfo(assetID string) string {
	r.t.Helper()
	var info json.RawMessage
	r.call(r.developer, "GET", "/digital-assets/"+assetID+"/replication-info", "", &info)
	return string(info)
}
