package roma

import (
	"context"
	"sync"
	"time"
)

// maxDeliveryWait bounds how long a request for an archive waits for the end of another one's download.
const maxDeliveryWait = 5 * time.Second

// deliveries knows the archives of which a download is about to end: its last bytes are on their way to the client, and
// the catalog does not know yet. A client that has them and asks again must be told that the archive is gone. Between
// several API processes, a moment remains in which it is not.
type deliveries struct {
	mu      sync.Mutex
	pending map[string]*pendingDelivery // by archive id
}

type pendingDelivery struct {
	count int
	ended chan struct{}
}

func (d *deliveries) add(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending == nil {
		d.pending = make(map[string]*pendingDelivery)
	}
	if d.pending[id] == nil {
		d.pending[id] = &pendingDelivery{ended: make(chan struct{})}
	}
	d.pending[id].count++
}

func (d *deliveries) done(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pending[id]
	if p.count--; p.count == 0 {
		close(p.ended)
		delete(d.pending, id)
	}
}

// wait returns when no download of the archive is about to end, when ctx ends, or after 5 s.
func (d *deliveries) wait(ctx context.Context, id string) {
	d.mu.Lock()
	p := d.pending[id]
	d.mu.Unlock()
	if p == nil {
		return
	}
	timer := time.NewTimer(maxDeliveryWait)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
}
