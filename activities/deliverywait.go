package activities

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"assetflow/addons"
	"assetflow/catalog"
)

const (
	// lookEvery is how often a target is looked at that takes its time.
	lookEvery = time.Second
	// maxShown is how many workloads a heartbeat tells of, and maxNamed how many a message names.
	maxShown = 50
	maxNamed = 5
	// maxWorkloadMessage is how much a heartbeat tells of why a workload is not ready, in bytes.
	maxWorkloadMessage = 256
)

// DeliveryProgress is what the heartbeat of a step tells that waits for a target: workloads that are ready of all, or
// objects that are gone.
type DeliveryProgress struct {
	Progress
	Workloads []addons.Workload `json:"workloads,omitempty"` // at most 50
	// Attempt is the try in which the target has answered last: what an earlier one failed of has passed.
	Attempt int32 `json:"attempt,omitempty"`
}

// AwaitHealthy waits until the workloads of the release are ready, and tells meanwhile how far they are. It ends in an
// Unhealthy error when they are not ready in time, counted from the first try on, or will not become so by themselves.
func (a *Delivery) AwaitHealthy(ctx context.Context, job DeliveryJob, step DeliveryStep) error {
	look := startLooking(ctx)
	defer look.stop()

	return a.perform(ctx, job, step, func(ctx context.Context) ([]string, error) {
		target, err := a.Targets.For(job.ProjectID, job.TargetID)
		if err != nil {
			return nil, err
		}
		for failed := false; ; {
			health, err := target.Health(ctx, job.release())
			if err != nil {
				return nil, fmt.Errorf("look how far the workloads are: %w", err)
			}
			look.saw(ctx, healthProgress(health))
			switch {
			case health.Ready:
				return []string{ready(health.Workloads)}, nil
			case health.Failed != "" && failed: // a second look, not to fall for what passes by itself
				return nil, unhealthy("The add-on will not become healthy: " + health.Failed)
			case !time.Now().Before(step.Until):
				return nil, unhealthy(fmt.Sprintf("The add-on did not become healthy within %s: %s", job.HealthTimeout, unready(health)))
			}
			failed = health.Failed != ""
			if err := a.pause(ctx); err != nil {
				return nil, err
			}
		}
	})
}

// AwaitRemoved waits until nothing of the release is left on the target. It ends in an Unfinished error when that takes too
// long.
func (a *Delivery) AwaitRemoved(ctx context.Context, job DeliveryJob, step DeliveryStep) error {
	look := startLooking(ctx)
	defer look.stop()

	return a.perform(ctx, job, step, func(ctx context.Context) ([]string, error) {
		target, err := a.Targets.For(job.ProjectID, job.TargetID)
		if err != nil {
			return nil, err
		}
		for most := 0; ; {
			remains, err := target.Remains(ctx, job.release())
			if err != nil {
				return nil, fmt.Errorf("look what is left: %w", err)
			}
			most = max(most, len(remains))
			look.saw(ctx, DeliveryProgress{Progress: Progress{Done: int64(most - len(remains)), Total: int64(most)}})
			switch {
			case len(remains) == 0:
				return []string{"Everything is gone"}, nil
			case !time.Now().Before(step.Until):
				return nil, temporal.NewNonRetryableApplicationError("Not everything was gone in time; still there: "+named(remains)+".", Unfinished, nil)
			}
			if err := a.pause(ctx); err != nil {
				return nil, err
			}
		}
	})
}

// looking is a heartbeat that tells what was seen last.
type looking struct {
	*heartbeat
	seen atomic.Pointer[DeliveryProgress]
}

// startLooking begins with what an earlier try saw.
func startLooking(ctx context.Context) *looking {
	l := new(looking)
	var last DeliveryProgress
	if activity.HasHeartbeatDetails(ctx) && activity.GetHeartbeatDetails(ctx, &last) != nil {
		last = DeliveryProgress{} // another version's
	}
	l.seen.Store(&last)
	l.heartbeat = startHeartbeatOf(ctx, func() any { return *l.seen.Load() })
	return l
}

func (l *looking) saw(ctx context.Context, p DeliveryProgress) {
	p.Attempt = activity.GetInfo(ctx).Attempt
	l.seen.Store(&p)
}

// pause waits until the next look. A worker that stops does not wait: another one goes on.
func (a *Delivery) pause(ctx context.Context) error {
	every := a.Poll
	if every == 0 {
		every = lookEvery
	}
	timer := time.NewTimer(every)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-activity.GetWorkerStopChannel(ctx):
		return again(Unavailable, "the worker that performed the step was stopped; another one goes on", nil)
	}
}

func unhealthy(message string) error {
	return temporal.NewNonRetryableApplicationError(sentence(cut(message, catalog.MaxTaskMessage)), Unhealthy, nil)
}

func healthProgress(health addons.Health) DeliveryProgress {
	p := DeliveryProgress{Workloads: make([]addons.Workload, 0, min(len(health.Workloads), maxShown))}
	for _, w := range health.Workloads {
		p.Done += int64(min(w.Ready, w.Wanted))
		p.Total += int64(w.Wanted)
		if len(p.Workloads) < maxShown {
			w.Message = cut(w.Message, maxWorkloadMessage)
			p.Workloads = append(p.Workloads, w)
		}
	}
	return p
}

// ready says how many are ready of all.
func ready(workloads []addons.Workload) string {
	p := healthProgress(addons.Health{Workloads: workloads})
	return fmt.Sprintf("Ready %d of %d", p.Done, p.Total)
}

// unready names what is not ready, and why.
func unready(health addons.Health) string {
	if health.Failed != "" {
		return health.Failed
	}
	var texts []string
	more := 0
	for _, w := range health.Workloads {
		switch {
		case w.Ready >= w.Wanted:
		case len(texts) == maxNamed:
			more++
		default:
			text := fmt.Sprintf("%s %s has %d of %d ready", w.Kind, w.Name, w.Ready, w.Wanted)
			if w.Message != "" {
				text += " (" + cut(strings.TrimRight(w.Message, "."), maxWorkloadMessage) + ")"
			}
			texts = append(texts, text)
		}
	}
	return joined(texts, more, "it is not ready")
}

func named(objects []addons.Object) string {
	texts := make([]string, min(len(objects), maxNamed))
	for i := range texts {
		texts[i] = objects[i].Kind + " " + objects[i].Name
	}
	return joined(texts, len(objects)-len(texts), "something")
}

// joined lists texts and how many more there are.
func joined(texts []string, more int, none string) string {
	if len(texts) == 0 {
		return none
	}
	text := strings.Join(texts, ", ")
	if more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// cut shortens a text to at most a number of bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
