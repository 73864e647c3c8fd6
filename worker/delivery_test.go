package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/catalog"
	"assetflow/catalog/catalogtest"
	"assetflow/embedded/temporal/temporaltest"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/storage/storagetest"
	"assetflow/worker"
	"assetflow/workflows"
)

// cluster stands for a cluster that does as the test says.
type cluster struct {
	mu        sync.Mutex
	away      bool
	unready   bool
	revisions int
	calls     []string
}

func (c *cluster) set(away, unready bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away, c.unready = away, unready
}

func (c *cluster) called() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.calls...)
}

func (c *cluster) change(call string) (addons.Applied, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return addons.Applied{}, c.unreached()
	}
	c.calls = append(c.calls, call)
	if strings.HasPrefix(call, "remove") || call == "roll back to " {
		return addons.Applied{}, nil
	}
	c.revisions++
	return addons.Applied{Revision: strings.Repeat("r", c.revisions)}, nil
}

func (c *cluster) unreached() error {
	return fault.New(fault.Unavailable, addons.CodeTargetAway, "the cluster does not answer")
}

func (c *cluster) Kind() addons.Kind { return addons.Cluster }

func (c *cluster) Plan(context.Context, addons.Release, addons.Chart) (addons.Plan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return addons.Plan{}, c.unreached()
	}
	return addons.Plan{}, nil
}

func (c *cluster) Apply(_ context.Context, _ addons.Delivery, _ addons.Release, chart addons.Chart) (addons.Applied, error) {
	return c.change("apply " + chart.Version)
}

func (c *cluster) Restart(context.Context, addons.Delivery, addons.Release, addons.Chart) (addons.Applied, error) {
	return c.change("restart")
}

func (c *cluster) Health(context.Context, addons.Release) (addons.Health, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return addons.Health{}, c.unreached()
	}
	ready := 2
	if c.unready {
		ready = 1
	}
	return addons.Health{Ready: !c.unready, Workloads: []addons.Workload{{Kind: "Deployment", Name: "hello", Ready: ready, Wanted: 2}}}, nil
}

func (c *cluster) RollBack(_ context.Context, _ addons.Delivery, _ addons.Release, to string) (addons.Applied, error) {
	return c.change("roll back to " + to)
}

func (c *cluster) Remove(context.Context, addons.Delivery, addons.Release) (addons.Applied, error) {
	return c.change("remove")
}

func (c *cluster) Remains(context.Context, addons.Release) ([]addons.Object, error) { return nil, nil }

// targets are the targets of a test by their ids.
type targets map[string]addons.Target

func (t targets) For(_, id string) (addons.Target, error) {
	if target, ok := t[id]; ok {
		return target, nil
	}
	return nil, fault.New(fault.NotFound, addons.CodeNoTarget, "there is no such target")
}

// scene is a service with a worker.
type scene struct {
	catalogtest.Scene
	t       *testing.T
	client  client.Client
	store   *storage.Store
	targets targets
	jobs    *jobs.Service
	place   catalog.Environment
}

var quiet = slog.New(slog.DiscardHandler)

func newScene(t *testing.T) *scene {
	t.Helper()
	server := temporaltest.Prepared(t)
	s := &scene{Scene: catalogtest.NewScene(t, catalogtest.New(t)), t: t, targets: targets{}}
	var err error
	s.client, err = client.Dial(server)
	require.NoError(t, err)
	t.Cleanup(s.client.Close)

	cfg, stop, err := storagetest.Server()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	cfg.Bucket = "test-" + uuid.NewString()
	s.store, err = storage.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.store.EnsureBucket(t.Context()))
	buckets, err := addons.ParseTargets(`[{"id": "gitops", "kind": "bucket", "prefix": "gitops/"}]`, addons.Options{
		Client: s.store.Client(), Bucket: s.store.Bucket(), Logger: quiet,
	})
	require.NoError(t, err)
	s.targets["gitops"], err = buckets.For(s.Project.ID, "gitops")
	require.NoError(t, err)
	s.jobs = jobs.NewService(s.client, s.Catalog, s.store, quiet, jobs.WithNamespace(server.Namespace))
	s.place = s.NewEnvironment(t)
	return s
}

