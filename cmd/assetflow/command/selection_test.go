package command

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	instancePath = "/api/v1/projects/" + projectID + "/instances/" + instanceID
	romaPath     = "/v2/" + projectID + "/instances/" + instanceID + "/assets"
	archiveID    = "0194f7a0-eeee-7000-8000-00000000eeee"
	taskUUID     = "0194f7a0-ffff-7000-8000-00000000ffff"
)

// named answers a list with the assets of the name and kind that are asked for; each is "kind name id".
func named(assets ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found := []string{}
		for _, asset := range assets {
			var kind, name, id string
			_, _ = fmt.Sscan(asset, &kind, &name, &id)
			q := r.URL.Query()
			if (q.Get("name") == "" || q.Get("name") == name) && (q.Get("kind") == "" || q.Get("kind") == kind) {
				found = append(found, `{"id":"`+id+`","kind":"`+kind+`","name":"`+name+`","version_number":2,
					"deleted_at":"2026-01-02T11:00:00Z","deleted_by":"u1"}`)
			}
		}
		reply(200, `{"assets":[`+strings.Join(found, ",")+`]}`)(w, r)
	}
}

// startWith notes the body of a start.
func startWith(t *testing.T, body *string, key *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read the body: %v", err)
		}
		*body, *key = string(content), r.Header.Get("Idempotency-Key")
		reply(200, `{"job_id":"`+jobHex+`"}`)(w, r)
	}
}

// selectionJob gives the JSON of a job of a kind.
func selectionJob(kind, state, more string) string {
	return `{"id":"` + jobUUID + `","kind":"` + kind + `","project_id":"` + projectID + `","instance_id":"` + instanceID + `",
		"user_id":"u1","user_name":"ada","workflow_id":"w","subject":"1 applications, 2 tasks","state":"` + state + `","progress":0.5,
		"reasons":[],"created_at":"2026-01-02T11:59:00Z","request":{"applications":["a1"],"tasks":["t1","t2"]}` + more + `}`
}

const packageContent = "PK exported content"

func exportResult() string {
	sum := sha256.Sum256([]byte(packageContent))
	return fmt.Sprintf(`,"ended_at":"2026-01-02T11:59:03.5Z","result":{"archive_id":"%s","file_name":"assets-1.zip","sha256":"%x","size":%d,
		"applications":1,"tasks":2,"created_at":"2026-01-02T11:59:03Z","expires_at":"2026-01-03T11:59:03Z"}`, archiveID, sum, len(packageContent))
}

func serveArchive(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256([]byte(packageContent))
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(packageContent))
}

const deletionResult = `,"ended_at":"2026-01-02T11:59:03.5Z","result":{"deleted":2,"assets":[
	{"id":"a1","kind":"application","name":"Shop"},{"id":"t1","kind":"task","name":"Orders"}]}`

func TestExport(t *testing.T) {
	t.Parallel()
	var body, key string
	endpoint := service(t, routes{
		"GET " + instancePath + "/assets":            named("application Shop a1", "task Orders t1", "application Orders a2"),
		"POST " + romaPath + "/export":               startWith(t, &body, &key),
		"GET /api/v1/jobs/" + jobUUID:                inTurn(reply(200, selectionJob("asset-export", "running", `,"step":"Write the archive"`)), reply(200, selectionJob("asset-export", "succeeded", exportResult()))),
		"GET " + romaPath + "/archives/" + archiveID: serveArchive,
	})
	dir := t.TempDir()
	out := filepath.Join(dir, "shop.zip")
	r := signedIn(t, endpoint).exec(t.Context(), "export", "--application", "Shop", "--task", "Orders", "--task", strings.ToUpper(taskUUID),
		"--idempotency-key", "k-1", "--out", out)
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, `{"apps":[{"id":"a1"}],"tasks":[{"id":"t1"},{"id":"`+taskUUID+`"}]}`, body)
	require.Equal(t, "k-1", key)
	require.Equal(t, "Wrote "+out+" (19 B): 1 application, 2 tasks.\n", r.stdout)
	require.Equal(t, "Job "+jobUUID+" has started.\nWrite the archive (50%)\nDownloading assets-1.zip (19 B)\nDownloaded assets-1.zip (19 B) in 0s.\n", r.stderr)
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, packageContent, string(content))

	r = signedIn(t, endpoint).exec(t.Context(), "export", "--all", "--out", out, "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, `{"apps":[{"id":"a1"},{"id":"a2"}],"tasks":[{"id":"t1"}]}`, body)
	require.Empty(t, r.stderr)
	var view exportView
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &view))
	require.Equal(t, jobUUID, view.JobID)
	require.EqualValues(t, len(packageContent), view.Size)

	r = signedIn(t, endpoint).exec(t.Context(), "export", "--job", jobHex, "--instance", "another", "--out", out, "-q")
	require.Equal(t, result{}, r)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left over")
}

