package metastudio_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/metastudio"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// requireNoUpload fails unless nothing is left of the upload of a file.
func (r *region) requireNoUpload(fileID string) {
	r.t.Helper()
	for o, err := range r.store.ListUploads(r.t.Context(), "uploads/"+r.project.ID+"/"+fileID+"/") {
		require.NoError(r.t, err)
		r.t.Errorf("left behind: %s", o.Key)
	}
}

func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	r := newFullRegion(t, "north")
	id := r.newAsset("a")
	content := strings.Repeat("the film ", 100_000)
	file := r.announce(id, "Film ☕.mp4", "MAIN", content)
	asset := r.show(id)
	require.Equal(t, metastudio.AssetStateCREATING, asset.AssetState)
	require.Len(t, asset.Files, 1)
	require.Equal(t, metastudio.File{
		FileID: file.FileID, FileName: "Film ☕.mp4", FileMd5: md5Of(content), FileSize: int64(len(content)), FileType: "mp4",
		AssetFileCategory: metastudio.MAIN, State: metastudio.FileStateCREATING,
	}, asset.Files[0])

	require.NotEqual(t, http.StatusOK, r.put(file.UploadURL, content+"!", md5Of(content)), "another size")
	require.NotEqual(t, http.StatusOK, r.put(file.UploadURL, content, md5Of("x")), "another MD5")
	require.NotEqual(t, http.StatusOK, r.put(file.UploadURL, strings.ToUpper(content), md5Of(content)), "other bytes")
	require.Equal(t, http.StatusOK, r.put(file.UploadURL, content, md5Of(content)))
	r.confirm(strings.ToUpper(file.FileID)) // in any form
	r.confirm(file.FileID)                  // again
	r.requireNoUpload(file.FileID)

	asset = r.show(id)
	require.Equal(t, metastudio.AssetStateACTIVED, asset.AssetState)
	require.Equal(t, metastudio.FileStateCREATED, asset.Files[0].State)
	got, header := get(t, *asset.Files[0].DownloadURL)
	require.Equal(t, content, got)
	require.Contains(t, header.Get("Content-Disposition"), "attachment")
	require.Contains(t, header.Get("Content-Disposition"), "Film%20%E2%98%95.mp4")

	// Who may only look is given no URL.
	look := r.as(r.submitter, "without a URL", "GET", "/digital-assets/"+id, "", 200)
	look.WantNotBody, look.WantBody = []string{"download_url"}, []string{`"state":"CREATED"`}
	list := r.as(r.submitter, "a list without a URL", "GET", "/digital-assets", "", 200)
	list.WantNotBody, list.WantBody = look.WantNotBody, look.WantBody
	take := r.as(r.modifier, "with a URL", "GET", "/digital-assets", "", 200)
	take.WantBody = []string{`"download_url":"http`}
	apitest.Run(t, r.handler, apitest.Validator(t, metastudio.Document()), []apitest.Scenario{look, list, take})

	// The same bytes once more are stored once, and the upload's URL cannot change them.
	r.upload(id, "again.mp4", "OTHER", content)
	require.Equal(t, http.StatusOK, r.put(file.UploadURL, content, md5Of(content)), "the URL is good for a day")
	got, _ = get(t, *r.show(id).Files[0].DownloadURL)
	require.Equal(t, content, got)
}

