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
	"assetflow/catalog"
	"assetflow/workflows"
)

var importJob = activities.ImportJob{
	JobID: "0192f000-0000-7000-8000-000000000001", ProjectID: "p1", InstanceID: "i1", UserID: "u1",
	FileName: "shop.zip", Mode: "AddNew",
	Staged: activities.StagedPackage{Key: "staging/p1/j1/package", Size: 10, SHA256: "ab"},
}

// importSteps registers the real activities' names with dependencies that would fail when touched: each test says
// what the steps answer.
func importEnvironment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(&activities.Import{})
	env.RegisterActivity(&activities.End{})
	t.Cleanup(func() { env.AssertExpectations(t) })
	return env
}

func rejection(reasons ...catalog.Reason) error {
	return temporal.NewNonRetryableApplicationError(reasons[0].Message, activities.PackageRejected, nil, reasons)
}

func endsAs(state catalog.JobState) any {
	return mock.MatchedBy(func(e activities.Ending) bool {
		return e.State == state && e.JobID == importJob.JobID && e.StagedKey == importJob.Staged.Key
	})
}

func answer(state catalog.JobState) func(context.Context, activities.Ending) (activities.Ended, error) {
	return func(context.Context, activities.Ending) (activities.Ended, error) {
		return activities.Ended{State: state}, nil
	}
}

func TestImportAssetsSucceeds(t *testing.T) {
	t.Parallel()
	env := importEnvironment(t)
	var order []string
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		order = append(order, info.ActivityType.Name)
	})
	env.OnActivity("InspectPackage", mock.Anything, importJob).Return(activities.Inspection{Applications: 3, Tasks: 2}, nil).Once()
	env.OnActivity("StoreFiles", mock.Anything, importJob).Return(activities.Stored{Files: 4}, nil).Once()
	env.OnActivity("CommitImport", mock.Anything, importJob).Return(catalog.ImportResult{Created: 5}, nil).Once()
	env.OnActivity("EndJob", mock.Anything, endsAs(catalog.JobSucceeded)).Return(answer(catalog.JobSucceeded)).Once()

	env.ExecuteWorkflow(workflows.ImportAssets, importJob)

	require.NoError(t, env.GetWorkflowError())
	var result catalog.ImportResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, 5, result.Created)
	require.Equal(t, []string{"InspectPackage", "StoreFiles", "CommitImport", "EndJob"}, order)
	for i, step := range workflows.ImportSteps {
		require.Equal(t, order[i], step.Activity, "the published steps are the real ones")
	}
}

func TestImportAssetsFails(t *testing.T) {
	t.Parallel()
	taken := catalog.Reason{ResourceType: "application", ResourceName: "orders", Code: "name_taken", Message: "The name is taken."}
	refused := temporal.NewNonRetryableApplicationError("The staged package is gone.", activities.Refused, nil)
	for name, test := range map[string]struct {
		inspect, store, commit error
		wantReasons            []catalog.Reason
	}{
		"the package is bad":         {inspect: rejection(taken), wantReasons: []catalog.Reason{taken}},
		"a name was taken meanwhile": {commit: rejection(taken), wantReasons: []catalog.Reason{taken}},
		"a step was refused": {store: refused, wantReasons: []catalog.Reason{{
			ResourceType: "application", ResourceName: "shop.zip", Code: "refused", Message: "The staged package is gone."}}},
		"a step has a bug": {
			store: temporal.NewNonRetryableApplicationError("nil pointer", "panic", nil),
			wantReasons: []catalog.Reason{{ResourceType: "application", ResourceName: "shop.zip", Code: "internal",
				Message: "The job could not be completed because of an internal error; nothing was changed. Submit it again, and tell the operator the job's id if it fails again."}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := importEnvironment(t)
			env.OnActivity("InspectPackage", mock.Anything, mock.Anything).Return(activities.Inspection{}, test.inspect).Once()
			if test.inspect == nil {
				env.OnActivity("StoreFiles", mock.Anything, mock.Anything).Return(activities.Stored{}, test.store).Once()
			}
			if test.inspect == nil && test.store == nil {
				env.OnActivity("CommitImport", mock.Anything, mock.Anything).Return(catalog.ImportResult{}, test.commit).Once()
			}
			env.OnActivity("EndJob", mock.Anything, mock.MatchedBy(func(e activities.Ending) bool {
				return e.State == catalog.JobFailed && len(e.Reasons) == 1 && e.Reasons[0] == test.wantReasons[0]
			})).Return(answer(catalog.JobFailed)).Once()

			env.ExecuteWorkflow(workflows.ImportAssets, importJob)

			require.Error(t, env.GetWorkflowError())
		})
	}
}

