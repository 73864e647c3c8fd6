package assetpackage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	// runBytes is how much of the archive is read over one range when files are small: a request per file would
	// cost more than the file.
	runBytes = 8 * mib
	// runGap is how many bytes between two files are read and thrown away rather than starting a new range.
	runGap = 64 * kib
	// verifyParallel bounds how many ranges are read at once. One worker for each processor keeps them busy; more
	// than a few gain nothing, because then the source is what limits.
	verifyParallel = 4
	// progressStep is after how many bytes progress is told.
	progressStep = 1 * mib
)

// Verify reads every file once and compares size, checksum and SHA-256 with what the package says of it. It reads
// several ranges of the source at once and holds no more than a buffer for each.
//
// progress may be nil. It is called with the decompressed bytes done so far, which never fall, and with their total;
// never by two goroutines at once; at the end of a successful Verify with both equal.
//
// Files whose bytes are wrong end in a *ProblemsError after all others were read; every other error is a failure to
// read the source, or the end of ctx.
func (p *Package) Verify(ctx context.Context, progress func(doneBytes, totalBytes int64)) error {
	v := verifier{
		p:     p,
		found: make([][]Problem, len(p.items)),
		meter: meter{total: p.summary.Bytes, report: progress},
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(verifyParallel, runtime.GOMAXPROCS(0)))
	for run := range slices.Values(p.runs()) {
		group.Go(func() error { return v.run(ctx, run) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	v.meter.finish()
	var ps problems
	for _, found := range v.found {
		for _, problem := range found {
			ps.append(problem)
		}
	}
	return ps.err()
}

// runs groups the files, given by their index, into stretches of the archive.
func (p *Package) runs() [][]int {
	order := make([]int, len(p.items))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p.items[a].entry.offset, p.items[b].entry.offset) })
	var runs [][]int
	first := 0
	for i := range order {
		if i > first {
			start, before, this := p.items[order[first]].entry, p.items[order[i-1]].entry, p.items[order[i]].entry
			if this.end-start.offset > runBytes || this.offset-before.end > runGap {
				runs = append(runs, order[first:i])
				first = i
			}
		}
	}
	if len(order) > 0 {
		runs = append(runs, order[first:])
	}
	return runs
}

// verifier is one call of Verify.
type verifier struct {
	p     *Package
	found [][]Problem // by file; each is written by one goroutine
	meter meter
}

// run reads the files of one stretch of the archive.
func (v *verifier) run(ctx context.Context, indexes []int) error {
	first, last := v.p.items[indexes[0]].entry, v.p.items[indexes[len(indexes)-1]].entry
	s, err := openStream(ctx, v.p.src, first.offset, last.end)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }() // read only: a failed close loses nothing
	buffer := verifyPool.Get().(*[bufferBytes]byte)
	defer verifyPool.Put(buffer)
	for _, i := range indexes {
		it := &v.p.items[i]
		err := v.file(ctx, s, it, buffer[:])
		var bad *ProblemsError
		switch {
		case errors.As(err, &bad):
			v.found[i] = bad.Problems
		case err != nil:
			return fmt.Errorf("verify %s: %w", quote(it.file.Path), err)
		}
	}
	return nil
}

var verifyPool = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

// file reads one file to its end.
func (v *verifier) file(ctx context.Context, s *archiveStream, it *item, buffer []byte) error {
	if err := s.skipTo(it.entry.offset); err != nil {
		return cmp.Or(s.err, err)
	}
	c, err := openContent(it, s)
	if err != nil {
		return err
	}
	defer c.release()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := c.Read(buffer)
		v.meter.add(int64(n))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// meter tells how far the work is, now and then, from any goroutine.
type meter struct {
	total  int64
	report func(done, total int64)

	mu   sync.Mutex
	done int64
	told int64
}

func (m *meter) add(n int64) {
	if m.report == nil || n == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	if m.done-m.told >= progressStep {
		m.told = m.done
		m.report(m.done, m.total)
	}
}

func (m *meter) finish() {
	if m.report != nil {
		m.report(m.total, m.total)
	}
}
