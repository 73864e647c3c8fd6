package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"assetflow/activities"
	"assetflow/catalog"
	"assetflow/workflows"
)

func deliveryJob(action catalog.AddonAction) activities.DeliveryJob {
	return activities.DeliveryJob{
		JobID: "0192f000-0000-7000-8000-000000000005", ProjectID: "p1", UserID: "u1", Action: action,
		EnvironmentID: "e1", EnvironmentName: "development", AddonID: "a1", Name: "hello", TargetID: "gitops",
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Deadline: time.Hour, HealthTimeout: 10 * time.Minute,
	}
}

// stepsOf are the steps of an action that succeeds, but for the end of the job.
func stepsOf(action catalog.AddonAction) []string {
	switch action {
	case catalog.AddonRestart:
		return []string{"LoadChart", "RestartWorkloads", "AwaitHealthy", "CommitDelivery"}
	case catalog.AddonUninstall:
		return []string{"LoadChart", "RemoveRelease", "AwaitRemoved", "CommitDelivery"}
	default:
		return []string{"LoadChart", "PlanChart", "ApplyChart", "AwaitHealthy", "CommitDelivery"}
	}
}

var (
	newChart    = activities.LoadedChart{Version: "1.1.0", SHA256: "ab", Size: 10}
	betterChart = activities.LoadedChart{Version: "1.1.0", SHA256: "ab", Size: 10, GoodVersion: "1.0.0", GoodRevision: "1"}
	goneChart   = activities.LoadedChart{GoodVersion: "1.0.0", GoodRevision: "1"}
)

// deliveryScene is a run of DeliverAddon whose steps succeed, unless a test says otherwise of one.
type deliveryScene struct {
	*testsuite.TestWorkflowEnvironment
	t         *testing.T
	job       activities.DeliveryJob
	order     []string // of the steps
	steps     map[string]activities.DeliveryStep
	answers   map[string]any           // of the steps
	delays    map[string]time.Duration // of these answers
	failFirst int                      // tries of each step that fail before the answer
	ending    activities.Ending
	began     time.Time
	tried     map[string]time.Duration // how long each step is tried
	cancels   []string                 // the steps that a cancellation has reached
}

func newDelivery(t *testing.T, action catalog.AddonAction) *deliveryScene {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	s := &deliveryScene{
		TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), t: t, job: deliveryJob(action),
		steps: map[string]activities.DeliveryStep{}, tried: map[string]time.Duration{}, delays: map[string]time.Duration{},
	}
	s.RegisterActivity(&activities.Delivery{})
	s.RegisterActivity(&activities.End{})
	s.SetTestTimeout(time.Minute)
	s.began = s.Now()
	s.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, args converter.EncodedValues) {
		name := info.ActivityType.Name
		if info.Attempt > 1 {
			return
		}
		s.tried[name] = info.ScheduleToCloseTimeout
		s.order = append(s.order, name)
		var job activities.DeliveryJob
		var step activities.DeliveryStep
		if name == "EndJob" {
			require.NoError(t, args.Get(&s.ending))
			return
		}
		require.NoError(t, args.Get(&job, &step))
		require.Equal(t, s.job, job)
		require.Equal(t, len(s.order)-1, step.Task, "the tasks are counted in the order of the steps")
		s.steps[name] = step
	})
	s.SetOnActivityCanceledListener(func(info *activity.Info) { s.cancels = append(s.cancels, info.ActivityType.Name) })
	chart := map[catalog.AddonAction]activities.LoadedChart{
		catalog.AddonInstall: newChart, catalog.AddonRedeploy: betterChart, catalog.AddonRestart: betterChart, catalog.AddonUninstall: goneChart,
	}[action]
	revision := map[catalog.AddonAction]string{catalog.AddonInstall: "1", catalog.AddonRedeploy: "2", catalog.AddonRestart: "2"}[action]
	change := changedTo(revision, nil)
	s.answers = map[string]any{
		"LoadChart": loads(chart, nil), "PlanChart": does(nil), "ApplyChart": change, "RestartWorkloads": change, "RemoveRelease": change,
		"AwaitHealthy": does(nil), "AwaitRemoved": does(nil), "RollBack": changedTo("3", nil), "RecordRevision": does(nil),
		"CommitDelivery": commits(catalog.DeliveryResult{Action: action, Name: "hello", Version: chart.Version, Revision: revision}, nil),
	}
	return s
}

