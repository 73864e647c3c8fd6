package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Part is a part of the stack that listens.
type Part string

// The parts that listen.
const (
	HTTP     Part = "API"
	Temporal Part = "Temporal"
	UI       Part = "Temporal UI"
	S3       Part = "S3"
)

// AddressError says that a part cannot listen where it was told to.
type AddressError struct {
	Part Part
	Addr string // as it was given, but with a host
	Err  error
}

func (e *AddressError) Error() string {
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		return fmt.Sprintf("the address for %s, %s, is taken by another process", e.Part, e.Addr)
	}
	return fmt.Sprintf("the address for %s, %q, cannot be used: %v", e.Part, e.Addr, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// reserve checks all addresses before anything starts, so that a taken one is known at once, and gives them hosts. The
// API's listener stays open; the other parts open theirs themselves.
func reserve(ctx context.Context, opts Options) (_ *listener, _ Options, err error) {
	addresses := []struct {
		part Part
		addr *string
	}{
		{HTTP, &opts.HTTPAddr}, {Temporal, &opts.TemporalAddr}, {UI, &opts.UIAddr}, {S3, &opts.S3Addr},
	}
	var open []net.Listener // all at once: two parts with one address are found out too
	defer func() {
		for i, l := range open {
			if i > 0 || err != nil {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	for _, a := range addresses {
		if a.part == UI && opts.NoUI {
			continue
		}
		*a.addr = withHost(*a.addr)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", *a.addr)
		if err != nil {
			return nil, opts, &AddressError{Part: a.part, Addr: *a.addr, Err: err}
		}
		open = append(open, l)
	}
	return &listener{Listener: open[0], conns: map[*trackedConn]struct{}{}}, opts, nil
}

// withHost gives an address without a host that of the loopback interface. What it does not understand it leaves to
// whoever listens.
func withHost(addr string) string {
	if addr == "" {
		addr = ":0"
	}
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// listener knows its open connections, to close them when they outlast the drain.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[*trackedConn]struct{}
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{Conn: conn, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[tracked] = struct{}{}
	return tracked, nil
}

// closeAfter closes every open connection when the time has passed, unless the timer is stopped; report is told how
// many there were.
func (l *listener) closeAfter(wait time.Duration, report func(open int)) *time.Timer {
	return time.AfterFunc(wait, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		report(len(l.conns))
		for conn := range l.conns {
			_ = conn.Conn.Close()
		}
	})
}

type trackedConn struct {
	net.Conn
	listener *listener
}

// Close forgets the connection.
func (c *trackedConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}
