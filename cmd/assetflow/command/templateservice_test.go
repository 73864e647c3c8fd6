package command

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	templatesPath      = "/Automation/v1/objects/ServiceTemplates"
	importTemplatePath = "POST /Automation/v1/services/ServiceTemplates/actions/import/invoke"
)

func templateJSON(id int, version string) string {
	return fmt.Sprintf(`{"instanceID":%d,"keyName":"addVM","displayName":"Add a VM","vendorID":"com.example","vendorName":"Example","version":%q,
		"tags":"VM,Compute","createTime":"2026-01-02T20:00:00.000+0900","modifyTime":"2026-01-02T11:30:00.000+0000","description":"",
		"releaseState":"release","latest":%t,"supportedScheduleType":"immediate","usedServices":"","usedTemplates":""}`, id, version, id == 2)
}

func templateFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestTemplateImport(t *testing.T) {
	t.Parallel()
	path := templateFile(t, "a.st", "PK")
	var sent string
	answered := func(status int, body string) routes {
		return routes{importTemplatePath: func(w http.ResponseWriter, r *http.Request) {
			_, header, err := r.FormFile("file")
			if err == nil {
				sent = header.Filename + " " + r.Header.Get("X-Project-Id") + " " + r.Header.Get("Assetflow-On-Conflict")
			}
			_, _ = io.Copy(io.Discard, r.Body)
			reply(status, body)(w, r)
		}, "GET /api/v1/jobs/" + jobUUID: reply(200, selectionJob("template-import", "succeeded", `,"ended_at":"2026-01-02T11:59:03.5Z","result":{"created":1}`))}
	}
	success := answered(200, `{"instanceID":"`+jobUUID+`","state":"success","affectedResource":["http://x/Automation/v1/objects/ServiceTemplates/1116"],
		"result":[{"message":"The service template was imported successfully (service template file name: a.st).","messageID":"KNAE03111-I"}]}`)
	r := signedIn(t, service(t, success)).exec(t.Context(), "template", "import", path, "--on-conflict", "queue")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "a.st "+projectID+" queue", sent)
	require.Equal(t, "The service template was imported successfully (service template file name: a.st).\n", r.stdout)
	r = signedIn(t, service(t, success)).exec(t.Context(), "template", "import", path, "-q")
	require.Equal(t, result{stdout: "1116\n"}, r)
	r = signedIn(t, service(t, success)).exec(t.Context(), "template", "import", path, "-o", "json")
	require.Contains(t, r.stdout, `"messageID": "KNAE03111-I"`)

	goesOn := answered(200, `{"instanceID":"`+jobUUID+`","state":"running","affectedResource":[],"result":[{"message":"It goes on.","messageID":"KNAE90030-I"}]}`)
	r = signedIn(t, service(t, goesOn)).exec(t.Context(), "template", "import", path)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "Job "+jobUUID+" has started.\nWatch it:")
	r = signedIn(t, service(t, goesOn)).exec(t.Context(), "template", "import", path, "--wait")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "succeeded")

	for _, tc := range []struct {
		status          int
		messageID, data string
		code            int
		want            string
	}{
		{400, "KNAE90005-E", "a.st", ExitJobFailed, "No.: a.st (KNAE90005-E, HTTP 400"},
		{400, "KNAE90010-E", "a.st", ExitJobFailed, "KNAE90010-E"},
		{400, "KNAE90022-E", "", ExitFailure, "KNAE90022-E"},
		{401, "KNAE90020-E", "", ExitForbidden, "KNAE90020-E"},
		{403, "KNAE90021-E", "", ExitForbidden, "KNAE90021-E"},
		{409, "KNAE90011-E", jobUUID, ExitConflict, "a job of this kind is running for you already: " + jobUUID},
		{412, "KNAE90025-E", "", ExitUnreachable, "Try again"},
		{500, "KNAE90012-E", jobUUID, ExitFailure, "KNAE90012-E"},
	} {
		body := fmt.Sprintf(`{"errorSource":"x","message":"No.","messageID":%q,"application":"Automation","messageData":%q}`, tc.messageID, tc.data)
		r = signedIn(t, service(t, answered(tc.status, body))).exec(t.Context(), "template", "import", path)
		require.Equal(t, tc.code, r.code, "%s: %s", tc.messageID, r.stderr)
		require.Contains(t, r.stderr, tc.want)
		require.Empty(t, r.stdout)
	}
}

