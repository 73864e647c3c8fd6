package rolling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	checkEvery   = 100 * time.Millisecond // less than a tenth of the delay with which an API stops
	checkTimeout = 10 * time.Second
)

// proxy spreads requests over the APIs as the proxy before a real service does: it asks each whether it is ready, sends
// nothing to one that is not, and sends a request to another one only where none has seen it yet.
type proxy struct {
	*httptest.Server
	backends []*backend
	next     atomic.Uint64
	requests atomic.Int64 // that were answered
	failed   func(error)
}

type backend struct {
	addr      string
	transport *http.Transport
	ready     atomic.Bool
}

func startProxy(t *testing.T, failed func(error), addrs ...string) *proxy {
	t.Helper()
	p := &proxy{failed: failed}
	for _, addr := range addrs {
		p.backends = append(p.backends, &backend{addr: addr, transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: 3 * time.Second}).DialContext, MaxIdleConnsPerHost: 32,
			ExpectContinueTimeout: time.Minute, // an upload is sent when the API has said so
		}})
	}
	forward := &httputil.ReverseProxy{
		Transport: p, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "api" // RoundTrip chooses which
			r.Out.Host = r.In.Host                           // it is signed
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode >= http.StatusInternalServerError {
				p.failed(fmt.Errorf("%s %s was answered %d", r.Request.Method, r.Request.URL.Path, r.StatusCode))
			}
			p.requests.Add(1)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.failed(fmt.Errorf("%s %s failed: %w", r.Method, r.URL.Path, err))
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	p.Server = httptest.NewServer(forward)
	ctx, stop := context.WithCancel(context.Background())
	var checking sync.WaitGroup
	for _, b := range p.backends {
		checking.Go(func() { b.check(ctx) })
	}
	t.Cleanup(func() {
		stop()
		checking.Wait()
		p.CloseClientConnections()
		p.Close()
		for _, b := range p.backends {
			b.transport.CloseIdleConnections()
		}
	})
	return p
}

// check asks again and again whether the API is ready.
func (b *backend) check(ctx context.Context) {
	probe := &http.Client{Timeout: checkTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		ready := false
		if r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.addr+"/readyz", http.NoBody); err == nil {
			if resp, err := probe.Do(r); err == nil {
				ready = resp.StatusCode == http.StatusOK
				_ = resp.Body.Close()
			}
		}
		b.ready.Store(ready)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// RoundTrip sends a request to an API that is ready, the next in turn; where the connection is refused, to the other.
func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	first := p.next.Add(1)
	last := errors.New("no API is ready")
	for i := range uint64(len(p.backends)) {
		b := p.backends[(first+i)%uint64(len(p.backends))]
		if !b.ready.Load() {
			continue
		}
		try := r.Clone(r.Context())
		try.URL.Host = b.addr
		if r.Body != nil && r.Body != http.NoBody {
			try.Body = io.NopCloser(r.Body) // a refused connection closes it
		}
		resp, err := b.transport.RoundTrip(try)
		var dial *net.OpError
		if errors.As(err, &dial) && dial.Op == "dial" {
			b.ready.Store(false)
			last = err
			continue
		}
		return resp, err
	}
	return nil, last
}

// ready counts the APIs that get requests.
func (p *proxy) ready() int {
	n := 0
	for _, b := range p.backends {
		if b.ready.Load() {
			n++
		}
	}
	return n
}
