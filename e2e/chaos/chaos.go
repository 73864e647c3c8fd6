// Package chaos runs the whole service as separate processes, kills one of them at random moments while users import,
// delete and export, brings it back, and compares what is left with an oracle: a plain model to which every job that was
// accepted is applied once, in the order in which the jobs took effect.
//
// The processes are re-executions of the running binary, so its main function (or TestMain) calls Main first. They listen
// on loopback and share one data folder, which is kept, with logs and the history of events, when something is wrong.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"assetflow/e2e/process"
)

const (
	users = 5
	// drainTime is how long users get, after the last round, until all they asked for has been accepted and has ended.
	drainTime = 8 * time.Minute
	// A process lives up to killAfter once the round begins, and is gone for up to downTime.
	killAfter = 900 * time.Millisecond
	downTime  = 600 * time.Millisecond
	// A round ends when so many jobs have been accepted or have ended since everything was up again, or after roundTime.
	roundSteps = 4
	roundTime  = 4 * time.Second
)

// Options says how long a run is.
type Options struct {
	Rounds int          // how many processes are killed, one after the other; required
	Seed   uint64       // decides what users do and who is killed; a random one where 0
	Logger *slog.Logger // says what happens; nothing where nil
	Out    io.Writer    // gets the report as text; nothing where nil
}

// Main plays a role and ends the process where the environment names one; otherwise it returns at once.
func Main() { process.Main() }

// Run starts the stack, plays the rounds, and checks what is left. The error is of the first process that ended by
// itself, of what stood in the way of the run, or says how many checks failed; the report is as full as the run got.
func Run(ctx context.Context, opts Options) (report Report, err error) {
	if opts.Rounds < 1 {
		return Report{}, errors.New("chaos: Rounds must be at least 1")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64N(1<<32) + 1
	}
	dir, err := os.MkdirTemp("", "assetflow-chaos-")
	if err != nil {
		return Report{}, err
	}
	began := time.Now()
	r := &run{opts: opts, dir: dir, random: newRandom(opts.Seed, 0), progress: make(chan struct{}, 1024)}
	r.report = Report{Seed: opts.Seed, Dir: dir, Kills: map[process.Role]int{}}
	defer func() {
		r.report.Took = time.Since(began)
		if err == nil && r.report.Problems() > 0 {
			err = fmt.Errorf("chaos: %d findings with seed %d; logs and history are in %s", r.report.Problems(), opts.Seed, dir)
		}
		if err == nil {
			err = os.RemoveAll(dir)
			r.report.Dir = ""
		} else {
			err = fmt.Errorf("seed %d, %s: %w", opts.Seed, dir, err)
		}
		report = r.report
		if opts.Out != nil {
			_, _ = io.WriteString(opts.Out, report.String())
		}
	}()
	if r.history, err = openHistory(dir); err != nil {
		return r.report, err
	}
	defer func() { err = errors.Join(err, r.history.close()) }()
	return r.report, r.play(ctx)
}

// run is one run.
type run struct {
	opts     Options
	dir      string
	random   *rand.Rand // of the rounds; every user has one of its own
	history  *history
	stack    *stack
	users    []*user
	progress chan struct{} // one for every job that was accepted or has ended
	report   Report
}

func (r *run) play(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var err error
	if r.stack, err = startStack(ctx, r.dir, fail); err != nil {
		return err
	}
	defer r.stack.stop()
	if err := r.addUsers(ctx); err != nil {
		return err
	}
	stop := make(chan struct{})
	var working sync.WaitGroup
	for _, u := range r.users {
		working.Go(func() {
			if err := u.work(ctx, stop); err != nil {
				fail(fmt.Errorf("user %d: %w", u.number, err))
			}
		})
	}
	roundsErr := r.rounds(ctx)
	close(stop)
	drained := time.AfterFunc(drainTime, func() { fail(fmt.Errorf("not all jobs were accepted and ended %s after the last round", drainTime)) })
	working.Wait()
	drained.Stop()
	for _, u := range r.users {
		r.report.count(u)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if roundsErr != nil {
		return roundsErr
	}
	return r.check(ctx)
}

// rounds kills a process per round and brings it back.
func (r *run) rounds(ctx context.Context) error {
	var victims []process.Role // each once, before anybody's turn comes again
	for round := 1; round <= r.opts.Rounds; round++ {
		if len(victims) == 0 {
			victims = slices.Clone(process.Roles)
			r.random.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
		}
		role := victims[0]
		victims = victims[1:]
		if err := pause(ctx, r.upTo(killAfter)); err != nil {
			return err
		}
		r.stack.kill(role)
		r.report.Kills[role]++
		r.history.add(event{Round: round, What: "killed", Role: role})
		if role == process.API {
			r.forgetClaims(ctx)
		}
		if err := pause(ctx, r.upTo(downTime)); err != nil {
			return err
		}
		if err := r.stack.start(ctx, role); err != nil {
			return err
		}
		r.report.Rounds = round
		r.history.add(event{Round: round, What: "up again", Role: role})
		r.opts.Logger.InfoContext(ctx, "round", "round", round, "killed", string(role), "jobs", r.accepted())
		if err := r.awaitProgress(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) upTo(d time.Duration) time.Duration { return time.Duration(r.random.Int64N(int64(d))) }

// forgetClaims lets the claims of requests run out that died with the API process. They would by themselves, a minute
// later; that minute is all that is skipped.
func (r *run) forgetClaims(ctx context.Context) {
	for _, u := range r.users {
		u.expireClaim(ctx)
	}
}

// awaitProgress returns when jobs move again, or have not for a while: a kill may hold every one of them up for as long
// as a lost worker is waited for.
func (r *run) awaitProgress(ctx context.Context) error {
	for len(r.progress) > 0 {
		<-r.progress
	}
	timer := time.NewTimer(roundTime)
	defer timer.Stop()
	for range roundSteps {
		select {
		case <-r.progress:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (r *run) accepted() int {
	n := 0
	for _, u := range r.users {
		n += int(u.accepted.Load())
	}
	return n
}

func newRandom(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