func TestExportOnATerminal(t *testing.T) {
	t.Parallel()
	a := signedIn(t, service(t, routes{
		"GET /api/v1/jobs/" + jobUUID:                reply(200, selectionJob("asset-export", "succeeded", exportResult())),
		"GET " + romaPath + "/archives/" + archiveID: serveArchive,
	}))
	a.terminal = func(any) bool { return true }
	r := a.exec(t.Context(), "export", "--job", jobUUID, "--out", filepath.Join(t.TempDir(), "x.zip"))
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Regexp(t, `Downloading assets-1.zip\s+\d+% \[`, r.stderr)
}

func TestExportsThatFail(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "shop.zip")
	export := func(t *testing.T, r routes, args ...string) result {
		t.Helper()
		got := signedIn(t, service(t, r)).exec(t.Context(), append([]string{"export", "--out", out}, args...)...)
		files, err := os.ReadDir(filepath.Dir(out))
		require.NoError(t, err)
		require.Empty(t, files, "nothing is left over")
		return got
	}
	started := func(last string) routes {
		return routes{
			"POST " + romaPath + "/export":               reply(200, `{"job_id":"`+jobHex+`"}`),
			"GET /api/v1/jobs/" + jobUUID:                reply(200, last),
			"GET " + romaPath + "/archives/" + archiveID: reply(404, `{"error_code":"ROMA.1007","error_msg":"Gone."}`),
		}
	}
	r := export(t, started(selectionJob("asset-export", "failed", failed)), "--task", taskUUID)
	require.Equal(t, ExitJobFailed, r.code)
	require.Contains(t, r.stdout, "failed after 3.5s.\n\nWHAT")

	r = export(t, started(selectionJob("asset-export", "succeeded", exportResult())), "--task", taskUUID)
	require.Equal(t, ExitNotFound, r.code)
	require.Contains(t, r.stderr, "export the assets again")

	r = export(t, started(job("succeeded", "1", succeeded)), "--job", jobUUID)
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "is no export but of the kind asset-import")

	lists := func(body string) routes { return routes{"GET " + instancePath + "/assets": reply(200, body)} }
	r = export(t, lists(`{"assets":[]}`), "--task", "None")
	require.Equal(t, ExitNotFound, r.code)
	require.Equal(t, "assetflow: the instance has no task of the name \"None\"\nSee what there is with `assetflow assets list`, and digital assets with `assetflow assets list --digital`.\n", r.stderr)
	r = export(t, lists(`{"assets":[]}`), "--all")
	require.Equal(t, ExitNotFound, r.code)
	r = export(t, lists(`{"assets":[{"id":"a"}],"next_cursor":"n"}`), "--all")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "more than 100 assets")

	for _, args := range [][]string{{}, {"--all", "--task", "x"}, {"--job", jobUUID, "--all"}, {"--job", jobUUID, "--idempotency-key", "k"}, {"extra"}} {
		require.Equal(t, ExitUsage, export(t, routes{}, args...).code, "%v", args)
	}
	r = signedIn(t, service(t, routes{})).exec(t.Context(), "export", "--all")
	require.Equal(t, ExitUsage, r.code)
	r = signedIn(t, service(t, routes{})).exec(t.Context(), "export", "--all", "--out", t.TempDir())
	require.Equal(t, ExitUsage, r.code)
	r = signedIn(t, service(t, routes{})).exec(t.Context(), "export", "--all", "--out", filepath.Join(t.TempDir(), "no", "x.zip"))
	require.Equal(t, ExitNotFound, r.code, "found before anything is asked for")
}