// fail lets a step fail, or never succeed.
func (s *deliveryScene) fail(step string, err error) *deliveryScene {
	switch step {
	case "LoadChart":
		s.answers[step] = loads(activities.LoadedChart{}, err)
	case "ApplyChart", "RestartWorkloads", "RemoveRelease", "RollBack":
		s.answers[step] = changedTo("", err)
	case "CommitDelivery":
		s.answers[step] = commits(catalog.DeliveryResult{}, err)
	default:
		s.answers[step] = does(err)
	}
	return s
}

// What the steps answer.

func answered[T any](value T, err error) func(context.Context, activities.DeliveryJob, activities.DeliveryStep) (T, error) {
	return func(context.Context, activities.DeliveryJob, activities.DeliveryStep) (T, error) { return value, err }
}

func loads(chart activities.LoadedChart, err error) any { return answered(chart, err) }

func changedTo(revision string, err error) any {
	return answered(activities.Changed{Revision: revision}, err)
}

func commits(result catalog.DeliveryResult, err error) any { return answered(result, err) }

func does(err error) any {
	return func(context.Context, activities.DeliveryJob, activities.DeliveryStep) error { return err }
}

// run runs the workflow; the catalog says that the job ended as the workflow believes, or as committed.
func (s *deliveryScene) run(committed bool) error {
	s.t.Helper()
	s.OnActivity("EndJob", mock.Anything, mock.Anything).Return(func(_ context.Context, e activities.Ending) (activities.Ended, error) {
		if committed {
			return activities.Ended{State: catalog.JobSucceeded}, nil
		}
		return activities.Ended{State: e.State}, nil
	}).Once()
	for name, answer := range s.answers {
		if s.failFirst > 0 {
			first := away()
			if name == "LoadChart" {
				first = errors.New("the database is away")
			}
			good := answer
			s.fail(name, first)
			s.OnActivity(name, mock.Anything, mock.Anything, mock.Anything).Return(s.answers[name]).Times(s.failFirst).Maybe()
			answer = good
		}
		call := s.OnActivity(name, mock.Anything, mock.Anything, mock.Anything)
		if delay := s.delays[name]; delay > 0 {
			call = call.After(delay)
		}
		call.Return(answer).Maybe()
	}
	s.ExecuteWorkflow(workflows.DeliverAddon, s.job)
	require.True(s.t, s.IsWorkflowCompleted())
	require.Equal(s.t, "EndJob", s.order[len(s.order)-1], "the job ends in the end")
	require.Equal(s.t, s.job.JobID, s.ending.JobID)
	for _, name := range s.order {
		require.True(s.t, slices.ContainsFunc(workflows.DeliverySteps, func(step workflows.Step) bool { return step.Activity == name }),
			"%s is no published step", name)
	}
	return s.GetWorkflowError()
}

// reasons are what the job said in the end, each as its code and its message.
func (s *deliveryScene) reasons() string {
	texts := make([]string, len(s.ending.Reasons))
	for i, r := range s.ending.Reasons {
		require.Equal(s.t, "addon", r.ResourceType)
		require.Equal(s.t, "hello", r.ResourceName)
		texts[i] = r.Code + ": " + r.Message
	}
	return strings.Join(texts, "\n")
}

func refused(message string) error {
	return temporal.NewNonRetryableApplicationError(message, activities.Refused, nil)
}

func away() error {
	return temporal.NewApplicationError("The cluster does not answer.", activities.TargetAway)
}

var actions = []catalog.AddonAction{catalog.AddonInstall, catalog.AddonRedeploy, catalog.AddonRestart, catalog.AddonUninstall}

