package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/worker"

	assetclient "assetflow/client"
	"assetflow/prodstack"
	"assetflow/workflows"
)

// scaleTime bounds a figure, whatever the machine does.
const scaleTime = 25 * time.Minute

// arrangement is how many processes there are.
type arrangement struct{ apis, workers int }

// scaled is what was measured of an arrangement, a value for each round.
type scaled struct {
	ours, theirs []float64 // rates
	ratios       []float64
	submits      []time.Duration
	cost         cost
	jobs         int
	wall         time.Duration
	others       time.Duration // what the machine's other processes used meanwhile
	commits      transactions
	logSize      int64 // of PostgreSQL
}

type scaleFigure func(ctx context.Context, z sizes, out io.Writer) error

func bounded(f scaleFigure) func(context.Context, *stack, sizes, io.Writer) error {
	return func(ctx context.Context, _ *stack, z sizes, out io.Writer) error {
		ctx, cancel := context.WithTimeout(ctx, scaleTime)
		defer cancel()
		return f(ctx, z, out)
	}
}

// scaleProcesses compares imports of a small package with bare workflows on the servers of production, with more and fewer
// APIs and workers, and says what each part of the stack costs.
func scaleProcesses(ctx context.Context, z sizes, out io.Writer) error {
	p, err := startProduction(ctx, prodstack.Options{APIs: 1, Workers: 1})
	if err != nil {
		return err
	}
	defer p.stop()
	arrangements := []arrangement{{1, 1}, {1, 2}, {1, 4}, {2, 1}, {2, 2}, {2, 4}}
	results := map[arrangement]*scaled{}
	for range z.scaleRounds { // outermost, so that a slow minute of the machine hits all
		for _, a := range arrangements {
			if results[a] == nil {
				results[a] = new(scaled)
			}
			if err := p.measure(ctx, a, z, results[a]); err != nil {
				return fmt.Errorf("%d APIs, %d workers: %w", a.apis, a.workers, err)
			}
		}
	}
	var rates, costs [][]string
	for _, a := range arrangements {
		r := results[a]
		name := []string{fmt.Sprint(a.apis), fmt.Sprint(a.workers)}
		rates = append(rates, append(name, r.rates()...))
		costs = append(costs, append(name, r.costs()...))
	}
	head := []string{"APIs", "workers"}
	table(out, fmt.Sprintf("(i) Import of a small package (%d assets, %d KiB) on the servers of production beside a bare workflow of %d no-op "+
		"steps, %d users, %d rounds of %d", smallAssets, smallBytes>>10, len(workflows.ImportSteps), z.scaleUsers, z.scaleRounds, z.scaleJobs),
		append(head, scaledRates...), rates)
	table(out, "(i) What an import costs there, in milliseconds of processor time by part", append(head, scaledCosts...), costs)
	return nil
}

// scaleShards does the same for Temporal servers with more and fewer history shards, each with a stack of its own.
func scaleShards(ctx context.Context, z sizes, out io.Writer) error {
	var rates [][]string
	for _, shards := range []int{1, 4, 64} {
		r, err := oneShards(ctx, z, shards)
		if err != nil {
			return fmt.Errorf("%d shards: %w", shards, err)
		}
		rates = append(rates, append([]string{fmt.Sprint(shards)}, r.rates()...))
	}
	table(out, "(i) The same with 1 API and 2 workers, by Temporal's history shards", append([]string{"shards"}, scaledRates...), rates)
	return nil
}

