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

var copyJob = activities.CopyJob{
	JobID: "0192f000-0000-7000-8000-000000000003", ProjectID: "p1", UserID: "u1", AssetID: "a1", AssetName: "the film",
	Staged: activities.StagedPackage{Key: "staging/p1/j3/package", Size: 10, SHA256: "ab"},
}

var copyManifest = activities.CopyManifest{
	Files: 2, Bytes: 30, Staged: activities.StagedPackage{Key: "staging/p1/j3/manifest", Size: 20, SHA256: "cd"},
}

func copyEnvironment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(&activities.Copy{})
	env.RegisterActivity(&activities.End{})
	t.Cleanup(func() { env.AssertExpectations(t) })
	return env
}

// copyAnswers lets the steps before the one at the place succeed.
func copyAnswers(env *testsuite.TestWorkflowEnvironment, before int) {
	for i, step := range []func(){
		func() { env.OnActivity("ReadManifest", mock.Anything, copyJob).Return(copyManifest, nil).Once() },
		func() {
			env.OnActivity("CopyFiles", mock.Anything, copyJob, copyManifest).Return(activities.CopiedFiles{Files: 2}, nil).Once()
		},
		func() {
			env.OnActivity("CommitCopy", mock.Anything, copyJob, copyManifest).Return(catalog.CopyResult{AssetID: "a1", VersionNumber: 3}, nil).Once()
		},
	} {
		if i < before {
			step()
		}
	}
}

// copyEnds expects the job to end so, and the asset to be shown as FAILED before where a reason is given.
func copyEnds(env *testsuite.TestWorkflowEnvironment, state, really catalog.JobState, reason string) {
	if reason != "" {
		env.OnActivity("FailCopy", mock.Anything, activities.CopyFailure{JobID: copyJob.JobID, AssetID: "a1", Reason: reason}).Return(nil).Once()
	}
	env.OnActivity("EndJob", mock.Anything, mock.MatchedBy(func(e activities.Ending) bool {
		named := reason == "" && len(e.Reasons) == 0 || len(e.Reasons) == 1 && e.Reasons[0].Message == reason &&
			e.Reasons[0].ResourceType == "digital-asset" && e.Reasons[0].ResourceName == "the film"
		return e.State == state && e.JobID == copyJob.JobID && e.StagedKey == copyJob.Staged.Key && named
	})).Return(answer(really)).Once()
}

func TestCopyAssetSucceeds(t *testing.T) {
	t.Parallel()
	env := copyEnvironment(t)
	var order []string
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		order = append(order, info.ActivityType.Name)
	})
	copyAnswers(env, 3)
	copyEnds(env, catalog.JobSucceeded, catalog.JobSucceeded, "")

	env.ExecuteWorkflow(workflows.CopyAsset, copyJob)

	require.NoError(t, env.GetWorkflowError())
	var result catalog.CopyResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, catalog.CopyResult{AssetID: "a1", VersionNumber: 3}, result)
	require.Equal(t, []string{"ReadManifest", "CopyFiles", "CommitCopy", "EndJob"}, order)
}

// The published steps are those that run, also after a failure.
func TestCopyStepsAreTheRealOnes(t *testing.T) {
	t.Parallel()
	env := copyEnvironment(t)
	var order []string
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		order = append(order, info.ActivityType.Name)
	})
	copyAnswers(env, 2)
	env.OnActivity("CommitCopy", mock.Anything, copyJob, copyManifest).
		Return(catalog.CopyResult{}, temporal.NewNonRetryableApplicationError("The name is taken.", activities.JobEnded, nil)).Once()
	copyEnds(env, catalog.JobFailed, catalog.JobFailed, "The name is taken.")
	env.ExecuteWorkflow(workflows.CopyAsset, copyJob)
	require.Error(t, env.GetWorkflowError())
	require.Len(t, order, len(workflows.CopySteps))
	for i, step := range workflows.CopySteps {
		require.Equal(t, order[i], step.Activity)
	}
}

