package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"assetflow/activities"
	"assetflow/workflows"
)

// sweepOrder are the activities of a sweep. Jobs are settled first, so that what they leave goes in the same sweep, and
// the trash is purged before blobs are looked at.
var sweepOrder = []string{
	"SettleJobs", "PurgeTrash", "RemoveArchives", "RemoveStrayArchives", "RemoveStaged", "AbortUploads", "RemoveBlobs",
	"AdoptBlobs", "ForgetSubmissions",
}

// sweepEnvironment notes the order in which steps begin, in ran, and lets them succeed but for those in answers.
func sweepEnvironment(t *testing.T, ran *[]string, answers map[string]error) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(&activities.Sweep{})
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		if info.Attempt == 1 {
			*ran = append(*ran, info.ActivityType.Name)
		}
	})
	for i, step := range sweepOrder {
		call := env.OnActivity(step, mock.Anything)
		if err, ok := answers[step]; ok {
			call.After(time.Hour).Return(activities.Swept{}, err)
		} else {
			call.Return(activities.Swept{Looked: 10 + i, Done: i}, nil)
		}
	}
	return env
}

func TestSweepAll(t *testing.T) {
	t.Parallel()
	var ran []string
	env := sweepEnvironment(t, &ran, nil)

	env.ExecuteWorkflow(workflows.SweepAll)

	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, sweepOrder, ran)
	var report workflows.SweepReport
	require.NoError(t, env.GetWorkflowResult(&report))
	require.Len(t, report.Steps, len(sweepOrder))
	for i, s := range report.Steps {
		require.Equal(t, activities.Swept{Looked: 10 + i, Done: i}, s.Swept, s.Step)
		require.Empty(t, s.Error)
	}
}

// Whichever step fails, all the others run, and the sweep says in the end what failed and what was done.
func TestSweepAllGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	for i, step := range sweepOrder {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			var ran []string
			env := sweepEnvironment(t, &ran, map[string]error{step: errors.New("the store is away")})

			env.ExecuteWorkflow(workflows.SweepAll)

			require.Equal(t, sweepOrder, ran)
			var incomplete *temporal.ApplicationError
			require.ErrorAs(t, env.GetWorkflowError(), &incomplete)
			require.Equal(t, workflows.SweepIncomplete, incomplete.Type())
			var report workflows.SweepReport
			require.NoError(t, incomplete.Details(&report))
			for n, s := range report.Steps {
				require.Equal(t, n == i, s.Error != "", s.Step)
			}
			require.Contains(t, report.Steps[i].Error, "the store is away")
		})
	}
}

func TestSweepAllIsCancelled(t *testing.T) {
	t.Parallel()
	var ran []string
	env := sweepEnvironment(t, &ran, map[string]error{"RemoveStaged": temporal.NewCanceledError()})
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)

	env.ExecuteWorkflow(workflows.SweepAll)

	require.True(t, temporal.IsCanceledError(errors.Unwrap(env.GetWorkflowError())), "%v", env.GetWorkflowError())
	require.Equal(t, sweepOrder[:5], ran)
}
