package jobs

import "sync"

// position is a point in a run's history: what stands before it never changes.
type position struct {
	runID  string
	length int64
}

// stepCache remembers which step a position follows, so that callers who poll a waiting job do not have its history
// read each time.
type stepCache struct {
	mu    sync.Mutex
	steps map[position]string
}

// maxCachedSteps bounds the cache: a few hundred kilobytes.
const maxCachedSteps = 4096

func (c *stepCache) get(at position) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	step, ok := c.steps[at]
	return step, ok
}

func (c *stepCache) put(at position, step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps == nil || len(c.steps) >= maxCachedSteps {
		c.steps = make(map[position]string) // a miss costs one read, so forgetting all now and then is fine
	}
	c.steps[at] = step
}
