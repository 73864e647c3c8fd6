package addons_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/fault"
)

func TestReadChart(t *testing.T) {
	t.Parallel()
	want := addonstest.Chart(t, "web", "1.2.3-rc.1+build.5")
	chart, about, err := addons.ReadChart(t.Context(), bytes.NewReader(want.Archive))
	require.NoError(t, err)
	require.Equal(t, want, chart)
	require.Equal(t, addons.Metadata{AppVersion: "1.0", Description: "A chart of a test."}, about)

	deprecated := addonstest.Chart(t, "web", "1.0.0", chartYAML("deprecated: true\ndescription: "+strings.Repeat("ä", 600)+"\n"))
	_, about, err = addons.ReadChart(t.Context(), bytes.NewReader(deprecated.Archive))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("ä", 511)+"…", about.Description)

	broken := errors.New("the connection broke")
	_, _, err = addons.ReadChart(t.Context(), io.MultiReader(bytes.NewReader(want.Archive[:100]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

// A chart may bring what it depends on as a folder or packed, also within each other.
func TestReadChartWithDependencies(t *testing.T) {
	t.Parallel()
	inner := addonstest.Chart(t, "inner", "1.0.0")
	middle := addonstest.Chart(t, "middle", "1.0.0", chartOf("middle", "dependencies: [{name: inner, version: 1.0.0}]\n"),
		addonstest.File("charts/inner-1.0.0.tgz", string(inner.Archive)))
	outer := addonstest.Chart(t, "web", "1.0.0", chartYAML("dependencies: [{name: middle, version: 1.0.0}, {name: common, version: 1.0.0}]\n"),
		addonstest.File("charts/middle-1.0.0.tgz", string(middle.Archive)),
		addonstest.File("charts/common/Chart.yaml", "apiVersion: v2\nname: common\nversion: 1.0.0\ntype: library\n"))
	_, _, err := addons.ReadChart(t.Context(), bytes.NewReader(outer.Archive))
	require.NoError(t, err)

	missing := addonstest.Chart(t, "web", "1.0.0", chartYAML("dependencies: [{name: middle, version: 1.0.0}]\n"),
		addonstest.File("charts/middle-1.0.0.tgz", string(addonstest.Chart(t, "middle", "1.0.0",
			chartOf("middle", "dependencies: [{name: inner, version: 1.0.0}]\n")).Archive)))
	_, _, err = addons.ReadChart(t.Context(), bytes.NewReader(missing.Archive))
	requireFault(t, addons.CodeBadChart, fault.Invalid, err)
	require.ErrorContains(t, err, `chart "middle" depends on "inner"`)
}

func chartYAML(more string) addonstest.Option { return chartOf("web", more) }

func chartOf(name, more string) addonstest.Option {
	return addonstest.File("Chart.yaml", "apiVersion: v2\nname: "+name+"\nversion: 1.0.0\n"+more)
}

func requireFault(t testing.TB, code string, kind fault.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.Equal(t, kind, fault.KindOf(err), "%v", err)
	e, _ := fault.As(err)
	require.NotContains(t, e.Message, "\n")
	require.Less(t, len(e.Message), 1200)
}

// entries packs what no helm packs.
func entries(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	tw := tar.NewWriter(gz)
	for _, h := range headers {
		text := "apiVersion: v2\nname: web\nversion: 1.0.0\n"
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		require.NoError(t, tw.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := io.WriteString(tw, text)
			require.NoError(t, err)
		}
	}
	require.NoError(t, tw.Close())
	require.NoError(t, gz.Close())
	return packed.Bytes()
}

func TestReadChartRefuses(t *testing.T) {
	t.Parallel()
	with := func(options ...addonstest.Option) []byte {
		return addonstest.Chart(t, "web", "1.0.0", options...).Archive
	}
	version := func(v string) []byte {
		return with(addonstest.File("Chart.yaml", "apiVersion: v2\nname: web\nversion: "+v+"\n"))
	}
	named := func(name string) []byte { return with(chartOf(fmt.Sprintf("%q", name), "")) }
	good := tar.Header{Typeflag: tar.TypeReg, Name: "web/Chart.yaml"}
	regular := func(name string) []byte { return entries(t, good, tar.Header{Typeflag: tar.TypeReg, Name: name}) }
	nested := func(depth int) []byte {
		chart := addonstest.Chart(t, "web", "1.0.0").Archive
		for range depth {
			chart = addonstest.Chart(t, "web", "1.0.0", addonstest.File("charts/web.tgz", string(chart))).Archive
		}
		return chart
	}
	many := map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"}
	for i := range 2000 {
		many[fmt.Sprintf("templates/%d.yaml", i)] = ""
	}
	noise := make([]byte, addons.MaxChartBytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	zeros := strings.Repeat("\x00", 3<<20)
	bomb := string(addonstest.Chart(t, "web", "1.0.0", addonstest.File("zeros", zeros)).Archive)

	for name, test := range map[string]struct {
		archive []byte
		code    string
		says    string
	}{
		"nothing":             {nil, addons.CodeBadChart, "not a gzipped tar"},
		"not gzip":            {[]byte("apiVersion: v2"), addons.CodeBadChart, "not a gzipped tar"},
		"cut":                 {with()[:200], addons.CodeBadChart, "not a whole gzipped tar"},
		"no files":            {entries(t), addons.CodeBadChart, "cannot be read"},
		"no Chart.yaml":       {addonstest.Archive(t, "web", map[string]string{"values.yaml": ""}), addons.CodeBadChart, "Chart.yaml"},
		"bad Chart.yaml":      {with(addonstest.File("Chart.yaml", "{")), addons.CodeBadChart, "Chart.yaml"},
		"bad values":          {with(addonstest.File("values.yaml", "- a list")), addons.CodeBadChart, "values.yaml"},
		"v1":                  {with(addonstest.File("Chart.yaml", "apiVersion: v1\nname: web\nversion: 1.0.0\n")), addons.CodeBadChart, "write apiVersion: v2"},
		"no apiVersion":       {with(addonstest.File("Chart.yaml", "name: web\nversion: 1.0.0\n")), addons.CodeBadChart, "write apiVersion: v2"},
		"library":             {with(chartYAML("type: library\n")), addons.CodeBadChart, "library chart"},
		"name":                {named("Web"), addons.CodeBadChart, "DNS label"},
		"name with a dot":     {named("we.b"), addons.CodeBadChart, "DNS label"},
		"name with a dash":    {named("-web"), addons.CodeBadChart, "DNS label"},
		"name with a line":    {named("web\n"), addons.CodeBadChart, "DNS label"},
		"long name":           {named(strings.Repeat("w", 54)), addons.CodeBadChart, "DNS label"},
		"version":             {version("1.0"), addons.CodeBadChart, "semantic version"},
		"version with v":      {version("v1.0.0"), addons.CodeBadChart, "semantic version"},
		"long version":        {version("1.0.0-" + strings.Repeat("a", 128)), addons.CodeBadChart, "semantic version"},
		"missing dependency":  {with(chartYAML("dependencies: [{name: db, version: 1.0.0, repository: \"https://x.invalid\"}]\n")), addons.CodeBadChart, "helm dependency update"},
		"null dependency":     {with(chartYAML("dependencies: [null]\n")), addons.CodeBadChart, "dependencies"},
		"requirements":        {with(addonstest.File("requirements.yaml", "name: other\n")), addons.CodeBadChart, "Chart.yaml"},
		"schema at a URL":     {with(addonstest.File("values.schema.json", `{"$ref":"http://127.0.0.1:1/x"}`)), addons.CodeBadChart, "complete in itself"},
		"schema of a file":    {with(addonstest.File("values.schema.json", `{"$ref":"file:///etc/passwd"}`)), addons.CodeBadChart, "complete in itself"},
		"schema beside":       {with(addonstest.File("values.schema.json", `{"$ref":"../../etc/passwd"}`)), addons.CodeBadChart, "complete in itself"},
		"not a schema":        {with(addonstest.File("values.schema.json", `{"type":1}`)), addons.CodeBadChart, "complete in itself"},
		"symbolic link":       {entries(t, good, tar.Header{Typeflag: tar.TypeSymlink, Name: "web/values.yaml", Linkname: "/etc/passwd"}), addons.CodeBadChart, "link"},
		"hard link":           {entries(t, good, tar.Header{Typeflag: tar.TypeLink, Name: "web/values.yaml", Linkname: "/etc/passwd"}), addons.CodeBadChart, "link"},
		"device":              {entries(t, good, tar.Header{Typeflag: tar.TypeChar, Name: "web/values.yaml"}), addons.CodeBadChart, "neither file nor folder"},
		"parent":              {regular("web/../../etc/passwd"), addons.CodeBadChart, "relative"},
		"absolute":            {regular("/etc/passwd"), addons.CodeBadChart, "relative"},
		"backslash":           {regular(`web\..\..\x`), addons.CodeBadChart, "relative"},
		"drive":               {regular("web/c:/x"), addons.CodeBadChart, "illegally named"},
		"long path":           {regular("web/" + strings.Repeat("a/", 300) + "x"), addons.CodeBadChart, "at most"},
		"outside":             {regular("Chart.yaml"), addons.CodeBadChart, "one folder"},
		"two folders":         {regular("other/values.yaml"), addons.CodeBadChart, "one folder"},
		"twice":               {regular("web/Chart.yaml"), addons.CodeBadChart, "twice"},
		"nested too deep":     {nested(6), addons.CodeBadChart, "deep"},
		"packed, but not":     {with(addonstest.File("charts/x.tgz", "x")), addons.CodeBadChart, "not a gzipped tar"},
		"large":               {noise, addons.CodeChartTooLarge, "larger than 1048576 bytes"}, // with one byte more below
		"unpacks large":       {with(addonstest.File("zeros", strings.Repeat(zeros, 4))), addons.CodeChartTooLarge, "unpacks to more"},
		"many files":          {addonstest.Archive(t, "web", many), addons.CodeChartTooLarge, "files"},
		"bombs in the charts": {with(addonstest.File("charts/a.tgz", bomb), addonstest.File("charts/b.tgz", bomb), addonstest.File("charts/c.tgz", bomb), addonstest.File("charts/d.tgz", bomb)), addons.CodeChartTooLarge, "unpacks to more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive, kind := test.archive, fault.Invalid
			if test.code == addons.CodeChartTooLarge {
				kind = fault.TooLarge
			}
			if name == "large" {
				archive = append(archive, 0)
			}
			_, _, err := addons.ReadChart(t.Context(), bytes.NewReader(archive))
			requireFault(t, test.code, kind, err)
			e, _ := fault.As(err)
			require.Contains(t, e.Message, test.says)
		})
	}
}

// FuzzReadChart feeds archives: as they are, and as the Chart.yaml of one that is whole. Whatever they are, the reader does
// not panic and blames the chart; and what it takes has a good name.
func FuzzReadChart(f *testing.F) {
	f.Add(addonstest.Chart(f, "web", "1.0.0").Archive)
	f.Add(entries(f, tar.Header{Typeflag: tar.TypeReg, Name: "web/Chart.yaml"}))
	f.Add([]byte("apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: a, alias: b}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, archive := range [][]byte{
			data,
			addonstest.Archive(t, "web", map[string]string{"Chart.yaml": string(data)}),
			addonstest.Archive(t, "web", map[string]string{
				"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "values.yaml": string(data), "values.schema.json": string(data),
				"Chart.lock": string(data), "charts/a/Chart.yaml": string(data), "charts/b.tgz": string(data),
			}),
		} {
			name, err := addons.CheckChart(archive)
			if err != nil {
				require.Contains(t, []string{addons.CodeBadChart, addons.CodeChartTooLarge}, fault.CodeOf(err), "%v", err)
				continue
			}
			require.Regexp(t, `^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$`, name)
		}
	})
}
