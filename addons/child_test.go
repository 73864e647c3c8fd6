package addons_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/fault"
)

// endless is a template that takes a processor for years, and little else.
const endless = `{{ range until 100000 }}{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}{{ end }}`

// bombs are what templates do to who runs them, and what is said of it.
var bombs = map[string]struct{ template, says string }{
	"processor":        {endless, "more than 10 s of processor time"},
	"long list":        {`{{ range until 1000000000 }}{{ end }}`, "more than 512 MiB of memory"},
	"repeat":           {`{{ repeat 2000000000 "a" }}`, "more than 512 MiB of memory"},
	"doubling":         {`{{ $s := "aaaaaaaa" }}{{ range until 40 }}{{ $s = print $s $s }}{{ end }}`, "more than 512 MiB of memory"},
	"nested list":      {`{{ $l := list 1 }}{{ range until 60 }}{{ $l = list $l $l }}{{ end }}{{ $l | toJson }}`, "more than"},
	"output":           {`{{ range until 20 }}{{ repeat 1000000 "#" }}{{ end }}`, "more than 16777216 bytes"},
	"large output":     {`{{ range until 200 }}{{ repeat 1000000 "#" }}{{ end }}`, "more than"},
	"template in self": {`{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}`, ""},
	"include in self":  {`{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`, "error calling include"},
	"tpl in self":      {`{{ define "a" }}{{ tpl "{{ include \"a\" . }}" . }}{{ end }}{{ include "a" . }}`, ""},
	"aliases": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: &a {{ repeat 100000 \"a\" }}\n" +
		"  b: [{{ range until 10000 }}*a,{{ end }}]\n", "more than"},
	"aliases of aliases": {"a: &a [a,a,a,a,a,a,a,a,a,a]\n{{ $of := \"a\" }}{{ range list \"b\" \"c\" \"d\" \"e\" \"f\" \"g\" \"h\" \"i\" }}" +
		"{{ . }}: &{{ . }} [{{ $x := $of }}{{ range until 10 }}*{{ $x }},{{ end }}]\n{{ $of = . }}{{ end }}", ""},
}

// A chart that would take all of a worker is refused, for both kinds of targets. The kernel has given its child never more
// than its bound.
func TestBombs(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("it would take several times the memory and the time")
	}
	seen := watchChildren(t)
	t.Run("all", func(t *testing.T) { // ends when all of its own have ended
		for name, bomb := range bombs {
			chart := addonstest.Chart(t, "web", "1.0.0", addonstest.File("templates/bomb.yaml", bomb.template))
			for kind, render := range map[string]func() error{
				"bucket": func() error {
					_, err := addons.RenderBounded(t.Context(), newRelease("web"), chart)
					return err
				},
				"cluster": func() error {
					_, err := addons.RunTemplates(t.Context(), newRelease("web"), chart, false, noObjects)
					return err
				},
			} {
				t.Run(name+" to a "+kind, func(t *testing.T) {
					t.Parallel()
					err := render()
					// Text without anything in it that Helm takes for an alias is an API server's to refuse.
					if name == "aliases of aliases" && kind == "cluster" && err == nil {
						return
					}
					requireFault(t, addons.CodeRefused, fault.Invalid, err)
					require.Contains(t, err.Error(), bomb.says)
				})
			}
		}
	})
	if most := seen(); runtime.GOOS == "linux" {
		t.Logf("at most %d MiB", most>>20)
		require.Greater(t, most, int64(200<<20), "the bombs went off")
		// The kernel's bound is for what is written to; the executable itself, which is shared, comes on top.
		require.Less(t, most, addons.ChildLimits.Memory+448<<20)
	}
}

func noObjects(string, string, string, string) (map[string]any, error) { return map[string]any{}, nil }

// watchChildren looks at the memory of this process's children until what it gives is called, which tells the most that
// any of them has had.
func watchChildren(t *testing.T) (most func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	found := make(chan int64)
	go func() {
		var most int64
		for ctx.Err() == nil {
			lists, _ := filepath.Glob("/proc/self/task/*/children")
			for _, list := range lists {
				children, _ := os.ReadFile(list)
				for _, child := range strings.Fields(string(children)) {
					// Before it is one, it has the memory of this process.
					if line, _ := os.ReadFile("/proc/" + child + "/cmdline"); !strings.HasPrefix(string(line), "assetflow-bounded") {
						continue
					}
					status, _ := os.ReadFile("/proc/" + child + "/status")
					for line := range strings.Lines(string(status)) {
						if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
							kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
							most = max(most, kilobytes<<10)
						}
					}
				}
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
		}
		found <- most
	}()
	return func() int64 { cancel(); return <-found }
}