func TestCopyAssetFails(t *testing.T) {
	t.Parallel()
	const internal = "The job could not be completed because of an internal error; nothing was changed. Submit it again, and tell the operator the job's id if it fails again."
	expired := temporal.NewNonRetryableApplicationError("A link has expired.", activities.Refused, nil)
	bug := temporal.NewNonRetryableApplicationError("nil pointer", "panic", nil)
	for name, test := range map[string]struct {
		at     int
		err    error
		reason string
	}{
		"the manifest's link has expired": {0, expired, "A link has expired."},
		"a file's link has expired":       {1, expired, "A link has expired."},
		"the copying step has a bug":      {1, bug, internal},
		"the commit has a bug":            {2, bug, internal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := copyEnvironment(t)
			copyAnswers(env, test.at)
			switch test.at {
			case 0:
				env.OnActivity("ReadManifest", mock.Anything, copyJob).Return(activities.CopyManifest{}, test.err).Once()
			case 1:
				env.OnActivity("CopyFiles", mock.Anything, copyJob, copyManifest).Return(activities.CopiedFiles{}, test.err).Once()
			case 2:
				env.OnActivity("CommitCopy", mock.Anything, copyJob, copyManifest).Return(catalog.CopyResult{}, test.err).Once()
			}
			copyEnds(env, catalog.JobFailed, catalog.JobFailed, test.reason)
			env.ExecuteWorkflow(workflows.CopyAsset, copyJob)
			require.Error(t, env.GetWorkflowError())
		})
	}
}

// A source that stays away is given up after the step's deadline.
func TestCopyAssetEndsWhenTheSourceStaysAway(t *testing.T) {
	t.Parallel()
	env := copyEnvironment(t)
	copyAnswers(env, 1)
	env.OnActivity("CopyFiles", mock.Anything, copyJob, copyManifest).Return(activities.CopiedFiles{}, errors.New("the source region does not answer"))
	env.OnActivity("FailCopy", mock.Anything, mock.Anything).Return(nil).Once()
	env.OnActivity("EndJob", mock.Anything, mock.MatchedBy(func(e activities.Ending) bool {
		return e.State == catalog.JobFailed && len(e.Reasons) == 1
	})).Return(answer(catalog.JobFailed)).Once()

	env.ExecuteWorkflow(workflows.CopyAsset, copyJob)

	require.Error(t, env.GetWorkflowError())
}

const cancelledReason = "The job was cancelled before it had changed anything."

// A cancellation in any step lets the step stop, shows the asset as FAILED and ends the job as cancelled.
func TestCopyAssetIsCancelled(t *testing.T) {
	t.Parallel()
	for at, step := range []string{"ReadManifest", "CopyFiles", "CommitCopy"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			env := copyEnvironment(t)
			copyAnswers(env, at)
			switch at {
			case 0:
				env.OnActivity(step, mock.Anything, mock.Anything).After(time.Hour).Return(activities.CopyManifest{}, temporal.NewCanceledError())
			case 1:
				env.OnActivity(step, mock.Anything, mock.Anything, mock.Anything).After(time.Hour).Return(activities.CopiedFiles{}, temporal.NewCanceledError())
			case 2:
				env.OnActivity(step, mock.Anything, mock.Anything, mock.Anything).After(time.Hour).Return(catalog.CopyResult{}, temporal.NewCanceledError())
			}
			copyEnds(env, catalog.JobCancelled, catalog.JobCancelled, cancelledReason)
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
			env.ExecuteWorkflow(workflows.CopyAsset, copyJob)
			require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "got %v", env.GetWorkflowError())
		})
	}
}

// The cancellation arrives after the commit was made: the catalog says so, and the job has succeeded.
func TestCopyAssetCancelledTooLate(t *testing.T) {
	t.Parallel()
	env := copyEnvironment(t)
	copyAnswers(env, 2)
	env.OnActivity("CommitCopy", mock.Anything, copyJob, copyManifest).After(time.Hour).Return(catalog.CopyResult{}, temporal.NewCanceledError())
	copyEnds(env, catalog.JobCancelled, catalog.JobSucceeded, cancelledReason)
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
	env.ExecuteWorkflow(workflows.CopyAsset, copyJob)
	require.NoError(t, env.GetWorkflowError())
}

// The job ends although the asset could not be shown as failed: its end does that as well.
func TestCopyAssetEndsWithoutFailCopy(t *testing.T) {
	t.Parallel()
	env := copyEnvironment(t)
	env.OnActivity("ReadManifest", mock.Anything, copyJob).
		Return(activities.CopyManifest{}, temporal.NewNonRetryableApplicationError("It has expired.", activities.Refused, nil)).Once()
	env.OnActivity("FailCopy", mock.Anything, mock.Anything).
		Return(temporal.NewNonRetryableApplicationError("no", activities.Refused, nil)).Once()
	env.OnActivity("EndJob", mock.Anything, mock.MatchedBy(func(e activities.Ending) bool {
		return e.State == catalog.JobFailed && e.Reasons[0].Message == "It has expired."
	})).Return(answer(catalog.JobFailed)).Once()
	env.ExecuteWorkflow(workflows.CopyAsset, copyJob)
	require.ErrorContains(t, env.GetWorkflowError(), "It has expired.")
}
