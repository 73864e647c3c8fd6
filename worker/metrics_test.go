package worker

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"assetflow/telemetry"
)

// names are the types of the workflows that were registered.
type names struct {
	sdkworker.WorkflowRegistry
	all []string
}

func (n *names) RegisterWorkflowWithOptions(w any, _ workflow.RegisterOptions) {
	name := runtime.FuncForPC(reflect.ValueOf(w).Pointer()).Name()
	n.all = append(n.all, name[strings.LastIndex(name, ".")+1:])
}

func TestEveryWorkflowHasAKind(t *testing.T) {
	t.Parallel()
	var registered names
	RegisterWorkflows(&registered)
	kinds := map[string]bool{}
	for _, name := range registered.all {
		kind := kindOf(name)
		require.NotEqual(t, telemetry.Other, kind, name)
		require.False(t, kinds[kind], "%s: two workflows are of kind %s", name, kind)
		kinds[kind] = true
	}
	require.Len(t, kindsOfWorkflows, len(registered.all)-2, "all but the queue and the sweep are jobs")
	require.Equal(t, telemetry.Other, kindOf("SomethingElse"))
}

func TestOutcomesOfSteps(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	away := errors.New("the database is away")
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{t.Context(), nil, telemetry.StepSucceeded},
		{ended, nil, telemetry.StepSucceeded},
		{t.Context(), away, telemetry.StepFailed},
		{late, context.DeadlineExceeded, telemetry.StepFailed},
		{t.Context(), temporal.NewApplicationError("again", "TargetAway"), telemetry.StepFailed},
		{t.Context(), temporal.NewNonRetryableApplicationError("never", "PackageRejected", nil), telemetry.StepRefused},
		{t.Context(), temporal.NewCanceledError(), telemetry.StepCancelled},
		{ended, away, telemetry.StepCancelled},
		{ended, temporal.NewNonRetryableApplicationError("never", "PackageRejected", nil), telemetry.StepCancelled},
	} {
		require.Equal(t, c.want, outcomeOf(c.ctx, c.err), "%v", c.err)
	}
}