func oneShards(ctx context.Context, z sizes, shards int) (*scaled, error) {
	p, err := startProduction(ctx, prodstack.Options{APIs: 1, Workers: 2, HistoryShards: shards})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	r := new(scaled)
	for range z.scaleRounds {
		if err := p.measure(ctx, arrangement{1, 2}, z, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// production is a production stack with what drives it.
type production struct {
	*stack
	running *prodstack.Stack
	callers []*assetclient.Client
}

func startProduction(ctx context.Context, opts prodstack.Options) (_ *production, err error) {
	dir, err := os.MkdirTemp("", "assetflow-bench-")
	if err != nil {
		return nil, err
	}
	opts.DataDir, opts.Programs = dir, cmp.Or(os.Getenv(prodstack.ProgramsVariable), filepath.Join("bin", "production"))
	opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	running, err := prodstack.Start(ctx, opts)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p := &production{running: running, stack: &stack{dir: dir, auth: running.Auth(), catalog: running.Catalog(), temporal: running.Temporal()}}
	p.Credentials = running.Credentials()
	return p, nil
}

func (p *production) stop() {
	p.running.Stop(context.Background()) // also after ctx has ended
	_ = os.RemoveAll(p.dir)
}

// measure does a round: half of the bare workflows, the imports, and the other half.
func (p *production) measure(ctx context.Context, a arrangement, z sizes, r *scaled) error {
	if err := p.running.Scale(ctx, a.apis, a.workers); err != nil {
		return err
	}
	for i := len(p.callers); i < z.scaleUsers; i++ {
		c, _, err := p.caller(ctx, fmt.Sprintf("scale-%d", i))
		if err != nil {
			return err
		}
		p.callers = append(p.callers, c)
	}
	bares, err := p.startBareWorkers(a.workers)
	if err != nil {
		return err
	}
	defer func() {
		for _, w := range bares {
			w.Stop()
		}
	}()
	theirOnce := p.bareOnce(len(workflows.ImportSteps), lengthening)
	var (
		mu      sync.Mutex
		submits []time.Duration
	)
	ourOnce := func(ctx context.Context, user, _ int) error {
		pkg := spec(serial.Add(1), smallAssets, smallBytes).Bytes()
		begin := time.Now()
		id, err := p.callers[user].Import(ctx, "small.zip", bytes.NewReader(pkg), int64(len(pkg)), assetclient.ImportOptions{})
		if err != nil {
			return err
		}
		mu.Lock()
		submits = append(submits, time.Since(begin))
		mu.Unlock()
		return awaitJob(ctx, p.callers[user], id, lengthening)
	}
	// New processes have connections to make.
	for _, once := range []operation{ourOnce, theirOnce} {
		if _, err := p.load(ctx, z.scaleUsers, 2*z.scaleUsers, once); err != nil {
			return err
		}
	}
	submits = nil
	before, err := p.load(ctx, z.scaleUsers, z.scaleJobs/2, theirOnce)
	if err != nil {
		return err
	}
	used, err := p.using(ctx)
	if err != nil {
		return err
	}
	ours, err := p.load(ctx, z.scaleUsers, z.scaleJobs, ourOnce)
	if err != nil {
		return err
	}
	if err := used.until(ctx, p, ours.wall, r); err != nil {
		return err
	}
	after, err := p.load(ctx, z.scaleUsers, z.scaleJobs/2, theirOnce)
	if err != nil {
		return err
	}
	before.add(after)
	r.ours, r.theirs = append(r.ours, ours.rate()), append(r.theirs, before.rate())
	r.ratios = append(r.ratios, ours.rate()/before.rate())
	r.submits, r.jobs = append(r.submits, submits...), r.jobs+len(ours.took)
	fmt.Fprintf(os.Stderr, "bench: %d APIs, %d workers: %.1f imports/s, %.1f bare workflows/s\n", a.apis, a.workers, ours.rate(), before.rate())
	return nil
}

// startBareWorkers starts as many workers for bare workflows as there are of ours.
func (p *production) startBareWorkers(n int) (started []worker.Worker, err error) {
	for range n {
		w, err := p.startBareWorker()
		if err != nil {
			return started, err
		}
		started = append(started, w)
	}
	return started, nil
}

var scaledRates = []string{"imports", "bare workflows", "ratio of rates", "spread", "submit p50", "submit p99"}

func (r *scaled) rates() []string {
	low, high := slices.Min(r.ratios), slices.Max(r.ratios)
	return []string{
		fmt.Sprintf("%.1f/s", median(r.ours)), fmt.Sprintf("%.1f/s", median(r.theirs)), fmt.Sprintf("**%.2f**", median(r.ratios)),
		fmt.Sprintf("%.2f to %.2f", low, high), millis(quantile(r.submits, 0.5)), millis(quantile(r.submits, 0.99)),
	}
}

var scaledCosts = append(slices.Clone(parts), "all", "of the machine", "others took",
	"transactions of "+strings.Join(databases, ", "), "write-ahead log")

func (r *scaled) costs() []string {
	var row []string
	var all time.Duration
	for _, part := range parts {
		all += r.cost[part]
		row = append(row, fmt.Sprintf("%.1f", perJob(r.cost[part], r.jobs)))
	}
	machine := r.wall * time.Duration(cores())
	return append(row, fmt.Sprintf("**%.1f**", perJob(all, r.jobs)), percent(all, machine), percent(r.others, machine),
		r.commits.perJob(r.jobs), fmt.Sprintf("%d KiB", r.logSize/int64(r.jobs)>>10))
}

func perJob(d time.Duration, jobs int) float64 {
	return float64(d) / float64(time.Millisecond) / float64(jobs)
}

func percent(part, whole time.Duration) string {
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

// databases are those of the stack's PostgreSQL server.
var databases = []string{"assetflow", "temporal", "temporal_visibility"}

// transactions are how many were committed in each of the databases.
type transactions []int64

func (t transactions) perJob(jobs int) string {
	each := make([]string, len(t))
	for i, n := range t {
		each[i] = fmt.Sprintf("%.0f", float64(n)/float64(jobs))
	}
	return strings.Join(each, " + ")
}

// usage is what was used when it was looked.
type usage struct {
	cost    cost
	machine time.Duration
	commits transactions
	log     int64
}

func (p *production) using(ctx context.Context) (u usage, err error) {
	if u.cost, err = costOf(p.running.Processes()); err != nil {
		return u, err
	}
	if u.machine, err = machineTime(); err != nil {
		return u, err
	}
	conn, err := pgx.Connect(ctx, p.running.PostgresURL())
	if err != nil {
		return u, err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, `SELECT ARRAY(SELECT coalesce(xact_commit, 0) FROM unnest($1::text[]) WITH ORDINALITY AS named(datname, n)
		LEFT JOIN pg_stat_database USING (datname) ORDER BY n), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint`,
		databases).Scan(&u.commits, &u.log)
	return u, err
}

// until adds what was used since.
func (u usage) until(ctx context.Context, p *production, wall time.Duration, r *scaled) error {
	now, err := p.using(ctx)
	if err != nil {
		return err
	}
	if r.cost == nil {
		r.cost = cost{}
	}
	others := now.machine - u.machine
	for part, used := range now.cost {
		r.cost[part] += used - u.cost[part]
		others -= used - u.cost[part]
	}
	r.wall += wall
	r.others += max(0, others)
	if r.commits == nil {
		r.commits = make(transactions, len(databases))
	}
	for i := range databases {
		r.commits[i] += now.commits[i] - u.commits[i]
	}
	r.logSize += now.log - u.log
	return nil
}

// partOf names the part of the stack that a process belongs to.
func partOf(process string) string {
	name, _, _ := strings.Cut(process, "-")
	return name
}
