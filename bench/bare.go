package main

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const bareQueue = "bench-bare"

// bare is a workflow of so many steps, none of which does anything.
func bare(ctx workflow.Context, steps int) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	for range steps {
		if err := workflow.ExecuteActivity(ctx, "Nothing").Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func nothing(context.Context) error { return nil }

// startBareWorker starts a worker for bare workflows on the stack's Temporal server.
func (s *stack) startBareWorker() (worker.Worker, error) {
	w := worker.New(s.temporal, bareQueue, worker.Options{
		MaxConcurrentWorkflowTaskPollers: 8, MaxConcurrentActivityTaskPollers: 8, // as many as ours
	})
	w.RegisterWorkflow(bare)
	w.RegisterActivityWithOptions(nothing, activity.RegisterOptions{Name: "Nothing"})
	return w, w.Start()
}

// bareOnce runs a bare workflow.
func (s *stack) bareOnce(steps int, p pace) operation {
	return func(ctx context.Context, user, n int) error {
		run, err := s.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: fmt.Sprintf("bare:%d:%d", user, n), TaskQueue: bareQueue,
		}, bare, steps)
		if err != nil {
			return err
		}
		return p.waitUntil(ctx, func() (bool, error) {
			desc, err := s.temporal.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
			if err != nil {
				return false, err
			}
			status := desc.GetWorkflowExecutionInfo().GetStatus()
			if status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING && status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				return false, fmt.Errorf("the bare workflow ended as %s", status)
			}
			return status == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, nil
		})
	}
}
