package clustertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/addons/clustertest"
	"assetflow/fault"
)

// childEnv makes the test binary a deployer of its own, which a test kills: it names the kubeconfig.
const childEnv = "ASSETFLOW_TEST_DEPLOYER"

func TestMain(m *testing.M) {
	if kubeconfig := os.Getenv(childEnv); kubeconfig != "" {
		os.Exit(deploy(kubeconfig))
	}
	os.Exit(clustertest.Run(m))
}

// within is how long the cluster may take for anything.
const within = time.Minute

// cluster is a target with a release of a test's own.
type cluster struct {
	*addons.ClusterTarget
	*clustertest.ControlPlane
	r addons.Release
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	return clusterOf(t, clustertest.Shared(t))
}

func clusterOf(t *testing.T, plane *clustertest.ControlPlane) *cluster {
	t.Helper()
	target, err := addons.NewCluster(addons.ClusterOptions{Kubeconfig: plane.Kubeconfig(), Context: "admin"})
	require.NoError(t, err)
	return &cluster{target, plane, addons.Release{Name: "web", EnvironmentID: uuid.NewString(), ProjectID: uuid.NewString()}}
}

func delivery() addons.Delivery { return addons.Delivery{ID: uuid.NewString(), At: time.Now().UTC()} }

func (c *cluster) apply(t *testing.T, chart addons.Chart) addons.Applied {
	t.Helper()
	applied, err := c.Apply(t.Context(), delivery(), c.r, chart)
	require.NoError(t, err)
	return applied
}

// until asks for the release's health until it is as is says.
func (c *cluster) until(t *testing.T, what string, is func(addons.Health) bool) addons.Health {
	t.Helper()
	var last addons.Health
	await(t, what, func() bool {
		var err error
		last, err = c.Health(t.Context(), c.r)
		require.NoError(t, err)
		return is(last)
	})
	return last
}

func (c *cluster) healthy(t *testing.T) {
	t.Helper()
	health := c.until(t, "the release becomes healthy", func(h addons.Health) bool { return h.Ready })
	require.Empty(t, health.Failed)
}

// version is that of the chart whose ConfigMap is there; empty where there is none.
func (c *cluster) version(t *testing.T) string {
	t.Helper()
	cm, err := c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Get(t.Context(), c.r.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	require.NoError(t, err)
	return cm.Data["version"]
}

func (c *cluster) deployment(t *testing.T) *appsv1.Deployment {
	t.Helper()
	d, err := c.Client.AppsV1().Deployments(c.r.Namespace()).Get(t.Context(), c.r.Name, metav1.GetOptions{})
	require.NoError(t, err)
	return d
}

// pods are the UIDs of the pods that are not on their way out.
func (c *cluster) pods(t *testing.T) map[types.UID]bool {
	t.Helper()
	list, err := c.Client.CoreV1().Pods(c.r.Namespace()).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	uids := map[types.UID]bool{}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			uids[list.Items[i].UID] = true
		}
	}
	return uids
}

// records is Helm's storage, to look at and to leave in the state in which a killed Helm leaves it.
func (c *cluster) records() *storage.Storage {
	return storage.Init(driver.NewSecrets(c.Client.CoreV1().Secrets(c.r.Namespace())))
}

func (c *cluster) record(t *testing.T, version int) *release.Release {
	t.Helper()
	kept, err := c.records().Get(c.r.Name, version)
	require.NoError(t, err)
	return kept.(*release.Release)
}

func (c *cluster) statuses(t *testing.T) map[int]common.Status {
	t.Helper()
	history, err := c.records().History(c.r.Name)
	require.NoError(t, err)
	found := map[int]common.Status{}
	for _, kept := range history {
		rel := kept.(*release.Release)
		found[rel.Version] = rel.Info.Status
	}
	return found
}

