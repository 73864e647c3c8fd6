package command

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
)

const libraryPath = "/api/v1/projects/" + projectID + "/charts"

func libraryChart(name, version string) string {
	return `{"name":"` + name + `","version":"` + version + `","app_version":"3.1","description":"Shows \u001b things","sha256":"ab12","size":2048,
		"creator_id":"u1","creator_name":"ada","created_at":"2026-01-02T11:59:00Z"}`
}

// chartFolder writes a folder with a small chart.
func chartFolder(t *testing.T, more string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "src")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "templates"), 0o700))
	for name, content := range map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: demo\nversion: 1.2.0\nappVersion: \"3.1\"\ntype: application\n" + more,
		"templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: demo}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// chartFile writes the archive of a small chart.
func chartFile(t *testing.T) string {
	t.Helper()
	packed, err := addons.PackChart(chartFolder(t, ""))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "demo.tgz")
	require.NoError(t, os.WriteFile(path, packed, 0o600))
	return path
}

func TestAddonPackAndCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	a := newApp(t)
	dir := chartFolder(t, "")
	r := a.exec(t.Context(), "addon", "pack", dir)
	require.Equal(t, ExitOK, r.code, r.stderr)
	packed, err := os.ReadFile("demo-1.2.0.tgz")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("Wrote demo-1.2.0.tgz: demo 1.2.0, app version 3.1 (%d B).\n", len(packed)), r.stdout)
	info, err := os.Stat("demo-1.2.0.tgz")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode().Perm())

	out := filepath.Join(t.TempDir(), "again.tgz")
	r = a.exec(t.Context(), "addon", "pack", dir, "--out", out, "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	sum := fmt.Sprintf("%x", sha256.Sum256(packed))
	chart := fmt.Sprintf(`{"name":"demo","version":"1.2.0","app_version":"3.1","description":"","sha256":"%s","size":%d}`, sum, len(packed))
	require.JSONEq(t, `{"file":"`+out+`","chart":`+chart+`}`, r.stdout)
	again, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, packed, again, "the same content gives the same bytes")

	r = a.exec(t.Context(), "addon", "check", "demo-1.2.0.tgz")
	require.Equal(t, result{stdout: fmt.Sprintf("demo-1.2.0.tgz is a valid chart: demo 1.2.0, app version 3.1 (%d B).\n", len(packed))}, r)
	r = a.exec(t.Context(), "addon", "check", "demo-1.2.0.tgz", "-o", "json")
	require.JSONEq(t, `{"valid":true,"chart":`+chart+`}`, r.stdout)

	r = a.exec(t.Context(), "addon", "check", packageFile(t, "PK"))
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, "shop.zip is not a valid chart: ")
	require.Empty(t, r.stderr)
	r = a.exec(t.Context(), "addon", "check", packageFile(t, "PK"), "-o", "json")
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stdout, `"valid": false`)
	r = a.exec(t.Context(), "addon", "pack", chartFolder(t, "type: library\n"))
	require.Equal(t, ExitFailure, r.code, "it is a chart, and not one that can be delivered")
	require.Contains(t, r.stdout, "is not a valid chart: ")
	r = a.exec(t.Context(), "addon", "pack", t.TempDir())
	require.Equal(t, ExitFailure, r.code)
	r = a.exec(t.Context(), "addon", "pack", "nowhere")
	require.Equal(t, ExitNotFound, r.code, r.stderr)
	r = a.exec(t.Context(), "addon", "check", dir)
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.stderr, "assetflow addon pack "+dir)
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left over")
}

