package serve

import (
	"context"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"assetflow/config"
	"assetflow/fault"
	"assetflow/workflows"
)

// pollsWithin is longer than a poll of a worker that runs waits for a task, which is a minute.
const pollsWithin = 2 * time.Minute

// WorkerAlive finds out whether a worker that runs on the named host asks Temporal for tasks. Errors: Unavailable where
// none does or Temporal does not answer.
func WorkerAlive(ctx context.Context, cfg config.Temporal, host string, now time.Time) error {
	return withTemporal(cfg, func(c client.Client) error { return workerAlive(ctx, c, cfg.Address, host, now) })
}

func workerAlive(ctx context.Context, c client.Client, address, host string, now time.Time) error {
	queue, err := c.DescribeTaskQueue(ctx, workflows.DataQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal does not answer at %s.", address).Wrap(err)
	}
	for _, poller := range queue.GetPollers() {
		// The SDK names itself <process>@<host>@<more>.
		if strings.Contains(poller.GetIdentity(), "@"+host+"@") && now.Sub(poller.GetLastAccessTime().AsTime()) < pollsWithin {
			return nil
		}
	}
	return fault.New(fault.Unavailable, "worker.away", "No worker on host %s has asked Temporal for tasks within %s.", host, pollsWithin)
}
