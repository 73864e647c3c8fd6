package clustertest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/fault"
)

// A chart that would take all of the worker is refused by the plan and changes nothing when it is applied.
func TestClusterRefusesBombs(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	bomb := addonstest.Chart(t, "web", "1.1.0", addonstest.File("templates/bomb.yaml", `{{ repeat 2000000000 "a" }}`))
	_, err := c.Plan(t.Context(), c.r, bomb)
	require.Equal(t, addons.CodeRefused, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "MiB of memory")
	_, err = c.Apply(t.Context(), delivery(), c.r, bomb)
	require.Equal(t, addons.CodeRefused, fault.CodeOf(err), "%v", err)
	require.Equal(t, "1.0.0", c.version(t))
}

// Templates are told what Helm tells them, in the plan as when it is applied: their own definitions are known already. Helm
// keeps the chart that was pushed, and not what was made of it.
func TestClusterRendersAsHelm(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	group := "g" + strings.ReplaceAll(c.r.EnvironmentID, "-", "") + ".example.com"
	definition := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things." + group + "}\n" +
		"spec: {group: " + group + ", scope: Namespaced, names: {kind: Thing, plural: things}, versions: [{name: v1, served: true, " +
		"storage: true, schema: {openAPIV3Schema: {type: object}}}]}\n"
	chart := func(version string) addons.Chart {
		return addonstest.Chart(t, "web", version,
			addonstest.File("Chart.yaml", "apiVersion: v2\nname: web\nversion: "+version+"\ndependencies: [{name: db, version: 1.0.0, condition: db.use}, "+
				"{name: cache, version: 1.0.0, alias: other}]\n"),
			addonstest.File("values.yaml", "replicas: 1\nimage: i\ndb: {use: false}\n"),
			addonstest.File("charts/db/Chart.yaml", "apiVersion: v2\nname: db\nversion: 1.0.0\n"),
			addonstest.File("charts/db/templates/x.yaml", `{{ fail "it is not used" }}`),
			addonstest.File("charts/cache/Chart.yaml", "apiVersion: v2\nname: cache\nversion: 1.0.0\n"),
			addonstest.File("charts/cache/templates/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Chart.Name }}'}\n"),
			addonstest.File("crds/things.yaml", definition),
			addonstest.File("templates/NOTES.txt", "{{`{{`}} Thank you \"{{ .Release.Name }}\""),
			addonstest.File("templates/told.yaml", `apiVersion: v1
kind: ConfigMap
metadata: {name: told}
data:
  release: "{{ .Release.Revision }} {{ .Release.IsInstall }} {{ .Release.IsUpgrade }} {{ .Release.Service }}"
  known: "{{ .Capabilities.APIVersions.Has "`+group+`/v1/Thing" }} {{ .Capabilities.APIVersions.Has "apps/v1/Deployment" }}"
  text: {{ "{{ x }} \"\\" | quote }}
`))
	}
	for n, release := range []string{"1 true false Helm", "2 false true Helm"} {
		pushed := chart([]string{"1.0.0", "1.1.0"}[n])
		_, err := c.Plan(t.Context(), c.r, pushed)
		require.NoError(t, err)
		c.apply(t, pushed)
		told, err := c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Get(t.Context(), "told", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, map[string]string{"release": release, "known": "true true", "text": `{{ x }} "\`}, told.Data)
		_, err = c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Get(t.Context(), "other", metav1.GetOptions{})
		require.NoError(t, err)

		kept := c.record(t, n+1)
		require.Equal(t, `{{ Thank you "web"`, kept.Info.Notes)
		require.Equal(t, pushed.Version, kept.Chart.Metadata.Version)
		texts := map[string]string{}
		for _, f := range kept.Chart.Templates {
			texts[f.Name] = string(f.Data)
		}
		require.Contains(t, texts["templates/told.yaml"], ".Release.Revision", "the template, not what it renders to")
		require.Equal(t, 1.0, kept.Chart.Values["replicas"])
	}
}
