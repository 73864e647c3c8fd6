package addons

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
	"text/template"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"

	"assetflow/fault"
)

const (
	// KubeVersion is the version of Kubernetes that charts are rendered for where no cluster is asked.
	KubeVersion = "v1.37.0"

	maxRendered = 16 << 20 // bytes of all objects of a release
	maxObject   = 3 << 20  // bytes of one; an API server takes no larger request
	maxObjects  = 999      // of a release: files are numbered with three digits

	annotationPolicy = "helm.sh/resource-policy"
	annotationPrune  = "kustomize.toolkit.fluxcd.io/prune"
	rbac             = "rbac.authorization.k8s.io"
)

// rendered is one object of a release.
type rendered struct {
	object *unstructured.Unstructured
	from   string // the file of the chart, for messages
}

// render gives the objects that a chart renders to for a release, without a cluster: as a first install on Kubernetes of
// KubeVersion with its built-in APIs only, and with the chart's own values. They are in the order in which they are
// applied, the chart's CRDs first, and name no namespace: all of them belong to that of the release. Notes are sentences
// for a person. It has no bounds of time and memory, so it is for a child process. CodeRefused.
func render(r Release, c Chart) (objects []rendered, notes []string, err error) {
	unpacked, err := c.unpack()
	if err != nil {
		return nil, nil, err
	}
	if unpacked.Metadata.Deprecated {
		notes = append(notes, "The chart says that it is deprecated.")
	}
	files, err := execute(r, unpacked, circumstances{KubeVersion: builtIn, Revision: 1}, nil)
	if err != nil {
		return nil, nil, err
	}

	gathered := &gathering{release: r, seen: map[objectKey]string{}}
	for _, crd := range unpacked.CRDObjects() {
		if err := gathered.add(crd.Filename, string(crd.File.Data), true); err != nil {
			return nil, nil, err
		}
	}
	crds := len(gathered.objects)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// The notes are for who runs helm, and files that begin with _ hold definitions for the others.
		if strings.HasSuffix(name, "NOTES.txt") || strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		if err := gathered.add(name, files[name], false); err != nil {
			return nil, nil, err
		}
	}
	if gathered.tests > 0 {
		notes = append(notes, fmt.Sprintf("The chart's tests are left out: %d objects.", gathered.tests))
	}
	if len(gathered.objects) == 0 {
		return nil, nil, refused("the chart renders to no objects of Kubernetes")
	}
	inOrder(gathered.objects[crds:])
	return gathered.objects, notes, nil
}

func refused(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, CodeRefused, format, args...)
}

// circumstances are what templates are told of where and when they are rendered.
type circumstances struct {
	KubeVersion common.KubeVersion `json:"kube_version"`
	APIVersions []string           `json:"api_versions"` // nil: those that Kubernetes brings
	Revision    int                `json:"revision"`
	Upgrade     bool               `json:"upgrade"` // otherwise it is an install
	Defines     bool               `json:"defines"` // the definitions in the chart's crds folder are installed before
}

// builtIn is KubeVersion as Helm has it.
var builtIn = common.KubeVersion{Version: KubeVersion, Major: "1", Minor: "37"}

// lookup gives objects of a cluster.
type lookup func(apiVersion, kind, namespace, name string) (map[string]any, error)

// execute runs the templates of a chart with Helm's engine, and gives what each renders to. The chart is changed: what is
// not enabled of it goes. Without a lookup there is no cluster that could be asked; there never is DNS. It has no bounds of
// time and memory, so it is for a child process. CodeRefused.
func execute(r Release, c *v2.Chart, as circumstances, look lookup) (map[string]string, error) {
	files, err := func() (map[string]string, error) {
		if wanted := c.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, as.KubeVersion.String()) {
			return nil, fmt.Errorf("it is for Kubernetes %s, and is rendered for %s", wanted, as.KubeVersion.Version)
		}
		capabilities := common.DefaultCapabilities.Copy()
		capabilities.KubeVersion = as.KubeVersion
		if as.APIVersions != nil {
			capabilities.APIVersions = as.APIVersions
		}
		given := map[string]any{}
		if err := chartutil.ProcessDependencies(c, given); err != nil {
			return nil, err
		}
		if as.Defines {
			capabilities.APIVersions = append(slices.Clone(capabilities.APIVersions), defined(c)...)
		}
		values, err := util.ToRenderValues(c, given, common.ReleaseOptions{
			Name: r.Name, Namespace: r.Namespace(), Revision: as.Revision, IsInstall: !as.Upgrade, IsUpgrade: as.Upgrade,
		}, capabilities)
		if err != nil {
			return nil, err
		}
		var e engine.Engine
		if look != nil {
			e.CustomTemplateFuncs = template.FuncMap{"lookup": look}
		}
		return e.RenderWithContext(context.Background(), c, values)
	}()
	if err != nil {
		return nil, refused("the chart does not render: %s", reason(err)).Wrap(err)
	}
	size := 0
	for _, text := range files {
		if size += len(text); size > maxRendered {
			return nil, refused("the chart renders to more than %d bytes", maxRendered)
		}
	}
	return files, nil
}