// gone waits until nothing of the release is left, and not its namespace either.
func (c *cluster) gone(t *testing.T) {
	t.Helper()
	await(t, "everything goes", func() bool {
		remains, err := c.Remains(t.Context(), c.r)
		require.NoError(t, err)
		return len(remains) == 0
	})
	_, err := c.Client.CoreV1().Namespaces().Get(t.Context(), c.r.Namespace(), metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

// await waits until a condition holds, which it asks for in the test's own goroutine.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal("does not come true: " + what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func requireCode(t *testing.T, code string, kind fault.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
	require.Equal(t, kind, fault.KindOf(err), "%v", err)
}

func TestClusterConforms(t *testing.T) {
	t.Parallel()
	plane := clustertest.Shared(t)
	require.Equal(t, addonstest.NeverReadyImage, clustertest.NeverReadyImage)
	addonstest.Run(t, func(t *testing.T) addonstest.Subject {
		t.Helper()
		c := clusterOf(t, plane)
		return addonstest.Subject{
			Target: c.ClusterTarget, Runs: true,
			Holds: func(t *testing.T, r addons.Release) (version, restart string) {
				t.Helper()
				at := cluster{c.ClusterTarget, plane, r}
				if version = at.version(t); version == "" {
					return "", ""
				}
				return version, at.deployment(t).Spec.Template.Annotations["assetflow.dev/restarted-at"]
			},
		}
	})
}

func TestClusterOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	good := write("good", `{"apiVersion": "v1", "kind": "Config", "current-context": "a",
		"clusters": [{"name": "c", "cluster": {"server": "https://user:secret@cluster.invalid"}}],
		"contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {"token": "secret"}}]}`)
	for name, o := range map[string]addons.ClusterOptions{
		"no file":     {Kubeconfig: filepath.Join(dir, "none")},
		"no YAML":     {Kubeconfig: write("bad", "{secret")},
		"empty":       {Kubeconfig: write("empty", "")},
		"no context":  {Kubeconfig: good, Context: "secret"},
		"nothing":     {},
		"a directory": {Kubeconfig: dir},
	} {
		_, err := addons.NewCluster(o)
		requireCode(t, addons.CodeBadTargets, fault.Invalid, err)
		f, _ := fault.As(err)
		require.NotContains(t, f.Message, "secret", name)
	}
	target, err := addons.NewCluster(addons.ClusterOptions{Kubeconfig: good})
	require.NoError(t, err)
	require.Equal(t, addons.Cluster, target.Kind())

	_, err = target.Health(t.Context(), addons.Release{Name: "web", EnvironmentID: "e"})
	requireCode(t, addons.CodeTargetAway, fault.Unavailable, err)
	f, _ := fault.As(err)
	require.NotContains(t, f.Message, "secret")
	require.NotContains(t, f.Message, "cluster.invalid")

	require.NoError(t, os.Remove(good))
	_, err = target.Health(t.Context(), addons.Release{Name: "web", EnvironmentID: "e"})
	requireCode(t, addons.CodeTargetAway, fault.Unavailable, err)
}

