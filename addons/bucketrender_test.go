package addons_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/fault"
)

const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec: {group: example.com, scope: Cluster, names: {kind: Thing, plural: things}, versions: []}
`

// Objects come in the order in which Helm installs them, the chart's CRDs first, and a plan says where they belong.
func TestPlanOfBucket(t *testing.T) {
	t.Parallel()
	target, r := newBucket(openStore(t)), newRelease("web")
	plan, err := target.Plan(t.Context(), r, addonstest.Chart(t, "web", "1.0.0",
		chartYAML("deprecated: true\n"),
		addonstest.File("crds/things.yaml", crd),
		addonstest.WithHook("test"),
		addonstest.File("templates/NOTES.txt", "Thank you for installing {{ .Chart.Name }}"),
		addonstest.File("templates/_helpers.tpl", `{{ define "x" }}x{{ end }}`),
		addonstest.File("templates/a-thing.yaml", "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: {{ include \"x\" . }}}\n"),
		addonstest.File("templates/empty.yaml", "{{ if false }}x{{ end }}\n---\n# nothing\n---\n"),
		addonstest.File("templates/namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: {{ .Release.Namespace }}}\n"),
		addonstest.File("templates/list.yaml", "apiVersion: v1\nkind: List\nitems:\n"+
			"- {apiVersion: v1, kind: Secret, metadata: {name: s, annotations: , labels: null}}\n"+
			"- {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: 'web:all'}}\n"),
	))
	require.NoError(t, err)
	namespace := r.Namespace()
	require.Equal(t, []addons.Object{
		{Kind: "Namespace", Name: namespace},
		{Kind: "CustomResourceDefinition", Name: "things.example.com"},
		{Kind: "Secret", Name: "s", Namespace: namespace},
		{Kind: "ConfigMap", Name: "web", Namespace: namespace},
		{Kind: "ClusterRole", Name: "web:all"},
		{Kind: "Deployment", Name: "web", Namespace: namespace},
		{Kind: "Thing", Name: "x", Namespace: namespace},
	}, plan.Objects)
	require.Equal(t, []string{"The chart says that it is deprecated.", "The chart's tests are left out: 1 objects."}, plan.Notes)
}

func TestBucketRefuses(t *testing.T) {
	t.Parallel()
	target, r := newBucket(openStore(t)), newRelease("web")
	file := func(text string) addonstest.Option { return addonstest.File("templates/x.yaml", text) }
	object := func(metadata string) addonstest.Option {
		return file("apiVersion: v1\nkind: Secret\nmetadata: " + metadata + "\n")
	}
	many := &strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(many, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s%d}\n", i)
	}
	for name, test := range map[string]struct {
		option addonstest.Option
		says   string
	}{
		"hook":              {addonstest.WithHook("pre-install"), "is a hook (pre-install), which nobody would run"},
		"two hooks":         {addonstest.WithHook("test,post-install"), "is a hook"},
		"unknown hook":      {addonstest.WithHook("crd-install"), "is a hook"},
		"not rendering":     {addonstest.NotRendering(), "does not render"},
		"no value":          {file(`{{ .Values.a.b.c }}`), "does not render"},
		"required":          {file(`{{ required "say a" .Values.a }}`), "say a"},
		"not YAML":          {file("a: b: c"), "not YAML"},
		"a list":            {file("- a"), "not an object"},
		"a text":            {file("hello"), "not an object"},
		"no apiVersion":     {file("kind: Secret\nmetadata: {name: s}"), "apiVersion"},
		"bad apiVersion":    {file("apiVersion: a/b/c\nkind: Secret\nmetadata: {name: s}"), "apiVersion"},
		"no kind":           {file("apiVersion: v1\nmetadata: {name: s}"), "kind"},
		"bad kind":          {file("apiVersion: v1\nkind: ../x\nmetadata: {name: s}"), "kind"},
		"no name":           {object("{generateName: s}"), "name"},
		"bad name":          {object("{name: '../../x'}"), "name"},
		"number for a name": {object("{name: 1}"), "name"},
		"labels":            {object("{name: s, labels: {a: 1}}"), "quote them"},
		"annotations":       {object("{name: s, annotations: {a: true}}"), "quote them"},
		"other namespace":   {object("{name: s, namespace: kube-system}"), "names the namespace kube-system"},
		"Namespace":         {file("apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}"), "another namespace"},
		"twice":             {file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}"), "leave one out"},
		"other version":     {file("apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: web}"), "leave one out"},
		"list in a list":    {file("apiVersion: v1\nkind: List\nitems: [{a: b}]"), "apiVersion"},
		"many":              {file(many.String()), "more than 999 objects"},
		"large":             {file(`{{ range until 20 }}{{ repeat 1000000 "#" }}{{ end }}`), "more than 16777216 bytes"},
		"large object":      {file("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: {{ repeat 4000000 \"a\" }}}"), "more than 3145728 bytes"},
		"kubeVersion":       {chartYAML("kubeVersion: '>=99.0.0'\n"), "it is for Kubernetes >=99.0.0"},
		"schema":            {addonstest.File("values.schema.json", `{"required":["x"]}`), "missing property 'x'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chart := addonstest.Chart(t, "web", "1.0.0", test.option)
			_, err := target.Plan(t.Context(), r, chart)
			requireFault(t, addons.CodeRefused, fault.Invalid, err)
			e, _ := fault.As(err)
			require.Contains(t, e.Message, test.says)
		})
	}

	nothing := addonstest.Archive(t, "web", map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"})
	for name, chart := range map[string]addons.Chart{
		"no objects":    {Name: "web", Version: "1.0.0", Archive: nothing},
		"other name":    {Name: "api", Version: "1.0.0", Archive: nothing},
		"other version": {Name: "web", Version: "1.0.1", Archive: nothing},
		"no chart":      {Name: "web", Version: "1.0.0"},
	} {
		_, err := target.Apply(t.Context(), newDelivery(1), r, chart)
		requireFault(t, addons.CodeRefused, fault.Invalid, err)
		require.Error(t, err, name)
	}
	for _, bad := range []addons.Release{{Name: "../x", EnvironmentID: "e"}, {Name: "x", EnvironmentID: "../e"}, {}} {
		_, err := target.Apply(t.Context(), newDelivery(1), bad, addonstest.Chart(t, "web", "1.0.0"))
		requireFault(t, addons.CodeRefused, fault.Invalid, err)
	}
}

// A controller that is pointed at an environment finds its releases and its namespace once; and what Helm would keep when
// a release is removed, it is told to keep.
func TestEnvironmentForController(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	target, web := newBucket(store), newRelease("web")
	api := web
	api.Name = "api"
	_, err := target.Apply(t.Context(), newDelivery(1), web, addonstest.Chart(t, "web", "1.0.0", addonstest.File("crds/things.yaml", crd),
		addonstest.File("templates/kept.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}\n")))
	require.NoError(t, err)
	_, err = target.Apply(t.Context(), newDelivery(2), api, addonstest.Chart(t, "api", "1.0.0"))
	require.NoError(t, err)

	root := "/" + path.Dir(folder(web))
	files := download(t, store, root[1:])
	generate(t, files, root)
	objects, err := build(files, root)
	require.NoError(t, err)
	var names, kept []string
	for _, o := range objects.Resources() {
		names = append(names, o.GetKind()+" "+o.GetName())
		if o.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"] == "disabled" {
			kept = append(kept, o.GetKind()+" "+o.GetName())
		}
	}
	require.ElementsMatch(t, []string{
		"Namespace " + web.Namespace(), "CustomResourceDefinition things.example.com", "Secret kept",
		"ConfigMap web", "Deployment web", "ConfigMap api", "Deployment api",
	}, names)
	require.ElementsMatch(t, []string{"Namespace " + web.Namespace(), "CustomResourceDefinition things.example.com", "Secret kept"}, kept)
}

// A revision that is not whole any more is neither healthy nor gone back to.
func TestDamagedRevisions(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	target := newBucket(store)
	for name, damage := range map[string]func(key string) error{
		"deleted": func(key string) error { return store.Delete(t.Context(), key) },
		"changed": func(key string) error { return store.Put(t.Context(), key, []byte("{}")) },
		"grown":   func(key string) error { return store.Put(t.Context(), key, bytes.Repeat([]byte(" "), 4<<20)) },
	} {
		r := newRelease("web")
		one, err := target.Apply(t.Context(), newDelivery(1), r, addonstest.Chart(t, "web", "1.0.0"))
		require.NoError(t, err)
		require.NoError(t, damage(folder(r)+"/revisions/"+one.Revision+"/001-configmap-web.json"), name)
		health, err := target.Health(t.Context(), r)
		require.NoError(t, err)
		require.False(t, health.Ready)
		require.Contains(t, health.Failed, "redeploy the add-on")
		require.Equal(t, []addons.Workload{{Kind: "Manifests", Name: "web", Wanted: 1, Message: health.Failed}}, health.Workloads)
		_, err = target.Restart(t.Context(), newDelivery(2), r, addons.Chart{})
		requireFault(t, addons.CodeNoRevision, fault.NotFound, err)

		d := newDelivery(3)
		two, err := target.Apply(t.Context(), d, r, addonstest.Chart(t, "web", "1.1.0"))
		require.NoError(t, err)
		_, err = target.RollBack(t.Context(), d, r, one.Revision)
		requireFault(t, addons.CodeNoRevision, fault.NotFound, err)
		require.NoError(t, store.Put(t.Context(), folder(r)+"/kustomization.yaml", []byte("resources: [../../x]")))
		_, err = target.RollBack(t.Context(), d, r, two.Revision)
		requireFault(t, addons.CodeRefused, fault.Invalid, err)
	}
}

// Ten revisions are kept, and what is gone back to is one of them.
func TestKeptRevisions(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	target, r := newBucket(store), newRelease("web")
	var revisions []string
	for n := range 12 {
		applied, err := target.Apply(t.Context(), newDelivery(n), r, addonstest.Chart(t, "web", fmt.Sprintf("1.0.%d", n)))
		require.NoError(t, err)
		revisions = append(revisions, applied.Revision)
		requireNoneLeft(t, store, r)
	}
	_, err := target.RollBack(t.Context(), newDelivery(20), r, revisions[1])
	requireFault(t, addons.CodeNoRevision, fault.NotFound, err)
	back, err := target.RollBack(t.Context(), newDelivery(20), r, revisions[2])
	require.NoError(t, err)
	require.Equal(t, revisions[2], back.Revision)
	for n := 30; n < 38; n++ { // it was the last but nine, and is the last now
		_, err := target.Apply(t.Context(), newDelivery(n), r, addonstest.Chart(t, "web", "1.1.0"))
		require.NoError(t, err)
	}
	_, err = target.RollBack(t.Context(), newDelivery(40), r, revisions[2])
	require.NoError(t, err)
}

// Whether the bucket's server is away or refuses requests, another try may help; what it says stays in the log.
func TestBucketAway(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	r := newRelease("web")
	answer := func(status int, body string) func(int, func() (*http.Response, error)) (*http.Response, error) {
		return func(int, func() (*http.Response, error)) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Status: body}, nil
		}
	}
	for name, does := range map[string]func(int, func() (*http.Response, error)) (*http.Response, error){
		"dead": func(int, func() (*http.Response, error)) (*http.Response, error) {
			return nil, errors.New("secret-host refused")
		},
		"failing": answer(http.StatusServiceUnavailable, "secret-host"),
		"refuses": answer(http.StatusForbidden, "secret-host"),
	} {
		away := newBucket(through(store, &client{does: does}))
		for _, call := range []func(context.Context) error{
			func(ctx context.Context) error {
				_, err := away.Plan(ctx, r, addonstest.Chart(t, "web", "1.0.0"))
				return err
			},
			func(ctx context.Context) error { _, err := away.Health(ctx, r); return err },
			func(ctx context.Context) error { _, err := away.Remove(ctx, newDelivery(1), r); return err },
			func(ctx context.Context) error { _, err := away.Remains(ctx, r); return err },
		} {
			err := call(t.Context())
			requireFault(t, addons.CodeTargetAway, fault.Unavailable, err)
			e, _ := fault.As(err)
			require.NotContains(t, e.Message, "secret-host", name)
		}
	}
}

// FuzzRender feeds what templates and CRDs consist of. Whatever it is, it is refused in a sentence, or it builds with
// kustomize to as many objects.
func FuzzRender(f *testing.F) {
	f.Add("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: \"\\u2028<\\t\", b: 0x10, c: 1e400, d: ~}\n", false)
	f.Add("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: s}}]\n", false)
	f.Add(crd, true)
	f.Add("---\n--- x\n...\n---\n%YAML 1.2\n---\na: &a [*a]", false)
	f.Fuzz(func(t *testing.T, text string, isCRD bool) {
		name := "templates/x.yaml"
		if isCRD {
			name = "crds/x.yaml"
		} else {
			text = "{{ `" + strings.ReplaceAll(text, "`", "") + "` }}" // not what runs for ever
		}
		manifests, err := addons.Render(newRelease("web"), addonstest.Chart(t, "web", "1.0.0", addonstest.File(name, text)))
		if err != nil {
			requireFault(t, addons.CodeRefused, fault.Invalid, err)
			return
		}
		files := filesys.MakeFsInMemory()
		index := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
		for name, data := range manifests {
			require.Regexp(t, `^[0-9]{3}-[a-z0-9][-.a-z0-9]*\.json$`, name)
			require.NoError(t, files.WriteFile("/r/"+name, data))
			index += "- " + name + "\n"
		}
		require.NoError(t, files.WriteFile("/r/kustomization.yaml", []byte(index)))
		built, err := build(files, "/r")
		require.NoError(t, err)
		require.Equal(t, len(manifests), built.Size())
	})
}
