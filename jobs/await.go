package jobs

import (
	"context"
	"time"
)

// How often a job that is awaited is looked up: soon at first, as most jobs are short.
const (
	firstLook   = 20 * time.Millisecond
	longestLook = time.Second
)

// Await waits until a job has ended, for at most the given time, and tells its state then, ended or not. It looks the job
// up again and again, and hears besides of the end of its workflow: that may be told late, but is mostly told first.
// Errors as with Get; that of ctx when it ends.
func (s *Service) Await(ctx context.Context, projectID, jobID string, most time.Duration) (Job, error) {
	job, err := s.Get(ctx, projectID, jobID)
	if err != nil || job.State.Ended() {
		return job, err
	}
	over := time.NewTimer(most)
	defer over.Stop()
	listening, stop := context.WithCancel(ctx)
	defer stop()
	closed := s.closed(listening, job)
	for pause := firstLook; ; pause = min(2*pause, longestLook) {
		last := false
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-closed:
			closed = nil // once is enough
		case <-over.C:
			last = true
		case <-ctx.Done():
			again.Stop()
			return job, ctx.Err()
		}
		again.Stop()
		if job, err = s.Get(ctx, projectID, jobID); err != nil || last || job.State.Ended() {
			return job, err
		}
	}
}

// closed gives a channel that is closed when the job's run has, as far as one can hear; not when ctx ends first.
func (s *Service) closed(ctx context.Context, job Job) <-chan struct{} {
	done := make(chan struct{})
	runID, known := s.runs.get(job.ID)
	if !known {
		return done
	}
	go func() {
		run := s.temporal.GetWorkflow(ctx, job.WorkflowID, runID)
		_ = run.Get(ctx, nil) // how it ended is for Get to say
		if ctx.Err() == nil {
			close(done)
		}
	}()
	return done
}
