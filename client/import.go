package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path/filepath"
	"sync"
)

// The values of ImportOptions.Type.
const (
	AddNew = "AddNew" // a name that is taken fails the job
	Merge  = "Merge"  // a name that is taken gets a new version
)

// The values of OnConflict in ImportOptions and StartOptions.
const (
	Queue   = "queue"   // wait until the jobs before this one have ended
	Replace = "replace" // cancel the running one
)

// ImportOptions are the parameters of an import.
type ImportOptions struct {
	Type                string // AddNew or Merge; empty leaves the service's default, AddNew
	Prefix              string // goes in front of every imported name
	DataSourceOverwrite bool   // replace existing data sources of the same name
	// IdempotencyKey names this import among the caller's, with 1 to 255 visible ASCII characters: made again within 24
	// hours with the same key, it gives the job that has started already. Empty: each call is an import of its own.
	IdempotencyKey string
	// OnConflict is Queue, Replace, or empty: what to do when a job of the kind runs for the caller. Empty: it is refused.
	OnConflict string
	// Progress is called while the body is sent, with the package's bytes sent so far and in all; may be nil. It is
	// called from one goroutine at a time, and not any more once Import has returned.
	Progress func(sent, total int64)
}

// partName is the name that the contract gives to the one part of an upload.
const partName = "ImportAssetRequestBody"

// Import uploads a package and starts its import. name is the package's file name; folders in front of it are left
// out. body gives exactly size bytes and is read once, while it is sent, and not any more once Import has returned.
// It returns the job's id as the service gave it (32 hex digits).
//
// A second import while one of the caller's runs is, unless OnConflict says otherwise, refused with an *Error whose RunningJob is the running one. This
// and all else that can be seen without the package is refused before the body is sent, as long as no proxy on the
// way swallows the Expect header.
func (c *Client) Import(ctx context.Context, name string, body io.Reader, size int64, opts ImportOptions) (jobID string, err error) {
	const what = "import the package"
	var started startedJob
	target := path("v2", c.cfg.ProjectID, "instances", c.cfg.InstanceID, "assets", "import")
	if err := c.upload(ctx, what, target, name, body, size, opts, &started); err != nil {
		return "", err
	}
	return started.id(what)
}

// startedJob is the answer to a request that starts a job.
type startedJob struct {
	JobID string `json:"job_id"`
}

func (s startedJob) id(what string) (string, error) {
	if s.JobID == "" {
		return "", fmt.Errorf("%s: the answer carries no job id", what)
	}
	return s.JobID, nil
}

// upload sends a package in a form.
func (c *Client) upload(ctx context.Context, what, target, name string, body io.Reader, size int64, opts ImportOptions, into any) error {
	return c.uploadPart(ctx, what, target, partName, name, body, size, opts, into)
}

// uploadPart sends a file in a form of one part.
func (c *Client) uploadPart(ctx context.Context, what, target, part, name string, body io.Reader, size int64, opts ImportOptions, into any) error {
	header, trailer, contentType, err := frame(part, filepath.Base(name))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	content := &uploadBody{source: body, size: size, progress: opts.Progress}
	// The transport may go on reading after it has given the answer. That the package ends where it should has been seen by
	// then: the trailer comes after it.
	defer func() { _ = content.Close() }()
	req, err := c.newRequest(ctx, http.MethodPost, target, opts.query(), struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(header), content, bytes.NewReader(trailer)), content})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	req.ContentLength = int64(len(header)) + size + int64(len(trailer))
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Expect", "100-continue")
	setStart(req, opts.IdempotencyKey, opts.OnConflict)
	if part == templatePart {
		c.nameProject(req)
	}
	if err := c.identify(req); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := c.exchange(ctx, what, req, into); err != nil {
		if failed := content.failure(); failed != nil {
			return fmt.Errorf("%s: read it: %w", what, failed)
		}
		return err
	}
	return nil
}

func (o ImportOptions) query() url.Values {
	query := url.Values{}
	if o.Type != "" {
		query.Set("type", o.Type)
	}
	if o.Prefix != "" {
		query.Set("prefix", o.Prefix)
	}
	if o.DataSourceOverwrite {
		query.Set("datasource_overwrite", "true")
	}
	return query
}

// frame gives what stands before and after the file's bytes in the body of an upload, so that its length is known.
func frame(part, fileName string) (header, trailer []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if _, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition(part, fileName)},
		"Content-Type":        {"application/octet-stream"},
	}); err != nil {
		return nil, nil, "", err
	}
	n := b.Len()
	if err := w.Close(); err != nil {
		return nil, nil, "", err
	}
	return b.Bytes()[:n:n], b.Bytes()[n:], w.FormDataContentType(), nil
}

// uploadBody reads exactly size bytes from source and reports how far it is. A request must have the length that it
// announces, so a source that turns out shorter or longer (a file that is being written) fails the upload.
type uploadBody struct {
	progress func(sent, total int64)
	size     int64

	mu     sync.Mutex // held while source is read: Close waits for that
	source io.Reader
	sent   int64
	closed bool
	err    error // why reading failed, other than by Close
}

var errClosed = errors.New("the upload is over")

func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errClosed
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.sent == b.size {
		return 0, b.atEnd()
	}
	n, err := b.source.Read(p[:min(int64(len(p)), b.size-b.sent)])
	b.sent += int64(n)
	if n > 0 && b.progress != nil {
		b.progress(b.sent, b.size)
	}
	switch {
	case err == io.EOF && b.sent < b.size:
		b.err = fmt.Errorf("it has %d bytes instead of %d: was it changed meanwhile?", b.sent, b.size)
		err = b.err
	case err == io.EOF:
		err = nil // reported by the next Read
	case err != nil:
		b.err = err
	}
	return n, err
}

// atEnd makes sure that the source has ended too.
func (b *uploadBody) atEnd() error {
	var one [1]byte
	for {
		n, err := b.source.Read(one[:])
		switch {
		case n > 0:
			b.err = fmt.Errorf("it has more than %d bytes: was it changed meanwhile?", b.size)
			return b.err
		case err != nil && err != io.EOF:
			b.err = err
			return err
		case err == io.EOF:
			return io.EOF
		}
	}
}

// finish makes sure that a source of which all was sent has ended, after the request was answered: the transport looks for
// more only once the last byte is on its way, and the answer may come before.
func (b *uploadBody) finish() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && b.sent == b.size {
		_ = b.atEnd() // which notes it
	}
	return b.err
}

// Close ends the reading. It waits for a Read that is under way.
func (b *uploadBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func (b *uploadBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
