package s3

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
)

// requests knows the handlers that run and the connections requests came on. The gateway's own shutdown cancels its
// handlers, but waits ten seconds for a client that does not read its answer, and then leaves the connection open.
type requests struct {
	mu       sync.Mutex
	handlers int
	idle     chan struct{}         // closed when no handler runs after end was called
	conns    map[net.Conn]struct{} // open connections, and some that have been closed since the last prune
	prune    int                   // the size of conns at which closed ones are dropped
	over     bool
	settled  bool
}

const firstPrune = 64

func newRequests() *requests {
	return &requests{idle: make(chan struct{}), conns: map[net.Conn]struct{}{}, prune: firstPrune}
}

// track is the middleware that sees every request.
func (r *requests) track(c fiber.Ctx) error {
	if !r.begin(c.RequestCtx().Conn()) {
		return fiber.ErrServiceUnavailable
	}
	defer r.done()
	return c.Next()
}

// begin counts a request in; false when the server has ended, and the working directory may be another's by now.
func (r *requests) begin(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over && r.handlers == 0 {
		return false
	}
	r.handlers++
	if r.conns[conn] = struct{}{}; len(r.conns) >= r.prune {
		for conn := range r.conns {
			if closed(conn) {
				delete(r.conns, conn)
			}
		}
		r.prune = max(firstPrune, 2*len(r.conns))
	}
	return true
}

func (r *requests) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handlers--
	r.settle()
}

// settle closes idle once; called with the lock held.
func (r *requests) settle() {
	if r.over && r.handlers == 0 && !r.settled {
		r.settled = true
		close(r.idle)
	}
}

// closed tells whether this side has closed the connection; nobody reports that to us.
func closed(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// end waits for the gateway to return, closes the connections that keep it from doing so, and tells whether every
// handler has ended. It is called once.
func (r *requests) end(gateway <-chan struct{}) bool {
	drain := time.NewTimer(drainTime)
	defer drain.Stop()
	select {
	case <-gateway:
	case <-drain.C:
	}

	r.mu.Lock()
	r.over = true
	r.settle()
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()

	end := time.NewTimer(endTime)
	defer end.Stop()
	select {
	case <-r.idle:
	case <-end.C:
		return false
	}
	// A connection that was opened and never used is in nobody's list, and the gateway waits for it. It has closed its
	// listener long ago, and a request that still comes is refused, so nobody else need wait.
	select {
	case <-gateway:
	case <-time.After(lingerTime):
	}
	return true
}
