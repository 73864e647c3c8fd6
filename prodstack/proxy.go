package prodstack

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// proxy gives requests to the APIs in turn, as they come. One that an API has not seen, because nobody listens, goes to the
// next one.
type proxy struct {
	listener net.Listener
	server   *http.Server
	next     atomic.Uint64
	direct   *http.Transport
	mu       sync.RWMutex
	apis     []string // host:port
}

func startProxy(ln net.Listener, logger *slog.Logger) *proxy {
	p := &proxy{listener: ln, direct: &http.Transport{
		MaxIdleConnsPerHost: 256, DisableCompression: true,
		ExpectContinueTimeout: time.Minute, // the API says whether it wants the body, as it does without us
	}}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.URL.Scheme = "http"
			r.Out.URL.Host = "api" // replaced by RoundTrip; Host stays: requests are signed with it
		},
		Transport: p, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				logger.WarnContext(r.Context(), "no API answers", "method", r.Method, "path", r.URL.Path, "error", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: log.New(io.Discard, "", 0), // of callers that hang up
	}
	p.server = &http.Server{Handler: forward, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(ln) }() // ends with stop
	return p
}

// to sets the APIs that requests go to from now on.
func (p *proxy) to(apis []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.apis = slices.Clone(apis)
}

// RoundTrip makes the request of the next API, or of the one after it.
func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.RLock()
	apis := p.apis
	p.mu.RUnlock()
	err := errors.New("there is no API")
	first := p.next.Add(1)
	for i := range apis {
		out := r.Clone(r.Context())
		out.URL.Host = apis[(first+uint64(i))%uint64(len(apis))]
		if r.Body != nil {
			out.Body = io.NopCloser(r.Body) // for another try; the server closes it
		}
		var answer *http.Response
		answer, err = p.direct.RoundTrip(out)
		var refused *net.OpError
		if errors.As(err, &refused) && refused.Op == "dial" {
			continue
		}
		return answer, err
	}
	return nil, err
}

// stop lets requests under way end until ctx does.
func (p *proxy) stop(ctx context.Context) {
	if p.server.Shutdown(ctx) != nil {
		_ = p.server.Close()
	}
	p.direct.CloseIdleConnections()
}