// defined gives the versions that the definitions in a chart's crds folders make known to a cluster, in Helm's form.
func defined(c *v2.Chart) []string {
	var versions []string
	for _, crd := range c.CRDObjects() {
		for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(crd.File.Data), 4096); ; {
			var d struct {
				Spec struct {
					Group    string
					Names    struct{ Kind string }
					Versions []struct {
						Name   string
						Served bool
					}
				}
			}
			if decoder.Decode(&d) != nil { // told by who installs it
				break
			}
			for _, v := range d.Spec.Versions {
				if group := d.Spec.Group + "/" + v.Name; v.Served {
					versions = append(versions, group, group+"/"+d.Spec.Names.Kind)
				}
			}
		}
	}
	return versions
}

// gathering takes the objects out of rendered files.
type gathering struct {
	release  Release
	objects  []rendered
	seen     map[objectKey]string // by what tells objects apart, the file each came from
	size     int                  // of the files
	expanded int                  // bytes of JSON
	tests    int                  // hooks of tests that were left out
}

type objectKey struct{ group, kind, name string }

// add takes the objects out of one file. crd says that it is one of the chart's crds folder.
func (g *gathering) add(file, text string, crd bool) error {
	if g.size += len(text); g.size > maxRendered {
		return refused("the chart renders to more than %d bytes", maxRendered)
	}
	documents := releaseutil.SplitManifests(text)
	names := slices.Collect(maps.Keys(documents))
	sort.Sort(releaseutil.BySplitManifestsOrder(names))
	for _, name := range names {
		if err := g.addDocument(file, documents[name], crd); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) addDocument(file, document string, crd bool) error {
	text, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		return refused("%s renders to what is not YAML: %s", cut(file, 200), reason(err)).Wrap(err)
	}
	if g.expanded += len(text); g.expanded > maxRendered { // a few bytes of aliases give many
		return refused("the chart renders to more than %d bytes", maxRendered)
	}
	if string(text) == "null" { // only comments
		return nil
	}
	// Not json.Unmarshal: it makes floats of whole numbers.
	var fields map[string]any
	if err := utiljson.Unmarshal(text, &fields); err != nil {
		return refused("%s renders to what is not an object of Kubernetes", cut(file, 200)).Wrap(err)
	}
	object := &unstructured.Unstructured{Object: fields}
	if !object.IsList() {
		return g.addObject(file, object, crd)
	}
	return object.EachListItem(func(item runtime.Object) error {
		one, ok := item.(*unstructured.Unstructured)
		if !ok {
			return refused("%s renders to a list of what are not objects of Kubernetes", cut(file, 200))
		}
		return g.addObject(file, one, crd)
	})
}

func (g *gathering) addObject(file string, object *unstructured.Unstructured, crd bool) error {
	annotations, err := checkObject(file, object)
	if err != nil {
		return err
	}
	id := object.GetKind() + " " + object.GetName()
	if hooks, ok := annotations[release.HookAnnotation]; ok && !crd {
		if isTest(hooks) {
			g.tests++
			return nil
		}
		return refused("%s of %s is a hook (%s), which nobody would run: a bucket only holds manifests; deliver the chart to a "+
			"cluster, or do without the hook", cut(id, 200), cut(file, 200), cut(hooks, 100))
	}
	group := object.GroupVersionKind().Group
	switch namespace := object.GetNamespace(); {
	case namespace != "" && namespace != g.release.Namespace():
		return refused("%s of %s names the namespace %s; everything in an environment is in its own, %s: leave it out, or "+
			"write {{ .Release.Namespace }}", cut(id, 200), cut(file, 200), cut(namespace, 100), g.release.Namespace())
	case group == "" && object.GetKind() == "Namespace":
		if object.GetName() == g.release.Namespace() {
			return nil // it is there already
		}
		return refused("%s of %s is another namespace than that of the environment, %s; leave it out", cut(id, 200),
			cut(file, 200), g.release.Namespace())
	}
	unstructured.RemoveNestedField(object.Object, "metadata", "namespace")

	key := objectKey{group, object.GetKind(), object.GetName()}
	if other, ok := g.seen[key]; ok {
		return refused("%s is in %s and in %s; leave one out", cut(id, 200), cut(other, 200), cut(file, 200))
	}
	g.seen[key] = file
	if len(g.objects) == maxObjects {
		return refused("the chart renders to more than %d objects", maxObjects)
	}
	if crd || annotations[annotationPolicy] == "keep" {
		// Helm leaves them where they are when it removes a release, and so shall the controller.
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[annotationPrune] = "disabled"
		object.SetAnnotations(annotations)
	}
	g.objects = append(g.objects, rendered{object, file})
	return nil
}

