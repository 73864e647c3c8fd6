package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ErrArchiveChanged says that what arrived is not the archive that the service announced.
var ErrArchiveChanged = errors.New("the archive is not the one that was announced")

// errStalled says that nothing arrived for stallTimeout.
var errStalled = errors.New("the transfer has stalled")

const (
	// stallTimeout is how long nothing may arrive before the connection is taken for broken. It is longer than the
	// service waits for an earlier download of the archive to come to its end.
	stallTimeout   = 45 * time.Second
	downloadBuffer = 256 << 10
)

// Archive is an archive that was downloaded.
type Archive struct {
	FileName string // as the service names it, without folders; may be empty
	Size     int64  // bytes
	SHA256   string // hex digits; what arrived has been compared with it
}

// DownloadArchive writes an export's archive to w. An archive can be downloaded once: afterwards the service has it no
// longer. A connection that breaks does not use it up, and is taken up again where it broke, for as long as the service is
// not away for more than a minute; w gets every byte once and in order. progress is called with the bytes that were
// written so far and in all; may be nil.
//
// Errors: *Error with status 404 where there is no such archive (any more); ErrArchiveChanged where the bytes do not have
// the announced SHA-256; what w.Write failed with. What was written then is not whole.
func (c *Client) DownloadArchive(ctx context.Context, archiveID string, w io.Writer, progress func(done, total int64)) (Archive, error) {
	target := path("v2", c.cfg.ProjectID, "instances", c.cfg.InstanceID, "assets", "archives", archiveID)
	return c.downloadArchive(ctx, "download archive "+archiveID, target, "application/octet-stream, application/json", w, progress)
}

// downloadArchive does what DownloadArchive does, with an archive that may be downloaded again.
func (c *Client) downloadArchive(ctx context.Context, what, target, accept string, w io.Writer, progress func(done, total int64)) (Archive, error) {
	var archive Archive
	d := download{
		client: c, what: what, w: w, progress: progress, sum: sha256.New(),
		from: c.cfg.Endpoint, send: c.send, changed: ErrArchiveChanged,
	}
	d.ask = func(ctx context.Context) (*http.Request, error) {
		req, err := c.newRequest(ctx, http.MethodGet, target, nil, nil)
		if err == nil {
			req.Header.Set("Accept", accept)
		}
		return req, err
	}
	d.identify = c.identify
	d.learn = func(resp *http.Response) (err error) {
		archive, err = learnArchive(resp)
		return err
	}
	if err := d.run(ctx); err != nil {
		return Archive{}, err
	}
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != archive.SHA256 {
		return archive, fmt.Errorf("%s: %w: SHA-256 %s instead of %s", d.what, ErrArchiveChanged, got, archive.SHA256)
	}
	return archive, nil
}

