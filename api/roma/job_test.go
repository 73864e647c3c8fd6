package roma_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/apitest"
	"assetflow/api/roma"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

func TestJobStatus(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	const id = "01936b2e-7f00-7abc-8def-0123456789ab"
	hex := strings.ReplaceAll(id, "-", "")
	begin := time.Date(2026, 3, 4, 5, 6, 7, 891_234_567, time.FixedZone("", 3600))
	end := begin.Add(90 * time.Second)
	row := catalog.Job{
		ID: id, Kind: catalog.AssetImport, ProjectID: d.project.ID, InstanceID: d.instance.ID, UserID: d.developer.user.ID,
		Subject: "shop.zip", State: catalog.JobRunning, CreatedAt: begin,
	}
	ended := func(state catalog.JobState, reasons ...catalog.Reason) catalog.Job {
		job := row
		job.State, job.EndedAt, job.Reasons = state, &end, reasons
		return job
	}
	reason := func(kind, code string) catalog.Reason {
		return catalog.Reason{ResourceType: kind, ResourceName: "the name", Code: code, Message: "The message."}
	}
	v := apitest.Validator(t, roma.Document())
	scenario := func(name, url string, status int) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: http.MethodGet, URL: url,
			// The vendor's clients send a Content-Type on GET, too.
			Headers:    map[string]string{"X-Auth-Token": d.submitter.token, "Content-Type": "application/json"},
			WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"},
		}
	}
	show := func(name string, job jobs.Job, want string) {
		d.jobs.jobs = map[string]jobs.Job{id: job}
		s := scenario(name, d.prefix+"/jobs/"+hex, http.StatusOK)
		s.WantJSON = want
		apitest.Run(t, d.handler, v, []apitest.Scenario{s})
	}
	answer := func(status string, progress, reasons, end string) string {
		return fmt.Sprintf(`{"id": %q, "type": "importAsset", "status": %q, "progress_percent": %s, "reason": %s, "reasons": %s,
			"begin_time": "2026-03-04T04:06:07.891Z"%s}`, hex, status, progress, reasons, reasons, end)
	}
	endTime := `, "end_time": "2026-03-04T04:07:37.891Z"`
	reasonJSON := func(kind, name, code, message string) string {
		return fmt.Sprintf(`[{"resource_type": %q, "resource_name": %q, "error_code": %q, "error_msg": %q}]`, kind, name, code, message)
	}

	show("just started", jobs.Job{Job: row}, answer("RUNNING", "0", "[]", ""))
	show("under way", jobs.Job{Job: row, Progress: 0.3456}, answer("RUNNING", "0.346", "[]", ""))
	show("succeeded", jobs.Job{Job: ended(catalog.JobSucceeded), Progress: 1}, answer("SUCCEEDED", "1", "[]", endTime))
	show("cancelled", jobs.Job{Job: ended(catalog.JobCancelled, reason("application", "cancelled"))},
		answer("FAILED", "0", reasonJSON("application", "the name", "ROMA.10010", "The message."), endTime))
	show("cancelled, nobody said so", jobs.Job{Job: ended(catalog.JobCancelled)},
		answer("FAILED", "0", reasonJSON("application", "shop.zip", "ROMA.10010", "The job was cancelled."), endTime))
	show("failed, nobody said why", jobs.Job{Job: ended(catalog.JobFailed)},
		answer("FAILED", "0", reasonJSON("application", "shop.zip", "ROMA.10010", "The job failed for an internal reason."), endTime))
	for code, want := range map[string]string{
		"not_a_zip": "ROMA.10011", "corrupt_file": "ROMA.10011", "truncated": "ROMA.10011", "bomb": "ROMA.10011",
		"name_taken": "ROMA.13000", "bad_manifest": "ROMA.13000", "too_many_assets": "ROMA.13000", "anything else": "ROMA.13000",
		"internal": "ROMA.10010", "abandoned": "ROMA.10010",
	} {
		show("failed: "+code, jobs.Job{Job: ended(catalog.JobFailed, reason("task", code))},
			answer("FAILED", "0", reasonJSON("task", "the name", want, "The message."), endTime))
	}
	show("resource of another kind", jobs.Job{Job: ended(catalog.JobFailed, reason("data_source", "x"))},
		answer("FAILED", "0", reasonJSON("application", "the name", "ROMA.13000", "The message."), endTime))
	many := make([]catalog.Reason, 12)
	for i := range many {
		many[i] = reason("task", "name_taken")
	}
	d.jobs.jobs = map[string]jobs.Job{id: {Job: ended(catalog.JobFailed, many...)}}
	tenAtMost := scenario("ten reasons at most", d.prefix+"/jobs/"+hex, http.StatusOK)
	tenAtMost.Check = func(t testing.TB, _ *http.Response, body []byte) {
		t.Helper()
		require.Equal(t, 20, strings.Count(string(body), "ROMA.13000"))
	}
	apitest.Run(t, d.handler, v, []apitest.Scenario{
		tenAtMost,
		scenario("as a UUID", d.prefix+"/jobs/"+id, http.StatusOK),
		scenario("in capitals", d.prefix+"/jobs/"+strings.ToUpper(hex), http.StatusOK),
	})

	t.Run("other kinds", func(t *testing.T) {
		archive := "01936b2e-7f00-7abc-8def-0123456789ff"
		export, deletion := ended(catalog.JobSucceeded), ended(catalog.JobSucceeded)
		export.Kind, deletion.Kind = catalog.AssetExport, catalog.AssetDelete
		result, err := json.Marshal(catalog.ExportResult{ArchiveID: archive, FileName: "export.zip"})
		require.NoError(t, err)
		export.Result = result
		done := answer("SUCCEEDED", "1", "[]", endTime)
		show("an export", jobs.Job{Job: export, Progress: 1}, strings.Replace(done, `"importAsset"`,
			fmt.Sprintf(`"exportAsset", "archive_id": %q`, strings.ReplaceAll(archive, "-", "")), 1))
		show("a deletion", jobs.Job{Job: deletion, Progress: 1}, strings.Replace(done, "importAsset", "deleteAsset", 1))
		running := row
		running.Kind = catalog.AssetExport
		show("an export under way", jobs.Job{Job: running, Progress: 0.5},
			strings.Replace(answer("RUNNING", "0.5", "[]", ""), "importAsset", "exportAsset", 1))
	})

	t.Run("refusals", func(t *testing.T) {
		otherInstance, err := d.catalog.CreateInstance(t.Context(), d.project.ID, "two")
		require.NoError(t, err)
		require.NoError(t, d.auth.GrantRole(t.Context(), d.submitter.user.ID, d.other.ID, "Submit"))
		elsewhere, err := d.catalog.CreateInstance(t.Context(), d.other.ID, "one")
		require.NoError(t, err)
		foreignKind := row
		foreignKind.ID, foreignKind.Kind = "01936b2e-7f00-7abc-8def-0123456789ac", "addon"
		d.jobs.jobs = map[string]jobs.Job{id: {Job: row}, foreignKind.ID: {Job: foreignKind}}
		refused := func(name, url string, status int, code string) apitest.Scenario {
			s := scenario(name, url, status)
			s.Check = refusal(code, "", "")
			return s
		}
		jobIn := func(project, instance string) string {
			return "/v2/" + project + "/instances/" + instance + "/assets/jobs/" + hex
		}
		noToken := refused("no token", d.prefix+"/jobs/"+hex, 401, "APIGW.0301")
		delete(noToken.Headers, "X-Auth-Token")
		stranger := refused("no role in the project", d.prefix+"/jobs/"+hex, 404, "ROMA.1007")
		stranger.Headers = map[string]string{"X-Auth-Token": d.stranger.token}
		unknown := refused("unknown job", d.prefix+"/jobs/"+strings.Repeat("0", 32), 404, "ROMA.1007")
		apitest.Run(t, d.handler, v, []apitest.Scenario{
			noToken, stranger, unknown,
			refused("not an id", d.prefix+"/jobs/latest", 404, "ROMA.1007"),
			refused("a job of another project", jobIn(d.other.ID, elsewhere.ID), 404, "ROMA.1007"),
			refused("a job of another instance", jobIn(d.project.ID, otherInstance.ID), 404, "ROMA.1007"),
			refused("a job that is not about assets", d.prefix+"/jobs/"+strings.ReplaceAll(foreignKind.ID, "-", ""), 404, "ROMA.1007"),
			refused("unknown instance", jobIn(d.project.ID, "nowhere"), 404, "ROMA.1007"),
			refused("unknown project", jobIn("nowhere", d.instance.ID), 404, "ROMA.1007"),
		})
		d.jobs.getErr = errors.New("a secret of ours")
		internal := refused("our failure", d.prefix+"/jobs/"+hex, 500, "ROMA.10010")
		internal.WantNotBody = []string{"secret"}
		apitest.Run(t, d.handler, v, []apitest.Scenario{internal})
		d.jobs.getErr = fault.New(fault.Unavailable, jobs.CodeNotReady, "Try again.").Wrap(errors.New("a secret of ours"))
		away := refused("the job service is away", d.prefix+"/jobs/"+hex, 503, "ROMA.10010")
		away.WantNotBody = []string{"secret"}
		apitest.Run(t, d.handler, v, []apitest.Scenario{away})
	})
}

