package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/time/rate"

	"assetflow/fault"
)

const (
	// silence is how long a source may send nothing before the connection counts as broken.
	silence = 30 * time.Second
	// maxTries is how many connections in a row may break, or be answered with "later", without bringing a byte.
	maxTries   = 6
	firstPause = 250 * time.Millisecond // before the next connection, doubled each time …
	maxPause   = 8 * time.Second        // … up to here; a random part of it is left out

	maxHeader = 64 << 10 // bytes of an answer's header
	piece     = 64 << 10 // bytes that are read at a time
	idleConns = 64       // connections kept open to a source
)

// What can be wrong with a source. None of the errors names a URL.
var (
	errNotAllowed = fault.New(fault.Invalid, "replication.url_not_allowed",
		"the source region names a place that is not among this region's replication.sources")
	errRefused = fault.New(fault.Forbidden, "replication.url_expired",
		"the source region does not let its files be read any more, because the link has expired; ask it for new replication info and copy again")
	errGone        = fault.New(fault.NotFound, "replication.source_gone", "the source region does not have a file any more")
	errChanged     = fault.New(fault.Conflict, "replication.source_changed", "a file of the source region is not the one that was sealed")
	errAnswer      = fault.New(fault.Invalid, "replication.bad_answer", "the source region answers in a way that no object store does")
	errUnavailable = fault.New(fault.Unavailable, "replication.source_unavailable", "the source region does not answer, try again later")
)

// FetcherOptions says how a Fetcher fetches.
type FetcherOptions struct {
	// Sources are the base URLs that may be fetched from, scheme://host[:port]. None: nothing may.
	Sources []string
	// Throughput is how many bytes a second all of the Fetcher's reads take together; 0 for no limit.
	Throughput int64
	// Silence is how long a source may send nothing; 30 s when zero.
	Silence time.Duration
	// FirstPause is how long the first pause between two tries is, of which each next one is twice as long; 250 ms when
	// zero.
	FirstPause time.Duration
	// Received is told of bytes as they come in; nil: nobody is.
	Received func(bytes int64)
	// Traces makes a span of each request, within the step that it is made for; nil: none.
	Traces trace.TracerProvider
}

// Fetcher reads objects of source regions over presigned URLs: from the places it may alone, and without following
// redirects, because a sealed URL is trusted and what its server says is not. It is safe for concurrent use.
type Fetcher struct {
	client     *http.Client
	allowed    allowList
	limit      *rate.Limiter // nil: none
	piece      int
	silence    time.Duration
	firstPause time.Duration
	received   func(bytes int64)
	tracer     trace.Tracer
}

// NewFetcher makes a Fetcher; the error says which source is no base URL.
func NewFetcher(o FetcherOptions) (*Fetcher, error) {
	allowed, err := newAllowList(o.Sources)
	if err != nil {
		return nil, fmt.Errorf("fetch from source regions: %w", err)
	}
	if o.Traces == nil {
		o.Traces = noop.NewTracerProvider()
	}
	f := &Fetcher{
		allowed: allowed, piece: piece, silence: o.Silence, firstPause: o.FirstPause,
		tracer: o.Traces.Tracer("assetflow/replication"),
	}
	if f.received = o.Received; f.received == nil {
		f.received = func(int64) {}
	}
	if f.silence == 0 {
		f.silence = silence
	}
	if f.firstPause == 0 {
		f.firstPause = firstPause
	}
	if o.Throughput > 0 {
		// Bursts of a tenth of a second, so that what is measured over a second is right.
		burst := int(min(max(o.Throughput/10, 1), 1<<20))
		f.limit, f.piece = rate.NewLimiter(rate.Limit(o.Throughput), burst), min(piece, burst)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = maxHeader
	transport.ResponseHeaderTimeout = f.silence
	transport.DisableCompression = true // the bytes as they are
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, idleConns
	f.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f, nil
}

// Trusts tells whether the fetcher reads from the place that a URL names. A nil one reads from nowhere.
func (f *Fetcher) Trusts(url string) bool { return f != nil && f.allowed.allows(url) }

// SourceChanged is the refusal of an object that has not the digest that was sealed.
func SourceChanged() error { return errChanged }

// Untrusted is the refusal of a URL that leads to a place that is not among the sources.
func Untrusted() error { return errNotAllowed }

// Close closes connections that nobody uses.
func (f *Fetcher) Close() { f.client.CloseIdleConnections() }

// Remote is one object of a source region, of which the size is known. It is safe for concurrent use.
type Remote struct {
	fetcher *Fetcher
	url     string
	size    int64

	mu   sync.Mutex
	etag string // of the first answer: the object must not change between two
}

// Remote names the object at a presigned URL. etag is what ETag gave in an earlier process, or empty. It makes no request:
// Invalid "replication.url_not_allowed" where the URL leads to a place that is not among the sources.
func (f *Fetcher) Remote(presigned string, size int64, etag string) (*Remote, error) {
	if !f.allowed.allows(presigned) {
		return nil, errNotAllowed
	}
	return &Remote{fetcher: f, url: presigned, size: size, etag: etag}, nil
}

// String keeps the URL out of what is printed.
func (r *Remote) String() string { return "[remote object]" }

// GoString keeps the URL out of what is printed with %#v.
func (r *Remote) GoString() string { return r.String() }

// Size gives the size in bytes that the object was named with.
func (r *Remote) Size() int64 { return r.size }

// ETag gives what the source calls this state of the object; empty before the first answer.
func (r *Remote) ETag() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.etag
}

