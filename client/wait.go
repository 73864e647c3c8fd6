package client

import (
	"context"
	"errors"
	"net/http"
	"time"
)

const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
	// patience is how long a service that went away is waited for: longer than a restart takes.
	patience = time.Minute
)

// wait polls until the job has ended. Its first answer must come at once; afterwards the service may be away for a
// while, because the job goes on without it.
func wait[J any](ctx context.Context, c *Client, get func(context.Context) (J, error), ended func(J) bool,
	progress func(*J) *float64, report func(J),
) (J, error) {
	var (
		none     J
		most     float64
		answered time.Time
		pause    = firstPoll
	)
	for {
		job, err := get(ctx)
		switch {
		case err == nil:
			answered = time.Now()
			// Progress is a reading of a moment, and a step that is tried again starts over.
			p := progress(&job)
			most = max(most, *p)
			*p = most
			if report != nil {
				report(job)
			}
			if ended(job) {
				return job, nil
			}
		case ctx.Err() != nil || answered.IsZero() || !mayComeBack(err) || time.Since(answered) > patience:
			return none, err
		case c.cfg.Retrying != nil:
			c.cfg.Retrying(err, pause)
		}
		if err := sleep(ctx, pause); err != nil {
			return none, err
		}
		pause = min(pause*3/2, lastPoll)
	}
}

func mayComeBack(err error) bool {
	var away *UnreachableError
	var refusal *Error
	var store *StoreError
	return errors.As(err, &away) || errors.As(err, &store) && store.passing() ||
		errors.As(err, &refusal) && (refusal.Status >= 500 || refusal.Status == http.StatusTooManyRequests)
}