func TestAnInterruptedExportCanBeFetched(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"the job", "the download"} {
		ctx, cancel := context.WithCancel(t.Context())
		state := selectionJob("asset-export", "running", "")
		if during == "the download" {
			state = selectionJob("asset-export", "succeeded", exportResult())
		}
		endpoint := service(t, routes{
			"POST " + romaPath + "/export": reply(200, `{"job_id":"`+jobHex+`"}`),
			"GET /api/v1/jobs/" + jobUUID: func(w http.ResponseWriter, r *http.Request) {
				reply(200, state)(w, r)
				if during == "the job" {
					time.AfterFunc(50*time.Millisecond, cancel)
				}
			},
			"GET " + romaPath + "/archives/" + archiveID: func(_ http.ResponseWriter, r *http.Request) {
				cancel()
				<-r.Context().Done()
			},
		})
		r := signedIn(t, endpoint).exec(ctx, "export", "--task", taskUUID, "--out", filepath.Join(t.TempDir(), "x.zip"))
		require.Equal(t, ExitInterrupted, r.code, during+": "+r.stderr)
		require.Contains(t, r.stderr, "Fetch it:   assetflow export --job "+jobUUID+" --out ")
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	var body, key string
	r := routes{
		"GET " + instancePath + "/assets":             named("application Shop a1", "task Orders t1", "task Both t2", "application Both a2"),
		"GET " + instancePath + "/assets/" + taskUUID: reply(200, `{"id":"`+taskUUID+`","kind":"task","name":"T"}`),
		"POST " + romaPath + "/delete":                startWith(t, &body, &key),
		"GET /api/v1/jobs/" + jobUUID:                 reply(200, selectionJob("asset-delete", "succeeded", deletionResult)),
	}
	endpoint := service(t, r)
	got := signedIn(t, endpoint).exec(t.Context(), "assets", "delete", "Shop", "Orders", taskUUID, "--wait", "--idempotency-key", "k-1")
	require.Equal(t, ExitOK, got.code, got.stderr)
	require.JSONEq(t, `{"apps":[{"id":"a1"}],"tasks":[{"id":"t1"},{"id":"`+taskUUID+`"}]}`, body)
	require.Equal(t, "k-1", key)
	golden(t, "assets-delete-wait", got.stdout+"--- stderr ---\n"+got.stderr)

	got = signedIn(t, endpoint).exec(t.Context(), "assets", "delete", "Shop")
	require.Equal(t, "Job "+jobUUID+" has started.\n"+followHint(jobUUID)+"\n", got.stdout)

	body = ""
	got = signedIn(t, endpoint).exec(t.Context(), "assets", "delete", "Shop", "Both")
	require.Equal(t, ExitUsage, got.code)
	require.Equal(t, "assetflow: 2 assets have the name \"Both\"\nUse the id of one:\n  t2  task, version 2\n  a2  application, version 2\n", got.stderr)
	require.Equal(t, ExitNotFound, signedIn(t, endpoint).exec(t.Context(), "assets", "delete", "Shop", "None").code)
	require.Equal(t, ExitUsage, signedIn(t, endpoint).exec(t.Context(), "assets", "delete").code)
	require.Equal(t, ExitUsage, signedIn(t, endpoint).exec(t.Context(), append([]string{"assets", "delete"}, make([]string, 101)...)...).code)
	require.Empty(t, body, "nothing was deleted")
}

func TestAStartWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	drop := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			_ = conn.Close()
		}
	}
	endpoint := service(t, routes{"POST " + romaPath + "/delete": drop, "POST " + romaPath + "/export": drop, importPath: drop,
		"GET " + instancePath + "/assets": named("application Shop a1")})
	for _, args := range [][]string{
		{"assets", "delete", "Shop"}, {"export", "--all", "--out", filepath.Join(t.TempDir(), "x.zip")}, {"import", packageFile(t, "PK")},
	} {
		r := signedIn(t, endpoint).exec(t.Context(), args...)
		require.Equal(t, ExitUnreachable, r.code)
		require.Contains(t, r.stderr, "See with `assetflow job list` whether the ")
		r = signedIn(t, endpoint).exec(t.Context(), append(args, "--idempotency-key", "k")...)
		require.Contains(t, r.stderr, "Give the same command again: with its key no second job starts.")
	}
}

func TestImportWithAKey(t *testing.T) {
	t.Parallel()
	var key string
	endpoint := service(t, routes{importPath: func(w http.ResponseWriter, r *http.Request) {
		key = r.Header.Get("Idempotency-Key")
		accept(w, r)
	}})
	r := signedIn(t, endpoint).exec(t.Context(), "import", "--idempotency-key", "release-1", packageFile(t, "PK"))
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "release-1", key)
}