func TestClusterPlan(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	chart := addonstest.Chart(t, "web", "1.0.0", addonstest.WithHook("pre-install"),
		addonstest.File("templates/budget.yaml", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec: {maxUnavailable: 1, selector: {}}\n"),
		addonstest.File("templates/old.yaml", "apiVersion: v1\nkind: ComponentStatus\nmetadata: {name: web}\n"))
	_, err := c.Plan(t.Context(), c.r, chart)
	requireCode(t, addons.CodeRefused, fault.Invalid, err)
	_, err = c.Client.CoreV1().Namespaces().Get(t.Context(), c.r.Namespace(), metav1.GetOptions{})
	if err == nil { // on its way out
		await(t, "a refused plan leaves no namespace", func() bool {
			_, err := c.Client.CoreV1().Namespaces().Get(t.Context(), c.r.Namespace(), metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		})
	}

	chart = addonstest.Chart(t, "web", "1.0.0", addonstest.WithHook("pre-install"),
		addonstest.File("templates/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web, annotations: {container.apparmor.security.beta.kubernetes.io/main: unconfined}}\nspec: {containers: [{name: main, image: i}]}\n"))
	plan, err := c.Plan(t.Context(), c.r, chart)
	require.NoError(t, err)
	ns := c.r.Namespace()
	require.Equal(t, []addons.Object{
		{Kind: "Job", Name: "web-hook", Namespace: ns}, {Kind: "ConfigMap", Name: "web", Namespace: ns},
		{Kind: "Pod", Name: "web", Namespace: ns}, {Kind: "Deployment", Name: "web", Namespace: ns},
	}, plan.Objects)
	require.Len(t, plan.Notes, 1)
	require.Contains(t, plan.Notes[0], "apparmor", "what the API server warns of")
}

func TestClusterRefuses(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"
	for name, test := range map[string]struct{ file, says string }{
		"another namespace":   {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: kube-system}\n", "kube-system"},
		"unknown kind":        {"apiVersion: example.com/v1\nkind: Unheard\nmetadata: {name: x}\n", "Unheard"},
		"unknown field":       {fmt.Sprintf(configMap, "x") + "dada: {}\n", "dada"},
		"no YAML":             {"a: [", "yaml"},
		"an immutable field":  {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}\n", "immutable"},
		"somebody else's":     {fmt.Sprintf(configMap, "kube-root-ca.crt"), "kube-root-ca.crt"},
		"its own namespace":   {"apiVersion: v1\nkind: Namespace\nmetadata: {name: {{ .Release.Namespace }}}\n", "is not of this add-on"},
		"a kind without name": {"apiVersion: v1\nkind: ConfigMap\n", "name"},
		"a failing template":  {`{{ fail "because" }}`, "because"},
	} {
		option := addonstest.File("templates/extra.yaml", test.file)
		if name == "an immutable field" {
			option = addonstest.File("templates/deployment.yaml", test.file)
		}
		chart := addonstest.Chart(t, "web", "1.1.0", option)
		_, err := c.Plan(t.Context(), c.r, chart)
		requireCode(t, addons.CodeRefused, fault.Invalid, err)
		f, _ := fault.As(err)
		require.Contains(t, strings.ToLower(f.Message), strings.ToLower(test.says), name)
		_, err = c.Apply(t.Context(), delivery(), c.r, chart)
		requireCode(t, addons.CodeRefused, fault.Invalid, err)
		require.Equal(t, "1.0.0", c.version(t), name)
	}
	require.Equal(t, map[int]common.Status{1: common.StatusDeployed}, c.statuses(t))
}

// A chart that Helm could not keep is refused before anything happens.
func TestClusterRefusesLargeCharts(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	// A Secret holds a megabyte, and Helm keeps the chart and what it renders to.
	var text strings.Builder
	for text.Len() < 900<<10 {
		text.WriteString(uuid.NewString())
	}
	chart := addonstest.Chart(t, "web", "1.0.0",
		addonstest.File("files/a", text.String()), addonstest.File("templates/b.yaml", fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {b: %q}\n", text.String())))
	_, err := c.Plan(t.Context(), c.r, chart)
	requireCode(t, addons.CodeRefused, fault.Invalid, err)
	require.ErrorContains(t, err, "too large")
}

// Templates look up what is in their environment, and nothing of others.
func TestClusterLookup(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	other := newCluster(t)
	other.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	chart := addonstest.Chart(t, "web", "1.0.0", addonstest.File("templates/found.yaml", `apiVersion: v1
kind: ConfigMap
metadata: {name: found}
data:
  account: {{ (lookup "v1" "ServiceAccount" .Release.Namespace "default").metadata.name | quote }}
  others: {{ lookup "v1" "ConfigMap" "`+other.r.Namespace()+`" "" | toJson | quote }}
  all: {{ lookup "v1" "Secret" "" "" | toJson | quote }}
  node: {{ lookup "v1" "Node" "" "node-1" | toJson | quote }}
`))
	_, err := c.Plan(t.Context(), c.r, addonstest.Chart(t, "web", "1.0.0")) // makes the namespace
	require.NoError(t, err)
	await(t, "the namespace gets its account", func() bool {
		_, err := c.Client.CoreV1().ServiceAccounts(c.r.Namespace()).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	c.apply(t, chart)
	found, err := c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Get(t.Context(), "found", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"account": "default", "others": "{}", "all": "{}", "node": "{}"}, found.Data)
}

func TestClusterHealth(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	const pod = "{metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: main, image: %[2]q}]}}"
	workload := func(kind, name, image string) string {
		return fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: %s}\nspec: {selector: {matchLabels: {app: %[2]s}}, template: "+
			fmt.Sprintf(strings.ReplaceAll(pod, "[2]", "[3]"), name, "", image)+"}\n", kind, name)
	}
	job := func(name, image string) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: %q}]}}}\n", name, image)
	}
	c.apply(t, addonstest.Chart(t, "web", "1.0.0",
		addonstest.File("templates/set.yaml", workload("StatefulSet", "set", "i")),
		addonstest.File("templates/daemons.yaml", workload("DaemonSet", "daemons", "i")),
		addonstest.File("templates/job.yaml", job("job", "i")),
		addonstest.File("templates/service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}], selector: {app: web}}\n"),
	))
	c.healthy(t)
	health, err := c.Health(t.Context(), c.r)
	require.NoError(t, err)
	require.ElementsMatch(t, []addons.Workload{
		{Kind: "Deployment", Name: "web", Ready: 1, Wanted: 1}, {Kind: "StatefulSet", Name: "set", Ready: 1, Wanted: 1},
		{Kind: "DaemonSet", Name: "daemons", Ready: 1, Wanted: 1}, {Kind: "Job", Name: "job", Ready: 1, Wanted: 1},
	}, health.Workloads)

	c.apply(t, addonstest.Chart(t, "web", "1.1.0",
		addonstest.File("templates/set.yaml", workload("StatefulSet", "set", clustertest.NeverReadyImage)),
		addonstest.File("templates/daemons.yaml", workload("DaemonSet", "daemons", clustertest.NeverReadyImage)),
		addonstest.File("templates/job.yaml", job("job-2", clustertest.FailsImage)),
		addonstest.File("templates/claim.yaml", "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"),
	))
	health = c.until(t, "the Job fails, and nothing else is ready", func(h addons.Health) bool {
		reasons := 0
		for _, w := range h.Workloads {
			if w.Ready == 0 && w.Message != "" {
				reasons++
			}
		}
		return h.Failed != "" && reasons == 4
	})
	require.False(t, health.Ready)
	require.Contains(t, health.Failed, "Job job-2")
	require.NotContains(t, health.Failed, "StatefulSet")
	for _, w := range health.Workloads {
		switch w.Kind {
		case "StatefulSet", "DaemonSet":
			require.Contains(t, w.Message, "ImagePullBackOff", "%+v", w)
		case "Deployment":
			require.Equal(t, 1, w.Ready, "nothing has changed in it: %+v", w)
		}
	}
}

