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
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"assetflow/assetpackage/packagetest"
	"assetflow/client"
	"assetflow/jobs"
	"assetflow/workflows"
)

// The shipped example, as a script with curl would import it: a token, a form, a poll.
func TestImportOfTheExampleWithAToken(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	token := signIn(t, tn, tn.project.ID)
	example, err := os.ReadFile(filepath.Join(root, "examples", "shop.zip"))
	require.NoError(t, err)

	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("ImportAssetRequestBody", "shop.zip")
	require.NoError(t, err)
	_, err = part.Write(example)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	assets := fmt.Sprintf("%s/v2/%s/instances/%s/assets", stack.Credentials().Endpoint, tn.project.ID, tn.instance.ID)
	status, header, body := call(t, http.MethodPost, assets+"/import", &form, map[string]string{
		"X-Auth-Token": token, "Content-Type": w.FormDataContentType(),
	})
	require.Equal(t, http.StatusOK, status, body)
	require.NotEmpty(t, header.Get("X-Request-Id"))
	var started struct {
		JobID string `json:"job_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &started))
	require.Regexp(t, "^[0-9a-f]{32}$", started.JobID)
	tn.ends(t, started.JobID)

	status, _, body = call(t, http.MethodGet, assets+"/jobs/"+started.JobID, nil, map[string]string{
		"X-Auth-Token": token, "Content-Type": "application/json",
	})
	require.Equal(t, http.StatusOK, status, body)
	var job map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &job))
	require.Equal(t, "SUCCEEDED", job["status"], body)
	require.InDelta(t, 1.0, job["progress_percent"], 0)
	require.Equal(t, "importAsset", job["type"])
	require.Equal(t, started.JobID, job["id"])
	require.IsType(t, "", job["begin_time"])
	require.IsType(t, "", job["end_time"])

	require.Len(t, tn.names(t), 5)
	tn.requireNothingStaged(t)
}

// The same signed with an access key, and what a person sees of it in the Temporal UI.
func TestImportIsReadableInTemporal(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	job := tn.imports(t, packagetest.Small("ui").Bytes(), client.ImportOptions{})
	id, err := client.CanonicalJobID(job.ID)
	require.NoError(t, err)

	workflowID := jobs.WorkflowID("asset-import", tn.project.ID, tn.user.ID)
	desc, err := stack.Temporal().DescribeWorkflow(t.Context(), workflowID, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, desc.Status)
	for key, want := range map[temporal.SearchAttributeKeyKeyword]string{
		workflows.SearchProject: tn.project.ID, workflows.SearchUser: tn.user.ID,
		workflows.SearchJob: id, workflows.SearchKind: "asset-import",
	} {
		got, _ := desc.TypedSearchAttributes.GetKeyword(key)
		require.Equal(t, want, got, key.GetName())
	}
	summary, err := desc.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "Import sample.zip (AddNew)", summary)

	var summaries []string
	events := stack.Temporal().GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		if event.GetEventType() == enumspb.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED {
			summaries = append(summaries, text(t, event.GetUserMetadata().GetSummary()))
		}
	}
	require.Len(t, summaries, len(workflows.ImportSteps))
	require.Regexp(t, `^Inspect sample\.zip \(\d+ bytes\)$`, summaries[0])
	require.Regexp(t, `^Store 5 files \(\d+ bytes\)$`, summaries[1])
	require.Equal(t, "Commit 3 applications, 2 tasks", summaries[2])
	require.Equal(t, "Clean up and end the job", summaries[3])
}

func TestImportMergesPrefixesAndOverwrites(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	first := packagetest.Small("m")
	tn.imports(t, first.Bytes(), client.ImportOptions{})
	before := tn.names(t)

	failed := tn.ends(t, tn.submit(t, first.Bytes(), client.ImportOptions{Type: "AddNew"}))
	require.Equal(t, client.Failed, failed.Status)
	require.Len(t, failed.Reasons, 5, "one reason for each name that is taken")
	require.Equal(t, before, tn.names(t))

	// The same content again changes nothing; other content makes new versions.
	tn.imports(t, first.Bytes(), client.ImportOptions{Type: "Merge"})
	changed := first
	changed.Seed, changed.Version = 7, "2.0.0"
	tn.imports(t, changed.Bytes(), client.ImportOptions{Type: "Merge", DataSourceOverwrite: true})
	page, err := tn.ListAssets(t.Context(), client.AssetFilter{})
	require.NoError(t, err)
	for _, a := range page.Assets {
		require.Equal(t, 2, a.VersionNumber)
		require.Equal(t, "2.0.0", a.VersionLabel)
	}

	tn.imports(t, first.Bytes(), client.ImportOptions{Prefix: "copy-"})
	require.Len(t, tn.names(t), 10)
	page, err = tn.ListAssets(t.Context(), client.AssetFilter{Kind: "task", NameContains: "copy-"})
	require.NoError(t, err)
	require.Len(t, page.Assets, 2)
	task, err := tn.Asset(t.Context(), page.Assets[0].ID)
	require.NoError(t, err)
	require.Len(t, task.Applications, 1)
	require.True(t, strings.HasPrefix(task.Applications[0].Name, "copy-"), "the prefix goes into references, too")
	tn.requireNothingStaged(t)
}

func TestAPrefixMustLeaveNames(t *testing.T) {
	t.Parallel()
	tn := newTenant(t)
	pkg := packagetest.Spec{Name: strings.Repeat("n", 50), Applications: 1}

	job := tn.ends(t, tn.submit(t, pkg.Bytes(), client.ImportOptions{Prefix: "a-prefix-"}))

	require.Equal(t, client.Failed, job.Status)
	require.Len(t, job.Reasons, 1)
	require.Contains(t, job.Reasons[0].Message, "With the prefix the name is")
	require.Empty(t, tn.names(t))
	tn.requireNothingStaged(t)
}

// Every bad package ends as a failed job whose reasons a person understands, and leaves nothing anywhere. The test is
// not parallel to others, so that a blob that appears is one of these packages'.
func TestBadPackagesLeaveNothing(t *testing.T) {
	before := blobs(t)
	t.Run("packages", importBadPackages)
	require.Equal(t, before, blobs(t))
}

func importBadPackages(t *testing.T) {
	for _, bad := range packagetest.Bad() {
		t.Run(bad.Name, func(t *testing.T) {
			t.Parallel()
			pkg, err := bad.Bytes()
			require.NoError(t, err)
			if len(pkg) == 0 {
				t.Skip("an empty upload is refused before it is a job; the API's scenarios see to it")
			}
			tn := newTenant(t)

			job := tn.ends(t, tn.submit(t, pkg, client.ImportOptions{}))

			require.Equal(t, client.Failed, job.Status)
			require.NotEmpty(t, job.Reasons)
			var messages []string
			for _, reason := range job.Reasons {
				require.NotEmpty(t, reason.ResourceName)
				require.NotEmpty(t, reason.Code)
				messages = append(messages, reason.Message)
			}
			require.Contains(t, strings.Join(messages, "\n"), bad.WantText)
			require.Empty(t, tn.names(t))
			tn.requireNothingStaged(t)
		})
	}
}

// blobs lists the content store.
func blobs(t *testing.T) []string {
	t.Helper()
	keys := []string{}
	for object, err := range stack.Storage().ListBlobs(t.Context()) {
		require.NoError(t, err)
		keys = append(keys, object.Key)
	}
	return keys
}

func text(t *testing.T, payload *commonpb.Payload) string {
	t.Helper()
	var s string
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(payload, &s))
	return s
}

// signIn gets a token for a project; for none where it is empty.
func signIn(t *testing.T, tn *tenant, project string) string {
	t.Helper()
	token, _, err := client.New(client.Config{Endpoint: stack.Credentials().Endpoint}).
		Login(t.Context(), "e2e", tn.user.Name, tn.password, project)
	require.NoError(t, err)
	return token
}

// call makes a request as no client of ours would, and reads the whole answer.
func call(t *testing.T, method, url string, body io.Reader, headers map[string]string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(answer)
}
