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
	d := download{
		client: c, what: "download archive " + archiveID, w: w, progress: progress, sum: sha256.New(),
		path: path("v2", c.cfg.ProjectID, "instances", c.cfg.InstanceID, "assets", "archives", archiveID),
	}
	for try := 1; ; try++ {
		before := d.done
		err := d.goOn(ctx)
		switch {
		case err == nil:
			return d.archive, d.verify()
		case ctx.Err() != nil || !d.again(try, err):
			return Archive{}, err
		case d.done > before:
			try = 1
		}
		if err := c.pause(ctx, try, err); err != nil {
			return Archive{}, err
		}
	}
}

// download is a download under way.
type download struct {
	client     *Client
	what, path string
	w          io.Writer
	progress   func(done, total int64)

	archive Archive // known from the first answer on
	etag    string
	done    int64 // bytes written to w
	sum     hash.Hash
	moved   time.Time // when the last byte was written
	spoilt  bool      // going on is of no use
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
	req, err := d.client.newRequest(limited, http.MethodGet, d.path, nil, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", d.what, err)
	}
	req.Header.Set("Accept", "application/octet-stream, application/json")
	req.Header.Set("Accept-Encoding", "identity") // ranges and digest are those of the archive itself
	if d.done > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.done))
		req.Header.Set("If-Range", d.etag)
	}
	if err := d.client.identify(req); err != nil {
		return fmt.Errorf("%s: %w", d.what, err)
	}
	resp, err := d.client.send(ctx, d.what, req)
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
		err = unreachable(d.client.cfg.Endpoint, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.what, err)
	}
	return nil
}

// begin looks at the head of an answer. skip is how many of its bytes have been written already.
func (d *download) begin(resp *http.Response) (skip int64, err error) {
	if d.done == 0 {
		return 0, d.learn(resp)
	}
	if resp.Header.Get("ETag") != d.etag {
		return 0, fmt.Errorf("%w: it was replaced by another while it was downloaded", ErrArchiveChanged)
	}
	if resp.StatusCode != http.StatusPartialContent && resp.ContentLength == d.archive.Size {
		return d.done, nil // something on the way does not pass ranges on
	}
	want := fmt.Sprintf("bytes %d-%d/%d", d.done, d.archive.Size-1, d.archive.Size)
	if got := resp.Header.Get("Content-Range"); got != want {
		return 0, foreignAnswer(resp, fmt.Sprintf("the answer holds %q instead of %q", got, want))
	}
	return 0, nil
}

// learn takes from the first answer what the archive is.
func (d *download) learn(resp *http.Response) error {
	d.etag = resp.Header.Get("ETag")
	digest := strings.ToLower(strings.Trim(d.etag, `"`))
	if sum, err := hex.DecodeString(digest); err != nil || len(sum) != sha256.Size || d.etag != strconv.Quote(strings.Trim(d.etag, `"`)) ||
		resp.StatusCode != http.StatusOK || resp.ContentLength < 0 {
		return foreignAnswer(resp, "the answer is not Assetflow's (no archive with its length and SHA-256)")
	}
	d.archive = Archive{Size: resp.ContentLength, SHA256: digest}
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		name := params["filename"]
		d.archive.FileName = name[strings.LastIndexAny(name, `/\`)+1:]
	}
	return nil
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
		case err == io.EOF && d.done < d.archive.Size:
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
		d.progress(d.done, d.archive.Size)
	}
	return nil
}

func (d *download) verify() error {
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != d.archive.SHA256 || d.done != d.archive.Size {
		return fmt.Errorf("%s: %w: SHA-256 %s instead of %s", d.what, ErrArchiveChanged, got, d.archive.SHA256)
	}
	return nil
}