// What was ready before a change does not count for it.
func TestClusterHealthIsOfTheWantedTemplate(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	c.healthy(t)
	c.apply(t, addonstest.Chart(t, "web", "1.1.0", addonstest.NeverReady()))
	for range 10 {
		health, err := c.Health(t.Context(), c.r)
		require.NoError(t, err)
		require.False(t, health.Ready)
		require.Zero(t, health.Workloads[0].Ready, "the pod of before is still ready")
	}
	health := c.until(t, "the progress deadline passes", func(h addons.Health) bool { return h.Failed != "" })
	require.Contains(t, health.Failed, "Deployment web: It has not become ready within its progress deadline. Pod web-")
	require.Contains(t, health.Failed, "ImagePullBackOff")

	// And what had failed before does not fail it.
	c.apply(t, addonstest.Chart(t, "web", "1.2.0"))
	c.healthy(t)
}

func TestClusterRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	chart := addonstest.Chart(t, "web", "1.0.0")
	applied := c.apply(t, chart)
	c.healthy(t)
	before, generation := c.pods(t), c.deployment(t).Generation
	require.Len(t, before, 1)

	d := delivery()
	for range 3 {
		restarted, err := c.Restart(t.Context(), d, c.r, chart)
		require.NoError(t, err)
		require.Equal(t, applied.Revision, restarted.Revision)
	}
	require.Equal(t, generation+1, c.deployment(t).Generation, "it rolls once")
	c.healthy(t)
	after := c.pods(t)
	require.Len(t, after, 1)
	for uid := range after {
		require.NotContains(t, before, uid, "another pod")
	}

	// A redeploy takes the restart neither back nor for a conflict.
	restart := c.deployment(t).Spec.Template.Annotations
	require.NotEmpty(t, restart)
	c.apply(t, chart)
	c.healthy(t)
	require.Equal(t, after, c.pods(t), "the same chart again rolls nothing")
	c.apply(t, addonstest.Chart(t, "web", "1.1.0", addonstest.File("values.yaml", "replicas: 2\nimage: registry.k8s.io/pause:3.11\n")))
	c.healthy(t)
	require.Equal(t, restart, c.deployment(t).Spec.Template.Annotations)
	require.Len(t, c.pods(t), 2)
}

