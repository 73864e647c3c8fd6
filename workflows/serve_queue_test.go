package workflows_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"assetflow/activities"
	"assetflow/workflows"
)

var queue = workflows.Queue{WorkflowID: "asset-import:p1:u1"}

func queueEnvironment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(&activities.Queue{})
	t.Cleanup(func() { env.AssertExpectations(t) })
	return env
}

func queuedStart(id string, replaces bool) *activities.QueuedStart {
	return &activities.QueuedStart{
		JobID: id, Kind: "asset-import", ProjectID: "p1", UserID: "u1", Summary: "Import " + id,
		Workflow: "Job", Input: json.RawMessage(`"` + id + `"`), Replaces: replaces,
	}
}

// registerJobs makes the jobs' workflow one that takes an hour, and tells which began, and which came to their end.
func registerJobs(env *testsuite.TestWorkflowEnvironment) *[]string {
	var log []string
	env.RegisterWorkflowWithOptions(func(ctx workflow.Context, id string) error {
		log = append(log, id+" began under "+workflow.GetInfo(ctx).WorkflowExecution.ID)
		err := workflow.Sleep(ctx, time.Hour)
		if err == nil {
			log = append(log, id+" ended")
		}
		if id == "fails" {
			return errors.New("it failed")
		}
		return err
	}, workflow.RegisterOptions{Name: "Job"})
	return &log
}

func TestAnEmptyQueueEnds(t *testing.T) {
	t.Parallel()
	env := queueEnvironment(t)
	env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(nil, nil).Once()
	env.ExecuteWorkflow(workflows.ServeQueue, queue)
	require.NoError(t, env.GetWorkflowError())
}

// A signal that arrived while the last look was answered makes it look once more.
func TestAQueueLooksAgainWhenItWasWoken(t *testing.T) {
	t.Parallel()
	env := queueEnvironment(t)
	registerJobs(env)
	env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).After(time.Minute).Return(nil, nil).Once()
	env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(queuedStart("late", false), nil).Once()
	env.OnActivity("DequeueJob", mock.Anything, "late").Return(nil).Once()
	env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(nil, nil).Once()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.WakeSignal, nil) }, time.Second)
	env.ExecuteWorkflow(workflows.ServeQueue, queue)
	require.NoError(t, env.GetWorkflowError())
}

// One after the other, however they end.
func TestAQueueStartsJobsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	env := queueEnvironment(t)
	log := registerJobs(env)
	for _, id := range []string{"fails", "second"} {
		env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(queuedStart(id, false), nil).Once()
		env.OnActivity("DequeueJob", mock.Anything, id).Return(nil).Once()
	}
	env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(nil, nil).Once()
	env.ExecuteWorkflow(workflows.ServeQueue, queue)
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{
		"fails began under asset-import:p1:u1", "fails ended", "second began under asset-import:p1:u1", "second ended",
	}, *log)
}

// A job that only waits lets the running one be, one that replaces cancels it.
func TestAQueueReplacesTheJobThatItHasStarted(t *testing.T) {
	t.Parallel()
	env := queueEnvironment(t)
	log := registerJobs(env)
	first := env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(queuedStart("first", false), nil).Once()
	waits := env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(queuedStart("waits", false), nil).Once().NotBefore(first)
	replaces := env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(queuedStart("replaces", true), nil).Twice().NotBefore(waits)
	env.OnActivity("FirstQueued", mock.Anything, queue.WorkflowID).Return(nil, nil).Once().NotBefore(replaces)
	env.OnActivity("DequeueJob", mock.Anything, "first").Return(nil).Once()
	env.OnActivity("DequeueJob", mock.Anything, "replaces").Return(nil).Once()
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.WakeSignal, nil) }, time.Minute)
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.WakeSignal, nil) }, 2*time.Minute)
	env.ExecuteWorkflow(workflows.ServeQueue, queue)
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []string{
		"first began under asset-import:p1:u1", "replaces began under asset-import:p1:u1", "replaces ended",
	}, *log, "the first one never came to its end")
}