func TestImportAssetsEndsWhenAStepIsGivenUp(t *testing.T) {
	t.Parallel()
	env := importEnvironment(t)
	env.OnActivity("InspectPackage", mock.Anything, mock.Anything).Return(activities.Inspection{}, errors.New("the store is away"))
	env.OnActivity("EndJob", mock.Anything, mock.MatchedBy(func(e activities.Ending) bool {
		return e.State == catalog.JobFailed && len(e.Reasons) == 1
	})).Return(answer(catalog.JobFailed)).Once()

	env.ExecuteWorkflow(workflows.ImportAssets, importJob)

	require.Error(t, env.GetWorkflowError())
}

// A cancellation in any step lets the step stop, cleans up, and ends the job as cancelled.
func TestImportAssetsIsCancelled(t *testing.T) {
	t.Parallel()
	steps := []string{"InspectPackage", "StoreFiles", "CommitImport"}
	for at, step := range steps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			env := importEnvironment(t)
			results := []any{activities.Inspection{}, activities.Stored{}, catalog.ImportResult{}}
			for i := range at {
				env.OnActivity(steps[i], mock.Anything, mock.Anything).Return(results[i], nil).Once()
			}
			env.OnActivity(step, mock.Anything, mock.Anything).After(time.Hour).Return(results[at], temporal.NewCanceledError())
			env.OnActivity("EndJob", mock.Anything, endsAs(catalog.JobCancelled)).Return(answer(catalog.JobCancelled)).Once()
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)

			env.ExecuteWorkflow(workflows.ImportAssets, importJob)

			require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "got %v", env.GetWorkflowError())
		})
	}
}

// The cancellation arrives after the commit was made: the catalog says so, and the job has succeeded.
func TestImportAssetsCancelledTooLate(t *testing.T) {
	t.Parallel()
	env := importEnvironment(t)
	env.OnActivity("InspectPackage", mock.Anything, mock.Anything).Return(activities.Inspection{}, nil)
	env.OnActivity("StoreFiles", mock.Anything, mock.Anything).Return(activities.Stored{}, nil)
	env.OnActivity("CommitImport", mock.Anything, mock.Anything).After(time.Hour).Return(catalog.ImportResult{}, temporal.NewCanceledError())
	env.OnActivity("EndJob", mock.Anything, endsAs(catalog.JobCancelled)).Return(answer(catalog.JobSucceeded)).Once()
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)

	env.ExecuteWorkflow(workflows.ImportAssets, importJob)

	require.NoError(t, env.GetWorkflowError())
}

// The clean-up is tried again until it is done: a job never ends with its staged package left behind.
func TestImportAssetsCleanUpIsRetried(t *testing.T) {
	t.Parallel()
	env := importEnvironment(t)
	env.OnActivity("InspectPackage", mock.Anything, mock.Anything).Return(activities.Inspection{}, nil)
	env.OnActivity("StoreFiles", mock.Anything, mock.Anything).Return(activities.Stored{}, nil)
	env.OnActivity("CommitImport", mock.Anything, mock.Anything).Return(catalog.ImportResult{}, nil)
	env.OnActivity("EndJob", mock.Anything, mock.Anything).Return(activities.Ended{}, errors.New("the store is away")).Times(5)
	env.OnActivity("EndJob", mock.Anything, mock.Anything).Return(answer(catalog.JobSucceeded)).Once()

	env.ExecuteWorkflow(workflows.ImportAssets, importJob)

	require.NoError(t, env.GetWorkflowError())
}
