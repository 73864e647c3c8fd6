package faults

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"assetflow/addons/addonstest"
	"assetflow/addons/clustertest"
	"assetflow/client"
)

// clusterAddon is an add-on on a real cluster.
type clusterAddon struct {
	*addon
	*clustertest.ControlPlane
}

func newClusterAddon(t *testing.T) *clusterAddon {
	t.Helper()
	plane := clustertest.Shared(t)
	text, err := os.ReadFile(plane.Kubeconfig())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(kubeconfig(), text, 0o600))
	return &clusterAddon{newAddon(t, "cluster"), plane}
}

func (a *clusterAddon) namespace() string { return "env-" + a.environment }

// holds requires the version to be what the catalog and the cluster have, with all pods of it ready.
func (a *clusterAddon) holds(t *testing.T, version, status string) {
	t.Helper()
	shown, err := a.Addon(t.Context(), a.environment, a.id)
	require.NoError(t, err)
	require.Equal(t, []string{version, status}, []string{shown.Version, shown.Status})
	cm, err := a.ControlPlane.Client.CoreV1().ConfigMaps(a.namespace()).Get(t.Context(), "hello", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, version, cm.Data["version"])
}

// pods are the pods that stay.
func (a *clusterAddon) pods(t *testing.T) (uids []string) {
	t.Helper()
	list, err := a.ControlPlane.Client.CoreV1().Pods(a.namespace()).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp == nil {
			uids = append(uids, string(list.Items[i].UID))
		}
	}
	return uids
}

// settles waits until there are just so many pods, because the cluster replaces them in its own time.
func (a *clusterAddon) settles(t *testing.T, n int) (uids []string) {
	t.Helper()
	require.Eventually(t, func() bool {
		uids = a.pods(t)
		return len(uids) == n
	}, time.Minute, 50*time.Millisecond)
	return uids
}

// revisions counts Helm's revisions of the release.
func (a *clusterAddon) revisions(t *testing.T) int {
	t.Helper()
	list, err := a.ControlPlane.Client.CoreV1().Secrets(a.namespace()).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm,name=hello"})
	require.NoError(t, err)
	return len(list.Items)
}

func (a *clusterAddon) redeploy(t *testing.T, version string, opts ...addonstest.Option) (job string) {
	t.Helper()
	a.push(t, version, opts...)
	job, err := a.DeliverAddon(t.Context(), a.environment, a.id, client.Redeploy, "")
	require.NoError(t, err)
	return job
}

