// Package ui serves the Temporal web UI inside this process, for a Temporal server without authentication.
package ui

import "context"

// Options says where the UI listens and which server it shows.
type Options struct {
	// Addr is host:port; without a host 127.0.0.1, with port 0 a free port.
	Addr string
	// TemporalAddr is the host:port of the Temporal frontend.
	TemporalAddr string
}

// Server is a running UI.
type Server struct{}

// Start starts the UI and returns when it answers.
func Start(ctx context.Context, opts Options) (*Server, error) { panic("not built yet") }

// Addr is the host:port the UI listens on.
func (s *Server) Addr() string { panic("not built yet") }

// Stop ends the UI.
func (s *Server) Stop() { panic("not built yet") }
