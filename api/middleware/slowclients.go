package middleware

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"assetflow/fault"
)

// Pace bounds how slowly a client may send or take bytes. Only the time spent waiting for the client counts, so a
// slow but moving upload of any size goes on, and a slow store of ours is not held against it.
type Pace struct {
	Window   time.Duration // in every window, at least MinBytes must come in
	MinBytes int64

	// WriteWindow is the time for 64 KiB of an answer to go out. It is the longer one: the kernel takes bytes in
	// batches, the next only when a third of its send buffer, which can be megabytes, has drained.
	WriteWindow time.Duration

	// What is read of a body that nobody wants after the answer is sent. A client that sends everything before it
	// reads the answer would otherwise find its connection reset, and the answer gone.
	LingerBytes int64
	LingerTime  time.Duration
}

// DefaultPace demands about half a KiB per second of a client that may stall for window, and takes four times as long
// for answers.
func DefaultPace(window time.Duration) Pace {
	return Pace{
		Window: window, MinBytes: 16 << 10, WriteWindow: 4 * window,
		LingerBytes: 16 << 20, LingerTime: 2 * time.Second,
	}
}

// keepAliveBytes is how much unread body the server may swallow to keep a connection for the next request.
const keepAliveBytes = 64 << 10

// writePiece is how much of an answer the client must take in one WriteWindow.
const writePiece = 64 << 10

// SlowClients ends requests whose client moves fewer bytes than pace demands: reading the body then fails with a fault
// (Invalid, CodeBodyStalled), writing the answer fails. It also ends connections whose request body was not wanted.
//
// While the server stops, every answer ends its connection, and at the last moment the bodies that still come in do:
// reading one then fails with a fault (Unavailable, CodeStopping).
func SlowClients(next http.Handler, pace Pace) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pw := &pacedWriter{
			ResponseWriter: w, ctrl: http.NewResponseController(w), pace: pace,
			stopping: stopBegun(r.Context()),
		}
		// A copy: the server goes by the Body of its own request when it ends the connection or keeps it.
		r = r.WithContext(r.Context())
		if hasBody(r) {
			pw.body = &pacedBody{
				ReadCloser: r.Body, ctrl: pw.ctrl, pace: pace, left: pace.Window, size: r.ContentLength,
				onRequest: strings.EqualFold(r.Header.Get("Expect"), "100-continue"),
			}
			r.Body = pw.body
			// Also for a body that only the server itself will read, to keep the connection.
			_ = pw.ctrl.SetReadDeadline(time.Now().Add(pace.Window))
			defer onLast(r.Context(), pw.body.stop)() //nolint:contextcheck // it is the request's, of which r is a copy
		}
		next.ServeHTTP(pw, r)
		pw.finish()
	})
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

type pacedBody struct {
	io.ReadCloser
	ctrl      *http.ResponseController
	pace      Pace
	size      int64         // declared; -1 when not
	consumed  int64         //
	moved     int64         // in this window
	left      time.Duration // of this window
	onRequest bool          // the client waits for "100 Continue", which the first read sends
	err       error

	mu      sync.Mutex // guards the deadline of a read
	reading bool       // the deadline is the body's
	stopped bool       // the server stops: no more is read
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	start := time.Now()
	if !b.begin(start.Add(b.left)) {
		b.err = stoppingFault()
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	stopped := b.end(err)
	b.consumed += int64(n)
	b.moved += int64(n)
	if b.left -= time.Since(start); b.moved >= b.pace.MinBytes {
		b.left, b.moved = b.pace.Window, 0
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if stopped {
			err = stoppingFault().Wrap(err)
		} else {
			err = fault.New(fault.Invalid, CodeBodyStalled,
				"The request's body came too slowly: at least %d bytes are expected every %s.", b.pace.MinBytes, b.pace.Window).Wrap(err)
		}
	}
	b.err = err
	return n, err
}

func stoppingFault() *fault.Error {
	return fault.New(fault.Unavailable, CodeStopping, "The service is being restarted and could not take the request to its end: make it again.")
}

// begin lets the next read wait for the client until the deadline; not where the server stops.
func (b *pacedBody) begin(deadline time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return false
	}
	b.reading = true
	_ = b.ctrl.SetReadDeadline(deadline)
	return true
}

// end takes the deadline back at the body's end: from there on the server itself reads, to see whether the client is still
// there, and a deadline would look as if it were not.
func (b *pacedBody) end(err error) (stopped bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if err == io.EOF && !b.stopped { //nolint:errorlint // the end of a body is this very value
		_ = b.ctrl.SetReadDeadline(time.Time{})
	}
	return b.stopped
}