// A redeploy brings back what somebody has changed in the cluster by hand.
func TestClusterTakesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	c.healthy(t)
	_, err := c.Client.AppsV1().Deployments(c.r.Namespace()).Patch(t.Context(), "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	require.NoError(t, err)
	require.NoError(t, c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	c.healthy(t)
	require.EqualValues(t, 1, *c.deployment(t).Spec.Replicas)
	require.Equal(t, "1.0.0", c.version(t))
}

// Every state in which a deployer that dies leaves a release is recovered by what comes next.
func TestClusterRecovers(t *testing.T) {
	t.Parallel()
	extra := addonstest.File("templates/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n")
	for _, stuck := range []common.Status{
		common.StatusPendingInstall, common.StatusPendingUpgrade, common.StatusPendingRollback, common.StatusUninstalling,
		common.StatusFailed, common.StatusSuperseded, common.StatusUnknown,
	} {
		for _, first := range []bool{true, false} {
			for _, next := range []string{"apply", "rollback", "remove"} {
				t.Run(fmt.Sprintf("%s first=%t %s", stuck, first, next), func(t *testing.T) {
					t.Parallel()
					c := newCluster(t)
					version := 1
					if !first {
						c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
						version = 2
					}
					c.apply(t, addonstest.Chart(t, "web", "1.1.0", extra))
					// As Helm leaves it: the newest revision is in the state, and the one before is still deployed.
					left := c.record(t, version)
					left.Info.Status = stuck
					require.NoError(t, c.records().Update(left))
					if !first {
						before := c.record(t, 1)
						before.Info.Status = common.StatusDeployed
						require.NoError(t, c.records().Update(before))
					}

					var applied addons.Applied
					var err error
					switch {
					case next == "apply":
						applied, err = c.Apply(t.Context(), delivery(), c.r, addonstest.Chart(t, "web", "1.2.0"))
						require.NoError(t, err)
						require.Equal(t, "1.2.0", c.version(t))
					case next == "rollback" && !first:
						applied, err = c.RollBack(t.Context(), delivery(), c.r, "1")
						require.NoError(t, err)
						require.Equal(t, "1.0.0", c.version(t))
					default:
						_, err = c.Remove(t.Context(), delivery(), c.r)
						require.NoError(t, err)
						c.gone(t)
						return
					}
					if stuck.IsPending() {
						require.Len(t, applied.Notes, 1)
						require.Contains(t, applied.Notes[0], "stuck in "+stuck.String())
					}
					c.healthy(t)
					await(t, "what only the stuck revision had goes", func() bool {
						_, err := c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Get(t.Context(), "extra", metav1.GetOptions{})
						return apierrors.IsNotFound(err)
					})
					for version, status := range c.statuses(t) {
						require.False(t, status.IsPending(), "revision %d", version)
					}
				})
			}
		}
	}
}

// slow makes a chart whose hook keeps its deployer waiting.
func slow(t *testing.T, version string) addons.Chart {
	t.Helper()
	return addonstest.Chart(t, "web", version, addonstest.File("templates/hook.yaml", fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: slow, annotations: {helm.sh/hook: "post-install,post-upgrade"}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: %q}]}}}
