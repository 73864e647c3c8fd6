package serve

import (
	"context"
	"log/slog"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	tlog "go.temporal.io/sdk/log"

	"assetflow/config"
	"assetflow/fault"
	"assetflow/workflows"
)

// pollsWithin is longer than a poll of a worker that runs waits for a task, which is a minute.
const pollsWithin = 2 * time.Minute

// TemporalClient makes a client that is for looking and for administration: it reads no payloads and logs nothing. It
// connects with its first call. Errors: Invalid for certificates that cannot be used.
func TemporalClient(cfg config.Temporal) (client.Client, error) {
	options, err := connect(cfg, client.Options{Logger: tlog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(options)
	if err != nil {
		return nil, fault.New(fault.Internal, "temporal.client", "No client for Temporal can be made.").Wrap(err)
	}
	return c, nil
}

// WorkerAlive finds out whether a worker that runs on the named host asks Temporal for tasks. Errors: Unavailable where
// none does or Temporal does not answer.
func WorkerAlive(ctx context.Context, cfg config.Temporal, host string, now time.Time) error {
	c, err := TemporalClient(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	queue, err := c.DescribeTaskQueue(ctx, workflows.DataQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal does not answer at %s.", cfg.Address).Wrap(err)
	}
	for _, poller := range queue.GetPollers() {
		// The SDK names itself <process>@<host>@<more>.
		if strings.Contains(poller.GetIdentity(), "@"+host+"@") && now.Sub(poller.GetLastAccessTime().AsTime()) < pollsWithin {
			return nil
		}
	}
	return fault.New(fault.Unavailable, "worker.away", "No worker on host %s has asked Temporal for tasks within %s.", host, pollsWithin)
}