const plan = `{"file_name":"shop.zip","possible":%s,"counts":{"create":1,"new_version":1,"unchanged":1,"conflict":1},"assets":[
	{"kind":"application","name":"Shop","action":"create","fields":[],
		"files_added":[{"path":"a.js","old_size":0,"new_size":2048},{"path":"b.js","old_size":0,"new_size":10}],"files_removed":[],"files_changed":[]},
	{"kind":"application","name":"Stock","action":"unchanged","asset_id":"a2","fields":[],"files_added":[],"files_removed":[],"files_changed":[]},
	{"kind":"task","name":"Orders \u001b[2J sync","action":"new_version","asset_id":"t1","fields":["definition","data_sources"],
		"files_added":[{"path":"new.js","old_size":0,"new_size":10}],"files_removed":[{"path":"old.js","old_size":20,"new_size":0}],
		"files_changed":[{"path":"same.js","old_size":20,"new_size":2048}]},
	{"kind":"task","name":"Taken","action":"conflict","asset_id":"t2","fields":["description"],"files_added":[],"files_removed":[],"files_changed":[]}],
	"data_sources":[{"name":"db","action":"create"},{"name":"mq","action":"keep"},{"name":"es","action":"overwrite"}],"reasons":[%s]}`

func TestDryRun(t *testing.T) {
	t.Parallel()
	const planPath = "POST " + instancePath + "/assets/plan"
	var query string
	run := func(body string, args ...string) result {
		endpoint := service(t, routes{planPath: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			query = r.URL.RawQuery
			reply(200, body)(w, r)
		}})
		return signedIn(t, endpoint).exec(t.Context(), append([]string{"import", packageFile(t, "PK"), "--dry-run"}, args...)...)
	}
	r := run(fmt.Sprintf(plan, "true", ""), "--type", "Merge", "--prefix", "t-", "--datasource-overwrite")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, "datasource_overwrite=true&prefix=t-&type=Merge", query)
	require.NotContains(t, r.stdout, "\x1b")
	golden(t, "dry-run", r.stdout+"--- stderr ---\n"+r.stderr)

	const reason = `{"resource_type":"task","resource_name":"Taken","code":"name_taken","message":"The name is taken."}`
	r = run(fmt.Sprintf(plan, "false", reason))
	require.Equal(t, ExitJobFailed, r.code)
	golden(t, "dry-run-conflict", r.stdout+"--- stderr ---\n"+r.stderr)

	r = run(`{"file_name":"shop.zip","possible":false,"counts":{},"assets":[],"data_sources":[],"reasons":[` + reason + `]}`)
	require.Equal(t, ExitJobFailed, r.code)
	golden(t, "dry-run-unreadable", r.stdout+"--- stderr ---\n"+r.stderr)

	r = run(fmt.Sprintf(plan, "false", reason), "-o", "json")
	require.Equal(t, ExitJobFailed, r.code)
	require.JSONEq(t, strings.Replace(fmt.Sprintf(plan, "false", reason), "\x1b", "", 1), r.stdout)
	require.Equal(t, "assetflow: the import would fail\n", r.stderr)

	require.Equal(t, ExitUsage, run("", "--wait").code)
	require.Equal(t, ExitUsage, run("", "--idempotency-key", "k").code)
}

