package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// readyPoll is how often an unready server is asked again; readyCall how long one answer may take.
const (
	readyPoll = 10 * time.Millisecond
	readyCall = 2 * time.Second
)

// waitReady returns when each service has answered a question about the namespace.
func waitReady(ctx context.Context, addr, namespace string) (err error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		// The default waits a second after the first refused connection.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: readyPoll, Multiplier: 1, MaxDelay: readyPoll},
			MinConnectTimeout: readyCall,
		}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	client := workflowservice.NewWorkflowServiceClient(conn)

	checks := []func(context.Context) error{
		func(ctx context.Context) error { // the frontend
			_, err := client.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
			return err
		},
		func(ctx context.Context) error { // the history shard: it knows that there is no such workflow
			_, err := client.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
				Namespace: namespace, Execution: &commonpb.WorkflowExecution{WorkflowId: "embedded-server-ready"},
			})
			if notFound := new(serviceerror.NotFound); errors.As(serviceerror.FromStatus(serviceerror.ToStatus(err)), &notFound) {
				return nil
			}
			return err
		},
		func(ctx context.Context) error { // matching
			_, err := client.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
				Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: "embedded-server-ready"},
				TaskQueueType: enumspb.TASK_QUEUE_TYPE_WORKFLOW,
			})
			return err
		},
	}
	for _, check := range checks {
		if err := untilNil(ctx, check); err != nil {
			return err
		}
	}
	return nil
}

// untilNil repeats the check until it succeeds or ctx ends.
func untilNil(ctx context.Context, check func(context.Context) error) error {
	for {
		call, cancel := context.WithTimeout(ctx, readyCall)
		err := check(call)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, last answer: %w", context.Cause(ctx), err)
		case <-time.After(readyPoll):
		}
	}
}
