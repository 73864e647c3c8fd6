// Package client is the Go client of Assetflow's HTTP API.
//
// It speaks six of the contracts: tokens (POST /v3/auth/tokens), the ROMA Connect asset management paths for imports,
// exports, deletions and their jobs, the MetaStudio paths for digital assets and copies between regions, the JP1/AO paths
// for service templates, the ServiceStage paths for environments and add-ons, and our own /api/v1 for all else. The bytes
// of digital assets go straight to and from the region's object store. The command line, the benchmark and the end-to-end
// tests use it; a program of yours may too.
//
// A call is repeated by itself only where that cannot do anything twice: reads, after an answer that says "not now" or
// a connection that broke. What changes something is sent once; a start with an idempotency key is safe to make again.
//
// Errors: *Error is a refusal by the service, *StoreError one by the object store, *UnreachableError says that there was no answer, context errors are
// found with errors.Is, and everything else is a wrong argument.
package client

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Config says where the service is and who is calling.
type Config struct {
	Endpoint   string // base URL, such as "http://127.0.0.1:8080"; required
	ProjectID  string // 32 hex digits; needed by everything but Login, Me and the calls about one job
	InstanceID string // needed by Import, Job, WaitJob and the asset calls
	Token      string // X-Auth-Token, from Login; not used when there is an access key
	AccessKey  string // signs every request (SDK-HMAC-SHA256) together with SecretKey
	SecretKey  string

	UserAgent string                              // default "assetflow"
	Transport http.RoundTripper                   // default: one with the timeouts an upload needs
	Now       func() time.Time                    // default time.Now; the date of a signature
	Retrying  func(err error, wait time.Duration) // called before a read is repeated; may be nil
}

const (
	// continueTimeout is how long an upload waits for the service's "go on" before it is sent anyway, for the sake
	// of proxies that do not pass it on. The service checks who is calling and whether a job runs in that time.
	continueTimeout = 3 * time.Second
	// answerTimeout bounds the wait for the answer to an upload once it is sent whole: the store may have to put the
	// parts of a large package together.
	answerTimeout = 5 * time.Minute
	// readTimeout bounds one try of a read.
	readTimeout = 30 * time.Second
	// keyTimeout comes on top for a start with an idempotency key: the service waits as long for the answer to an
	// earlier request of the same key.
	keyTimeout = 30 * time.Second
	// writeBuffer saves system calls: the default of 4 KiB costs a fifth of the throughput of an upload.
	writeBuffer = 256 << 10
)

// Client calls one service as one caller. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a client. It makes no request; a wrong endpoint is reported by the first call.
func New(cfg Config) *Client {
	if cfg.UserAgent == "" {
		cfg.UserAgent = "assetflow"
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport: cfg.Transport,
		// A signature covers the path, and a POST would turn into a GET: a redirect is an answer of its own.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   128,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: continueTimeout,
		ResponseHeaderTimeout: answerTimeout,
		WriteBufferSize:       writeBuffer,
	}
}

// Close closes the client's idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Caller is who the service takes the caller for.
type Caller struct {
	UserID     string `json:"user_id"`
	UserName   string `json:"user_name"`
	DomainID   string `json:"domain_id"`
	DomainName string `json:"domain_name"`
	ProjectID  string `json:"project_id,omitempty"` // of a token that is for one project
	Method     string `json:"method"`               // "token" or "aksk"
}

// Me asks who the caller is: a cheap check of token or access key.
func (c *Client) Me(ctx context.Context) (Caller, error) {
	var me Caller
	err := c.get(ctx, "ask who is calling", path("api", "v1", "me"), nil, &me)
	return me, err
}