// checkObject checks that an object can be one of Kubernetes, and gives its annotations.
func checkObject(file string, object *unstructured.Unstructured) (map[string]string, error) {
	for _, field := range []string{"namespace", "annotations", "labels"} { // templates leave them empty
		dropNull(object, "metadata", field)
	}
	version, _, errVersion := unstructured.NestedString(object.Object, "apiVersion")
	kind, _, errKind := unstructured.NestedString(object.Object, "kind")
	name, _, errName := unstructured.NestedString(object.Object, "metadata", "name")
	_, _, errNamespace := unstructured.NestedString(object.Object, "metadata", "namespace")
	annotations, _, errAnnotations := unstructured.NestedStringMap(object.Object, "metadata", "annotations")
	_, _, errLabels := unstructured.NestedStringMap(object.Object, "metadata", "labels")
	parsed, errParse := schema.ParseGroupVersion(version)
	switch {
	case errVersion != nil || errParse != nil || parsed.Version == "":
		return nil, refused("%s renders to an object without a good apiVersion", cut(file, 200))
	case errKind != nil || kind == "" || strings.Trim(kind, letters) != "":
		return nil, refused("%s renders to an object without a good kind", cut(file, 200))
	case errName != nil || !goodName(parsed.Group, name):
		return nil, refused("%s renders to a %s whose name, %q, is none that Kubernetes takes", cut(file, 200), cut(kind, 100), cut(name, 100))
	case errNamespace != nil:
		return nil, refused("%s renders to %s %s whose namespace is not a text", cut(file, 200), cut(kind, 100), name)
	case errAnnotations != nil:
		return nil, refused("%s renders to %s %s with annotations that are not texts; quote them", cut(file, 200), cut(kind, 100), name)
	case errLabels != nil:
		return nil, refused("%s renders to %s %s with labels that are not texts; quote them", cut(file, 200), cut(kind, 100), name)
	}
	return annotations, nil
}

// dropNull removes a field that is there without a value.
func dropNull(object *unstructured.Unstructured, field ...string) {
	if value, found, err := unstructured.NestedFieldNoCopy(object.Object, field...); found && err == nil && value == nil {
		unstructured.RemoveNestedField(object.Object, field...)
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// goodName tells whether Kubernetes takes the name. Roles and what binds them are named more freely.
func goodName(group, name string) bool {
	if group == rbac {
		return name != "" && name != "." && name != ".." && len(name) <= 253 && !strings.ContainsAny(name, "/%\x00\n\r")
	}
	return len(validation.IsDNS1123Subdomain(name)) == 0
}

func isTest(hooks string) bool {
	for hook := range strings.SplitSeq(hooks, ",") {
		switch strings.ToLower(strings.TrimSpace(hook)) {
		case string(release.HookTest), "test-success": // Helm 2's name of it
		default:
			return false
		}
	}
	return true
}

// inOrder sorts objects as Helm installs them.
func inOrder(objects []rendered) {
	place := make(map[string]int, len(releaseutil.InstallOrder))
	for i, kind := range releaseutil.InstallOrder {
		place[kind] = i + 1
	}
	slices.SortStableFunc(objects, func(a, b rendered) int {
		pa, pb := place[a.object.GetKind()], place[b.object.GetKind()]
		switch {
		case pa != 0 && pb != 0:
			return cmp.Compare(pa, pb)
		case pa != 0:
			return -1
		case pb != 0:
			return 1
		}
		return cmp.Compare(a.object.GetKind(), b.object.GetKind())
	})
}

// named gives the object's name as a plan has it. Objects of kinds that Kubernetes does not bring are taken for ones
// that are in a namespace, as kustomize takes them.
func (o rendered) named(r Release) Object {
	named := Object{Kind: o.object.GetKind(), Name: o.object.GetName()}
	inside, known := openapi.IsNamespaceScoped(kyaml.TypeMeta{APIVersion: o.object.GetAPIVersion(), Kind: o.object.GetKind()})
	if inside || !known {
		named.Namespace = r.Namespace()
	}
	return named
}

// encode gives the object as JSON: the same bytes for the same object.
func encode(object *unstructured.Unstructured) ([]byte, error) {
	data, err := json.MarshalIndent(object.Object, "", " ")
	if err != nil {
		return nil, refused("%s %s cannot be written as JSON", object.GetKind(), object.GetName()).Wrap(err)
	}
	if len(data) > maxObject {
		return nil, refused("%s %s has more than %d bytes", object.GetKind(), object.GetName(), maxObject)
	}
	return append(data, '\n'), nil
}
