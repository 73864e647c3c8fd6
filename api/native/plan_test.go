package native_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/activities"
	"assetflow/api/apitest"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

// memoryStaging stands for the store; what an upload does with a real one is tested with the imports.
type memoryStaging struct{ objects map[string]string }

func (m *memoryStaging) Stage(_ context.Context, key string, r io.Reader, limit int64) (storage.Staged, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return storage.Staged{}, err
	}
	if int64(len(data)) > limit {
		return storage.Staged{}, fault.New(fault.TooLarge, "storage.too_large", "The upload is too large.")
	}
	m.objects[key] = string(data)
	return storage.Staged{Key: key, Size: int64(len(data))}, nil
}

func (m *memoryStaging) DeleteStaged(_ context.Context, key string) error {
	delete(m.objects, key)
	return nil
}

func form(part, filename, content string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q; filename=%q\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n--b--\r\n",
		part, filename, content)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	good := form("ImportAssetRequestBody", "shop.zip", "bytes")
	comparison, planErr := activities.ImportComparison{}, error(nil)
	d.jobs.plan = func(sub jobs.ImportSubmission) (activities.ImportComparison, error) {
		require.Equal(t, "bytes", d.staging.objects[sub.Staged.Key])
		return comparison, planErr
	}
	plan := func(name, query, body string, status int) apitest.Scenario {
		return post(apitest.Scenario{
			Name: name, URL: d.instanceURL("/assets/plan") + query, Body: body, WantStatus: status,
			Headers: map[string]string{"X-Auth-Token": d.adminToken, "Content-Type": "multipart/form-data; boundary=b"},
		})
	}
	comparison.Plan.DataSources = []catalog.PlannedDataSource{{Name: "db", Action: catalog.ActionKeep}, {Name: "mq", Action: catalog.ActionOverwrite}}
	comparison.Assets = []catalog.AssetDifference{
		{
			PlannedAsset: catalog.PlannedAsset{Kind: catalog.KindApplication, Name: "shop", Action: catalog.ActionNewVersion, AssetID: "a1"},
			Fields:       []string{"description"}, FilesChanged: []catalog.FileChange{{Path: "x", OldSize: 1, NewSize: 5 << 30}},
			FilesRemoved: []catalog.FileChange{{Path: "y", OldSize: 3}},
		},
		{
			PlannedAsset: catalog.PlannedAsset{Kind: catalog.KindTask, Name: "desk", Action: catalog.ActionCreate},
			FilesAdded:   []catalog.FileChange{{Path: "z", NewSize: 7}},
		},
		{PlannedAsset: catalog.PlannedAsset{Kind: catalog.KindTask, Name: "till", Action: catalog.ActionUnchanged, AssetID: "a3"}},
	}
	possible := plan("possible", "?type=Merge&prefix=p-&datasource_overwrite=true&x=1", good, 200)
	possible.WantJSON = `{
		"file_name": "shop.zip", "possible": true, "counts": {"create": 1, "new_version": 1, "unchanged": 1, "conflict": 0},
		"assets": [
			{"kind": "application", "name": "shop", "action": "new_version", "asset_id": "a1", "fields": ["description"],
				"files_added": [], "files_removed": [{"path": "y", "old_size": 3, "new_size": 0}],
				"files_changed": [{"path": "x", "old_size": 1, "new_size": 5368709120}]},
			{"kind": "task", "name": "desk", "action": "create", "fields": [], "files_added": [{"path": "z", "old_size": 0, "new_size": 7}],
				"files_removed": [], "files_changed": []},
			{"kind": "task", "name": "till", "action": "unchanged", "asset_id": "a3", "fields": [], "files_added": [], "files_removed": [], "files_changed": []}
		],
		"data_sources": [{"name": "db", "action": "keep"}, {"name": "mq", "action": "overwrite"}],
		"reasons": []}`
	d.run(possible)
	require.Len(t, d.jobs.planned, 1)
	sub := d.jobs.planned[0]
	require.Equal(t, jobs.ImportSubmission{
		JobID: sub.JobID, ProjectID: d.project.ID, InstanceID: d.instance.ID, UserID: d.admin.ID, UserName: "admin",
		FileName: "shop.zip", Mode: "Merge", Prefix: "p-", OverwriteDataSources: true, Staged: sub.Staged,
	}, sub)
	require.Empty(t, d.staging.objects, "nothing stays")

	comparison = activities.ImportComparison{Reasons: []catalog.Reason{{ResourceType: "application", ResourceName: "shop.zip", Code: "not_a_zip", Message: "No zip."}}}
	bad := plan("a bad package", "", good, 200)
	bad.WantJSON = `{"file_name": "shop.zip", "possible": false, "counts": {"create": 0, "new_version": 0, "unchanged": 0, "conflict": 0},
		"assets": [], "data_sources": [],
		"reasons": [{"resource_type": "application", "resource_name": "shop.zip", "code": "not_a_zip", "message": "No zip."}]}`
	refuse := func(s apitest.Scenario, code, detail string) apitest.Scenario {
		s.Check = problem(code, detail)
		return s
	}
	noRight := plan("without permission", "", good, 403)
	noRight.Headers["X-Auth-Token"] = d.submitterToken
	stranger := plan("without a role", "", good, 404)
	stranger.Headers["X-Auth-Token"] = d.strangerToken
	nowhere := plan("unknown instance", "", good, 404)
	nowhere.URL = strings.Replace(nowhere.URL, d.instance.ID, "nowhere", 1)
	noForm := plan("no form", "", "{}", 400)
	noForm.Headers["Content-Type"] = "application/json"
	d.run(
		bad,
		refuse(plan("bad type", "?type=x", good, 400), "upload.parameter", "type"),
		refuse(plan("bad prefix", "?prefix=!", good, 400), "upload.parameter", "prefix"),
		refuse(plan("no body", "", "", 400), "upload.no_body", ""),
		refuse(plan("bad name", "", form("ImportAssetRequestBody", "shop.tar", "bytes"), 400), "upload.file_name", ""),
		refuse(plan("other part", "", form("package", "shop.zip", "bytes"), 400), "upload.body", "exactly one part"),
		refuse(plan("cut off", "", good[:len(good)-6], 400), "upload.body", ""),
		refuse(plan("too large", "", form("ImportAssetRequestBody", "shop.zip", strings.Repeat("x", maxUpload+1)), 413), "storage.too_large", ""),
		refuse(plan("far too large", "", form("ImportAssetRequestBody", "shop.zip", strings.Repeat("x", 2*maxUpload)), 413), "api.body_too_large", ""),
		refuse(noForm, "upload.media_type", "multipart"),
		refuse(noRight, "auth.forbidden", ""), refuse(stranger, "auth.project_not_found", ""), refuse(nowhere, "catalog.instance_not_found", ""),
	)
	planErr = errors.New("a secret of ours")
	broken := plan("our failure", "", good, http.StatusInternalServerError)
	broken.WantNotBody = []string{"secret"}
	d.run(refuse(broken, "internal", ""))
	require.Empty(t, d.staging.objects, "nothing stays")
}
