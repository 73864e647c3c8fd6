// Package ui serves the Temporal web UI inside this process, for a Temporal server without authentication.
//
// It asks nothing of the internet: news and newer versions are not looked up.
package ui

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// stopTimeout is how long Stop lets requests finish.
const stopTimeout = 2 * time.Second

// Options says where the UI listens and which server it shows.
type Options struct {
	// Addr is host:port. Without a host it listens on 127.0.0.1, with port 0 (or an empty Addr) on a free port: see
	// Server.Addr.
	Addr string
	// TemporalAddr is the host:port of the Temporal frontend. It need not answer yet.
	TemporalAddr string
	// Namespace is shown first; "default" when empty.
	Namespace string
}

// Server is a running UI. Its methods may be called at the same time.
type Server struct {
	addr string
	http *http.Server
	conn *grpc.ClientConn
	done chan struct{}
	stop sync.Once
}

// Start starts the UI; it serves when Start returns. An error that wraps syscall.EADDRINUSE means that Options.Addr is
// taken.
func Start(ctx context.Context, opts Options) (*Server, error) {
	addr, err := withHost(opts.Addr)
	if err != nil {
		return nil, fmt.Errorf("temporal UI address %q: %w", opts.Addr, err)
	}
	handler, conn, err := newHandler(opts)
	if err != nil {
		return nil, fmt.Errorf("build the temporal UI: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("temporal UI: %w", err), conn.Close())
	}
	s := &Server{
		addr: listener.Addr().String(),
		http: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second},
		conn: conn,
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(listener) // ends with http.ErrServerClosed: nothing else closes the listener
	}()
	return s, nil
}

// Addr is the host:port the UI listens on.
func (s *Server) Addr() string { return s.addr }

// Stop finishes open requests for at most 2 seconds and ends the UI. Further calls wait for the first one.
func (s *Server) Stop() {
	s.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			_ = s.http.Close() // what is still open is cut off
		}
		<-s.done
		_ = s.conn.Close()
	})
}

// withHost gives an address without a host that of the loopback interface.
func withHost(addr string) (string, error) {
	if addr == "" {
		addr = ":0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