func TestTrashVersionsAndAudit(t *testing.T) {
	t.Parallel()
	trashed := `{"assets":[` + assetJSON + `,"deleted_at":"2026-01-02T10:00:00Z","deleted_by":"u1","purge_after":"2026-02-01T10:00:00Z"},` +
		strings.Replace(assetJSON, "a1", "a2", 1) + `,"deleted_at":"2026-01-02T10:00:00Z","deleted_by":"u1"}]}`
	endpoint := service(t, routes{
		"GET " + instancePath + "/trash": reply(200, trashed),
		"GET " + instancePath + "/assets/" + assetUUID + "/versions": reply(200, `{"versions":[
			{"number":2,"label":"1.1","digest":"d2","created_by":"u1","job_id":"","created_at":"2026-01-02T09:00:00Z"},
			{"number":1,"label":"","digest":"d1","created_by":"u1","job_id":"`+jobUUID+`","created_at":"2026-01-01T09:00:00Z"}]}`),
		"POST " + instancePath + "/assets/" + assetUUID + "/versions/2/restore": reply(200, assetJSON+`}`),
		"GET " + instancePath + "/assets/" + assetUUID + "/versions/2":          reply(200, assetJSON+`,"definition":{}}`),
		"GET /api/v1/projects/" + projectID + "/audit": reply(200, `{"entries":[
			{"id":"e2","at":"2026-01-02T09:00:00Z","actor_id":"u1","actor_name":"ada","action":"job.started","project_id":"p","instance_id":"i",
				"resource_kind":"job","resource_id":"`+jobUUID+`","details":{"kind":"asset-import"}},
			{"id":"e1","at":"2026-01-01T09:00:00Z","actor_id":"","actor_name":"","action":"role.granted","project_id":"p","instance_id":"",
				"resource_kind":"user","resource_id":"u1"}],"next_cursor":"n"}`),
		"GET /api/v1/jobs/" + jobUUID: reply(200, selectionJob("asset-export", "succeeded", exportResult())),
	})
	for name, args := range map[string]string{
		"trash-list":       "trash list",
		"trash-list-json":  "trash list -o json",
		"versions":         "assets versions " + assetUUID,
		"versions-json":    "assets versions -o json " + assetUUID,
		"version-restore":  "assets restore --version 2 " + assetUUID,
		"version-show":     "assets show --version 2 " + assetUUID,
		"audit-list":       "audit list --limit 2",
		"audit-list-json":  "audit list --limit 2 -o json",
		"job-show-export":  "job show " + jobUUID,
		"job-watch-export": "job watch " + jobUUID,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), strings.Fields(args)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			require.NotContains(t, r.stdout, "\x1b")
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
	for _, args := range []string{"assets show --version 0 x", "assets restore --version -1 x", "trash list --kind x", "trash restore", "job list --kind x"} {
		require.Equal(t, ExitUsage, signedIn(t, endpoint).exec(t.Context(), strings.Fields(args)...).code, args)
	}
}

func TestRestoreAndPurge(t *testing.T) {
	t.Parallel()
	var did bytes.Buffer
	note := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(&did, r.Method, strings.TrimPrefix(r.URL.Path, instancePath))
			answer(w, r)
		}
	}
	const inUse = `{"detail":"Tasks use it.","code":"catalog.in_use"}`
	endpoint := service(t, routes{
		"GET " + instancePath + "/trash":                reply(200, `{"assets":[]}`),
		"DELETE " + instancePath + "/trash/" + taskUUID: note(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
	})
	r := signedIn(t, endpoint).exec(t.Context(), "trash", "restore", "None")
	require.Equal(t, ExitNotFound, r.code)
	require.Contains(t, r.stderr, `there is nothing of the name "None" in the trash`)
	r = signedIn(t, endpoint).exec(t.Context(), "trash", "purge", taskUUID)
	require.Equal(t, "Removed "+taskUUID+" for good.\n", r.stdout)
	require.Equal(t, "DELETE /trash/"+taskUUID+"\n", did.String())
	did.Reset()

	found := service(t, routes{"GET " + instancePath + "/trash": named("application Shop a1", "task Orders t1", "task Twice x1", "task Twice x2")})
	r = signedIn(t, found).exec(t.Context(), "trash", "restore", "Twice")
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "  x1  task, version 2\n  x2  task, version 2\n")

	both := func(args ...string) result {
		did.Reset()
		return signedIn(t, service(t, routes{
			"GET " + instancePath + "/trash":             named("application Shop a1", "task Orders t1"),
			"POST " + instancePath + "/trash/a1/restore": note(reply(200, `{"id":"a1","kind":"application","name":"Shop"}`)),
			"POST " + instancePath + "/trash/t1/restore": note(reply(409, `{"detail":"The name is taken.","code":"catalog.name_taken"}`)),
			"DELETE " + instancePath + "/trash/t1":       note(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
			"DELETE " + instancePath + "/trash/a1":       note(reply(409, inUse)),
		})).exec(t.Context(), args...)
	}
	r = both("trash", "restore", "Shop", "Orders")
	require.Equal(t, ExitConflict, r.code)
	require.Equal(t, "Restored application Shop (a1).\n", r.stdout, "what was done is shown")
	require.Contains(t, r.stderr, "The name is taken.")
	require.Equal(t, "POST /trash/a1/restore\nPOST /trash/t1/restore\n", did.String())
	r = both("assets", "restore", "Shop", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, `"id": "a1"`)
	r = both("trash", "purge", "Orders", "Shop", "-o", "json")
	require.Equal(t, ExitConflict, r.code)
	require.JSONEq(t, `{"purged":["t1"]}`, r.stdout)
	r = both("trash", "restore", "Shop", "None")
	require.Equal(t, ExitNotFound, r.code)
	require.Empty(t, did.String(), "a wrong name is found before anything is done")
}