func TestAddonPush(t *testing.T) {
	t.Parallel()
	path := chartFile(t)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var body string
	push := func(answer http.HandlerFunc, more ...string) result {
		endpoint := service(t, routes{"POST " + libraryPath: noting(t, &body, answer)})
		return signedIn(t, endpoint).exec(t.Context(), append([]string{"addon", "push"}, more...)...)
	}
	r := push(reply(201, libraryChart("demo", "1.2.0")), path)
	require.Equal(t, result{stdout: "Pushed demo 1.2.0 (2.0 KiB). Deliver it:  assetflow addon install demo\n"}, r)
	require.Equal(t, string(content), body)
	r = push(reply(200, libraryChart("demo", "1.2.0")), path)
	require.Equal(t, result{stdout: "demo 1.2.0 is in the library already, with the same bytes.\n"}, r)
	require.Equal(t, result{}, push(reply(201, libraryChart("demo", "1.2.0")), path, "-q"))
	r = push(reply(201, libraryChart("demo", "1.2.0")), path, "-o", "json")
	require.JSONEq(t, strings.Replace(libraryChart("demo", "1.2.0"), "{", `{"added":true,`, 1), r.stdout)

	r = push(reply(409, `{"detail":"The library has this version with other bytes.","code":"catalog.chart_differs"}`), path)
	require.Equal(t, ExitConflict, r.code)
	require.Contains(t, r.stderr, "(catalog.chart_differs, HTTP 409, request r-1)\nA version stays as it was pushed: raise the version in Chart.yaml.\n")
	none := func(http.ResponseWriter, *http.Request) { t.Error("it is found before anything is sent") }
	r = push(none, packageFile(t, "PK"))
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, "is not a valid chart: ")
	require.Empty(t, r.stdout)
	r = push(none, packageFile(t, strings.Repeat("x", addons.MaxChartBytes+1)))
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, "larger than")
	require.Equal(t, ExitNotFound, push(none, "/nowhere/demo.tgz").code)
	require.Equal(t, ExitUsage, push(none, t.TempDir()).code)
}

func TestAddonCharts(t *testing.T) {
	t.Parallel()
	long := strings.Replace(libraryChart("proxy", "0.1.0"), "Shows", strings.Repeat("long ", 20), 1)
	endpoint := service(t, routes{
		"GET " + libraryPath:             reply(200, `{"charts":[`+libraryChart("demo", "1.10.0")+`,`+long+`],"next_cursor":"n"}`),
		"GET " + libraryPath + "/demo":   reply(200, `{"versions":[`+libraryChart("demo", "1.10.0")+`,`+libraryChart("demo", "1.9.0-rc.1")+`]}`),
		"GET " + libraryPath + "/nobody": reply(404, `{"detail":"There is no such chart.","code":"catalog.chart_not_found"}`),
	})
	for name, args := range map[string]string{
		"addon-charts":         "addon charts --limit 2",
		"addon-charts-json":    "addon charts --limit 2 -o json",
		"addon-chart-versions": "addon charts demo",
		"addon-versions-json":  "addon charts demo -o json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signedIn(t, endpoint).exec(t.Context(), strings.Fields(args)...)
			require.Equal(t, ExitOK, r.code, r.stderr)
			golden(t, name, r.stdout+"--- stderr ---\n"+r.stderr)
		})
	}
	r := signedIn(t, endpoint).exec(t.Context(), "addon", "charts", "nobody")
	require.Equal(t, ExitNotFound, r.code)
	require.Contains(t, r.stderr, "There is no such chart. (catalog.chart_not_found, HTTP 404, request r-1)\nSee what there is with `assetflow addon charts`.")
	for _, args := range []string{"charts demo proxy", "charts demo --limit 3", "charts --limit 0", "delete-chart demo", "pull"} {
		require.Equal(t, ExitUsage, signedIn(t, endpoint).exec(t.Context(), append([]string{"addon"}, strings.Fields(args)...)...).code, args)
	}
	empty := service(t, routes{"GET " + libraryPath: reply(200, `{"charts":[]}`)})
	r = signedIn(t, empty).exec(t.Context(), "addon", "charts")
	require.Equal(t, result{stderr: "No charts. Push one with `assetflow addon push CHART.tgz`.\n"}, r)
	r = signedIn(t, empty).exec(t.Context(), "addon", "charts", "-o", "json")
	require.JSONEq(t, `{"charts":[]}`, r.stdout)
}