`, clustertest.NeverReadyImage)))
}

// deploy is what the process does that TestClusterKilled kills.
func deploy(kubeconfig string) int {
	var input struct {
		Delivery addons.Delivery
		Release  addons.Release
		Chart    addons.Chart
	}
	err := json.NewDecoder(os.Stdin).Decode(&input)
	if err == nil {
		var target *addons.ClusterTarget
		if target, err = addons.NewCluster(addons.ClusterOptions{Kubeconfig: kubeconfig}); err == nil {
			_, err = target.Apply(context.Background(), input.Delivery, input.Release, input.Chart)
		}
	}
	_, _ = fmt.Fprintln(os.Stderr, "not killed:", err)
	return 1
}

// A deployer that is really killed while it waits for a hook leaves a release that the next try of its delivery recovers.
func TestClusterKilled(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("first=%t", first), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			stuck := common.StatusPendingInstall
			if !first {
				c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
				stuck = common.StatusPendingUpgrade
			}
			d := delivery()
			input, err := json.Marshal(map[string]any{"Delivery": d, "Release": c.r, "Chart": slow(t, "1.1.0")})
			require.NoError(t, err)
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), childEnv+"="+c.Kubeconfig())
			child.Stderr = os.Stderr
			stdin, err := child.StdinPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			t.Cleanup(func() { _ = child.Process.Kill() })
			_, err = io.Copy(stdin, strings.NewReader(string(input)))
			require.NoError(t, err)
			await(t, "the hook runs", func() bool {
				_, err := c.Client.BatchV1().Jobs(c.r.Namespace()).Get(t.Context(), "slow", metav1.GetOptions{})
				return err == nil
			})
			require.NoError(t, child.Process.Kill())
			_ = child.Wait()
			statuses := c.statuses(t)
			require.Equal(t, stuck, statuses[len(statuses)])

			applied, err := c.Apply(t.Context(), d, c.r, addonstest.Chart(t, "web", "1.1.0"))
			require.NoError(t, err)
			require.Len(t, applied.Notes, 1)
			require.Contains(t, applied.Notes[0], stuck.String())
			again, err := c.Apply(t.Context(), d, c.r, addonstest.Chart(t, "web", "1.1.0"))
			require.NoError(t, err)
			require.Equal(t, applied, again)
			c.healthy(t)

			_, err = c.Remove(t.Context(), delivery(), c.r)
			require.NoError(t, err)
			c.gone(t)
		})
	}
}

// A call returns as soon as its context ends, and changes nothing from then on.
func TestClusterCancelled(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() {
		_, err := c.Apply(ctx, delivery(), c.r, slow(t, "1.1.0"))
		returned <- err
	}()
	await(t, "the hook runs", func() bool {
		_, err := c.Client.BatchV1().Jobs(c.r.Namespace()).Get(t.Context(), "slow", metav1.GetOptions{})
		return err == nil
	})
	cancel()
	select {
	case err := <-returned:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(5 * time.Second):
		t.Fatal("Apply does not return")
	}
	require.Equal(t, common.StatusPendingUpgrade, c.statuses(t)[2], "nobody has written on")

	back, err := c.RollBack(t.Context(), delivery(), c.r, "1")
	require.NoError(t, err)
	require.Len(t, back.Notes, 1)
	c.healthy(t)
	require.Equal(t, "1.0.0", c.version(t))
}

func TestClusterHookFails(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	hook := func(event string) addonstest.Option {
		return addonstest.File("templates/hook.yaml", fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: %s}}
spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: %q}]}}}
`, event, clustertest.FailsImage))
	}
	_, err := c.Apply(t.Context(), delivery(), c.r, addonstest.Chart(t, "web", "1.0.0", hook("pre-install")))
	requireCode(t, addons.CodeRefused, fault.Invalid, err)
	require.ErrorContains(t, err, "pre-install")

	// An install that has failed is made again as an install: its hooks run.
	_, err = c.Apply(t.Context(), delivery(), c.r, addonstest.Chart(t, "web", "1.0.1", hook("pre-install")))
	requireCode(t, addons.CodeRefused, fault.Invalid, err)
	c.apply(t, addonstest.Chart(t, "web", "1.0.2", hook("pre-delete")))
	c.healthy(t)

	removed, err := c.Remove(t.Context(), delivery(), c.r)
	require.NoError(t, err)
	require.Len(t, removed.Notes, 1)
	require.Contains(t, removed.Notes[0], "without its hooks")
	c.gone(t)
}

// The history is bounded, but what was healthy last is kept for as long as nothing else was.
func TestClusterHistory(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	good := c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	c.healthy(t)
	for i := range 14 {
		c.apply(t, addonstest.Chart(t, "web", fmt.Sprintf("1.%d.0", i+1), addonstest.NeverReady()))
	}
	statuses := c.statuses(t)
	require.Len(t, statuses, 10+1)
	require.Contains(t, statuses, 1)
	back, err := c.RollBack(t.Context(), delivery(), c.r, good.Revision)
	require.NoError(t, err)
	c.healthy(t)
	require.Equal(t, "1.0.0", c.version(t))
	_, err = c.RollBack(t.Context(), delivery(), c.r, "2")
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)
	require.Equal(t, "16", back.Revision)
}

