package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	"assetflow/auth/signature"
)

const (
	readTries   = 4
	firstPause  = 200 * time.Millisecond
	maxPause    = 10 * time.Second // also for what a Retry-After asks
	maxResponse = 64 << 20
)

// path joins segments to an escaped path.
func path(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// newRequest makes a request that is not signed yet.
func (c *Client) newRequest(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	base, err := parseEndpoint(c.cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("Accept", "application/json")
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header)) // so that the service's spans belong to the caller's trace
	return req, nil
}

func parseEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: %q", ErrBadEndpoint, endpoint)
	}
	return strings.TrimRight(endpoint, "/"), nil
}

// identify says who is calling.
func (c *Client) identify(req *http.Request) error {
	if c.cfg.AccessKey != "" {
		return signature.Sign(req, c.cfg.AccessKey, c.cfg.SecretKey, c.cfg.Now())
	}
	if c.cfg.Token != "" {
		req.Header.Set("X-Auth-Token", c.cfg.Token)
	}
	return nil
}

// get reads one JSON document, trying again where the service says "not now" or the connection breaks.
func (c *Client) get(ctx context.Context, what, path string, query url.Values, into any) error {
	for try := 1; ; try++ {
		err := c.getOnce(ctx, what, path, query, into)
		if err == nil || try == readTries || ctx.Err() != nil || !worthRepeating(err) {
			return err
		}
		if err := c.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

// pause waits after a try, from 1, that failed with err. It ends early only with ctx.
func (c *Client) pause(ctx context.Context, try int, err error) error {
	pause := min(firstPause<<min(try-1, 10), maxPause)
	pause += time.Duration(rand.Int64N(int64(pause) / 4)) //nolint:gosec // spreads retries, guards nothing
	var refusal *Error
	if errors.As(err, &refusal) && refusal.retryAfter > 0 {
		pause = min(refusal.retryAfter, maxPause)
	}
	if c.cfg.Retrying != nil {
		c.cfg.Retrying(err, pause)
	}
	return sleep(ctx, pause)
}

func (c *Client) getOnce(ctx context.Context, what, path string, query url.Values, into any) error {
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	req, err := c.newRequest(limited, http.MethodGet, path, query, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := c.identify(req); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return c.exchange(ctx, what, req, into)
}

// call is a request that is sent once, whatever becomes of it.
type call struct {
	method, path string
	query        url.Values
	body         any    // sent as JSON; nil for none
	key          string // Idempotency-Key; empty for none
	onConflict   string // Assetflow-On-Conflict; empty for none
	anonymous    bool
	patience     time.Duration // for the answer; 0 for readTimeout
}

func (c *Client) call(ctx context.Context, what string, call call, into any) (http.Header, error) {
	timeout := max(readTimeout, call.patience)
	if call.key != "" {
		timeout += keyTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var content io.Reader
	if call.body != nil {
		encoded, err := json.Marshal(call.body)
		if err != nil {
			return nil, fmt.Errorf("%s: encode the request: %w", what, err)
		}
		content = bytes.NewReader(encoded)
	}
	req, err := c.newRequest(limited, call.method, call.path, call.query, content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	setStart(req, call.key, call.onConflict)
	if !call.anonymous {
		if err := c.identify(req); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	resp, err := c.send(ctx, what, req)
	if err != nil {
		return nil, err
	}
	defer closeBody(resp)
	return resp.Header, decode(what, resp, into)
}

// post sends a JSON body, or none, once.
func (c *Client) post(ctx context.Context, what, path string, body, into any) error {
	_, err := c.call(ctx, what, call{method: http.MethodPost, path: path, body: body}, into)
	return err
}

func commas(texts []string) string { return strings.Join(texts, ",") }

func setStart(req *http.Request, key, onConflict string) {
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if onConflict != "" {
		req.Header.Set("Assetflow-On-Conflict", onConflict)
	}
}

// exchange sends a request and decodes the answer.
func (c *Client) exchange(ctx context.Context, what string, req *http.Request, into any) error {
	resp, err := c.send(ctx, what, req)
	if err != nil {
		return err
	}
	defer closeBody(resp)
	return decode(what, resp, into)
}

// send gives the answer to a request when it is a good one. ctx is the caller's: its end is the caller's doing, while
// that of the request's own context is the service's.
func (c *Client) send(ctx context.Context, what string, req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		return nil, fmt.Errorf("%s: %w", what, unreachable(c.cfg.Endpoint, err))
	}
	if resp.StatusCode/100 != 2 {
		defer closeBody(resp)
		return nil, fmt.Errorf("%s: %w", what, refusal(resp, c.cfg.Now()))
	}
	return resp, nil
}

func decode(what string, resp *http.Response, into any) error {
	kind := resp.Header.Get("Content-Type")
	if into == nil {
		if n, _ := io.ReadFull(resp.Body, make([]byte, 1)); n == 0 || strings.Contains(kind, "json") {
			return nil
		}
	}
	if !strings.Contains(kind, "json") {
		return fmt.Errorf("%s: %w", what, &Error{
			Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), foreign: true,
			Message: fmt.Sprintf("the answer is not Assetflow's (%s instead of JSON)", orNothing(kind)),
		})
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(into); err != nil {
		if isBroken(err) {
			return fmt.Errorf("%s: %w", what, unreachable(resp.Request.URL.Scheme+"://"+resp.Request.URL.Host, err))
		}
		return fmt.Errorf("%s: read the answer: %w", what, err)
	}
	return nil
}

// closeBody reads what little is left, so that the connection can be used again.
func closeBody(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

// worthRepeating tells whether a read that failed with err may succeed in a moment. A service that cannot be reached
// at all is not waited for: somebody sits there and waits.
func worthRepeating(err error) bool {
	var store *StoreError
	if errors.As(err, &store) {
		return store.passing()
	}
	var refusal *Error
	if errors.As(err, &refusal) {
		switch refusal.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var away *UnreachableError
	if !errors.As(err, &away) {
		return false
	}
	var (
		op          *net.OpError
		certificate *tls.CertificateVerificationError
		network     net.Error
	)
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return false
	case errors.As(err, &certificate), errors.Is(err, http.ErrSchemeMismatch):
		return false
	case errors.As(err, &network) && network.Timeout():
		return false
	}
	return true
}

func isBroken(err error) bool {
	var network net.Error
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.As(err, &network)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// retryAfter reads a Retry-After header: seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return t.Sub(now)
	}
	return 0
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