func TestDeliverAddonSucceeds(t *testing.T) {
	t.Parallel()
	for _, action := range actions {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			s := newDelivery(t, action)
			require.NoError(t, s.run(false))
			require.Equal(t, append(stepsOf(action), "EndJob"), s.order)
			require.Equal(t, catalog.JobSucceeded, s.ending.State)
			require.Empty(t, s.ending.Reasons)
			var result catalog.DeliveryResult
			require.NoError(t, s.GetWorkflowResult(&result))
			require.Equal(t, action, result.Action)

			commit := s.steps["CommitDelivery"]
			switch action {
			case catalog.AddonUninstall:
				require.Empty(t, commit.Revision)
				require.Equal(t, s.job.Deadline, s.steps["AwaitRemoved"].Until.Sub(s.began))
			default:
				require.Equal(t, result.Revision, commit.Revision)
				require.Equal(t, "1.1.0", commit.Chart.Version)
				require.Equal(t, s.job.HealthTimeout, s.steps["AwaitHealthy"].Until.Sub(s.began))
			}
		})
	}
}

// Before anything has changed on the target, a failure leaves everything as it was.
func TestDeliverAddonFailsBeforeItChangesAnything(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		action catalog.AddonAction
		step   string
		err    error
		reason string
	}{
		{catalog.AddonInstall, "LoadChart", refused("There is no such chart."), "refused: There is no such chart."},
		{catalog.AddonUninstall, "LoadChart", temporal.NewNonRetryableApplicationError("Another job works on it.", activities.JobEnded, nil),
			"refused: Another job works on it."},
		{catalog.AddonRedeploy, "PlanChart", refused("The chart renders to nonsense."), "refused: The chart renders to nonsense."},
		{catalog.AddonInstall, "PlanChart", temporal.NewNonRetryableApplicationError("nil pointer in secret.go", "panic", nil),
			"internal: There was an internal error; tell the operator the job's id if it comes again."},
		{"explode", "", nil, `refused: There is no action "explode".`},
	} {
		t.Run(fmt.Sprint(test.action, " ", test.step), func(t *testing.T) {
			t.Parallel()
			s := newDelivery(t, test.action)
			if test.err != nil {
				s.fail(test.step, test.err)
			}
			require.Error(t, s.run(false))
			require.Equal(t, catalog.JobFailed, s.ending.State)
			require.Equal(t, test.reason+" Nothing was changed on the target.", s.reasons())
			require.NotContains(t, s.order, "RollBack")
			require.NotContains(t, s.order, "ApplyChart")
		})
	}
}

// From the moment on that the target may have changed, a failure brings it back to what was good.
func TestDeliverAddonRollsBack(t *testing.T) {
	t.Parallel()
	unhealthy := temporal.NewNonRetryableApplicationError("The add-on did not become healthy.", activities.Unhealthy, nil)
	ended := temporal.NewNonRetryableApplicationError("The job has ended.", activities.JobEnded, nil)
	for _, action := range []catalog.AddonAction{catalog.AddonInstall, catalog.AddonRedeploy} {
		said := " What was there of it on the target was removed."
		if action == catalog.AddonRedeploy {
			said = " It was rolled back to version 1.0.0."
		}
		for _, test := range []struct {
			step   string
			err    error
			reason string
		}{
			{"ApplyChart", refused("The API server says no."), "refused: The API server says no."},
			{"AwaitHealthy", unhealthy, "unhealthy: The add-on did not become healthy."},
			{"CommitDelivery", ended, "refused: The job has ended."},
		} {
			t.Run(fmt.Sprint(action, " ", test.step), func(t *testing.T) {
				t.Parallel()
				s := newDelivery(t, action).fail(test.step, test.err)
				require.Error(t, s.run(false))
				require.Equal(t, catalog.JobFailed, s.ending.State)
				require.Equal(t, test.reason+said, s.reasons())
				require.Equal(t, "RollBack", s.order[len(s.order)-2])
				back := s.steps["RollBack"]
				require.Equal(t, map[bool]string{true: "", false: "1"}[action == catalog.AddonInstall], back.Chart.GoodRevision)
				require.Equal(t, catalog.TaskFailed, back.Before.State)
				require.NotContains(t, s.order, "RecordRevision")
			})
		}
	}
}