// A namespace stays while anything else is in it, and one that somebody else has made stays for ever.
func TestClusterNamespace(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	ns, err := c.Client.CoreV1().Namespaces().Get(t.Context(), c.r.Namespace(), metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "assetflow", ns.Labels["app.kubernetes.io/managed-by"])
	require.Equal(t, c.r.ProjectID, ns.Labels["assetflow.dev/project"])
	require.Equal(t, c.r.EnvironmentID, ns.Labels["assetflow.dev/environment"])

	secrets := c.Client.CoreV1().Secrets(c.r.Namespace())
	_, err = secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a-person-s"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	removed, err := c.Remove(t.Context(), delivery(), c.r)
	require.NoError(t, err)
	require.Len(t, removed.Notes, 1)
	require.Contains(t, removed.Notes[0], "Secret a-person-s")
	remains, err := c.Remains(t.Context(), c.r)
	require.NoError(t, err)
	require.Empty(t, remains)
	_, err = secrets.Get(t.Context(), "a-person-s", metav1.GetOptions{})
	require.NoError(t, err)

	theirs := newCluster(t)
	_, err = theirs.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: theirs.r.Namespace()}}, metav1.CreateOptions{})
	require.NoError(t, err)
	theirs.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	_, err = theirs.Remove(t.Context(), delivery(), theirs.r)
	require.NoError(t, err)
	ns, err = theirs.Client.CoreV1().Namespaces().Get(t.Context(), theirs.r.Namespace(), metav1.GetOptions{})
	require.NoError(t, err)
	require.Nil(t, ns.DeletionTimestamp)
	require.NotContains(t, ns.Labels, "app.kubernetes.io/managed-by")
}

// What does not go is named until it does.
func TestClusterRemains(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.apply(t, addonstest.Chart(t, "web", "1.0.0", addonstest.WithHook("post-install"), addonstest.File("templates/held.yaml",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/held]}\n")))
	d := delivery()
	_, err := c.Remove(t.Context(), d, c.r)
	require.NoError(t, err)
	remains, err := c.Remains(t.Context(), c.r)
	require.NoError(t, err)
	require.Equal(t, []addons.Object{{Kind: "ConfigMap", Name: "held", Namespace: c.r.Namespace()}}, remains)
	_, err = c.Health(t.Context(), c.r)
	requireCode(t, addons.CodeNoRevision, fault.NotFound, err)

	_, err = c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Patch(t.Context(), "held", types.MergePatchType,
		[]byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	c.gone(t)
}

// Two environments of a cluster do not take each other's objects.
func TestClusterSharedObjects(t *testing.T) {
	t.Parallel()
	one, two := newCluster(t), newCluster(t)
	role := "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: shared-" + one.r.EnvironmentID + "}\nrules: []\n"
	chart := addonstest.Chart(t, "web", "1.0.0", addonstest.File("templates/role.yaml", role))
	one.apply(t, chart)
	_, err := two.Apply(t.Context(), delivery(), two.r, chart)
	requireCode(t, addons.CodeRefused, fault.Invalid, err)
	require.ErrorContains(t, err, "is not of this add-on")
	_, err = two.Remove(t.Context(), delivery(), two.r)
	require.NoError(t, err)
	_, err = one.Client.RbacV1().ClusterRoles().Get(t.Context(), "shared-"+one.r.EnvironmentID, metav1.GetOptions{})
	require.NoError(t, err)
	_, err = one.Remove(t.Context(), delivery(), one.r)
	require.NoError(t, err)
	one.gone(t)
	_, err = one.Client.RbacV1().ClusterRoles().Get(t.Context(), "shared-"+one.r.EnvironmentID, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), "%v", err)
}

// A chart brings kinds of its own, and objects of them.
func TestClusterDefinitions(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	group := "g" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12] + ".example.com"
	chart := addonstest.Chart(t, "web", "1.0.0",
		addonstest.File("crds/widgets.yaml", `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.`+group+`}
spec:
  group: `+group+`
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`),
		addonstest.File("templates/widget.yaml", "apiVersion: "+group+"/v1\nkind: Widget\nmetadata: {name: w}\n"))
	plan, err := c.Plan(t.Context(), c.r, chart)
	require.NoError(t, err)
	require.Equal(t, addons.Object{Kind: "CustomResourceDefinition", Name: "widgets." + group}, plan.Objects[0])
	require.Len(t, plan.Notes, 1)
	c.apply(t, chart)
	c.healthy(t)
	_, err = c.Remove(t.Context(), delivery(), c.r)
	require.NoError(t, err)
	c.gone(t)
}

