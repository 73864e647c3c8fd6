package roma

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/storage"
)

// arrivalPatience is how long a client may take no byte more of an archive's end.
const arrivalPatience = 30 * time.Second

// recordTimeout bounds writing down what was delivered, and removing an archive that was taken.
const recordTimeout = 30 * time.Second

// DownloadAssetArchive streams an archive, or a range of it.
func (s *server) DownloadAssetArchive(ctx context.Context, request DownloadAssetArchiveRequestObject) (DownloadAssetArchiveResponseObject, error) {
	return s.archive(ctx, request.ProjectID, request.InstanceID, request.ArchiveID)
}

// HeadAssetArchive tells an archive's size and digest.
func (s *server) HeadAssetArchive(ctx context.Context, request HeadAssetArchiveRequestObject) (HeadAssetArchiveResponseObject, error) {
	return s.archive(ctx, request.ProjectID, request.InstanceID, request.ArchiveID)
}

// archive answers both. ctx is the one that generated code hands on.
func (s *server) archive(ctx context.Context, projectID, instanceID, text string) (*archiveAnswer, error) {
	request := ctx.(*gin.Context).Request
	ctx = middleware.Context(ctx)
	id, ok := middleware.JobID(text) // the same forms
	if !ok {
		return nil, noArchive()
	}
	// A download whose last byte is on its way decides whether there still is an archive.
	s.deliveries.wait(ctx, id)
	archive, err := s.Archives.Archive(ctx, projectID, instanceID, id)
	if err != nil {
		return nil, err
	}
	return &archiveAnswer{server: s, request: request, archive: archive}, nil
}

func noArchive() *fault.Error {
	return fault.New(fault.NotFound, codeArchive, "The archive does not exist, or has been downloaded.")
}

// archiveAnswer is the answer to a GET or HEAD of an archive.
type archiveAnswer struct {
	server  *server
	request *http.Request
	archive catalog.Archive
}

func (a *archiveAnswer) VisitDownloadAssetArchiveResponse(w http.ResponseWriter) error {
	return a.serve(w)
}
func (a *archiveAnswer) VisitHeadAssetArchiveResponse(w http.ResponseWriter) error { return a.serve(w) }

// serve sends what is asked for and writes down what was sent. The error is one to answer with where nothing was sent;
// else it is for the log, and the connection breaks short of the announced length.
func (a *archiveAnswer) serve(w http.ResponseWriter) error {
	ctx := a.request.Context()
	object := a.server.ArchiveStore.OpenArchive(ctx, storage.ArchiveKey(a.archive.ProjectID, a.archive.JobID), a.archive.Size)
	content := &archiveReader{
		open: func(off, n int64) (io.ReadCloser, error) { return object.OpenRange(ctx, off, n) },
		size: a.archive.Size, end: a.archive.Size,
	}
	defer content.close()
	d := &delivery{ResponseWriter: w, content: content, deliveries: &a.server.deliveries, id: a.archive.ID}
	defer d.finish() // also when the handler panics

	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.archive.FileName}))
	header.Set("ETag", `"`+a.archive.SHA256+`"`)
	header.Set("Cache-Control", "no-store") // it can be had once
	request := a.request.Clone(ctx)
	// Several parts would come with boundaries between them; a range of a HEAD means nothing.
	if strings.Contains(request.Header.Get("Range"), ",") || request.Method == http.MethodHead {
		request.Header.Del("Range")
	}
	http.ServeContent(d, request, "", a.archive.CreatedAt, content)
	if err := d.refusal(); err != nil {
		return err
	}
	if d.sent == 0 {
		d.begin() // there was no body to send
		return nil
	}
	a.record(ctx, d)
	return content.err
}

