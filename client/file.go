package client

import (
	"context"
	"crypto/md5" //nolint:gosec // the contract compares files by their MD5; the service keeps them by their SHA-256
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// FileCategories are the values of DigitalFile.Category. An asset has at most one MAIN file, which makes it ACTIVED.
var FileCategories = []string{"MAIN", "COVER", "PAGE", "SAMPLE", "OTHER", "TEMPORARY", "PACKAGE"}

// MaxFileSize is the size in bytes up to which the contract takes a file.
const MaxFileSize = 5 << 30

// The states of a DigitalFile that a caller meets, and with which an upload is confirmed.
const (
	FileCreating  = "CREATING" // announced, and not confirmed yet
	FileCreated   = "CREATED"
	FileFailed    = "FAILED"
	FileCancelled = "CANCELLED"
)

// DigitalFile is a file of a digital asset.
type DigitalFile struct {
	ID       string `json:"file_id"`
	Name     string `json:"file_name"`
	MD5      string `json:"file_md5"`  // in base64
	Size     int64  `json:"file_size"` // bytes
	Type     string `json:"file_type"`
	Category string `json:"asset_file_category"`
	// DownloadURL is where its bytes are, for 24 hours and for whoever has it; only of a file that is CREATED, for callers who
	// may take assets out.
	DownloadURL string `json:"download_url,omitempty"`
	State       string `json:"state"`
}

// NewFile announces a file of a digital asset.
type NewFile struct {
	AssetID  string `json:"asset_id"`
	Name     string `json:"file_name"` // without folders
	Type     string `json:"file_type"` // such as "mp4"
	Category string `json:"asset_file_category"`
	Size     int64  `json:"file_size"` // bytes, from 1 to MaxFileSize
	MD5      string `json:"file_md5"`  // in base64; FileMD5 computes it
}

// FileMD5 computes the MD5 of the first size bytes of content as NewFile has it. progress is called with the bytes that
// were read so far and in all; may be nil.
func FileMD5(ctx context.Context, content io.ReaderAt, size int64, progress func(done, total int64)) (string, error) {
	hash := md5.New() //nolint:gosec // see above
	source := io.NewSectionReader(content, 0, size)
	buffer := make([]byte, downloadBuffer)
	for done := int64(0); done < size; {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		n, err := source.Read(buffer)
		_, _ = hash.Write(buffer[:n]) // a hash takes everything
		done += int64(n)
		if n > 0 && progress != nil {
			progress(done, size)
		}
		if errors.Is(err, io.EOF) && done < size {
			err = fmt.Errorf("it has %d bytes instead of %d: was it changed meanwhile?", done, size)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
	}
	return base64.StdEncoding.EncodeToString(hash.Sum(nil)), nil
}

// CreateFile announces a file and gives its id, and the URL to which its bytes can be PUT within 24 hours. A second main
// file is refused with the code CodeMainExists.
func (c *Client) CreateFile(ctx context.Context, f NewFile) (fileID, uploadURL string, err error) {
	var created struct {
		ID  string `json:"file_id"`
		URL string `json:"upload_url"`
	}
	err = c.post(ctx, "announce the file", c.studioPath("files"), f, &created)
	return created.ID, created.URL, err
}

// PutFile sends the bytes of an announced file to its upload URL. A try that fails where another may not is repeated from
// the beginning, which does no harm. progress is called with the bytes that were sent so far in this try and in all; may be
// nil. Errors: *StoreError, *UnreachableError, what reading content failed with.
func (c *Client) PutFile(ctx context.Context, uploadURL string, f NewFile, content io.ReaderAt, progress func(sent, total int64)) error {
	for try := 1; ; try++ {
		err := c.putFileOnce(ctx, uploadURL, f, content, progress)
		if err == nil || try == readTries || ctx.Err() != nil || !worthRepeating(err) {
			return err
		}
		if err := c.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

func (c *Client) putFileOnce(ctx context.Context, uploadURL string, f NewFile, content io.ReaderAt, progress func(sent, total int64)) error {
	const what = "upload the file"
	// One byte more than there should be is looked for: a file that grew is not what was announced.
	body := &uploadBody{source: io.NewSectionReader(content, 0, f.Size+1), size: f.Size, progress: progress}
	defer func() { _ = body.Close() }() // the transport may go on reading after it has given the answer
	req, err := c.storeRequest(ctx, http.MethodPut, uploadURL, body)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	req.ContentLength = f.Size
	req.Header.Set("Content-MD5", f.MD5)
	req.Header.Set("Expect", "100-continue")
	resp, err := c.sendToStore(ctx, what, req)
	if err != nil {
		if failed := body.failure(); failed != nil {
			return fmt.Errorf("%s: read it: %w", what, failed)
		}
		return err
	}
	closeBody(resp)
	if err := body.finish(); err != nil {
		return fmt.Errorf("%s: read it: %w", what, err)
	}
	return nil
}

// ConfirmFile says how the upload of a file ended: FileCreated, FileFailed or FileCancelled. With FileCreated the service
// compares what was uploaded with what was announced before it answers. Saying the same twice is well.
func (c *Client) ConfirmFile(ctx context.Context, fileID, state string) error {
	for try := 1; ; try++ {
		_, err := c.call(ctx, "confirm file "+fileID, call{
			method: http.MethodPost, path: c.studioPath("files", fileID, "complete"),
			body: map[string]string{"state": state}, patience: answerTimeout,
		}, nil)
		if err == nil || try == readTries || ctx.Err() != nil || !worthRepeating(err) {
			return err
		}
		if err := c.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

// DeleteFile removes a file from its asset. Without its main file an asset is CREATING again.
func (c *Client) DeleteFile(ctx context.Context, fileID string) error {
	_, err := c.call(ctx, "delete file "+fileID, call{method: http.MethodDelete, path: c.studioPath("files", fileID)}, nil)
	return err
}

// giveUpTimeout bounds giving up a file whose upload failed, although the caller may be gone.
const giveUpTimeout = 10 * time.Second

// UploadFile announces a file, sends its bytes and confirms it, and gives its id. content gives f.Size bytes. A file that
// could not be uploaded is given up again, so that it is in nobody's way. Errors are those of CreateFile, PutFile and
// ConfirmFile; with an *UnreachableError it is not known whether the file is there.
func (c *Client) UploadFile(ctx context.Context, f NewFile, content io.ReaderAt, progress func(sent, total int64)) (fileID string, err error) {
	fileID, uploadURL, err := c.CreateFile(ctx, f)
	if err != nil {
		return "", err
	}
	if err = c.PutFile(ctx, uploadURL, f, content, progress); err == nil {
		err = c.ConfirmFile(ctx, fileID, FileCreated)
	}
	if err == nil {
		return fileID, nil
	}
	state := FileFailed
	if ctx.Err() != nil {
		state = FileCancelled
	}
	tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUpTimeout)
	defer cancel()
	// Where the confirmation did its work after all this is refused, and the file stays.
	_ = c.ConfirmFile(tidying, fileID, state)
	return "", err
}

// ErrFileChanged says that what arrived is not the file that the service named.
var ErrFileChanged = errors.New("the file is not the one that was announced")

// DownloadFile writes a file to w, from the object store. f is as an asset shows it, with its DownloadURL. A connection that
// breaks is taken up again where it broke, for as long as the store is not away for more than a minute; w gets every byte
// once and in order. progress is called with the bytes that were written so far and in all; may be nil.
//
// Errors: *StoreError, with status 403 where the URL has expired; ErrFileChanged where the bytes do not have the size and
// MD5 of f; what w.Write failed with. What was written then is not whole.
func (c *Client) DownloadFile(ctx context.Context, f DigitalFile, w io.Writer, progress func(done, total int64)) error {
	what := "download file " + f.ID
	if f.DownloadURL == "" {
		return fmt.Errorf("%s: it has no download URL: it is %s, or you may not take it out", what, f.State)
	}
	d := download{
		client: c, what: what, w: w, progress: progress, sum: md5.New(), //nolint:gosec // see above
		send: c.sendToStore, changed: ErrFileChanged,
	}
	first, err := c.storeRequest(ctx, http.MethodGet, f.DownloadURL, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	d.from = origin(first.URL)
	d.ask = func(ctx context.Context) (*http.Request, error) {
		return c.storeRequest(ctx, http.MethodGet, f.DownloadURL, nil)
	}
	d.learn = func(resp *http.Response) error {
		if resp.StatusCode != http.StatusOK || resp.ContentLength != f.Size {
			return fmt.Errorf("%w: it has %d bytes instead of %d", ErrFileChanged, resp.ContentLength, f.Size)
		}
		return nil
	}
	if err := d.run(ctx); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(d.sum.Sum(nil)); got != f.MD5 {
		return fmt.Errorf("%s: %w: MD5 %s instead of %s", what, ErrFileChanged, got, f.MD5)
	}
	return nil
}