// A restart changes no chart, and what is removed cannot be brought back.
func TestDeliverAddonFailsWithoutRollBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		action   catalog.AddonAction
		step     string
		recorded bool
		reason   string
	}{
		{catalog.AddonRestart, "RestartWorkloads", false, "refused: No. Its workloads keep their chart."},
		{catalog.AddonRestart, "AwaitHealthy", false, "refused: No. Its workloads keep their chart."},
		{catalog.AddonUninstall, "RemoveRelease", false, "refused: No. Its removal had begun and is not undone; uninstall it again."},
		{catalog.AddonUninstall, "AwaitRemoved", true,
			"refused: No. It had been removed from the target by then; uninstall it again to be sure that nothing is left."},
	} {
		t.Run(fmt.Sprint(test.action, " ", test.step), func(t *testing.T) {
			t.Parallel()
			s := newDelivery(t, test.action).fail(test.step, refused("No."))
			require.Error(t, s.run(false))
			require.Equal(t, catalog.JobFailed, s.ending.State)
			require.Equal(t, test.reason, s.reasons())
			require.NotContains(t, s.order, "RollBack")
			require.Equal(t, test.recorded, slices.Contains(s.order, "RecordRevision"))
			require.Empty(t, s.steps["RecordRevision"].Revision)
		})
	}
}

func TestDeliverAddonSaysWhenTheRollBackFailsToo(t *testing.T) {
	t.Parallel()
	s := newDelivery(t, catalog.AddonRedeploy).fail("ApplyChart", refused("The API server says no."))
	s.fail("RollBack", refused("Revision 1 is forgotten."))
	require.ErrorContains(t, s.run(false), "The API server says no.")
	require.Equal(t, catalog.JobFailed, s.ending.State)
	require.Equal(t, "refused: The API server says no.\nnot_rolled_back: The roll-back did not succeed either. Revision 1 is forgotten. "+
		"The target may hold what the job had begun to change; the next job on the add-on goes on from there.", s.reasons())
}

// grace is how long a step is tried beyond its time.
const grace = 10 * time.Second

// A target that stays away is given up after the job's deadline; so is its roll-back, after as long again.
func TestDeliverAddonGivesUpOnATargetThatStaysAway(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		action catalog.AddonAction
		step   string
	}{
		{catalog.AddonInstall, "PlanChart"}, {catalog.AddonInstall, "ApplyChart"}, {catalog.AddonRedeploy, "AwaitHealthy"},
		{catalog.AddonRestart, "RestartWorkloads"}, {catalog.AddonUninstall, "RemoveRelease"}, {catalog.AddonUninstall, "AwaitRemoved"},
	} {
		t.Run(fmt.Sprint(test.action, " ", test.step), func(t *testing.T) {
			t.Parallel()
			s := newDelivery(t, test.action).fail(test.step, away())
			require.Error(t, s.run(false))
			require.Equal(t, catalog.JobFailed, s.ending.State)
			require.Contains(t, s.reasons(), "target_away: The target gitops could not be reached in time. The cluster does not answer.")
			require.Equal(t, time.Hour+grace, s.tried[test.step], "it is tried until the deadline")
		})
	}
	t.Run("also in the roll-back", func(t *testing.T) {
		t.Parallel()
		s := newDelivery(t, catalog.AddonRedeploy).fail("RollBack", away())
		s.fail("AwaitHealthy", away())
		require.Error(t, s.run(false))
		require.Contains(t, s.reasons(), "target_away: The target gitops could not be reached in time. The cluster does not answer.\n"+
			"not_rolled_back: The roll-back did not succeed either. The target gitops could not be reached in time.")
		require.Equal(t, time.Hour+grace, s.tried["RollBack"], "it has as long again")
	})
}

func TestDeliverAddonTriesAgain(t *testing.T) {
	t.Parallel()
	for _, action := range actions {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			s := newDelivery(t, action)
			s.failFirst = 2
			require.NoError(t, s.run(false))
			require.Equal(t, append(stepsOf(action), "EndJob"), s.order)
		})
	}
}