// work starts a worker.
func (s *scene) work() *worker.Worker {
	s.t.Helper()
	w := worker.New(s.client, worker.Options{Catalog: s.Catalog, Storage: s.store, Logger: quiet, Targets: s.targets, Jobs: s.jobs})
	require.NoError(s.t, w.Start())
	return w
}

func (s *scene) push(version string) {
	s.t.Helper()
	chart := addonstest.Chart(s.t, "hello", version)
	require.NoError(s.t, s.store.PutBlob(s.t.Context(), chart.SHA256, int64(len(chart.Archive)), bytes.NewReader(chart.Archive)))
	s.AddChart(s.t, "hello", version, string(chart.Archive))
}

// submission asks for an installation of the add-on on a target.
func (s *scene) submission(target string) jobs.DeliverySubmission {
	return jobs.DeliverySubmission{
		JobID: jobs.NewID(), ProjectID: s.Project.ID, UserID: s.User.ID, UserName: s.User.Name, Action: catalog.AddonInstall,
		EnvironmentID: s.place.ID, EnvironmentName: s.place.Name, AddonID: uuid.NewString(), Name: "hello", TargetID: target,
	}
}

func (s *scene) start(sub jobs.DeliverySubmission) {
	s.t.Helper()
	_, err := s.jobs.StartDelivery(s.t.Context(), sub)
	require.NoError(s.t, err)
}

// until waits until the job is as it is asked for.
func (s *scene) until(sub jobs.DeliverySubmission, is func(jobs.Job) bool) jobs.Job {
	s.t.Helper()
	var job jobs.Job
	require.Eventually(s.t, func() bool {
		var err error
		job, err = s.jobs.Get(s.t.Context(), sub.ProjectID, sub.JobID)
		require.NoError(s.t, err)
		return is(job)
	}, 30*time.Second, 20*time.Millisecond)
	return job
}

func ended(job jobs.Job) bool { return job.State.Ended() }

// does starts a job and waits for its success.
func (s *scene) does(sub jobs.DeliverySubmission) catalog.Addon {
	s.t.Helper()
	s.start(sub)
	require.Equal(s.t, catalog.JobSucceeded, s.until(sub, ended).State)
	if sub.Action == catalog.AddonUninstall {
		return catalog.Addon{}
	}
	return s.addon(sub)
}

func (s *scene) addon(sub jobs.DeliverySubmission) catalog.Addon {
	s.t.Helper()
	a, err := s.Catalog.Addon(s.t.Context(), sub.ProjectID, sub.EnvironmentID, sub.AddonID)
	require.NoError(s.t, err)
	return a
}

// next asks for another job on the same add-on.
func next(sub jobs.DeliverySubmission, action catalog.AddonAction) jobs.DeliverySubmission {
	sub.JobID, sub.Action = jobs.NewID(), action
	return sub
}

func (s *scene) titles(sub jobs.DeliverySubmission) (titles []string) {
	s.t.Helper()
	tasks, err := s.jobs.Tasks(s.t.Context(), sub.ProjectID, sub.JobID)
	require.NoError(s.t, err)
	for i, task := range tasks {
		require.Equal(s.t, i, task.Index)
		titles = append(titles, task.Title+": "+string(task.State))
	}
	return titles
}

