package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	assetclient "assetflow/client"
	"assetflow/workflows"
)

// smallBytes and smallAssets make the small package: enough to be real, too little to measure a disk.
const (
	smallBytes  = 64 << 10
	smallAssets = 5
)

// benchSmall compares imports of a small package with bare workflows on the same server.
func benchSmall(ctx context.Context, s *stack, z sizes, out io.Writer) error {
	w, err := s.startBareWorker()
	if err != nil {
		return err
	}
	defer w.Stop()
	theirOnce := s.bareOnce(len(workflows.ImportSteps), lengthening)

	callers := make([]*assetclient.Client, z.users[len(z.users)-1])
	for i := range callers {
		var err error
		if callers[i], _, err = s.caller(ctx, fmt.Sprintf("bench-%d", i)); err != nil {
			return err
		}
	}
	if _, err := s.load(ctx, 2, 8, s.importOnce(callers)); err != nil { // warm up both sides
		return err
	}
	if _, err := s.load(ctx, 2, 8, theirOnce); err != nil {
		return err
	}

	var rows [][]string
	for _, users := range z.users {
		// Alternating halves, so that a slow minute of the machine hits both.
		var ours, theirs measured
		for range 2 {
			for side, once := range map[*measured]operation{&ours: s.importOnce(callers), &theirs: theirOnce} {
				m, err := s.load(ctx, users, z.imports[users]/2, once)
				if err != nil {
					return err
				}
				side.add(m)
			}
		}
		rows = append(rows, []string{
			fmt.Sprint(users),
			fmt.Sprintf("%.1f/s", ours.rate()), millis(quantile(ours.took, 0.5)), millis(quantile(ours.took, 0.99)),
			fmt.Sprintf("%.1f/s", theirs.rate()), millis(quantile(theirs.took, 0.5)), millis(quantile(theirs.took, 0.99)),
			fmt.Sprintf("**%.2f**", ours.rate()/theirs.rate()),
		})
	}
	table(out, fmt.Sprintf("(a) Import of a small package (%d assets, %d KiB) beside a bare workflow of %d no-op steps",
		smallAssets, smallBytes>>10, len(workflows.ImportSteps)),
		[]string{"users", "imports", "p50", "p99", "bare workflows", "p50", "p99", "ratio of rates"}, rows)
	return nil
}

// operation does one thing as the user-th caller and returns when it has ended.
type operation func(ctx context.Context, user, n int) error

type measured struct {
	took []time.Duration
	wall time.Duration
}

func (m *measured) add(o measured) { m.took, m.wall = append(m.took, o.took...), m.wall+o.wall }

func (m *measured) rate() float64 { return float64(len(m.took)) / m.wall.Seconds() }

// load does n operations by some users at once, each user one after the other.
func (s *stack) load(ctx context.Context, users, n int, once operation) (measured, error) {
	var (
		m    measured
		mu   sync.Mutex
		next atomic.Int64
	)
	group, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	for user := range users {
		group.Go(func() error {
			for {
				i := int(next.Add(1))
				if i > n {
					return nil
				}
				start := time.Now()
				if err := once(ctx, user, i); err != nil {
					return err
				}
				mu.Lock()
				m.took = append(m.took, time.Since(start))
				mu.Unlock()
			}
		})
	}
	err := group.Wait()
	m.wall = time.Since(begin)
	return m, err
}

// serial numbers the packages of a run.
var serial atomic.Int64

func (s *stack) importOnce(callers []*assetclient.Client) operation {
	return func(ctx context.Context, user, _ int) error {
		pkg := spec(serial.Add(1), smallAssets, smallBytes).Bytes()
		c := callers[user]
		id, err := c.Import(ctx, "small.zip", bytes.NewReader(pkg), int64(len(pkg)), assetclient.ImportOptions{})
		if err != nil {
			return err
		}
		return awaitJob(ctx, c, id, lengthening)
	}
}