// A chart may be a bomb before its templates run. Whoever pushes it is told so.
func TestReadChartBombs(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("it would take several times the memory and the time")
	}
	aliases := "a: &a " + strings.Repeat("a", 100_000) + "\nb: [" + strings.Repeat("*a,", 20_000) + "]\n"
	_, _, err := addons.ReadChart(t.Context(), strings.NewReader(string(addonstest.Chart(t, "web", "1.0.0",
		addonstest.File("values.yaml", aliases)).Archive)))
	requireFault(t, addons.CodeBadChart, fault.Invalid, err)
	require.ErrorContains(t, err, "more than 512 MiB of memory")

	// Each of twenty charts in one another brings the next under two names.
	files, folder := addonstest.Option(func(map[string]string) {}), ""
	nested := func(files map[string]string) {
		for n := range 20 {
			text := "apiVersion: v2\nname: web\nversion: 1.0.0\n"
			if n < 19 {
				text += "dependencies: [{name: web, version: 1.0.0, alias: a}, {name: web, version: 1.0.0, alias: b}]\n"
			}
			files[folder+"Chart.yaml"] = text
			folder += "charts/web/"
		}
	}
	chart := addonstest.Chart(t, "web", "1.0.0", files, nested)
	_, _, err = addons.ReadChart(t.Context(), strings.NewReader(string(chart.Archive)))
	require.NoError(t, err)
	_, err = addons.RenderBounded(t.Context(), newRelease("web"), chart)
	requireFault(t, addons.CodeRefused, fault.Invalid, err)
	require.ErrorContains(t, err, "more than")
}

// examples is where the sample charts are: the embedded server goes to another folder.
var examples, _ = filepath.Abs("../examples/charts")

// A child gives what this process would have given.
func TestChildRendersTheSame(t *testing.T) {
	t.Parallel()
	charts := []addons.Chart{
		addonstest.Chart(t, "web", "1.0.0"),
		addonstest.Chart(t, "web", "1.0.0", addonstest.File("crds/things.yaml", crd), addonstest.WithHook("test")),
		addonstest.Chart(t, "web", "1.0.0",
			addonstest.File("templates/odd.yaml", "# <&>é{{ `\"}}` }}\n"), addonstest.File("templates/NOTES.txt", "\xff {{ toJson . }}"),
			chartYAML("dependencies: [{name: db, version: 1.0.0, condition: db.use}, {name: db, version: 1.0.0, alias: cache}]\n"),
			addonstest.File("values.yaml", "replicas: 1\nimage: a\ndb: {use: false}\ncache: {size: 10000000}\n"),
			addonstest.File("charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n"),
			addonstest.File("charts/db/templates/x.yaml", "# {{ toJson .Values }} {{ toJson .Release }} {{ .Chart.Name }}\n")),
	}
	samples, err := filepath.Glob(filepath.Join(examples, "*.tgz"))
	require.NoError(t, err)
	require.NotEmpty(t, samples)
	for _, name := range samples {
		file, err := os.Open(name)
		require.NoError(t, err)
		defer file.Close()
		chart, _, err := addons.ReadChart(t.Context(), file)
		require.NoError(t, err)
		charts = append(charts, chart)
	}
	for _, chart := range charts {
		r := newRelease(chart.Name)
		want, err := addons.Render(r, chart)
		require.NoError(t, err)
		got, err := addons.RenderBounded(t.Context(), r, chart)
		require.NoError(t, err)
		require.Equal(t, want, got)
		want, err = addons.RunTemplates(t.Context(), r, chart, true, noObjects)
		require.NoError(t, err)
		got, err = addons.RunTemplates(t.Context(), r, chart, false, noObjects)
		require.NoError(t, err)
		require.Equal(t, want, got)
		// And Helm makes the same of the chart that it gets in its place.
		again, err := addons.HelmRenders(r, chart)
		require.NoError(t, err)
		require.Equal(t, want, again, "%v", maps.Keys(want))
	}
}

// A child asks its parent for what templates look up: whole numbers stay so, what is not there is empty, and an error ends it.
func TestLookup(t *testing.T) {
	t.Parallel()
	chart := addonstest.Chart(t, "web", "1.0.0", addonstest.File("templates/x.yaml", `# {{ (lookup "v1" "Pod" "n" "a").size }} {{ lookup "v1" "Pod" "" "none" }}`))
	files, err := addons.RunTemplates(t.Context(), newRelease("web"), chart, false, func(version, kind, namespace, name string) (map[string]any, error) {
		if name == "none" {
			return nil, nil
		}
		return map[string]any{"size": int64(100000000), "asked": version + kind + namespace + name}, nil
	})
	require.NoError(t, err)
	require.Equal(t, "# 100000000 map[]", string(files["web/templates/x.yaml"]))

	away := errors.New("away")
	_, err = addons.RunTemplates(t.Context(), newRelease("web"), chart, false, func(string, string, string, string) (map[string]any, error) { return nil, away })
	require.ErrorIs(t, err, away)

	asked := 0
	chart = addonstest.Chart(t, "web", "1.0.0", addonstest.File("templates/x.yaml", `{{ range until 1000000 }}{{ lookup "v1" "Pod" "" "" }}{{ end }}`))
	_, err = addons.RunTemplates(t.Context(), newRelease("web"), chart, false, func(string, string, string, string) (map[string]any, error) {
		asked++
		return nil, nil
	})
	requireFault(t, addons.CodeRefused, fault.Invalid, err)
	require.ErrorContains(t, err, "look up more than 1000 times")
	require.Equal(t, addons.ChildLimits.Asks, asked)
}

// Who no longer waits gets no refusal.
func TestChildIsCancelled(t *testing.T) {
	t.Parallel()
	chart := addonstest.Chart(t, "web", "1.0.0", addonstest.File("templates/x.yaml", `{{ lookup "v1" "Pod" "" "" }}`+endless))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := addons.RunTemplates(ctx, newRelease("web"), chart, false, func(string, string, string, string) (map[string]any, error) {
		cancel()
		return nil, fmt.Errorf("cut off: %w", context.Canceled)
	})
	require.Equal(t, context.Canceled, err)
}
