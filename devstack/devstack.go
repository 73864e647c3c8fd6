// Package devstack assembles Assetflow with everything it needs in one process: Temporal with its UI, an S3 server, a
// SQLite catalog, the API and a worker. cmd/assetflow-dev, the end-to-end tests and the benchmarks start it.
package devstack

import (
	"context"
	"log/slog"
)

// Options says how a stack is started. Addresses are host:port; with port 0 a free port is taken.
type Options struct {
	// DataDir holds everything that survives a restart. Required.
	DataDir string
	// HTTPAddr, TemporalAddr, UIAddr and S3Addr are where the parts listen; "127.0.0.1:0" when empty.
	HTTPAddr, TemporalAddr, UIAddr, S3Addr string
	// Region is the name of the S3 region and of the region the contracts show; "region-a" when empty.
	Region string
	// NoWorker leaves the worker out: jobs start and wait.
	NoWorker bool
	// NoUI leaves the Temporal UI out.
	NoUI bool
	// Logger is slog.Default() when nil.
	Logger *slog.Logger
}

// Credentials is what a person or a test needs to use the stack; the keys are those of credentials.json.
type Credentials struct {
	Endpoint   string `json:"endpoint"`
	TemporalUI string `json:"temporal_ui"`
	S3Endpoint string `json:"s3_endpoint"`
	ProjectID  string `json:"project_id"`
	InstanceID string `json:"instance_id"`
	Domain     string `json:"domain"`
	User       string `json:"user"`
	Password   string `json:"password"`
	AccessKey  string `json:"access_key"`
	SecretKey  string `json:"secret_key"`
}

// Stack is a running stack.
type Stack struct{}

// Start starts a stack and returns when it is ready.
func Start(ctx context.Context, opts Options) (*Stack, error) { panic("not built yet") }

// Stop drains the stack and ends it; it stops waiting when ctx ends.
func (s *Stack) Stop(ctx context.Context) error { panic("not built yet") }

// Credentials are the addresses and the first user's secrets, as in <data-dir>/credentials.json.
func (s *Stack) Credentials() Credentials { panic("not built yet") }