func TestFileRefusals(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	id := r.newAsset("a")
	body := func(field, value string) string {
		fields := map[string]string{
			"file_name": `"f.mp4"`, "file_md5": fmt.Sprintf("%q", md5Of("f")), "file_size": "1", "file_type": `"mp4"`,
			"asset_id": fmt.Sprintf("%q", id), "asset_file_category": `"OTHER"`,
		}
		fields[field] = value
		var parts []string
		for name, text := range fields {
			if text != "" {
				parts = append(parts, fmt.Sprintf("%q: %s", name, text))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	var scenarios []apitest.Scenario
	for field, values := range map[string][]string{
		"file_name":           {"", `""`, `"a/b"`, `"a\\b"`, `".."`, `"."`, `"a\nb"`, `"` + strings.Repeat("x", 257) + `"`},
		"file_md5":            {"", `""`, `"x"`, `"` + strings.Repeat("A", 24) + `"`, `"AAAAAAAAAAAAAAAAAAAAA\n=="`, `"AAAAAAAAAAAAAAAAAAAAAB=="`},
		"file_size":           {"", "0", "-1"},
		"file_type":           {"", `""`, `"` + strings.Repeat("é", 33) + `"`},
		"asset_file_category": {"", `""`, `"main"`},
	} {
		for _, value := range values {
			scenarios = append(scenarios, r.refused(field+" "+value, "POST", "/files", body(field, value), "MSS.00000003", field))
		}
	}
	scenarios = append(scenarios,
		r.refused("a size that is no number", "POST", "/files", body("file_size", `"1"`), "MSS.00000002", ""),
		r.refused("a size beyond all numbers", "POST", "/files", body("file_size", "1e30"), "MSS.00000002", ""),
		r.refused("no asset", "POST", "/files", body("asset_id", ""), "MSS.10001001", ""),
		r.refused("an unknown asset", "POST", "/files", body("asset_id", `"none"`), "MSS.10001001", ""),
		r.refused("one byte too large", "POST", "/files", body("file_size", "5368709121"), "MSS.10001007", "5368709120"),
		r.as(r.developer, "as large as can be", "POST", "/files", body("file_size", "5368709120"), 200),
		r.as(r.developer, "a main file", "POST", "/files", body("asset_file_category", `"MAIN"`), 200),
		r.refused("a second main file", "POST", "/files", body("asset_file_category", `"MAIN"`), "MSS.10001008", ""),
	)
	apitest.Run(t, r.handler, v, scenarios)
	require.Len(t, r.show(id).Files, 2)
}

func TestConfirmRefusals(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	id := r.newAsset("a")
	path := func(file metastudio.FileCreated) string { return "/files/" + file.FileID + "/complete" }
	created, failed, cancelled := `{"state": "CREATED"}`, `{"state": "FAILED"}`, `{"state": "CANCELLED"}`
	// What stands in the bucket for a file that was announced otherwise: no client gets it there, but it is looked at.
	planted := func(content string) metastudio.FileCreated {
		file := r.announce(id, "f", "OTHER", "content")
		_, err := r.store.Stage(t.Context(), storage.UploadKey(r.project.ID, file.FileID), strings.NewReader(content), 0)
		require.NoError(t, err)
		return file
	}
	missing, short, other := r.announce(id, "f", "OTHER", "content"), planted("conten"), planted("CONTENT")
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		r.refused("nothing was uploaded", "POST", path(missing), created, "MSS.00000003", "Nothing was uploaded"),
		r.refused("another size", "POST", path(short), created, "MSS.00000003", "another size"),
		r.refused("another MD5", "POST", path(other), created, "MSS.00000003", "another MD5"),
		r.refused("no state", "POST", path(missing), "{}", "MSS.00000003", "state"),
		r.refused("an unknown state", "POST", path(missing), `{"state": "UPLOADED"}`, "MSS.00000003", "state"),
		r.refused("no body", "POST", path(missing), "", "MSS.00000002", ""),
		r.refused("no such file", "POST", "/files/none/complete", created, "MSS.10001004", ""),
		r.refused("an id that is none", "POST", "/files/%2e%2e/complete", created, "MSS.10001004", ""),
	})
	for _, file := range r.show(id).Files {
		require.Equal(t, metastudio.FileStateCREATING, file.State, "it can be uploaded again")
	}
	require.Equal(t, http.StatusOK, r.put(other.UploadURL, "content", md5Of("content")))
	r.confirm(other.FileID)
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		r.refused("given up after it was stored", "POST", path(other), failed, "MSS.00000003", "CREATED"),
		r.as(r.developer, "failed", "POST", path(short), failed, 200),
		r.as(r.developer, "failed again", "POST", path(short), failed, 200),
		r.refused("stored after it failed", "POST", path(short), created, "MSS.00000003", "FAILED"),
		r.as(r.developer, "cancelled", "POST", path(missing), cancelled, 200),
		r.refused("failed after it was cancelled", "POST", path(missing), failed, "MSS.00000003", "CANCELLED"),
	})
	r.requireNoUpload(short.FileID)
	require.Len(t, r.show(id).Files, 1)
}

