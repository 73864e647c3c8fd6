// Package s3 runs an S3 server inside the process, for development and tests.
package s3

import "context"

// Options says where the server listens and where its data lies.
type Options struct {
	Addr      string // "127.0.0.1:9000"; port 0 takes a free one
	DataDir   string
	Region    string
	AccessKey string
	SecretKey string
}

// Server is a running S3 server.
type Server struct{}

// Start starts the server and returns when it answers.
func Start(ctx context.Context, opts Options) (*Server, error) { panic("not built yet") }

// Endpoint gives the URL, http://host:port.
func (s *Server) Endpoint() string { panic("not built yet") }

// Stop ends the server and frees the port.
func (s *Server) Stop() { panic("not built yet") }