// A kubeconfig that may not do something says so.
func TestClusterForbids(t *testing.T) {
	t.Parallel()
	plane := clustertest.Shared(t)
	target, err := addons.NewCluster(addons.ClusterOptions{Kubeconfig: plane.KubeconfigFor(t, clustertest.User)})
	require.NoError(t, err)
	r := addons.Release{Name: "web", EnvironmentID: uuid.NewString(), ProjectID: "p"}
	_, err = target.Plan(t.Context(), r, addonstest.Chart(t, "web", "1.0.0"))
	requireCode(t, addons.CodeRefused, fault.Invalid, err)
	require.ErrorContains(t, err, "forbidden")

	// In a namespace that somebody has made for it, it needs no rights beyond it.
	_, err = plane.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.Namespace()}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = plane.Client.RbacV1().RoleBindings(r.Namespace()).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "deployer"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: clustertest.User}},
		RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "admin"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = plane.Client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "deployer-" + r.EnvironmentID}, Subjects: []rbacv1.Subject{{Kind: "User", Name: clustertest.User}},
		RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "view"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c := cluster{target, plane, r}
	await(t, "the rights are there", func() bool { // the authoriser sees a binding a moment later
		_, err := target.Plan(t.Context(), r, addonstest.Chart(t, "web", "1.0.0"))
		return err == nil
	})
	c.apply(t, addonstest.Chart(t, "web", "1.0.0"))
	c.healthy(t)
	_, err = target.Remove(t.Context(), delivery(), r)
	require.NoError(t, err)
	remains, err := target.Remains(t.Context(), r)
	require.NoError(t, err)
	require.Empty(t, remains)
}

// A cluster that is away is worth another try, in every call, and back it goes on.
func TestClusterAway(t *testing.T) {
	t.Parallel()
	c := clusterOf(t, clustertest.StartAPI(t))
	chart := addonstest.Chart(t, "web", "1.0.0")
	applied := c.apply(t, chart)
	c.StopAPI(t)
	d := delivery()
	for name, call := range map[string]func() error{
		"plan":     func() error { _, err := c.Plan(t.Context(), c.r, chart); return err },
		"apply":    func() error { _, err := c.Apply(t.Context(), d, c.r, chart); return err },
		"restart":  func() error { _, err := c.Restart(t.Context(), d, c.r, chart); return err },
		"health":   func() error { _, err := c.Health(t.Context(), c.r); return err },
		"rollback": func() error { _, err := c.RollBack(t.Context(), d, c.r, applied.Revision); return err },
		"remove":   func() error { _, err := c.Remove(t.Context(), d, c.r); return err },
		"remains":  func() error { _, err := c.Remains(t.Context(), c.r); return err },
	} {
		err := call()
		requireCode(t, addons.CodeTargetAway, fault.Unavailable, err)
		f, _ := fault.As(err)
		require.Equal(t, "the cluster cannot be reached: the connection is refused", f.Message, name)
	}
	c.StartAPI(t)
	_, err := c.Apply(t.Context(), d, c.r, addonstest.Chart(t, "web", "1.1.0"))
	require.NoError(t, err)
	require.Equal(t, "1.1.0", c.version(t))
}

// The example runs, is redeployed at its newer version, and goes.
func TestClusterExample(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.r.Name = "hello"
	for _, version := range []string{"1.0.0", "1.1.0"} {
		file, err := os.Open(filepath.Join("..", "..", "examples", "charts", "hello-"+version+".tgz"))
		require.NoError(t, err)
		defer file.Close()
		chart, _, err := addons.ReadChart(t.Context(), file)
		require.NoError(t, err)
		plan, err := c.Plan(t.Context(), c.r, chart)
		require.NoError(t, err)
		require.Empty(t, plan.Notes, "the API server does not warn of it")
		c.apply(t, chart)
		c.healthy(t)
		page, err := c.Client.CoreV1().ConfigMaps(c.r.Namespace()).Get(t.Context(), "hello-page", metav1.GetOptions{})
		require.NoError(t, err)
		require.Contains(t, page.Data["index.html"], "This is version "+version)
	}
	require.Len(t, c.pods(t), 2)
	_, err := c.Remove(t.Context(), delivery(), c.r)
	require.NoError(t, err)
	c.gone(t)
}
