package telemetry

import (
	"context"
	"fmt"
	"sync"
)

// Check asks all dependencies at the same time and says of each what it answered: nil where all is well. It waits for
// none when ctx has ended.
func Check(ctx context.Context, checks map[string]func(context.Context) error) map[string]error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	results := make(map[string]error, len(checks))
	for name, check := range checks {
		wg.Go(func() {
			err := within(ctx, check)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	wg.Wait()
	return results
}

// within gives up on a check that does not heed its context.
func within(ctx context.Context, check func(context.Context) error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("the check panicked: %v", p)
			}
		}()
		done <- check(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