// The jobs of an add-on run on a real Temporal server, and what they look like meanwhile.
func TestDeliveries(t *testing.T) {
	s := newScene(t)
	prod := &cluster{}
	s.targets["prod"] = prod
	w := s.work()
	defer func() { w.Stop() }()
	s.push("1.0.0")

	t.Run("every action on a bucket", func(t *testing.T) {
		install := s.submission("gitops")
		a := s.does(install)
		require.Equal(t, "1.0.0", a.Version)
		require.Equal(t, []string{
			"Load the chart: succeeded", "Check the chart on the target: succeeded", "Apply the chart: succeeded",
			"Wait until the workloads are ready: succeeded", "Commit to the catalog: succeeded",
		}, s.titles(install))
		row, err := s.Catalog.Job(t.Context(), install.JobID)
		require.NoError(t, err)
		require.Equal(t, "addon:"+s.Project.ID+":"+s.place.ID+":gitops/hello", row.WorkflowID)
		require.Equal(t, "hello", row.Subject)
		desc, err := s.client.DescribeWorkflowExecution(t.Context(), row.WorkflowID, "")
		require.NoError(t, err)
		require.Equal(t, workflows.AddonQueue, desc.GetWorkflowExecutionInfo().GetTaskQueue())

		s.does(next(install, catalog.AddonRedeploy))
		s.does(next(install, catalog.AddonRestart))
		uninstall := next(install, catalog.AddonUninstall)
		s.does(uninstall)
		require.Equal(t, []string{
			"Load the chart: succeeded", "Remove the release: succeeded", "Wait until everything is gone: succeeded", "Commit to the catalog: succeeded",
		}, s.titles(uninstall))
		_, err = s.Catalog.Addon(t.Context(), s.Project.ID, s.place.ID, install.AddonID)
		require.Equal(t, "catalog.addon_not_found", fault.CodeOf(err))
	})

	install := s.submission("prod")
	s.does(install)
	s.push("1.1.0")

	t.Run("the target is away, and the job is cancelled", func(t *testing.T) {
		prod.set(true, false)
		defer prod.set(false, false)
		redeploy := next(install, catalog.AddonRedeploy)
		require.NoError(t, s.jobs.CheckDeliveryFree(t.Context(), redeploy))
		s.start(redeploy)
		job := s.until(redeploy, func(j jobs.Job) bool { return j.Attempt > 1 })
		require.Equal(t, "Check the chart on the target", job.Step)
		require.Equal(t, "The cluster does not answer.", job.LastFailure)
		tasks, err := s.jobs.Tasks(t.Context(), s.Project.ID, redeploy.JobID)
		require.NoError(t, err)
		require.Len(t, tasks, 2)
		require.Equal(t, catalog.TaskRunning, tasks[1].State)
		require.Equal(t, []string{"The cluster does not answer."}, tasks[1].Messages)
		_, err = s.jobs.Tasks(t.Context(), "another", redeploy.JobID)
		require.Equal(t, jobs.CodeNotFound, fault.CodeOf(err))

		// It is in the way of others, whoever asks.
		second := next(install, catalog.AddonRestart)
		second.UserID = uuid.NewString()
		_, err = s.jobs.StartDelivery(t.Context(), second)
		f, ok := fault.As(err)
		require.True(t, ok)
		require.Equal(t, jobs.CodeRunning, f.Code)
		require.Equal(t, redeploy.JobID, f.Details)
		require.Equal(t, "A job is running on this add-on; wait until it has ended, or cancel it.", f.Message)
		require.Equal(t, jobs.CodeRunning, fault.CodeOf(s.jobs.CheckDeliveryFree(t.Context(), second)))
		_, err = s.Catalog.Job(t.Context(), second.JobID)
		require.Equal(t, fault.NotFound, fault.KindOf(err), "nothing is left of the refused one")

		require.NoError(t, s.jobs.Cancel(t.Context(), s.Project.ID, redeploy.JobID))
		job = s.until(redeploy, ended)
		require.Equal(t, catalog.JobCancelled, job.State)
		require.Equal(t, "The job was cancelled. Nothing was changed on the target.", job.Reasons[0].Message)
		require.Zero(t, job.Attempt)
		require.Empty(t, job.LastFailure)
		require.Equal(t, "1.0.0", s.addon(install).Version)
		require.Equal(t, catalog.TaskCancelled, func() catalog.TaskState {
			tasks, err := s.jobs.Tasks(t.Context(), s.Project.ID, redeploy.JobID)
			require.NoError(t, err)
			return tasks[1].State
		}())
	})

	t.Run("cancelled while it waits, and rolled back", func(t *testing.T) {
		prod.set(false, true)
		defer prod.set(false, false)
		redeploy := next(install, catalog.AddonRedeploy)
		s.start(redeploy)
		job := s.until(redeploy, func(j jobs.Job) bool { return len(j.Workloads) > 0 })
		require.Equal(t, []addons.Workload{{Kind: "Deployment", Name: "hello", Ready: 1, Wanted: 2}}, job.Workloads)
		require.Equal(t, 1, job.Attempt)
		require.InDelta(t, 0.625, job.Progress, 0.001)

		// While the target is away the job says so, and no longer when it is back.
		prod.set(true, true)
		job = s.until(redeploy, func(j jobs.Job) bool { return j.LastFailure != "" })
		require.Equal(t, "The cluster does not answer.", job.LastFailure)
		require.Len(t, job.Workloads, 1, "what was seen last")
		prod.set(false, true)
		s.until(redeploy, func(j jobs.Job) bool { return j.LastFailure == "" })

		before := s.addon(install).Revision
		require.NoError(t, s.jobs.Cancel(t.Context(), s.Project.ID, redeploy.JobID))
		job = s.until(redeploy, ended)
		require.Equal(t, catalog.JobCancelled, job.State)
		require.Equal(t, "The job was cancelled. It was rolled back to version 1.0.0.", job.Reasons[0].Message)
		calls := prod.called()
		require.Equal(t, []string{"apply 1.1.0", "roll back to " + before}, calls[len(calls)-2:])
		a := s.addon(install)
		require.Equal(t, "1.0.0", a.Version)
		require.NotEqual(t, before, a.Revision)
		require.Equal(t, []string{
			"Load the chart: succeeded", "Check the chart on the target: succeeded", "Apply the chart: succeeded",
			"Wait until the workloads are ready: cancelled", "Roll back: succeeded",
		}, s.titles(redeploy))
	})

	t.Run("cancelled while it waits, and left", func(t *testing.T) {
		prod.set(false, true)
		defer prod.set(false, false)
		redeploy := next(install, catalog.AddonRedeploy)
		s.start(redeploy)
		s.until(redeploy, func(j jobs.Job) bool { return len(j.Workloads) > 0 })
		require.NoError(t, s.jobs.CancelLeaving(t.Context(), s.Project.ID, redeploy.JobID))
		job := s.until(redeploy, ended)
		require.Equal(t, catalog.JobCancelled, job.State)
		a := s.addon(install)
		require.Equal(t, "1.1.0", a.Version)
		require.Equal(t, "The job was cancelled. Version 1.1.0 stays on the target, as revision "+a.Revision+".", job.Reasons[0].Message)
		calls := prod.called()
		require.Equal(t, "apply 1.1.0", calls[len(calls)-1])
		err := s.jobs.CancelLeaving(t.Context(), s.Project.ID, redeploy.JobID)
		require.Equal(t, jobs.CodeEnded, fault.CodeOf(err))
	})

	t.Run("a roll-back that cannot be made, and is given up", func(t *testing.T) {
		prod.set(false, true)
		defer prod.set(false, false)
		s.push("1.2.0")
		redeploy := next(install, catalog.AddonRedeploy)
		s.start(redeploy)
		s.until(redeploy, func(j jobs.Job) bool { return len(j.Workloads) > 0 })
		prod.set(true, true)
		require.NoError(t, s.jobs.Cancel(t.Context(), s.Project.ID, redeploy.JobID))
		job := s.until(redeploy, func(j jobs.Job) bool { return j.Step == "Roll back" && j.Attempt > 1 })
		require.Equal(t, "The cluster does not answer.", job.LastFailure)
		require.NoError(t, s.jobs.CancelLeaving(t.Context(), s.Project.ID, redeploy.JobID))
		job = s.until(redeploy, ended)
		require.Equal(t, catalog.JobCancelled, job.State)
		require.Len(t, job.Reasons, 2)
		require.Equal(t, "not_rolled_back", job.Reasons[1].Code)
		require.Equal(t, "1.1.0", s.addon(install).Version)
	})

	t.Run("the worker stops while a job waits", func(t *testing.T) {
		prod.set(false, true)
		defer prod.set(false, false)
		redeploy := next(install, catalog.AddonRedeploy)
		s.start(redeploy)
		s.until(redeploy, func(j jobs.Job) bool { return len(j.Workloads) > 0 })
		began := time.Now()
		w.Stop()
		require.Less(t, time.Since(began), 6*time.Second, "it does not wait for the job")
		prod.set(false, false)
		w = s.work()
		require.Equal(t, catalog.JobSucceeded, s.until(redeploy, ended).State)
		require.Equal(t, "1.2.0", s.addon(install).Version)
	})

	t.Run("other kinds of jobs do not leave anything", func(t *testing.T) {
		other := s.NewJob(t)
		err := s.jobs.CancelLeaving(t.Context(), s.Project.ID, other)
		require.Equal(t, jobs.CodeNoLeave, fault.CodeOf(err))
		require.Equal(t, fault.Invalid, fault.KindOf(err))
		require.Equal(t, jobs.CodeNotFound, fault.CodeOf(s.jobs.CancelLeaving(t.Context(), s.Project.ID, jobs.NewID())))
	})
}
