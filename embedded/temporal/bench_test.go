package temporal_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"assetflow/embedded/temporal"
)

// BenchmarkWorkflow measures a workflow of no-op activities from its start to its result, one at a time and 16 at once,
// on a database in a folder:
//
//	go test ./embedded/temporal -run - -bench Workflow -benchtime 300x
//
// ns/op is the time per workflow of the whole run (so 1e9/it is the rate, also given as wf/s); p50 and p99 are what one
// caller waits.
func BenchmarkWorkflow(b *testing.B) {
	dir := b.TempDir()
	s := start(b, temporal.Options{DataDir: dir})
	c := dial(b, s, "")
	startWorker(b, c)
	for _, steps := range []int{1, 4} {
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("activities=%d/callers=%d", steps, callers), func(b *testing.B) {
				benchmark(b, c, steps, callers)
			})
		}
	}
}

func benchmark(b *testing.B, c client.Client, steps, callers int) {
	ctx := context.Background()
	var mu sync.Mutex
	var waits []time.Duration
	todo := make(chan int)
	var all sync.WaitGroup
	b.ResetTimer()
	for caller := range callers {
		all.Go(func() {
			for range todo {
				begin := time.Now()
				run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
					ID: fmt.Sprintf("bench-%d", caller), TaskQueue: taskQueue,
				}, runActivities, steps)
				if err == nil {
					err = run.Get(ctx, nil)
				}
				if err != nil {
					b.Error(err)
				}
				mu.Lock()
				waits = append(waits, time.Since(begin))
				mu.Unlock()
			}
		})
	}
	for i := range b.N {
		todo <- i
	}
	close(todo)
	all.Wait()
	b.StopTimer()
	slices.Sort(waits)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "wf/s")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
}
