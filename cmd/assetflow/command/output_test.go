package command

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const assetJSON = `{"id":"a1","project_id":"p","instance_id":"i","kind":"task","name":"Orders \u202e sync","description":"moves orders",
	"version_number":3,"version_label":"1.4.0","digest":"d1g","updated_by":"u1","job_id":"` + jobUUID + `",
	"created_at":"2026-01-01T08:00:00Z","updated_at":"2026-01-02T09:30:00Z"`

func TestOutput(t *testing.T) {
	t.Parallel()
	base := "/api/v1/projects/" + projectID
	endpoint := service(t, routes{
		"GET /api/v1/jobs/" + jobUUID:                                     reply(200, job("succeeded", "1", succeeded)),
		"GET /api/v1/jobs/" + strings.Replace(jobUUID, "0194", "0195", 1): reply(200, job("running", "0.456", `,"step":"Store the files"`)),
		"GET /api/v1/jobs/" + strings.Replace(jobUUID, "0194", "0196", 1): reply(200, job("failed", "0.25", failed)),
		"POST /api/v1/jobs/" + jobUUID + "/cancel":                        reply(202, job("running", "0.5", "")),
		"GET " + base + "/jobs": reply(200, `{"jobs":[`+job("running", "0.456", "")+`,`+job("failed", "0.25", failed)+`,`+
			strings.Replace(job("succeeded", "1", succeeded), "shop.zip", "a-much-longer-name-ü.zip", 1)+`],"next_cursor":"n"}`),
		"GET " + base + "/instances/" + instanceID + "/assets": reply(200, `{"assets":[`+assetJSON+`},`+
			strings.Replace(assetJSON, "Orders", "Long name of a task that has none", 1)+`}]}`),
		"GET " + base + "/instances/" + instanceID + "/assets/" + assetUUID: reply(200, assetJSON+`,"source_id":"s-7","definition":{"steps":[1,{"x":"\u001b"}]},
			"applications":[{"id":"b1","name":"Shop"},{"id":"b2","name":"Stock"}],
			"data_sources":[{"id":"ds","name":"db","type":"postgresql","description":"orders","settings":{"a":1},
				"created_at":"2026-01-01T08:00:00Z","updated_at":"2026-01-01T08:00:00Z","job_id":"j"}],
			"files":[{"path":"z/last.js","sha256":"ff","size":10},{"path":"a/first.js","sha256":"ee","size":5242880},{"path":"a/mid.js","sha256":"dd","size":20480}]}`),
	})
	for name, args := range map[string]string{
		"job-show":           "job show " + jobHex,
		"job-show-running":   "job show " + strings.Replace(jobHex, "0194", "0195", 1),
		"job-show-failed":    "job show " + strings.Replace(jobHex, "0194", "0196", 1),
		"job-show-json":      "job show -o json " + jobUUID,
		"job-list":           "job list --limit 3",
		"job-list-quiet":     "job list --limit 3 -q",
		"job-list-json":      "job list --limit 3 -o json",
		"job-cancel":         "job cancel " + jobUUID,
		"assets-list":        "assets list",
		"assets-list-json":   "assets list -o json",
		"assets-show":        "assets show " + assetUUID,
		"assets-show-json":   "assets show " + assetUUID + " --output json",
		"job-cancel-and-see": "job cancel --wait " + jobUUID, // the fake's job succeeds all the same
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), strings.Fields(args)...)
			if name == "job-cancel-and-see" {
				require.Equal(t, ExitConflict, r.code, r.stderr)
			} else {
				require.Equal(t, ExitOK, r.code, r.stderr)
			}
			if strings.HasSuffix(name, "-json") {
				require.True(t, json.Valid([]byte(r.stdout)))
				require.Empty(t, r.stderr, "scripts are told nothing but the result")
			} else {
				require.NotContains(t, r.stdout, "\x1b", "what comes from elsewhere cannot steer the terminal")
				require.NotContains(t, r.stdout, "\u202e")
			}
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
}

func TestTimesAreLocal(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{"GET /api/v1/jobs/" + jobUUID: reply(200, job("succeeded", "1", succeeded))})
	a := signedIn(t, endpoint)
	a.location = time.FixedZone("east", 2*60*60)
	r := a.exec(t.Context(), "job", "show", jobUUID)
	require.Contains(t, r.stdout, "2026-01-02 13:59:00")
	r = a.exec(t.Context(), "job", "show", jobUUID, "-o", "json")
	require.Contains(t, r.stdout, "2026-01-02T11:59:00Z", "scripts get UTC")
}

func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	var asked []string
	page := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.RawQuery)
			reply(200, body)(w, r)
		}
	}
	pages := func() http.HandlerFunc {
		asked = nil
		return inTurn(page(`{"jobs":[`+job("running", "0", "")+`,`+job("running", "0", "")+`],"next_cursor":"two"}`),
			page(`{"jobs":[`+job("running", "0", "")+`],"next_cursor":"three"}`), page(`{"jobs":[]}`))
	}
	path := "GET /api/v1/projects/" + projectID + "/jobs"
	count := func(r result) int { return strings.Count(r.stdout, jobUUID) }

	r := signedIn(t, service(t, routes{path: pages()})).exec(t.Context(), "job", "list", "--all")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.Equal(t, 3, count(r))
	require.Equal(t, []string{"instance_id=" + instanceID + "&limit=500", "cursor=two&instance_id=" + instanceID + "&limit=500",
		"cursor=three&instance_id=" + instanceID + "&limit=500"}, asked)
	require.Empty(t, r.stderr)

	r = signedIn(t, service(t, routes{path: pages()})).exec(t.Context(), "job", "list", "--limit", "3", "--state", "running", "--kind", "asset-import", "--user", "u1")
	require.Equal(t, 3, count(r))
	const filters = "instance_id=" + instanceID + "&kind=asset-import&limit="
	require.Equal(t, []string{filters + "3&state=running&user_id=u1", "cursor=two&" + filters + "1&state=running&user_id=u1"}, asked)
	require.Contains(t, r.stderr, "There are more")

	r = signedIn(t, service(t, routes{path: reply(200, `{"jobs":[]}`)})).exec(t.Context(), "job", "list", "-o", "json")
	require.JSONEq(t, `{"jobs":[]}`, r.stdout)
	r = signedIn(t, service(t, routes{path: reply(200, `{"jobs":[]}`)})).exec(t.Context(), "job", "list")
	require.Empty(t, r.stdout)
	require.Equal(t, "No jobs.\n", r.stderr)
}

func TestMyJobs(t *testing.T) {
	t.Parallel()
	endpoint := service(t, routes{
		"GET /api/v1/me": reply(200, `{"user_id":"u1","user_name":"ada","domain_id":"d","domain_name":"acme","method":"token"}`),
		"GET /api/v1/projects/" + projectID + "/jobs": func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query().Get("user_id"); got != "u1" {
				t.Errorf("jobs of %q", got)
			}
			reply(200, `{"jobs":[]}`)(w, r)
		},
	})
	require.Equal(t, ExitOK, signedIn(t, endpoint).exec(t.Context(), "job", "list", "--mine").code)
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 100 << 10: "0.1 MiB", 3250585: "3.1 MiB", 5 << 30: "5120.0 MiB",
	} {
		require.Equal(t, want, size(n))
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	r := newApp(t).exec(t.Context(), "version")
	require.Regexp(t, `^assetflow dev \(go1\.\S+, \w+/\w+\)\n$`, r.stdout)
	r = newApp(t).exec(t.Context(), "version", "-o", "json")
	require.Contains(t, r.stdout, `"version": "dev"`)
}
