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

var templateJob = activities.TemplateJob{
	JobID: "0192f000-0000-7000-8000-000000000004", ProjectID: "p1", UserID: "u1", FileName: "templates.zip",
	Staged: activities.StagedPackage{Key: "staging/p1/j4/package", Size: 10, SHA256: "ab"},
}

var (
	templateStepNames = []string{"InspectTemplates", "StoreTemplates", "CommitTemplates"}
	templateAnswers   = []any{activities.TemplateInspection{Templates: 2}, activities.Stored{Files: 2}, catalog.TemplateImportResult{Created: 2}}
)

func templateEnvironment(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := newEnvironment()
	env.RegisterActivity(&activities.Templates{})
	env.RegisterActivity(&activities.End{})
	t.Cleanup(func() { env.AssertExpectations(t) })
	return env
}

// templatesEndAs matches the ending of templateJob in a state, with the given reasons.
func templatesEndAs(state catalog.JobState, reasons ...catalog.Reason) any {
	return mock.MatchedBy(func(e activities.Ending) bool {
		if e.State != state || e.JobID != templateJob.JobID || e.StagedKey != templateJob.Staged.Key || len(e.Reasons) != len(reasons) {
			return false
		}
		for i, r := range reasons {
			if e.Reasons[i] != r {
				return false
			}
		}
		return true
	})
}

func TestImportServiceTemplatesSucceeds(t *testing.T) {
	t.Parallel()
	env := templateEnvironment(t)
	var order []string
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		order = append(order, info.ActivityType.Name)
	})
	for i, name := range templateStepNames {
		env.OnActivity(name, mock.Anything, templateJob).Return(templateAnswers[i], nil).Once()
	}
	env.OnActivity("EndJob", mock.Anything, templatesEndAs(catalog.JobSucceeded)).Return(answer(catalog.JobSucceeded)).Once()

	env.ExecuteWorkflow(workflows.ImportServiceTemplates, templateJob)

	require.NoError(t, env.GetWorkflowError())
	var result catalog.TemplateImportResult
	require.NoError(t, env.GetWorkflowResult(&result))
	require.Equal(t, 2, result.Created)
	require.Equal(t, append(templateStepNames, "EndJob"), order)
	require.Len(t, workflows.TemplateSteps, len(order))
	for i, step := range workflows.TemplateSteps {
		require.Equal(t, order[i], step.Activity, "the published steps are the real ones")
	}
}

func TestImportServiceTemplatesFails(t *testing.T) {
	t.Parallel()
	differs := catalog.Reason{ResourceType: "service-template", ResourceName: "a.st", Code: "release_differs", Message: "It differs."}
	for name, test := range map[string]struct {
		step int
		err  error
		want catalog.Reason
	}{
		"the upload is bad":        {0, rejection(differs), differs},
		"a release came meanwhile": {2, rejection(differs), differs},
		"a step was refused": {1, temporal.NewNonRetryableApplicationError("The upload is gone.", activities.Refused, nil),
			catalog.Reason{ResourceType: "service-template", ResourceName: "templates.zip", Code: "refused", Message: "The upload is gone."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := templateEnvironment(t)
			for i := range test.step {
				env.OnActivity(templateStepNames[i], mock.Anything, mock.Anything).Return(templateAnswers[i], nil).Once()
			}
			env.OnActivity(templateStepNames[test.step], mock.Anything, mock.Anything).Return(templateAnswers[test.step], test.err).Once()
			env.OnActivity("EndJob", mock.Anything, templatesEndAs(catalog.JobFailed, test.want)).Return(answer(catalog.JobFailed)).Once()

			env.ExecuteWorkflow(workflows.ImportServiceTemplates, templateJob)

			require.Error(t, env.GetWorkflowError())
		})
	}
}

// A cancellation in any step lets the step stop, cleans up, and ends the job as cancelled.
func TestImportServiceTemplatesIsCancelled(t *testing.T) {
	t.Parallel()
	cancelled := catalog.Reason{
		ResourceType: "service-template", ResourceName: "templates.zip", Code: "cancelled", Message: "The job was cancelled before it had changed anything.",
	}
	for at, step := range templateStepNames {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			env := templateEnvironment(t)
			for i := range at {
				env.OnActivity(templateStepNames[i], mock.Anything, mock.Anything).Return(templateAnswers[i], nil).Once()
			}
			env.OnActivity(step, mock.Anything, mock.Anything).After(time.Hour).Return(templateAnswers[at], temporal.NewCanceledError())
			env.OnActivity("EndJob", mock.Anything, templatesEndAs(catalog.JobCancelled, cancelled)).Return(answer(catalog.JobCancelled)).Once()
			env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)

			env.ExecuteWorkflow(workflows.ImportServiceTemplates, templateJob)

			require.True(t, temporal.IsCanceledError(env.GetWorkflowError()), "got %v", env.GetWorkflowError())
		})
	}
}

// The cancellation arrives after the commit was made: the catalog says so, and the job has succeeded.
func TestImportServiceTemplatesCancelledTooLate(t *testing.T) {
	t.Parallel()
	env := templateEnvironment(t)
	env.OnActivity("InspectTemplates", mock.Anything, mock.Anything).Return(templateAnswers[0], nil)
	env.OnActivity("StoreTemplates", mock.Anything, mock.Anything).Return(templateAnswers[1], nil)
	env.OnActivity("CommitTemplates", mock.Anything, mock.Anything).After(time.Hour).Return(templateAnswers[2], temporal.NewCanceledError())
	env.OnActivity("EndJob", mock.Anything, mock.Anything).Return(answer(catalog.JobSucceeded)).Once()
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)

	env.ExecuteWorkflow(workflows.ImportServiceTemplates, templateJob)

	require.NoError(t, env.GetWorkflowError())
}

func TestImportServiceTemplatesTriesAgain(t *testing.T) {
	t.Parallel()
	env := templateEnvironment(t)
	for i, name := range templateStepNames {
		env.OnActivity(name, mock.Anything, mock.Anything).Return(templateAnswers[i], errors.New("the store is away")).Twice()
		env.OnActivity(name, mock.Anything, mock.Anything).Return(templateAnswers[i], nil).Once()
	}
	env.OnActivity("EndJob", mock.Anything, mock.Anything).Return(activities.Ended{}, errors.New("the store is away")).Twice()
	env.OnActivity("EndJob", mock.Anything, templatesEndAs(catalog.JobSucceeded)).Return(answer(catalog.JobSucceeded)).Once()

	env.ExecuteWorkflow(workflows.ImportServiceTemplates, templateJob)

	require.NoError(t, env.GetWorkflowError())
}
