package faults

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"assetflow/addons/addonstest"
	"assetflow/client"
)

// healthTimeout is how long the workloads of an add-on may take.
const healthTimeout = 20 * time.Second

// noCluster is what stands in the kubeconfig until a test needs the cluster and starts it.
const noCluster = `apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: none, user: {token: none}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
`

// targets are where the tests deliver to.
func targets() string {
	return fmt.Sprintf(`[{"id": "gitops", "kind": "bucket", "prefix": "gitops/"}, {"id": "cluster", "kind": "cluster", "kubeconfig": %q}]`, kubeconfig())
}

func kubeconfig() string { return filepath.Join(dataDir, "kubeconfig") }

// addon is an add-on of an environment that the tests deliver to.
type addon struct {
	*client.Client
	environment, id string
}

// newAddon installs an add-on in version 1.0.0.
func newAddon(t *testing.T, target string) *addon {
	t.Helper()
	c, _ := newCaller(t)
	e, err := c.CreateEnvironment(t.Context(), client.NewEnvironment{Name: "stage", VPCID: "vpc-1"})
	require.NoError(t, err)
	a := &addon{Client: c, environment: e.ID}
	a.push(t, "1.0.0")
	var job string
	a.id, job, err = c.InstallAddon(t.Context(), e.ID, client.NewAddon{Name: "hello", TargetID: target}, "")
	require.NoError(t, err)
	a.goOn(t, job, client.JobSucceeded)
	return a
}

func (a *addon) push(t *testing.T, version string, opts ...addonstest.Option) {
	t.Helper()
	_, _, err := a.PushChart(t.Context(), addonstest.Chart(t, "hello", version, opts...).Archive)
	require.NoError(t, err)
}

// goOn lets a healthy worker end the job.
func (a *addon) goOn(t *testing.T, job, state string) client.JobDetail {
	t.Helper()
	healthy := startWorker(t, kill{})
	detail := a.until(t, job, func(job client.JobDetail) bool { return job.State != "running" })
	require.NoError(t, healthy.Process.Signal(syscall.SIGTERM))
	require.NoError(t, healthy.Wait())
	require.Equal(t, state, detail.State, "%+v", detail.Reasons)
	return detail
}

// until waits until the job is as is says.
func (a *addon) until(t *testing.T, job string, is func(client.JobDetail) bool) client.JobDetail {
	t.Helper()
	var detail client.JobDetail
	require.Eventually(t, func() bool {
		var err error
		detail, err = a.ShowJob(t.Context(), job)
		return err == nil && is(detail)
	}, 2*time.Minute, 50*time.Millisecond, "%+v", &detail)
	return detail
}

// revisions gives the revisions that the index lists, which is one or none, and all that stand in the bucket.
func (a *addon) revisions(t *testing.T) (listed, stored []string) {
	t.Helper()
	prefix := "gitops/" + a.environment + "/hello/"
	api, bucket := stack.Storage().Client(), aws.String(stack.Storage().Bucket())
	name := regexp.MustCompile(`revisions/[^/]+`)
	out, err := api.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String(prefix + "kustomization.yaml")})
	require.NoError(t, err)
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	require.NoError(t, err)
	_, resources, _ := strings.Cut(string(text), "\nresources:")
	listed = slices.Compact(name.FindAllString(resources, -1))
	list, err := api.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String(prefix + "revisions/")})
	require.NoError(t, err)
	for _, o := range list.Contents {
		stored = append(stored, name.FindString(*o.Key))
	}
	return listed, slices.Compact(stored)
}

// A worker that is killed in the middle of a delivery: another goes on where it was, and what is published is published once.
func TestAKilledWorkerLosesNoDelivery(t *testing.T) {
	a := newAddon(t, "gitops")
	for i, k := range enough([]kill{
		{Step: "PlanChart"},
		{Step: "ApplyChart", Request: 3, When: "answered"},
		{Step: "ApplyChart", Request: 5, When: "sent"},
		{Step: "ApplyChart"},
		{Step: "AwaitHealthy"},
		{Step: "CommitDelivery"},
	}) {
		t.Run("redeploy/"+k.String(), func(t *testing.T) {
			version := "1.1." + string(rune('0'+i))
			a.push(t, version)
			_, before := a.revisions(t)
			job, err := a.DeliverAddon(t.Context(), a.environment, a.id, client.Redeploy, "")
			require.NoError(t, err)
			killWorker(t, k)
			a.goOn(t, job, client.JobSucceeded)
			shown, err := a.Addon(t.Context(), a.environment, a.id)
			require.NoError(t, err)
			require.Equal(t, []string{client.AddonSucceeded, version}, []string{shown.Status, shown.Version})
			listed, after := a.revisions(t)
			require.Len(t, listed, 1)
			added := slices.DeleteFunc(after, func(r string) bool { return slices.Contains(before, r) })
			require.Equal(t, listed, added, "just one revision is new")
		})
	}
	for _, k := range enough([]kill{{Step: "RestartWorkloads", Request: 4, When: "answered"}, {Step: "RestartWorkloads"}}) {
		t.Run("restart/"+k.String(), func(t *testing.T) {
			was, before := a.revisions(t)
			job, err := a.DeliverAddon(t.Context(), a.environment, a.id, client.Restart, "")
			require.NoError(t, err)
			killWorker(t, k)
			a.goOn(t, job, client.JobSucceeded)
			listed, after := a.revisions(t)
			require.NotEqual(t, was, listed)
			added := slices.DeleteFunc(after, func(r string) bool { return slices.Contains(before, r) })
			require.Equal(t, listed, added, "just one revision is new")
		})
	}
	t.Run("roll back", func(t *testing.T) {
		a.push(t, "2.0.0")
		good, err := a.Addon(t.Context(), a.environment, a.id)
		require.NoError(t, err)
		job, err := a.DeliverAddon(t.Context(), a.environment, a.id, client.Redeploy, "")
		require.NoError(t, err)
		killWorker(t, kill{Step: "ApplyChart"})
		_, err = a.CancelJob(t.Context(), job) // while its worker is dead
		require.NoError(t, err)
		killWorker(t, kill{Step: "RollBack", Request: 3, When: "answered"})
		killWorker(t, kill{Step: "RollBack"})
		a.goOn(t, job, client.JobCancelled)
		shown, err := a.Addon(t.Context(), a.environment, a.id)
		require.NoError(t, err)
		require.Equal(t, []string{client.AddonFailed, good.Version}, []string{shown.Status, shown.Version})
		listed, _ := a.revisions(t)
		require.Len(t, listed, 1)
	})
	for _, k := range enough([]kill{{Step: "RemoveRelease", Request: 2, When: "answered"}, {Step: "CommitDelivery"}}) {
		t.Run("uninstall/"+k.String(), func(t *testing.T) {
			a := newAddon(t, "gitops")
			job, err := a.UninstallAddon(t.Context(), a.environment, a.id, "")
			require.NoError(t, err)
			killWorker(t, k)
			a.goOn(t, job, client.JobSucceeded)
			listed, stored := a.revisions(t)
			require.Empty(t, listed)
			require.Empty(t, stored)
			list, err := a.ListAddons(t.Context(), a.environment)
			require.NoError(t, err)
			require.Empty(t, list)
		})
	}
}