// stop ends a read that waits for the client, and keeps the next one from beginning.
func (b *pacedBody) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.reading {
		_ = b.ctrl.SetReadDeadline(time.Now())
	}
}

// unwanted reports whether more is unread than is worth reading for the sake of the connection.
func (b *pacedBody) unwanted() bool {
	if b.err != nil {
		return b.err != io.EOF //nolint:errorlint // the end of a body is this very value
	}
	return b.size < 0 || b.size-b.consumed > keepAliveBytes || b.unasked()
}

// unasked reports whether the client was never told to send the body.
func (b *pacedBody) unasked() bool { return b.onRequest && b.consumed == 0 && b.err == nil }

// pacedWriter holds back a short answer to a request whose body was not read, until it is whole: with its length known,
// the client has all of it before the connection lingers.
type pacedWriter struct {
	http.ResponseWriter
	ctrl    *http.ResponseController
	pace    Pace
	body    *pacedBody // nil for a request without
	started bool
	closing bool // the connection ends with this answer

	stopping <-chan struct{} // closed: every connection ends with its next answer

	holding bool
	status  int
	held    []byte
}

// maxHeld is the longest answer that is held back.
const maxHeld = 64 << 10

// Unwrap lets http.ResponseController through to the connection.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) WriteHeader(code int) {
	if code < http.StatusOK || w.started {
		w.ResponseWriter.WriteHeader(code)
		return
	}
	w.started = true
	w.announce()
	if w.body != nil && w.body.unwanted() {
		// Said beforehand, or the server would first read on to see whether the body ends soon.
		w.Header().Set("Connection", "close")
		w.closing, w.holding, w.status = true, true, code
		return
	}
	w.extend()
	w.ResponseWriter.WriteHeader(code)
}

// announce tells the client not to send another request on this connection where the server stops.
func (w *pacedWriter) announce() {
	select {
	case <-w.stopping:
		w.Header().Set("Connection", "close")
	default:
	}
}

func (w *pacedWriter) Write(p []byte) (int, error) {
	if !w.started {
		w.WriteHeader(http.StatusOK)
	}
	if w.holding {
		if len(w.held)+len(p) <= maxHeld {
			w.held = append(w.held, p...)
			return len(p), nil
		}
		if err := w.release(); err != nil {
			return 0, err
		}
	}
	return w.send(p)
}

func (w *pacedWriter) send(p []byte) (int, error) {
	written := 0
	for {
		// In pieces: a large answer to a slow client takes longer than one WriteWindow.
		piece := p[written:min(len(p), written+writePiece)]
		w.extend()
		n, err := w.ResponseWriter.Write(piece)
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

func (w *pacedWriter) release() error {
	w.holding = false
	w.extend()
	w.ResponseWriter.WriteHeader(w.status)
	if len(w.held) == 0 {
		return nil
	}
	_, err := w.send(w.held)
	return err
}

// Flush sends what is buffered.
func (w *pacedWriter) Flush() { _ = w.FlushError() }

// FlushError sends what is buffered, for http.ResponseController.
func (w *pacedWriter) FlushError() error {
	if w.holding {
		if err := w.release(); err != nil {
			return err
		}
	}
	w.extend()
	return w.ctrl.Flush()
}

func (w *pacedWriter) extend() { _ = w.ctrl.SetWriteDeadline(time.Now().Add(w.pace.WriteWindow)) }

// finish lets the client see the answer to a request whose body was not read.
func (w *pacedWriter) finish() {
	defer w.extend() // the server still sends what is buffered
	if !w.started {
		w.announce()
	}
	if w.holding {
		if w.Header().Get("Content-Length") == "" && len(w.held) > 0 {
			w.Header().Set("Content-Length", strconv.Itoa(len(w.held)))
		}
		_ = w.release()
	}
	if !w.closing || w.body.err != nil && fault.CodeOf(w.body.err) != CodeStopping {
		return
	}
	_ = w.ctrl.Flush()
	if w.body.unasked() { // nothing comes: the server need not wait either when it closes the body
		_ = w.ctrl.SetReadDeadline(time.Now())
		return
	}
	_ = w.ctrl.SetReadDeadline(time.Now().Add(w.pace.LingerTime))
	_, _ = io.CopyN(io.Discard, w.body.ReadCloser, w.pace.LingerBytes)
}
