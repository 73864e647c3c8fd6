package client_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/client"
)

func TestExportsAndDeletionsAreStarted(t *testing.T) {
	t.Parallel()
	var got, body string
	var header http.Header
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		got, body, header = r.Method+" "+r.RequestURI, string(content), r.Header
		answerJSON(w, `{"job_id":"`+jobHex+`"}`)
	})
	const base = "POST /v2/" + project + "/instances/" + instance + "/assets/"
	for operation, start := range map[string]func(context.Context, client.Selection, client.StartOptions) (string, error){
		"export": cl.StartExport, "delete": cl.StartDeletion,
	} {
		id, err := start(t.Context(), client.Selection{Applications: []string{"a1", "a2"}, Tasks: []string{"t1"}}, client.StartOptions{IdempotencyKey: "k-1"})
		require.NoError(t, err)
		require.Equal(t, jobHex, id)
		require.Equal(t, base+operation, got)
		require.JSONEq(t, `{"apps":[{"id":"a1"},{"id":"a2"}],"tasks":[{"id":"t1"}]}`, body)
		require.Equal(t, "application/json", header.Get("Content-Type"))
		require.Equal(t, "k-1", header.Get("Idempotency-Key"))

		_, err = start(t.Context(), client.Selection{Tasks: []string{"t1"}}, client.StartOptions{})
		require.NoError(t, err)
		require.JSONEq(t, `{"apps":[],"tasks":[{"id":"t1"}]}`, body)
		require.NotContains(t, header, "Idempotency-Key")
	}
}

func TestAnImportHasItsKey(t *testing.T) {
	t.Parallel()
	keys := map[string][]string{}
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		keys[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]] = r.Header["Idempotency-Key"]
		answerJSON(w, `{"job_id":"`+jobHex+`","possible":false,"reasons":[{"code":"c"}]}`)
	})
	opts := client.ImportOptions{IdempotencyKey: "k-1"}
	_, err := cl.Import(t.Context(), "a.zip", strings.NewReader("x"), 1, opts)
	require.NoError(t, err)
	_, err = cl.PlanImport(t.Context(), "a.zip", strings.NewReader("x"), 1, opts)
	require.NoError(t, err)
	require.Equal(t, map[string][]string{"import": {"k-1"}, "plan": nil}, keys)
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	const text = `{"file_name":"shop.zip","possible":false,"counts":{"create":0,"new_version":1,"unchanged":0,"conflict":0},
		"assets":[{"kind":"task","name":"T","action":"new_version","asset_id":"t1","fields":["definition"],
		"files_added":[],"files_removed":[],"files_changed":[{"path":"p","old_size":1,"new_size":2}]}],
		"data_sources":[{"name":"db","action":"keep"}],"reasons":[{"resource_type":"task","resource_name":"T","code":"c","message":"m"}]}`
	var got, name, content string
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.RequestURI
		if f, header, err := r.FormFile("ImportAssetRequestBody"); err == nil {
			all, _ := io.ReadAll(f)
			name, content = header.Filename, string(all)
		}
		answerJSON(w, text)
	})
	plan, err := cl.PlanImport(t.Context(), "/tmp/shop.zip", strings.NewReader("PK"), 2, client.ImportOptions{Type: client.Merge, Prefix: "t-"})
	require.NoError(t, err)
	require.Equal(t, "POST /api/v1/projects/"+project+"/instances/"+instance+"/assets/plan?prefix=t-&type=Merge", got)
	require.Equal(t, "shop.zip: PK", name+": "+content)
	require.Equal(t, client.PlanCounts{NewVersion: 1}, plan.Counts)
	encoded, err := json.Marshal(plan)
	require.NoError(t, err)
	require.JSONEq(t, text, string(encoded))
}