// A delivery to a cluster survives whoever dies: its worker while the chart is applied and while it waits, and the API
// server of the cluster.
func TestADeliveryToAClusterGoesOn(t *testing.T) {
	a := newClusterAddon(t)
	a.holds(t, "1.0.0", client.AddonSucceeded)

	t.Run("a worker dies when it has applied the chart", func(t *testing.T) {
		before := a.revisions(t)
		job := a.redeploy(t, "1.1.0")
		killWorker(t, kill{Step: "ApplyChart"})
		a.goOn(t, job, client.JobSucceeded)
		a.holds(t, "1.1.0", client.AddonSucceeded)
		require.Equal(t, before+1, a.revisions(t), "it is applied once")
	})
	t.Run("a worker dies while it waits for what never becomes ready", func(t *testing.T) {
		job := a.redeploy(t, "1.2.0", addonstest.NotReady())
		waiting := startWorker(t, kill{})
		detail := a.until(t, job, func(job client.JobDetail) bool { return len(job.Workloads) > 0 })
		require.Equal(t, []any{"Deployment", "hello", 0, 1}, []any{
			detail.Workloads[0].Kind, detail.Workloads[0].Name, detail.Workloads[0].Ready, detail.Workloads[0].Wanted,
		})
		require.NoError(t, waiting.Process.Signal(syscall.SIGKILL))
		require.Error(t, waiting.Wait())
		detail = a.goOn(t, job, client.JobFailed)
		require.Equal(t, "unhealthy", detail.Reasons[0].Code)
		require.Contains(t, detail.Reasons[0].Message, "rolled back to version 1.1.0")
		a.holds(t, "1.1.0", client.AddonFailed)
		a.settles(t, 1)
	})
	t.Run("a cluster that says by itself that it failed", func(t *testing.T) {
		job := a.redeploy(t, "1.3.0", addonstest.NeverReady())
		detail := a.goOn(t, job, client.JobFailed)
		require.Equal(t, "unhealthy", detail.Reasons[0].Code)
		a.holds(t, "1.1.0", client.AddonFailed)
	})
	t.Run("the cluster is away", func(t *testing.T) {
		job := a.redeploy(t, "1.4.0")
		a.StopAPI(t)
		worker := startWorker(t, kill{})
		detail := a.until(t, job, func(job client.JobDetail) bool { return job.Attempt > 1 && job.LastFailure != "" })
		require.Contains(t, detail.LastFailure, "cluster")
		require.Equal(t, "running", detail.State)
		a.StartAPI(t)
		require.Equal(t, client.JobSucceeded, a.until(t, job, func(job client.JobDetail) bool { return job.State != "running" }).State)
		require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
		require.NoError(t, worker.Wait())
		a.holds(t, "1.4.0", client.AddonSucceeded)
	})
	t.Run("cancelled while it waits", func(t *testing.T) {
		// One after the other: what is left is what the next one would be rolled back to.
		for _, test := range []struct {
			leave         bool
			version, want string
		}{{false, "1.5.0", "1.4.0"}, {true, "1.5.1", "1.5.1"}} {
			job := a.redeploy(t, test.version, addonstest.NotReady())
			worker := startWorker(t, kill{})
			a.until(t, job, func(job client.JobDetail) bool { return len(job.Workloads) > 0 })
			cancel := a.CancelJob
			if test.leave {
				cancel = a.CancelJobLeaving
			}
			_, err := cancel(t.Context(), job)
			require.NoError(t, err)
			require.Equal(t, client.JobCancelled, a.until(t, job, func(job client.JobDetail) bool { return job.State != "running" }).State, test.version)
			require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
			require.NoError(t, worker.Wait())
			a.holds(t, test.want, client.AddonFailed)
		}
	})
	t.Run("restart rolls the pods", func(t *testing.T) {
		job := a.redeploy(t, "1.6.0")
		a.goOn(t, job, client.JobSucceeded)
		before := a.settles(t, 1)
		job, err := a.DeliverAddon(t.Context(), a.environment, a.id, client.Restart, "")
		require.NoError(t, err)
		killWorker(t, kill{Step: "RestartWorkloads"})
		a.goOn(t, job, client.JobSucceeded)
		require.NotEqual(t, before, a.settles(t, 1))
		a.holds(t, "1.6.0", client.AddonSucceeded)
	})
	t.Run("uninstall leaves nothing", func(t *testing.T) {
		job, err := a.UninstallAddon(t.Context(), a.environment, a.id, "")
		require.NoError(t, err)
		killWorker(t, kill{Step: "RemoveRelease"})
		a.goOn(t, job, client.JobSucceeded)
		ns, err := a.ControlPlane.Client.CoreV1().Namespaces().Get(t.Context(), a.namespace(), metav1.GetOptions{})
		if err == nil {
			require.Equal(t, corev1.NamespaceTerminating, ns.Status.Phase)
		} else {
			require.True(t, apierrors.IsNotFound(err), "%v", err)
		}
		require.Empty(t, a.pods(t))
		require.Zero(t, a.revisions(t))
	})
}

// A first installation that fails is taken away again, and another try mends it.
func TestAFirstInstallationThatFails(t *testing.T) {
	a := newClusterAddon(t)
	_, _, err := a.PushChart(t.Context(), addonstest.Chart(t, "broken", "1.0.0", addonstest.NotReady()).Archive)
	require.NoError(t, err)
	id, job, err := a.InstallAddon(t.Context(), a.environment, client.NewAddon{Name: "broken", TargetID: "cluster"}, "")
	require.NoError(t, err)
	detail := a.goOn(t, job, client.JobFailed)
	require.Contains(t, detail.Reasons[0].Message, "removed")
	require.Eventually(t, func() bool { // the cluster removes what the job has had removed in its own time
		_, err := a.ControlPlane.Client.AppsV1().Deployments(a.namespace()).Get(t.Context(), "broken", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, time.Minute, 50*time.Millisecond)
	a.holds(t, "1.0.0", client.AddonSucceeded) // the other add-on of the environment

	_, _, err = a.PushChart(t.Context(), addonstest.Chart(t, "broken", "1.0.1").Archive)
	require.NoError(t, err)
	job, err = a.DeliverAddon(t.Context(), a.environment, id, client.Redeploy, "")
	require.NoError(t, err)
	a.goOn(t, job, client.JobSucceeded)
}
