package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
)

// roma is the root of the tenant's asset paths.
func (tn *tenant) roma() string {
	return fmt.Sprintf("%s/v2/%s/instances/%s/assets", stack.Credentials().Endpoint, tn.project.ID, tn.instance.ID)
}

func (tn *tenant) native() string {
	return fmt.Sprintf("%s/api/v1/projects/%s/instances/%s", stack.Credentials().Endpoint, tn.project.ID, tn.instance.ID)
}

// selection names assets by kind as the contract does.
func (tn *tenant) selection(t *testing.T, kinds ...string) string {
	t.Helper()
	ids := map[string][]map[string]string{"apps": {}, "tasks": {}}
	page, err := tn.ListAssets(t.Context(), client.AssetFilter{Limit: 500})
	require.NoError(t, err)
	for _, a := range page.Assets {
		list := map[string]string{"application": "apps", "task": "tasks"}[a.Kind]
		if strings.Contains(strings.Join(kinds, " "), list) {
			ids[list] = append(ids[list], map[string]string{"id": a.ID})
		}
	}
	text, err := json.Marshal(ids)
	require.NoError(t, err)
	return string(text)
}

// start posts a selection to an operation and waits for its job's end; the answer is the job as the contract shows it.
func (tn *tenant) start(t *testing.T, operation, selection string) map[string]any {
	t.Helper()
	headers := map[string]string{"X-Auth-Token": signIn(t, tn, tn.project.ID), "Content-Type": "application/json"}
	status, _, body := call(t, http.MethodPost, tn.roma()+"/"+operation, strings.NewReader(selection), headers)
	require.Equal(t, http.StatusOK, status, body)
	var started struct {
		JobID string `json:"job_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &started))
	tn.ends(t, started.JobID)
	_, _, body = call(t, http.MethodGet, tn.roma()+"/jobs/"+started.JobID, nil, headers)
	var job map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &job))
	return job
}

// exports exports everything and downloads the archive.
func (tn *tenant) exports(t *testing.T) []byte {
	t.Helper()
	job := tn.start(t, "export", tn.selection(t, "apps", "tasks"))
	require.Equal(t, "SUCCEEDED", job["status"], job)
	require.Equal(t, "exportAsset", job["type"])
	status, header, body := call(t, http.MethodGet, tn.roma()+"/archives/"+job["archive_id"].(string), nil,
		map[string]string{"X-Auth-Token": signIn(t, tn, tn.project.ID)})
	require.Equal(t, http.StatusOK, status, body)
	require.Equal(t, fmt.Sprint(len(body)), header.Get("Content-Length"))
	return []byte(body)
}

// What was imported comes out with the same bytes, every time, also after a journey through another instance.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile(filepath.Join(root, "examples", "shop.zip"))
	require.NoError(t, err)
	packages := map[string][]byte{"the example": example}
	for i, spec := range []packagetest.Spec{
		{Name: "one", Applications: 1},
		{Name: "tasks", Applications: 2, Tasks: 7, FilesPerAsset: 1, FileBytes: 1},
		{Name: "empty files", Applications: 1, FilesPerAsset: 3},
		{Name: "many files", Applications: 4, Tasks: 4, FilesPerAsset: 40, FileBytes: 777},
		{Name: "large", Applications: 2, FilesPerAsset: 1, FileBytes: 17 << 20},
		{Name: "full", Applications: 60, Tasks: 40, FilesPerAsset: 1, FileBytes: 100},
	} {
		spec.Seed = uint64(i)
		packages[spec.Name] = spec.Bytes()
	}
	for name, pkg := range packages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here, there := newTenant(t), newTenant(t)
			here.imports(t, pkg, client.ImportOptions{})
			first := here.exports(t)
			require.Equal(t, first, here.exports(t), "the same export again gives the same bytes")
			there.imports(t, first, client.ImportOptions{})
			require.Equal(t, first, there.exports(t), "equal content gives equal bytes in another instance")
			require.Equal(t, pkg, first, "a package that was written by our writer comes out as it went in")
		})
	}
}

// Assets of different packages may have files of the same path; an export of them is a valid package all the same.
func TestExportOfClashingPackages(t *testing.T) {
	t.Parallel()
	here, there := newTenant(t), newTenant(t)
	for i, name := range []string{"a", "b"} {
		here.imports(t, packagetest.Spec{Name: name, Applications: 1, FilesPerAsset: 2, FileBytes: 10, Seed: uint64(i)}.Bytes(), client.ImportOptions{})
	}
	archive := here.exports(t)
	require.Equal(t, archive, here.exports(t))
	there.imports(t, archive, client.ImportOptions{})
	require.Equal(t, here.names(t), there.names(t))
	require.Equal(t, archive, there.exports(t))
}

func TestAnArchiveIsDownloadedOnce(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	tn.imports(t, packagetest.Spec{Name: "once", Applications: 1, FilesPerAsset: 1, FileBytes: 100_000}.Bytes(), client.ImportOptions{})
	job := tn.start(t, "export", tn.selection(t, "apps"))
	url := tn.roma() + "/archives/" + job["archive_id"].(string)
	token := signIn(t, tn, tn.project.ID)

	other := newTenant(t)
	status, _, body := call(t, http.MethodGet, url, nil, map[string]string{"X-Auth-Token": signIn(t, other, "")})
	require.Equal(t, http.StatusNotFound, status, body)

	status, header, _ := call(t, http.MethodHead, url, nil, map[string]string{"X-Auth-Token": token})
	require.Equal(t, http.StatusOK, status)
	etag := header.Get("ETag")
	require.NotEmpty(t, etag)

	// The first part, as after a broken download, and then the rest.
	status, header, first := call(t, http.MethodGet, url, nil, map[string]string{"X-Auth-Token": token, "Range": "bytes=0-59999"})
	require.Equal(t, http.StatusPartialContent, status)
	require.Equal(t, etag, header.Get("ETag"))
	status, _, rest := call(t, http.MethodGet, url, nil, map[string]string{"X-Auth-Token": token, "Range": "bytes=60000-", "If-Range": etag})
	require.Equal(t, http.StatusPartialContent, status)

	// Another API than the one that delivered the last byte learns of it a moment later.
	require.Eventually(t, func() bool {
		status, _, body = call(t, http.MethodGet, url, nil, map[string]string{"X-Auth-Token": token})
		return status == http.StatusNotFound && strings.Contains(body, "ROMA.1007")
	}, time.Minute, 10*time.Millisecond, "every byte has been delivered")
	require.Eventually(t, func() bool {
		for _, err := range stack.Storage().ListArchives(t.Context(), "archives/"+tn.project.ID+"/") {
			require.NoError(t, err)
			return false
		}
		return true
	}, time.Minute, 10*time.Millisecond, "the object stays")
	newTenant(t).imports(t, []byte(first+rest), client.ImportOptions{})
}

// A deletion is all or nothing, protects what others use, and can be undone until it is purged.
func TestDeleteRestoreAndPurge(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	tn.imports(t, packagetest.Small("del").Bytes(), client.ImportOptions{})
	before := tn.names(t)

	job := tn.start(t, "delete", tn.selection(t, "apps"))
	require.Equal(t, "FAILED", job["status"])
	require.Equal(t, "deleteAsset", job["type"])
	require.Len(t, job["reasons"], 2, "two applications are used by tasks that stay")
	require.Equal(t, before, tn.names(t))

	selection := tn.selection(t, "apps", "tasks")
	job = tn.start(t, "delete", selection)
	require.Equal(t, "SUCCEEDED", job["status"], job)
	require.Empty(t, tn.names(t))
	job = tn.start(t, "delete", selection)
	require.Equal(t, "FAILED", job["status"], "what is in the trash is unknown")
	require.Len(t, job["reasons"], 5)

	headers := map[string]string{"X-Auth-Token": signIn(t, tn, tn.project.ID)}
	_, _, body := call(t, http.MethodGet, tn.native()+"/trash", nil, headers)
	var trash struct {
		Assets []struct{ ID, Kind, Name string }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &trash))
	require.Len(t, trash.Assets, 5)
	for _, kind := range []string{"application", "task"} { // a task cannot come back before what it uses
		for _, a := range trash.Assets {
			if a.Kind == kind {
				status, _, body := call(t, http.MethodPost, tn.native()+"/trash/"+a.ID+"/restore", nil, headers)
				require.Equal(t, http.StatusOK, status, body)
			}
		}
	}
	require.Equal(t, before, tn.names(t))
}

// A dry run says what would happen and leaves no trace.
func TestPlanLeavesNoTrace(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	first := packagetest.Small("plan")
	tn.imports(t, first.Bytes(), client.ImportOptions{})
	before, stored := tn.names(t), blobCount(t, tn)
	changed := first
	changed.Seed = 9

	plan := tn.plans(t, changed.Bytes(), "?type=Merge")
	require.Contains(t, plan, `"new_version"`)
	require.Contains(t, tn.plans(t, first.Bytes(), ""), `"name_taken"`)
	require.Contains(t, tn.plans(t, []byte("not a zip"), ""), "not a zip")

	require.Equal(t, before, tn.names(t))
	require.Equal(t, stored, blobCount(t, tn))
	tn.requireNothingStaged(t)
	page, err := tn.ListJobs(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 1, "a dry run is no job")
}

func (tn *tenant) plans(t *testing.T, pkg []byte, query string) string {
	t.Helper()
	form, contentType := importForm(t, pkg)
	status, _, body := call(t, http.MethodPost, tn.native()+"/assets/plan"+query, form,
		map[string]string{"X-Auth-Token": signIn(t, tn, tn.project.ID), "Content-Type": contentType})
	require.Equal(t, http.StatusOK, status, body)
	return body
}

func importForm(t *testing.T, pkg []byte) (body io.Reader, contentType string) {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("ImportAssetRequestBody", "sample.zip")
	require.NoError(t, err)
	_, err = part.Write(pkg)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return &form, w.FormDataContentType()
}

// blobCount counts the distinct contents that the tenant's assets refer to.
func blobCount(t *testing.T, tn *tenant) int {
	t.Helper()
	digests := map[string]bool{}
	page, err := tn.ListAssets(t.Context(), client.AssetFilter{Limit: 500})
	require.NoError(t, err)
	for _, a := range page.Assets {
		asset, err := tn.Asset(t.Context(), a.ID)
		require.NoError(t, err)
		for _, f := range asset.Files {
			digests[f.SHA256] = true
		}
	}
	return len(digests)
}

// Fifty requests with one key at once are one job, and every caller hears the same answer, byte for byte.
func TestIdempotentSubmission(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	token := signIn(t, tn, tn.project.ID)
	pkg := packagetest.Small("key").Bytes()
	post := func(key string, pkg []byte) (int, http.Header, string) {
		form, contentType := importForm(t, pkg)
		return call(t, http.MethodPost, tn.roma()+"/import", form,
			map[string]string{"X-Auth-Token": token, "Content-Type": contentType, "Idempotency-Key": key})
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	replayed := 0
	for range 50 {
		wg.Go(func() {
			status, header, body := post("one", pkg)
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprint(status, " ", body)]++
			if header.Get("Idempotency-Replayed") == "true" {
				replayed++
			}
		})
	}
	wg.Wait()
	require.Len(t, answers, 1, "%v", answers)
	require.Equal(t, 49, replayed)
	page, err := tn.ListJobs(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Len(t, page.Jobs, 1)
	require.Equal(t, client.Succeeded, tn.ends(t, page.Jobs[0].ID).Status)

	status, header, body := post("one", pkg)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "true", header.Get("Idempotency-Replayed"), "after the job has ended, too")
	require.Equal(t, 1, answers["200 "+body]/50)
	status, _, body = post("one", packagetest.Small("another").Bytes())
	require.Equal(t, http.StatusBadRequest, status, body)
	require.Len(t, tn.names(t), 5)
	tn.requireNothingStaged(t)
}