// record writes down what was delivered, and removes the archive with its last byte.
func (a *archiveAnswer) record(ctx context.Context, d *delivery) {
	to := d.from + d.sent
	if to == d.content.end && (d.flush() != nil || !middleware.Arrived(ctx, arrivalPatience)) {
		to-- // what was taken for sent did not arrive, at least not its last byte: the client will ask for that again
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	logger := a.server.Logger.With("archive_id", a.archive.ID, "job_id", a.archive.JobID)
	if to == d.from {
		return
	}
	complete, err := a.server.Archives.RecordDelivery(ctx, a.archive.ID, d.from, to)
	d.finish()
	if err != nil {
		logger.WarnContext(ctx, "what was delivered of an archive is not written down", "error", err)
		return
	}
	if !complete {
		return
	}
	if err := a.server.ArchiveStore.DeleteArchive(ctx, storage.ArchiveKey(a.archive.ProjectID, a.archive.JobID)); err != nil {
		logger.WarnContext(ctx, "an archive that was taken stays behind until the sweep", "error", err)
	}
}

// delivery is the way of an archive's bytes to the client. It holds back the header until there are bytes, so that a
// store that is away is still answered properly, and counts the bytes that went out.
type delivery struct {
	http.ResponseWriter
	content    *archiveReader
	deliveries *deliveries
	id         string // of the archive

	status     int
	begun      bool
	from       int64 // of the first byte in the archive
	sent       int64
	registered bool // with deliveries
}

// WriteHeader notes the status, and what range follows.
func (d *delivery) WriteHeader(status int) {
	d.status = status
	if status == http.StatusPartialContent {
		var to int64
		if _, err := fmt.Sscanf(d.Header().Get("Content-Range"), "bytes %d-%d/", &d.from, &to); err == nil {
			d.content.end = to + 1
		}
	}
}

// Write sends bytes of the archive; the text of a refusal is left to the contract.
func (d *delivery) Write(p []byte) (int, error) {
	if d.status >= http.StatusBadRequest {
		return len(p), nil
	}
	d.begin()
	if d.from+d.sent+int64(len(p)) >= d.content.end && !d.registered {
		d.deliveries.add(d.id)
		d.registered = true
	}
	n, err := d.ResponseWriter.Write(p)
	d.sent += int64(n)
	return n, err
}

func (d *delivery) begin() {
	if !d.begun {
		d.begun = true
		d.ResponseWriter.WriteHeader(d.status)
	}
}

// refusal gives the error to answer with where no byte of the archive is sent; nil where the answer is a success.
func (d *delivery) refusal() error {
	if d.begun {
		return nil
	}
	err := d.content.err
	switch {
	case err != nil && fault.KindOf(err) == fault.NotFound:
		err = noArchive().Wrap(err) // another download has taken it meanwhile
	case err != nil && fault.KindOf(err) == fault.Conflict:
		// Not the object that the catalog knows: nothing that the caller could resolve.
		err = fault.New(fault.Internal, codeArchive, "The archive cannot be read.").Wrap(err)
	case err != nil:
	case d.status == http.StatusRequestedRangeNotSatisfiable:
		err = fault.New(fault.Invalid, codeRange, "The range lies outside the archive, which has %d bytes.", d.content.size)
	case d.status == http.StatusPreconditionFailed:
		err = fault.New(fault.Invalid, codePrecondition, "The archive is not the one that the request's conditions name.")
	default:
		return nil
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Disposition", "ETag", "Last-Modified", "Accept-Ranges"} {
		d.Header().Del(name)
	}
	if d.status != http.StatusRequestedRangeNotSatisfiable {
		d.Header().Del("Content-Range")
	}
	return err
}

// flush sees the bytes out of the buffers of this process.
func (d *delivery) flush() error {
	w := d.ResponseWriter
	if outer, ok := w.(interface{ Unwrap() http.ResponseWriter }); ok {
		w = outer.Unwrap() // gin's own Flush swallows the error
	}
	return http.NewResponseController(w).Flush()
}

// finish lets requests go on that wait for this delivery.
func (d *delivery) finish() {
	if d.registered {
		d.registered = false
		d.deliveries.done(d.id)
	}
}

// archiveReader reads an archive from wherever it was told to, asking the store for no more than is wanted.
type archiveReader struct {
	open func(off, n int64) (io.ReadCloser, error)
	size int64 // of the archive
	off  int64
	end  int64 // of what is wanted
	body io.ReadCloser
	err  error // why reading failed
}

// Seek moves to an offset. It asks nobody.
func (r *archiveReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	r.close()
	r.off = offset
	return offset, nil
}

// Read reads on.
func (r *archiveReader) Read(p []byte) (int, error) {
	if r.err == nil && r.off >= r.end {
		return 0, io.EOF
	}
	if r.err == nil && r.body == nil {
		r.body, r.err = r.open(r.off, r.end-r.off)
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.body.Read(p)
	r.off += int64(n)
	if err != nil && err != io.EOF { // the end of a range is this very value
		r.err = err
	}
	return n, err
}

func (r *archiveReader) close() {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
}
