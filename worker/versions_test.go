package worker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"

	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/worker"
)

const deployment = "assetflow"

// Two versions of the workers beside each other: jobs end where they began, and new ones go where they are sent.
func TestVersions(t *testing.T) {
	s := newScene(t)
	s.push("1.0.0")
	for _, id := range []string{"one", "two", "three", "four", "five", "six", "seven"} {
		s.targets[id] = new(cluster)
	}
	_, err := worker.Versions(t.Context(), s.client, deployment)
	require.Equal(t, worker.CodeNoDeployment, fault.CodeOf(err), "%v", err)

	// Versions are switched on for the first time while a job runs on a worker without one.
	before := hold("ApplyChart")
	plain := s.workAs(worker.Options{StopTimeout: time.Millisecond, Interceptors: []interceptor.WorkerInterceptor{before}})
	running := s.submission("gitops")
	s.start(running)
	before.wait(t)
	first := s.workAs(s.version("1"))
	s.awaitState("1", worker.VersionInactive)
	require.Empty(t, s.builds(s.deliver("one")), "nothing goes to a version before it is promoted")
	require.Equal(t, worker.CodeNoVersion, fault.CodeOf(worker.Promote(t.Context(), s.client, deployment, "9")))
	s.promote("1")
	plain.Stop() // its step is handed over, to the version
	require.Equal(t, catalog.JobSucceeded, s.until(running, ended).State)
	require.Equal(t, "1", s.builds(running)[len(s.builds(running))-1], "a job from before goes on with the current version")
	require.Equal(t, []string{"1"}, slices.Compact(s.builds(s.deliver("two"))))

	// A job that runs when another version is promoted ends on its own.
	first.Stop()
	held := hold("ApplyChart")
	opts := s.version("1")
	opts.Interceptors = []interceptor.WorkerInterceptor{held}
	first = s.workAs(opts)
	defer first.Stop()
	running = s.submission("three")
	s.start(running)
	held.wait(t)
	second := s.workAs(s.version("2"))
	defer second.Stop()
	s.awaitState("2", worker.VersionInactive)
	s.promote("2")
	s.awaitState("1", worker.VersionDraining)
	require.Equal(t, []string{"2"}, slices.Compact(s.builds(s.deliver("four"))), "new jobs go to the new version")
	held.free()
	require.Equal(t, catalog.JobSucceeded, s.until(running, ended).State)
	require.Equal(t, []string{"1"}, slices.Compact(s.builds(running)), "the job that ran ends on the old one")
	s.awaitState("1", worker.VersionDrained)

	// A promotion is taken back.
	s.promote("1")
	require.Equal(t, []string{"1"}, slices.Compact(s.builds(s.deliver("five"))))
	s.awaitState("2", worker.VersionDrained)

	// A part of the new jobs, and none again.
	require.NoError(t, worker.Ramp(t.Context(), s.client, deployment, "2", 100))
	s.awaitState("2", worker.VersionRamping)
	require.Equal(t, []string{"2"}, slices.Compact(s.builds(s.deliver("six"))))
	require.NoError(t, worker.Ramp(t.Context(), s.client, deployment, "1", 0), "which has none")
	s.awaitState("2", worker.VersionRamping)
	require.NoError(t, worker.Ramp(t.Context(), s.client, deployment, "2", 0))
	s.awaitState("2", worker.VersionDrained)

	// Versions are switched off again.
	s.promote("")
	d, err := worker.Versions(t.Context(), s.client, deployment)
	require.NoError(t, err)
	require.Empty(t, d.Current)
	defer s.work().Stop()
	require.Empty(t, s.builds(s.deliver("seven")))
}

func (s *scene) version(build string) worker.Options {
	return worker.Options{StopTimeout: time.Millisecond, Version: worker.Version{DeploymentName: deployment, BuildID: build}}
}

// deliver has an add-on installed.
func (s *scene) deliver(target string) jobs.DeliverySubmission {
	s.t.Helper()
	sub := s.submission(target)
	s.does(sub)
	return sub
}

// promote makes a version the current one, as soon as its workers ask for all tasks.
func (s *scene) promote(build string) {
	s.t.Helper()
	var err error
	require.Eventually(s.t, func() bool {
		err = worker.Promote(s.t.Context(), s.client, deployment, build)
		return err == nil
	}, time.Minute, 100*time.Millisecond, "%v", err)
}

func (s *scene) awaitState(build string, state worker.VersionState) {
	s.t.Helper()
	var last worker.Deployment
	require.Eventually(s.t, func() bool {
		var err error
		last, err = worker.Versions(s.t.Context(), s.client, deployment)
		return err == nil && slices.ContainsFunc(last.Versions, func(v worker.DeployedVersion) bool {
			return v.BuildID == build && v.State == state
		})
	}, 2*time.Minute, 100*time.Millisecond, "%s is not %s: %+v", build, state, &last)
}

// builds are the versions that a job's workflow was carried on by, step by step; without those that have none.
func (s *scene) builds(sub jobs.DeliverySubmission) (builds []string) {
	s.t.Helper()
	job, err := s.jobs.Get(s.t.Context(), sub.ProjectID, sub.JobID)
	require.NoError(s.t, err)
	for _, event := range s.history(job.WorkflowID) {
		if build := event.GetWorkflowTaskCompletedEventAttributes().GetDeploymentVersion().GetBuildId(); build != "" {
			builds = append(builds, build)
		}
	}
	return builds
}