// cancelled lets a step wait for a cancellation that comes after a minute.
func cancelledDelivery(t *testing.T, action catalog.AddonAction, step string, leave bool) *deliveryScene {
	t.Helper()
	s := newDelivery(t, action)
	s.fail(step, temporal.NewCanceledError()).delays[step] = 5 * time.Minute
	s.RegisterDelayedCallback(func() {
		if leave {
			s.SignalWorkflow(workflows.LeaveSignal, nil)
		}
		s.CancelWorkflow()
	}, time.Minute)
	return s
}

func TestDeliverAddonIsCancelled(t *testing.T) {
	t.Parallel()
	const (
		nothing  = "Nothing was changed on the target."
		removed  = "What was there of it on the target was removed."
		back     = "It was rolled back to version 1.0.0."
		stays    = "What had begun to change on the target stays as it is."
		begun    = "Its removal had begun and is not undone; uninstall it again."
		gone     = "It had been removed from the target by then; uninstall it again to be sure that nothing is left."
		newStays = "Version 1.1.0 stays on the target, as revision 2."
	)
	for _, test := range []struct {
		action   catalog.AddonAction
		step     string
		said     string
		after    string // the step before the end, if any
		leave    string // the same when things are left as they are
		recorded string
	}{
		{catalog.AddonInstall, "LoadChart", nothing, "", nothing, ""},
		{catalog.AddonInstall, "PlanChart", nothing, "", nothing, ""},
		{catalog.AddonInstall, "ApplyChart", removed, "RollBack", stays, ""},
		{catalog.AddonInstall, "AwaitHealthy", removed, "RollBack", "Version 1.1.0 stays on the target, as revision 1.", "RecordRevision"},
		{catalog.AddonRedeploy, "ApplyChart", back, "RollBack", stays, ""},
		{catalog.AddonRedeploy, "AwaitHealthy", back, "RollBack", newStays, "RecordRevision"},
		{catalog.AddonRestart, "LoadChart", nothing, "", nothing, ""},
		{catalog.AddonRestart, "RestartWorkloads", stays, "", stays, ""},
		{catalog.AddonRestart, "AwaitHealthy", newStays, "RecordRevision", newStays, "RecordRevision"},
		{catalog.AddonUninstall, "LoadChart", nothing, "", nothing, ""},
		{catalog.AddonUninstall, "RemoveRelease", begun, "", begun, ""},
		{catalog.AddonUninstall, "AwaitRemoved", gone, "RecordRevision", gone, "RecordRevision"},
	} {
		for _, leave := range []bool{false, true} {
			t.Run(fmt.Sprint(test.action, " ", test.step, " leave ", leave), func(t *testing.T) {
				t.Parallel()
				said, after := test.said, test.after
				if leave {
					said, after = test.leave, test.recorded
				}
				s := cancelledDelivery(t, test.action, test.step, leave)
				err := s.run(false)
				require.True(t, temporal.IsCanceledError(err), "got %v", err)
				require.Equal(t, catalog.JobCancelled, s.ending.State)
				require.Equal(t, "cancelled: The job was cancelled. "+said, s.reasons())
				want := append(slices.Clone(stepsOf(test.action)[:slices.Index(stepsOf(test.action), test.step)+1]), after, "EndJob")
				require.Equal(t, slices.DeleteFunc(want, func(name string) bool { return name == "" }), s.order)
				if after != "" {
					require.Equal(t, activities.EndedTask{State: catalog.TaskCancelled, Message: "The job was cancelled."}, *s.steps[after].Before)
				}
			})
		}
	}
}

// A cancellation that arrives while the delivery is committed does not reach the commit, and comes too late.
func TestDeliverAddonCancelledTooLate(t *testing.T) {
	t.Parallel()
	for _, action := range actions {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			s := newDelivery(t, action)
			s.delays["CommitDelivery"] = 5 * time.Minute
			s.RegisterDelayedCallback(s.CancelWorkflow, time.Minute)
			require.NoError(t, s.run(false))
			require.Equal(t, append(stepsOf(action), "EndJob"), s.order)
			require.Equal(t, catalog.JobSucceeded, s.ending.State)
			require.Empty(t, s.cancels)
		})
	}
}

