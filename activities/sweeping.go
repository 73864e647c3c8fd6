package activities

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"go.temporal.io/sdk/activity"
)

// maxFailures is after how many failures a step of the sweep gives up: then it is not this or that thing.
const maxFailures = 20

// Swept counts what a step of the sweep did.
type Swept struct {
	Looked int `json:"looked"` // things that were old enough
	Done   int `json:"done"`   // of these: removed, adopted, settled
	Failed int `json:"failed,omitempty"`
}

// sweepProgress is what a heartbeat of a step tells the next try.
type sweepProgress struct {
	Swept
	// After is the last key that was dealt with, in the order of the listing.
	After string `json:"after,omitempty"`
}

// sweepRun is one try of a step. It goes on where the try before stopped.
type sweepRun struct {
	beat   *heartbeat
	logger *slog.Logger

	mu     sync.Mutex
	at     sweepProgress
	failed error // the first failure
}

func beginSweep(ctx context.Context, logger *slog.Logger) *sweepRun {
	r := &sweepRun{logger: logger}
	if activity.HasHeartbeatDetails(ctx) {
		var before sweepProgress
		// Details of another version are no reason to fail: the step begins anew.
		if activity.GetHeartbeatDetails(ctx, &before) == nil {
			r.at = before
			r.at.Failed = 0 // each try tells its own
		}
	}
	r.beat = startHeartbeatOf(ctx, func() any { return r.progress() })
	return r
}

func (r *sweepRun) end() { r.beat.stop() }

func (r *sweepRun) progress() sweepProgress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

// passed tells whether an earlier try has dealt with the key. Where a store lists in another order, a try passes over
// too much, and the next sweep finds it.
func (r *sweepRun) passed(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return key <= r.at.After
}

// reached notes that everything up to the key is dealt with, except where something failed: the next try begins there.
func (r *sweepRun) reached(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed == nil {
		r.at.After = key
	}
}

// add counts a page.
func (r *sweepRun) add(looked, done int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at.Looked += looked
	r.at.Done += done
}

// note counts one thing, and how it ended.
func (r *sweepRun) note(ctx context.Context, doing string, done bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at.Looked++
	switch {
	case err != nil:
		if r.failed == nil {
			r.failed = fmt.Errorf("%s: %w", doing, err)
		}
		r.at.Failed++
		if ctx.Err() == nil {
			r.logger.WarnContext(ctx, "the sweep could not "+doing, "error", err)
		}
	case done:
		r.at.Done++
	}
}

// hopeless tells whether so much has failed that the step should end.
func (r *sweepRun) hopeless() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at.Failed >= maxFailures
}

func (r *sweepRun) removed() int { return r.progress().Done }

// result is what the try ends with: an error where it could not go on or something failed, so that it is tried again.
func (r *sweepRun) result(ctx context.Context, err error) (Swept, error) {
	r.mu.Lock()
	at, failed := r.at, r.failed
	r.mu.Unlock()
	if err == nil {
		err = failed
	}
	if ctx.Err() != nil {
		activity.RecordHeartbeat(ctx, at)
		return Swept{}, ctx.Err()
	}
	if err != nil {
		activity.RecordHeartbeat(ctx, at)
		return Swept{}, fmt.Errorf("after %d of %d: %w", at.Done, at.Looked, err)
	}
	return at.Swept, nil
}
