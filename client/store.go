package client

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// StoreError is a refusal by the object store that files are uploaded to and downloaded from. It says nothing of the URL:
// that is good for whoever has it.
type StoreError struct {
	Status int    // HTTP status
	Code   string // of S3, such as "AccessDenied"; empty when the answer had none
}

// Error gives status and code.
func (e *StoreError) Error() string {
	s := "the object store answered " + strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status)))
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	return s
}

// passing tells whether it may be well in a moment.
func (e *StoreError) passing() bool {
	return e.Status >= http.StatusInternalServerError || e.Status == http.StatusTooManyRequests
}

// storeRequest makes a request to a presigned URL, which says itself who may make it.
func (c *Client) storeRequest(ctx context.Context, method, target string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil || req.URL.Scheme != "http" && req.URL.Scheme != "https" || req.URL.Host == "" {
		return nil, errors.New("the service gave a URL that is none") // which must not be shown
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	return req, nil
}

// sendToStore gives the answer of the object store when it is a good one.
func (c *Client) sendToStore(ctx context.Context, what string, req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		return nil, fmt.Errorf("%s: %w", what, unreachable(origin(req.URL), err))
	}
	if resp.StatusCode/100 != 2 {
		defer closeBody(resp)
		refused := &StoreError{Status: resp.StatusCode}
		// The message is left alone: some stores repeat the signature in it.
		var body struct {
			Code string `xml:"Code"`
		}
		if content, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); xml.Unmarshal(content, &body) == nil && len(body.Code) <= 64 {
			refused.Code = body.Code
		}
		return nil, fmt.Errorf("%s: %w", what, refused)
	}
	return resp, nil
}

// origin is the part of a URL that may be shown.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