func TestTemplateList(t *testing.T) {
	t.Parallel()
	var query string
	endpoint := service(t, routes{"GET " + templatesPath: func(w http.ResponseWriter, r *http.Request) {
		query = r.URL.RawQuery
		if r.URL.Query().Get("HQL::offset") == "2" {
			reply(200, `{"data":[`+templateJSON(3, "00.00.01")+`],"count":3}`)(w, r)
			return
		}
		reply(200, `{"data":[`+templateJSON(1, "01.00.00")+`,`+templateJSON(2, "01.10.00")+`],"count":3}`)(w, r)
	}})
	r := signedIn(t, endpoint).exec(t.Context(), "template", "list", "--limit", "2", "--tag", "VM", "--filter", "latest = true", "--sort", "version")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "HQL%3A%3Afilter=latest+%3D+true&HQL%3A%3AsortBy=version&pageSize=2&tags=VM", query)
	require.Equal(t, "ID  VENDOR       NAME   VERSION   STATE    LATEST  MODIFIED             TAGS\n"+
		"1   com.example  addVM  01.00.00  release          2026-01-02 11:30:00  VM,Compute\n"+
		"2   com.example  addVM  01.10.00  release  yes     2026-01-02 11:30:00  VM,Compute\n", r.stdout)
	require.Contains(t, r.stderr, "There are more")
	r = signedIn(t, endpoint).exec(t.Context(), "template", "list", "--all")
	require.Contains(t, r.stdout, "00.00.01")
	require.Empty(t, r.stderr)
}

func TestTemplateShowExportAndDelete(t *testing.T) {
	t.Parallel()
	content := "PK content"
	endpoint := service(t, routes{
		"GET " + templatesPath + "/1":    reply(200, templateJSON(1, "01.00.00")),
		"DELETE " + templatesPath + "/1": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"GET " + templatesPath + "/9":    reply(404, `{"message":"The specified resource does not exist or you do not have access.","messageID":"KNAE02102-E"}`),
		"POST " + templatesPath + "/1/actions/export/invoke": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte("PK content"))))
			w.Header().Set("Content-Disposition", `attachment; filename="com.example_addVM_01.00.00.st"`)
			_, _ = io.WriteString(w, content)
		},
	})
	r := signedIn(t, endpoint).exec(t.Context(), "template", "show", "1")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "Created        2026-01-02 11:00:00\n")
	require.NotContains(t, r.stdout, "Description")
	require.Equal(t, ExitNotFound, signedIn(t, endpoint).exec(t.Context(), "template", "show", "9").code)
	require.Equal(t, ExitUsage, signedIn(t, endpoint).exec(t.Context(), "template", "show", "addVM").code)

	out := filepath.Join(t.TempDir(), "x.st")
	r = signedIn(t, endpoint).exec(t.Context(), "template", "export", "1", "--out", out)
	require.Equal(t, result{stdout: "Wrote " + out + " (10 B).\n"}, r)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "PK content", string(got))
	content = "something else"
	r = signedIn(t, endpoint).exec(t.Context(), "template", "export", "1", "--out", out)
	require.Equal(t, ExitFailure, r.code)
	files, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left of what was not whole")

	r = signedIn(t, endpoint).exec(t.Context(), "template", "delete", "1")
	require.Equal(t, result{stdout: "Service template 1 is deleted.\n"}, r)
}
