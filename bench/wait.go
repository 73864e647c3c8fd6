package main

import (
	"context"
	"fmt"
	"time"

	assetclient "assetflow/client"
)

// pace says how long a caller who has waited so far waits before it asks again whether its job has ended. Both sides of
// a comparison have the same.
type pace func(waited time.Duration) time.Duration

// lengthening asks for the first time after 10 ms and then after a quarter of the time waited so far, so that the
// questions of many callers are not the load.
func lengthening(waited time.Duration) time.Duration { return max(10*time.Millisecond, waited/4) }

// every asks ever again, for one caller whose time is to be known closely.
func every(d time.Duration) pace { return func(time.Duration) time.Duration { return d } }

// waitUntil asks until the answer is yes.
func (p pace) waitUntil(ctx context.Context, ended func() (bool, error)) error {
	begin := time.Now()
	for {
		select {
		case <-time.After(p(time.Since(begin))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if done, err := ended(); done || err != nil {
			return err
		}
	}
}

// awaitJob waits until a job has succeeded.
func awaitJob(ctx context.Context, c *assetclient.Client, id string, p pace) error {
	return p.waitUntil(ctx, func() (bool, error) {
		job, err := c.Job(ctx, id)
		if err == nil && job.Status == assetclient.Failed {
			err = fmt.Errorf("the job failed: %+v", job.Reasons)
		}
		return job.Ended(), err
	})
}
