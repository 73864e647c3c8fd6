// Package client is the Go client of Assetflow's HTTP API.
//
// It speaks three of the contracts: tokens (POST /v3/auth/tokens), the ROMA Connect asset management paths for
// imports and their jobs, and our own /api/v1 for listing jobs and assets. The command line, the benchmark and the
// end-to-end tests use it; a program of yours may too.
//
// A call is repeated by itself only where that cannot do anything twice: reads, after an answer that says "not now"
// or a connection that broke. A submission is never repeated.
package client

import (
	"context"
	"net/http"
	"time"
)

// Config says where the service is and who is calling.
type Config struct {
	Endpoint   string // base URL, such as "http://127.0.0.1:8080"; required
	ProjectID  string // 32 hex digits; needed by everything but Login
	InstanceID string // needed by Import, Job, WaitJob and the asset calls
	Token      string // X-Auth-Token, from Login; not used when there is an access key
	AccessKey  string // signs every request (SDK-HMAC-SHA256) together with SecretKey
	SecretKey  string

	UserAgent string                            // default "assetflow"
	Transport http.RoundTripper                 // default: one of our own with the timeouts an upload needs
	Now       func() time.Time                  // default time.Now; the date of a signature
	Retrying  func(err error, in time.Duration) // called before a read is repeated; may be nil
}

// Client calls one service as one caller. It is safe for concurrent use.
type Client struct {
	cfg Config
}

// New makes a client. It makes no request; a wrong endpoint is reported by the first call.
func New(cfg Config) *Client { panic("not built yet") }

// Login exchanges a user's password for a token, valid 24 hours. project is a project's id (32 hex digits) or name;
// empty for a token without a project. The client itself keeps using what its Config says.
func (c *Client) Login(ctx context.Context, domain, user, password, project string) (token string, expires time.Time, err error) {
	panic("not built yet")
}