func TestTrashVersionsAndAudit(t *testing.T) {
	t.Parallel()
	var got string
	status, reply := http.StatusOK, "{}"
	cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Method + " " + r.RequestURI
		if status == http.StatusNoContent {
			w.WriteHeader(status)
			return
		}
		answer(w, status, "application/json", reply)
	})
	const (
		base   = "/api/v1/projects/" + project
		inside = base + "/instances/" + instance
	)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	reply = `{"assets":[{"id":"a1","name":"T","deleted_at":"2026-01-01T00:00:00Z","deleted_by":"u1","purge_after":"2026-01-01T00:00:00Z"},{"id":"a2"}],"next_cursor":"n"}`
	trash, err := cl.ListTrash(t.Context(), client.AssetFilter{Kind: "task", Name: "T", NameContains: "x", Limit: 2, Cursor: "c"})
	require.NoError(t, err)
	require.Equal(t, "GET "+inside+"/trash?cursor=c&kind=task&limit=2&name=T&name_contains=x", got)
	require.Equal(t, client.TrashPage{NextCursor: "n", Assets: []client.TrashedAsset{
		{Asset: client.Asset{ID: "a1", Name: "T"}, DeletedAt: at, DeletedBy: "u1", PurgeAfter: &at}, {Asset: client.Asset{ID: "a2"}},
	}}, trash)

	reply = `{"id":"a1","version_number":3}`
	asset, err := cl.RestoreAsset(t.Context(), "a/1")
	require.NoError(t, err)
	require.Equal(t, "POST "+inside+"/trash/a%2F1/restore", got)
	require.Equal(t, client.Asset{ID: "a1", VersionNumber: 3}, asset)

	asset, err = cl.RestoreVersion(t.Context(), "a1", 2)
	require.NoError(t, err)
	require.Equal(t, "POST "+inside+"/assets/a1/versions/2/restore", got)
	require.Equal(t, 3, asset.VersionNumber)

	reply = `{"id":"a1","version_number":2,"definition":{"x":1}}`
	detail, err := cl.AssetAt(t.Context(), "a1", 2)
	require.NoError(t, err)
	require.Equal(t, "GET "+inside+"/assets/a1/versions/2", got)
	require.JSONEq(t, `{"x":1}`, string(detail.Definition))

	reply = `{"versions":[{"number":2,"label":"1.1","digest":"d","created_by":"u1","job_id":"j","created_at":"2026-01-01T00:00:00Z"}]}`
	versions, err := cl.ListVersions(t.Context(), "a1")
	require.NoError(t, err)
	require.Equal(t, "GET "+inside+"/assets/a1/versions", got)
	require.Equal(t, []client.Version{{Number: 2, Label: "1.1", Digest: "d", CreatedBy: "u1", JobID: "j", CreatedAt: at}}, versions)

	reply = `{"entries":[{"id":"e1","at":"2026-01-01T00:00:00Z","actor_name":"ada","action":"job.started","details":{"x":1}}],"next_cursor":"n"}`
	audit, err := cl.ListAudit(t.Context(), client.AuditFilter{ActorID: "u", Action: "job.started", ResourceID: "j", Limit: 1, Cursor: "c"})
	require.NoError(t, err)
	require.Equal(t, "GET "+base+"/audit?action=job.started&actor_id=u&cursor=c&limit=1&resource_id=j", got)
	require.Equal(t, client.AuditPage{NextCursor: "n", Entries: []client.AuditEntry{
		{ID: "e1", At: at, ActorName: "ada", Action: "job.started", Details: json.RawMessage(`{"x":1}`)},
	}}, audit)

	status = http.StatusNoContent
	require.NoError(t, cl.PurgeAsset(t.Context(), "a1"))
	require.Equal(t, "DELETE "+inside+"/trash/a1", got)

	status, reply = http.StatusConflict, `{"detail":"In use.","code":"catalog.in_use"}`
	var refusal *client.Error
	require.ErrorAs(t, cl.PurgeAsset(t.Context(), "a1"), &refusal)
	require.Equal(t, "catalog.in_use", refusal.Code)
}
