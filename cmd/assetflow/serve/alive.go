package serve

import (
	"context"
	"fmt"
	"os"
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
	// The SDK names itself <process>@<host>@<more>.
	polls, err := polled(ctx, c, func(identity string) bool { return strings.Contains(identity, "@"+host+"@") }, now)
	if err != nil {
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal does not answer at %s.", address).Wrap(err)
	}
	if polls {
		return nil
	}
	return fault.New(fault.Unavailable, "worker.away", "No worker on host %s has asked Temporal for tasks within %s.", host, pollsWithin)
}

// checkPollers is the check of a worker's readiness that its own process asks Temporal for tasks. One that has just stopped
// to do so is found out when its last poll is too long ago.
func (b *Backends) checkPollers(ctx context.Context) error { return b.checkPollersAt(ctx, time.Now()) }

func (b *Backends) checkPollersAt(ctx context.Context, now time.Time) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find out this host's name: %w", err)
	}
	own := fmt.Sprintf("%d@%s@", os.Getpid(), host)
	polls, err := polled(ctx, b.Temporal, func(identity string) bool { return strings.HasPrefix(identity, own) }, now)
	if err == nil && !polls {
		err = fault.New(fault.Unavailable, "worker.away", "This worker has not asked Temporal for tasks within %s.", pollsWithin)
	}
	return err
}

// polled tells whether one of those whom mine knows by its identity has asked Temporal for tasks of late.
func polled(ctx context.Context, c client.Client, mine func(identity string) bool, now time.Time) (bool, error) {
	queue, err := c.DescribeTaskQueue(ctx, workflows.DataQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return false, err
	}
	for _, poller := range queue.GetPollers() {
		if mine(poller.GetIdentity()) && now.Sub(poller.GetLastAccessTime().AsTime()) < pollsWithin {
			return true, nil
		}
	}
	return false, nil
}