// ReadRange fills p with the bytes from off on, which must lie within the object. A connection that breaks, is silent or
// is answered with 5xx or 429 is made again after a pause, from the byte that was reached, several times while nothing
// comes. Then it is Unavailable "replication.source_unavailable"; to begin anew later may help. What does not: Forbidden
// "replication.url_expired", NotFound "replication.source_gone", Conflict "replication.source_changed" (another size or
// ETag), Invalid "replication.bad_answer" (a redirect, no ranges). The error of ctx comes back wrapped.
func (r *Remote) ReadRange(ctx context.Context, p []byte, off int64) error {
	if off < 0 || int64(len(p)) > r.size-off {
		return fmt.Errorf("read a remote object: %d bytes at %d lie outside its %d bytes", len(p), off, r.size)
	}
	fruitless := 0
	for len(p) > 0 {
		n, err := r.connect(ctx, p, off)
		p, off = p[n:], off+int64(n)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("read from the source region: %w", context.Cause(ctx))
		case err == nil:
			continue
		case fault.KindOf(err) != fault.Unavailable:
			return err
		}
		if fruitless++; n > 0 {
			fruitless = 1
		}
		if fruitless == maxTries {
			return err
		}
		if err := r.fetcher.pause(ctx, fruitless); err != nil {
			return err
		}
	}
	return nil
}

// Reader streams the object from its beginning, by ranges of 1 MiB. Its errors are those of ReadRange.
func (r *Remote) Reader(ctx context.Context) io.Reader { return &remoteReader{ctx: ctx, remote: r} }

type remoteReader struct {
	ctx    context.Context //nolint:containedctx // Read takes none
	remote *Remote
	buffer []byte
	ahead  []byte // what was read and not handed out
	off    int64
}

const readAhead = 1 << 20

func (r *remoteReader) Read(p []byte) (int, error) {
	if len(r.ahead) == 0 {
		n := min(readAhead, r.remote.size-r.off)
		if n == 0 {
			return 0, io.EOF
		}
		if r.buffer == nil {
			r.buffer = make([]byte, n)
		}
		if err := r.remote.ReadRange(r.ctx, r.buffer[:n], r.off); err != nil {
			return 0, err
		}
		r.ahead, r.off = r.buffer[:n], r.off+n
	}
	n := copy(p, r.ahead)
	r.ahead = r.ahead[n:]
	return n, nil
}

// pause waits before another try.
func (f *Fetcher) pause(ctx context.Context, fruitless int) error {
	d := min(f.firstPause<<(fruitless-1), maxPause)
	d -= rand.N(d/2 + 1) //nolint:gosec // it only spreads the tries of many
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("read from the source region: %w", context.Cause(ctx))
	}
}

// connect makes one connection and reads as much of p as it brings. The error is nil only when p is full.
func (r *Remote) connect(ctx context.Context, p []byte, off int64) (n int, err error) {
	ctx, end := r.fetcher.traced(ctx)
	defer func() { end(n, err) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return 0, errNotAllowed // it was parsed before; the error would quote it
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	if etag := r.ETag(); etag != "" && !strings.HasPrefix(etag, "W/") { // a weak one matches nothing
		req.Header.Set("If-Match", etag)
	}
	resp, err := r.fetcher.client.Do(req)
	if err != nil {
		return 0, errUnavailable.Wrap(withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // what was wanted of it has been read
	if err := r.check(resp, off, int64(len(p))); err != nil {
		return 0, err
	}
	watch := time.AfterFunc(r.fetcher.silence, cancel)
	defer watch.Stop()
	for n < len(p) {
		got, err := resp.Body.Read(p[n:min(n+r.fetcher.piece, len(p))])
		n += got
		r.fetcher.received(int64(got))
		if n == len(p) {
			err = nil
		}
		watch.Stop()
		if got > 0 && r.fetcher.limit != nil {
			if err := r.fetcher.limit.WaitN(ctx, got); err != nil {
				return n, errUnavailable.Wrap(err) // ctx has ended
			}
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return n, errUnavailable.Wrap(withoutURL(err))
		}
		watch.Reset(r.fetcher.silence)
	}
	return n, nil
}

// check tells whether an answer is the range that was asked for.
func (r *Remote) check(resp *http.Response, off, n int64) error {
	status := resp.StatusCode
	cause := fmt.Errorf("status %d", status)
	switch {
	case status == http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, r.size); resp.Header.Get("Content-Range") != want {
			return r.otherRange(resp.Header.Get("Content-Range"))
		}
	case status == http.StatusOK && off == 0 && n == r.size: // as good, where everything was asked for
		if resp.ContentLength >= 0 && resp.ContentLength != r.size {
			return errChanged.Wrap(fmt.Errorf("%d bytes instead of %d", resp.ContentLength, r.size))
		}
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return errRefused.Wrap(cause)
	case status == http.StatusNotFound, status == http.StatusGone:
		return errGone.Wrap(cause)
	case status == http.StatusPreconditionFailed, status == http.StatusRequestedRangeNotSatisfiable:
		return errChanged.Wrap(cause)
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return errUnavailable.Wrap(cause)
	default:
		return errAnswer.Wrap(cause)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	got := resp.Header.Get("ETag")
	if r.etag == "" {
		r.etag = got
	}
	if got != r.etag {
		return errChanged.Wrap(errors.New("another ETag"))
	}
	return nil
}

// otherRange says what a Content-Range means that is not the one that was asked for.
func (r *Remote) otherRange(got string) error {
	_, total, _ := strings.Cut(got, "/")
	if size, err := strconv.ParseInt(total, 10, 64); err == nil && size != r.size {
		return errChanged.Wrap(fmt.Errorf("%d bytes instead of %d", size, r.size))
	}
	return errAnswer.Wrap(errors.New("another range"))
}

// withoutURL takes out of an HTTP client's error the URL that it names.
func withoutURL(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}
