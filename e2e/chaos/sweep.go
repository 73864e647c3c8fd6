package chaos

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"assetflow/activities"
	"assetflow/jobs"
	"assetflow/storage"
	"assetflow/workflows"
)

// How the service sweeps during a run.
const (
	sweepEvery = "15s"
	sweepGrace = "1m"
)

// The sweep at the end works on a queue of its own, so that this process is told of it, at a time that is so much later.
const (
	sweepQueue = "chaos-sweep"
	later      = 4 * 24 * time.Hour
	sweeps     = 2
)

// sweepLimit is more than a run leaves.
const sweepLimit = 100_000

// swept sweeps once every grace period is over, and looks whether all that is left is needed.
func (c *checker) swept(ctx context.Context, l *look) error {
	if err := c.sweep(ctx); err != nil {
		return err
	}
	needed := map[string]bool{}
	for digest := range c.oracle.blobs() {
		needed[storage.BlobKey(digest)] = true
	}
	for object, err := range c.stack.Storage.ListBlobs(ctx) {
		if err != nil {
			return err
		}
		l.Looked++
		if !needed[object.Key] {
			l.wrong("%s is in no version", object.Key)
		}
		delete(needed, object.Key)
	}
	for key := range needed {
		l.wrong("%s was swept away although a version needs it", key)
	}
	for object, err := range c.stack.Storage.ListStaged(ctx, "") {
		if err != nil {
			return err
		}
		l.wrong("%s is left in staging", object.Key)
	}
	for upload, err := range c.stack.Storage.ListUnfinishedUploads(ctx, "") {
		if err != nil {
			return err
		}
		l.wrong("an upload of %s is left unfinished since %s", upload.Key, upload.Initiated)
	}
	taken, err := c.stack.Catalog.ExpiredArchives(ctx, time.Now(), sweepLimit)
	if err != nil {
		return err
	}
	for _, a := range taken {
		l.wrong("archive %s was taken and is still written down", a.ID)
	}
	for object, err := range c.stack.Storage.ListArchives(ctx, "") {
		if err != nil {
			return err
		}
		l.wrong("%s is left although its time is over", object.Key)
	}
	return nil
}

// sweep runs the service's own sweep at a time at which everything is past its grace, and archives have expired. It runs
// again for what it has only found the first time.
func (c *checker) sweep(ctx context.Context) error {
	service := jobs.NewService(c.stack.Temporal, c.stack.Catalog, c.stack.Storage, c.stack.Logger)
	w := worker.New(c.stack.Temporal, sweepQueue, worker.Options{})
	w.RegisterWorkflow(workflows.SweepAll)
	w.RegisterActivity(&activities.Sweep{
		Catalog: c.stack.Catalog, Storage: c.stack.Storage, Logger: c.stack.Logger, Grace: later / 2, KeepTrash: 2 * later,
		Now:    func() time.Time { return time.Now().Add(later) },
		Settle: service.Settle,
	})
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	for range sweeps {
		started, err := c.stack.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{TaskQueue: sweepQueue}, workflows.SweepAll)
		if err != nil {
			return err
		}
		if err := started.Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}