// What the document does not describe is answered in the contract's form all the same.
func TestOutsideTheDocument(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	scenario := func(name, method, url string, status int, code string) apitest.Scenario {
		return apitest.Scenario{
			Name: name, Method: method, URL: url, Headers: map[string]string{"X-Auth-Token": d.developer.token},
			WantStatus: status, WantHeaders: map[string]string{"X-Request-Id": "*"}, Check: refusal(code, "", ""), OutsideDocument: true,
		}
	}
	wrongMethod := scenario("GET of an import", http.MethodGet, d.prefix+"/import", 405, "ROMA.1007")
	wrongMethod.WantHeaders["Allow"] = "POST"
	largeHeaders := scenario("large headers", http.MethodGet, d.prefix+"/jobs/x", 431, "ROMA.13000")
	largeHeaders.Headers["X-Large"] = strings.Repeat("x", 40<<10)
	largeBody := scenario("a large body where none is wanted", http.MethodGet, d.prefix+"/jobs/x", 413, "ROMA.13000")
	largeBody.Body = strings.Repeat("x", 2<<20)
	id := scenario("the caller's request id", http.MethodGet, "/v2/nowhere", 404, "ROMA.1007")
	id.Headers["X-Request-Id"], id.WantHeaders["X-Request-Id"] = "mine-1", "mine-1"
	apitest.Run(t, d.handler, nil, []apitest.Scenario{
		wrongMethod, largeHeaders, largeBody, id,
		scenario("unknown path", http.MethodGet, "/v2/x", 404, "ROMA.1007"),
		scenario("trailing slash", http.MethodPost, d.prefix+"/import/", 404, "ROMA.1007"),
		scenario("an operation that does not work yet", http.MethodPost, d.prefix+"/copy", 404, "ROMA.1007"),
	})
}