func TestAddonPull(t *testing.T) {
	t.Chdir(t.TempDir())
	const content = "the archive of a chart"
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	sent := content
	archive := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"`+digest+`"`)
		w.Header().Set("Content-Type", "application/gzip")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(sent))
	}
	newest := "1.10.0+b"
	a := signedIn(t, service(t, routes{
		"GET " + libraryPath + "/demo": func(w http.ResponseWriter, r *http.Request) {
			reply(200, `{"versions":[`+libraryChart("demo", newest)+`,`+libraryChart("demo", "1.9.0")+`]}`)(w, r)
		},
		"GET " + libraryPath + "/demo/1.10.0+b/archive": archive,
		"GET " + libraryPath + "/demo/1.9.0/archive":    archive,
		"GET " + libraryPath + "/demo/2.0.0/archive":    reply(404, `{"detail":"There is no such chart.","code":"catalog.chart_not_found"}`),
		"GET " + libraryPath + "/none":                  reply(200, `{"versions":[]}`),
		"DELETE " + libraryPath + "/demo/1.9.0":         gone,
		"DELETE " + libraryPath + "/demo/1.10.0":        reply(409, `{"detail":"Add-ons consist of it.","details":"`+addonUUID+`","code":"catalog.chart_in_use"}`),
	}))
	r := a.exec(t.Context(), "addon", "pull", "demo")
	require.Equal(t, result{stdout: "Wrote demo-1.10.0+b.tgz: demo 1.10.0+b (22 B).\n"}, r)
	got, err := os.ReadFile("demo-1.10.0+b.tgz")
	require.NoError(t, err)
	require.Equal(t, content, string(got))
	r = a.exec(t.Context(), "addon", "pull", "demo", "--version", "1.9.0", "--out", "old.tgz", "-o", "json")
	require.Equal(t, ExitOK, r.code, r.stderr)
	require.JSONEq(t, `{"file":"old.tgz","name":"demo","version":"1.9.0","size":22,"sha256":"`+digest+`"}`, r.stdout)

	sent = "something else that is longer"
	r = a.exec(t.Context(), "addon", "pull", "demo", "--version", "1.9.0", "--out", "old.tgz")
	require.Equal(t, ExitFailure, r.code)
	require.Contains(t, r.stderr, "the archive is not the one that was announced")
	got, err = os.ReadFile("old.tgz")
	require.NoError(t, err)
	require.Equal(t, content, string(got), "what was there stays")
	r = a.exec(t.Context(), "addon", "pull", "demo", "--version", "2.0.0")
	require.Equal(t, ExitNotFound, r.code)
	require.Contains(t, r.stderr, "assetflow addon charts")
	require.Equal(t, ExitNotFound, a.exec(t.Context(), "addon", "pull", "none").code)
	newest = "../../1.0.0"
	r = a.exec(t.Context(), "addon", "pull", "demo")
	require.Equal(t, ExitUsage, r.code, "no name leads out of the folder")
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Len(t, files, 2, "nothing is left of what was not whole")

	r = a.exec(t.Context(), "addon", "delete-chart", "demo", "1.9.0")
	require.Equal(t, result{stdout: "Deleted demo 1.9.0 from the library.\n"}, r)
	r = a.exec(t.Context(), "addon", "delete-chart", "demo", "1.9.0", "-o", "json")
	require.JSONEq(t, `{"name":"demo","version":"1.9.0"}`, r.stdout)
	r = a.exec(t.Context(), "addon", "delete-chart", "demo", "1.10.0")
	require.Equal(t, ExitConflict, r.code)
	require.Contains(t, r.stderr, "Add-ons consist of it.: "+addonUUID)
}