// learnArchive takes from the first answer what the archive is.
func learnArchive(resp *http.Response) (Archive, error) {
	etag := resp.Header.Get("ETag")
	digest := strings.ToLower(strings.Trim(etag, `"`))
	if sum, err := hex.DecodeString(digest); err != nil || len(sum) != sha256.Size || etag != strconv.Quote(strings.Trim(etag, `"`)) ||
		resp.StatusCode != http.StatusOK || resp.ContentLength < 0 {
		return Archive{}, foreignAnswer(resp, "the answer is not Assetflow's (no archive with its length and SHA-256)")
	}
	archive := Archive{Size: resp.ContentLength, SHA256: digest}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		name := params["filename"]
		archive.FileName = name[strings.LastIndexAny(name, `/\`)+1:]
	}
	return archive, nil
}

// download is a download under way, of an archive from the service or of a file from the object store.
type download struct {
	client   *Client
	what     string
	w        io.Writer
	progress func(done, total int64) // may be nil
	sum      hash.Hash

	ask      func(ctx context.Context) (*http.Request, error)
	identify func(*http.Request) error // puts the last touch to the request; may be nil
	send     func(ctx context.Context, what string, req *http.Request) (*http.Response, error)
	learn    func(first *http.Response) error // looks at the first answer
	from     string                           // where the bytes come from, as it may be shown
	changed  error                            // what to fail with where the bytes become others

	size   int64 // known from the first answer on
	etag   string
	done   int64     // bytes written to w
	moved  time.Time // when the last byte was written
	spoilt bool      // going on is of no use
}

// run downloads all of it.
func (d *download) run(ctx context.Context) error {
	for try := 1; ; try++ {
		before := d.done
		err := d.goOn(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !d.again(try, err):
			return err
		case d.done > before:
			try = 1
		}
		if err := d.client.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

// again tells whether the download should be taken up after err. Before its first byte it is a read like any other.
func (d *download) again(try int, err error) bool {
	switch {
	case d.spoilt:
		return false
	case d.done == 0:
		return try < readTries && worthRepeating(err)
	default:
		return mayComeBack(err) && time.Since(d.moved) < patience
	}
}

// goOn asks for what is missing, and writes what comes.
func (d *download) goOn(ctx context.Context) error {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer stall.Stop()
	req, err := d.ask(limited)
	if err != nil {
		return fmt.Errorf("%s: %w", d.what, err)
	}
	req.Header.Set("Accept-Encoding", "identity") // ranges and digest are those of the content itself
	if d.done > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		req.Header.Set("If-Range", d.etag)
	}
	if d.identify != nil {
		if err := d.identify(req); err != nil {
			return fmt.Errorf("%s: %w", d.what, err)
		}
	}
	resp, err := d.send(ctx, d.what, req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	skip, err := d.begin(resp)
	if err != nil {
		d.spoilt = true
		return fmt.Errorf("%s: %w", d.what, err)
	}
	err = d.copy(resp.Body, skip, stall)
	switch {
	case err == nil || d.spoilt:
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	default:
		if limited.Err() != nil {
			err = context.Cause(limited)
		}
		err = unreachable(d.from, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.what, err)
	}
	return nil
}

// begin looks at the head of an answer. skip is how many of its bytes have been written already.
func (d *download) begin(resp *http.Response) (skip int64, err error) {
	if d.done == 0 {
		if err := d.learn(resp); err != nil {
			return 0, err
		}
		d.etag, d.size = resp.Header.Get("ETag"), resp.ContentLength
		return 0, nil
	}
	if resp.Header.Get("ETag") != d.etag {
		return 0, fmt.Errorf("%w: it was replaced by another while it was downloaded", d.changed)
	}
	if resp.StatusCode != http.StatusPartialContent && resp.ContentLength == d.size {
		return d.done, nil // something on the way does not pass ranges on
	}
	want := fmt.Sprintf("bytes %d-%d/%d", d.done, d.size-1, d.size)
	if got := resp.Header.Get("Content-Range"); got != want {
		return 0, foreignAnswer(resp, fmt.Sprintf("the answer holds %q instead of %q", got, want))
	}
	return 0, nil
}

func foreignAnswer(resp *http.Response, message string) *Error {
	return &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), foreign: true, Message: message}
}

// copy writes what comes, without its first skip bytes. Time that w takes does not count as a stall.
func (d *download) copy(body io.Reader, skip int64, stall *time.Timer) error {
	buffer := make([]byte, downloadBuffer)
	for {
		stall.Reset(stallTimeout)
		n, err := body.Read(buffer)
		stall.Stop()
		skipped := min(skip, int64(n))
		skip -= skipped
		if failed := d.write(buffer[skipped:n]); failed != nil {
			d.spoilt = true
			return failed
		}
		switch {
		case err == io.EOF && d.done < d.size:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func (d *download) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := d.w.Write(p); err != nil {
		return fmt.Errorf("write it: %w", err)
	}
	_, _ = d.sum.Write(p) // a hash takes everything
	d.done += int64(len(p))
	d.moved = time.Now()
	if d.progress != nil {
		d.progress(d.done, d.size)
	}
	return nil
}
