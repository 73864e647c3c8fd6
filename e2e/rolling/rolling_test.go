package rolling

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/cmd/assetflow/command"
	"assetflow/worker"
)

const (
	rounds = 2
	// between is how many requests are answered between two restarts.
	between = 40
	waiting = 3 * time.Minute
)

var (
	apis    = []string{"api-1", "api-2"}
	workers = []string{"worker-1", "worker-2", "worker-3"}
)

// Everything of ours is restarted, one after the other, and then a new version of the workers is brought into use as
// docs/upgrades.md says, while users work.
func TestNobodyNoticesARollingRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	s := newStack(t)
	addrs := make([]string, 0, len(apis))
	for _, name := range apis {
		addrs = append(addrs, s.startAPI(name))
	}
	for _, name := range workers {
		s.startWorker(name)
	}
	s.proxy = startProxy(t, s.fail, addrs...)
	s.awaitReady(len(apis))
	users := s.startLoad()

	began := time.Now()
	longest := map[string]time.Duration{}
	for range rounds {
		for _, name := range slices.Concat(apis, workers) {
			s.progress()
			took := s.stop(name)
			longest[name] = max(longest[name], took)
			if slices.Contains(apis, name) {
				s.startAPI(name)
				s.awaitReady(len(apis))
			} else {
				s.startWorker(name)
			}
		}
	}
	s.progress()
	t.Logf("%d restarts in %s; the longest of each: %v", rounds*(len(apis)+len(workers)), time.Since(began).Round(time.Second), longest)
	s.upgradeWorkers()
	users.finish()
	s.healthy()
	s.check(users)
}

// upgradeWorkers goes from workers without a version to version 1, and from there to version 2.
func (s *stack) upgradeWorkers() {
	s.t.Helper()
	before := workers
	for _, build := range []string{"1", "2"} {
		var now []string
		for i := range 2 {
			name := fmt.Sprintf("worker-v%s-%d", build, i+1)
			s.startWorker(name, "ASSETFLOW_WORKER_DEPLOYMENT_NAME=rolling", "ASSETFLOW_WORKER_BUILD_ID="+build)
			now = append(now, name)
		}
		s.await("the workers of version "+build+" have come", func() bool {
			code, _ := s.assetflow("worker-version", "promote", build, "--deployment", "rolling")
			return code == command.ExitOK
		})
		if build != "1" { // the version before must have drained; workers without a version hand over what they are about
			s.await("version 1 is drained", func() bool {
				code, out := s.assetflow("worker-version", "list", "--deployment", "rolling", "-o", "json")
				var d worker.Deployment
				return code == command.ExitOK && json.Unmarshal(out, &d) == nil && slices.ContainsFunc(d.Versions, func(v worker.DeployedVersion) bool {
					return v.BuildID == "1" && v.State == worker.VersionDrained
				})
			})
		}
		for _, name := range before {
			s.stop(name)
		}
		before = now
		s.progress()
	}
}

// assetflow runs the command line as an operator does.
func (s *stack) assetflow(args ...string) (code int, out []byte) {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	args = append(args, "--temporal-address", s.Config.Temporal.Address)
	code = command.Run(s.t.Context(), args, bytes.NewReader(nil), &stdout, &stderr)
	return code, stdout.Bytes()
}

func (s *stack) await(what string, is func() bool) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return s.failed.Err() != nil || is()
	}, waiting, 100*time.Millisecond, what)
	s.healthy()
}

func (s *stack) awaitReady(n int) {
	s.t.Helper()
	s.await("the APIs are ready", func() bool { return s.proxy.ready() == n })
}

// progress returns when the users have got some answers more.
func (s *stack) progress() {
	s.t.Helper()
	from := s.proxy.requests.Load()
	s.await("users get answers", func() bool { return s.proxy.requests.Load() >= from+between })
}

// check looks at what is left: every job that a user was told of has succeeded, once, and there are no others; the users'
// assets are what the catalog has; and no step was waited for that had been lost.
func (s *stack) check(l *load) {
	s.t.Helper()
	told := map[string]bool{}
	archives := 0
	for _, u := range l.users {
		archives += u.archives
		for _, id := range u.jobs {
			told[uuid.MustParse(id).String()] = true
		}
		page, _, err := s.Catalog.ListAssets(s.t.Context(), catalog.AssetFilter{ProjectID: s.project.ID, InstanceID: u.instance.ID, Limit: 500})
		require.NoError(s.t, err)
		names := map[string]bool{}
		for _, a := range page {
			names[a.Name] = true
			require.Equal(s.t, 1, a.VersionNumber, a.Name)
		}
		require.Equal(s.t, u.live, names, "user %d", u.number)
	}
	handed, lost := 0, 0
	jobs := 0
	for filter := (catalog.JobFilter{ProjectID: s.project.ID, Limit: 500}); ; {
		page, next, err := s.Catalog.ListJobs(s.t.Context(), filter)
		require.NoError(s.t, err)
		for _, job := range page {
			jobs++
			require.Equal(s.t, catalog.JobSucceeded, job.State, "%s %s", job.Kind, job.ID)
			require.True(s.t, told[job.ID], "nobody was told of job %s", job.ID)
		}
		if filter.Cursor = next; next == "" {
			break
		}
	}
	require.Len(s.t, told, jobs)
	var runs []*workflowpb.WorkflowExecutionInfo
	s.await("Temporal lists a run of every job", func() bool {
		runs = s.runs()
		return len(runs) >= jobs
	})
	require.Len(s.t, runs, jobs, "every job ran once")
	for _, run := range runs {
		h, l := s.tries(run)
		handed, lost = handed+h, lost+l
	}
	s.nothingStaged(s.t.Context())
	require.Zero(s.t, lost, "no step waited for a worker that was gone")
	require.Greater(s.t, archives, rounds)
	s.t.Logf("%d requests, %d jobs, %d archives downloaded; %d steps were handed over", s.proxy.requests.Load(), jobs, archives, handed)
}

// runs lists the runs of jobs that have closed.
func (s *stack) runs() (runs []*workflowpb.WorkflowExecutionInfo) {
	s.t.Helper()
	request := &workflowservice.ListWorkflowExecutionsRequest{
		Query: fmt.Sprintf("AssetflowProject = '%s' AND ExecutionStatus = 'Completed'", s.project.ID), PageSize: 500,
	}
	for {
		page, err := s.Temporal.ListWorkflow(s.t.Context(), request)
		require.NoError(s.t, err)
		runs = append(runs, page.GetExecutions()...)
		if request.NextPageToken = page.GetNextPageToken(); len(request.NextPageToken) == 0 {
			return runs
		}
	}
}

// tries counts the steps of a run that a stopped worker handed over, and those that were found out to be lost.
func (s *stack) tries(run *workflowpb.WorkflowExecutionInfo) (handed, lost int) {
	s.t.Helper()
	execution := run.GetExecution()
	events := s.Temporal.GetWorkflowHistory(s.t.Context(), execution.GetWorkflowId(), execution.GetRunId(), false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(s.t, err)
		switch failure := event.GetActivityTaskStartedEventAttributes().GetLastFailure(); {
		case failure.GetApplicationFailureInfo().GetType() == activities.WorkerStopped:
			handed++
		case failure.GetTimeoutFailureInfo() != nil, event.GetEventType() == enumspb.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
			s.t.Logf("%s, event %d: %v", execution.GetWorkflowId(), event.GetEventId(), event)
			lost++
		}
	}
	return handed, lost
}