// Two clients confirm at the same time; one of them may find the upload gone.
func TestConfirmedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	id := r.newAsset("a")
	content := strings.Repeat("x", 1<<20)
	file := r.announce(id, "f", "MAIN", content)
	require.Equal(t, http.StatusOK, r.put(file.UploadURL, content, md5Of(content)))
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() { r.confirm(file.FileID) })
	}
	calls.Wait()
	require.Equal(t, metastudio.AssetStateACTIVED, r.show(id).AssetState)
	asset, err := r.catalog.DigitalAsset(t.Context(), r.project.ID, id)
	require.NoError(t, err)
	require.Equal(t, 2, asset.VersionNumber)
}

// swept is a catalog whose sweep takes the content away just before it would be used.
type swept struct {
	*catalog.Catalog
	times int // how often
}

func (s *swept) CompleteDigitalFile(ctx context.Context, userID, projectID, fileID, sha256 string) (catalog.DigitalFile, error) {
	if s.times > 0 {
		s.times--
		return catalog.DigitalFile{}, fault.New(fault.NotFound, "catalog.blobs_not_found", "swept")
	}
	return s.Catalog.CompleteDigitalFile(ctx, userID, projectID, fileID, sha256)
}

func TestConfirmAgainstTheSweep(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	id := r.newAsset("a")
	s := &swept{Catalog: r.catalog, times: 2}
	r.handler = r.newHandler(s)
	r.upload(id, "f", "MAIN", "f")
	require.Zero(t, s.times)
	require.Equal(t, metastudio.AssetStateACTIVED, r.show(id).AssetState)
}

func TestDeleteFile(t *testing.T) {
	t.Parallel()
	r := newRegion(t, "north")
	v := apitest.Validator(t, metastudio.Document())
	id := r.newAsset("a")
	main, other := r.upload(id, "m", "MAIN", "m"), r.upload(id, "o", "OTHER", "o")
	pending := r.announce(id, "p", "PAGE", "p")
	require.Equal(t, http.StatusOK, r.put(pending.UploadURL, "p", md5Of("p")))
	apitest.Run(t, r.handler, v, []apitest.Scenario{
		r.as(r.developer, "one of several", "DELETE", "/files/"+other, "", 200),
		r.as(r.developer, "one under way", "DELETE", "/files/"+pending.FileID, "", 200),
		r.refused("again", "DELETE", "/files/"+other, "", "MSS.10001004", ""),
		r.refused("confirm what is gone", "POST", "/files/"+pending.FileID+"/complete", `{"state": "CREATED"}`, "MSS.10001004", ""),
	})
	require.Equal(t, metastudio.AssetStateACTIVED, r.show(id).AssetState)
	r.requireNoUpload(pending.FileID)
	apitest.Run(t, r.handler, v, []apitest.Scenario{r.as(r.developer, "the main file", "DELETE", "/files/"+main, "", 200)})
	asset := r.show(id)
	require.Equal(t, metastudio.AssetStateCREATING, asset.AssetState)
	require.Empty(t, asset.Files)
	r.upload(id, "m2", "MAIN", "m2")
	require.Equal(t, metastudio.AssetStateACTIVED, r.show(id).AssetState)
}