// The roll-back of a cancelled job is not cancelled with it, but ends when things are to be left as they are after all.
func TestDeliverAddonStopsToRollBack(t *testing.T) {
	t.Parallel()
	for _, leave := range []bool{false, true} {
		t.Run(fmt.Sprint("leave ", leave), func(t *testing.T) {
			t.Parallel()
			s := cancelledDelivery(t, catalog.AddonRedeploy, "AwaitHealthy", false)
			s.delays["RollBack"] = 10 * time.Minute
			s.RegisterDelayedCallback(func() {
				require.Equal(t, "RollBack", s.order[len(s.order)-1])
				if leave {
					s.SignalWorkflow(workflows.LeaveSignal, nil)
				}
				s.CancelWorkflow()
			}, 5*time.Minute)
			err := s.run(false)
			require.True(t, temporal.IsCanceledError(err), "got %v", err)
			require.Equal(t, catalog.JobCancelled, s.ending.State)
			if leave {
				require.Equal(t, []string{"AwaitHealthy", "RollBack"}, s.cancels)
				require.Equal(t, "cancelled: The job was cancelled.\nnot_rolled_back: The roll-back did not succeed either. "+
					"It was stopped, to leave things as they are. The target may hold what the job had begun to change; "+
					"the next job on the add-on goes on from there.", s.reasons())
			} else {
				require.Equal(t, []string{"AwaitHealthy"}, s.cancels)
				require.Equal(t, "cancelled: The job was cancelled. It was rolled back to version 1.0.0.", s.reasons())
			}
		})
	}
}

// Whoever asks to leave things as they are cancels; without a cancellation a failure is rolled back as ever.
func TestDeliverAddonRollsBackWithoutACancellation(t *testing.T) {
	t.Parallel()
	s := newDelivery(t, catalog.AddonRedeploy).fail("AwaitHealthy", refused("No."))
	s.delays["AwaitHealthy"] = 5 * time.Minute
	s.RegisterDelayedCallback(func() { s.SignalWorkflow(workflows.LeaveSignal, nil) }, time.Minute)
	require.Error(t, s.run(false))
	require.Equal(t, "refused: No. It was rolled back to version 1.0.0.", s.reasons())
	require.Empty(t, s.cancels)
}

// However long the target was away before, the workloads have their time to become ready.
func TestDeliverAddonHasTimeForItsHealth(t *testing.T) {
	t.Parallel()
	s := newDelivery(t, catalog.AddonRedeploy)
	s.delays["ApplyChart"] = 59 * time.Minute
	require.NoError(t, s.run(false))
	require.Equal(t, time.Hour+grace, s.tried["ApplyChart"])
	require.Equal(t, 69*time.Minute, s.steps["AwaitHealthy"].Until.Sub(s.began))
	require.Equal(t, 10*time.Minute+grace, s.tried["AwaitHealthy"])
	require.Equal(t, 30*24*time.Hour, s.tried["CommitDelivery"], "what is healthy is not given up")
}

// What the workflow heard of the commit does not matter where the catalog says that it was made.
func TestDeliverAddonWasCommittedAfterAll(t *testing.T) {
	t.Parallel()
	s := newDelivery(t, catalog.AddonInstall).fail("CommitDelivery", refused("?"))
	require.NoError(t, s.run(true))
}

// The job ends although what stays could not be written down.
func TestDeliverAddonEndsWithoutTheRecord(t *testing.T) {
	t.Parallel()
	s := cancelledDelivery(t, catalog.AddonRedeploy, "AwaitHealthy", true)
	s.fail("RecordRevision", refused("no"))
	require.True(t, temporal.IsCanceledError(s.run(false)))
	require.Equal(t, catalog.JobCancelled, s.ending.State)
}
