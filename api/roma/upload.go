package roma

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"regexp"
	"strings"
	"time"

	"assetflow/fault"
	"assetflow/storage"
)

// partName is the name of the one part of an import's form.
const partName = "ImportAssetRequestBody"

// readBuffer is what one upload is read ahead. The multipart reader asks for 4 KiB at a time, which would be a
// system call each.
const readBuffer = 128 << 10

// maxEpilogue is how much may follow the form's closing boundary.
const maxEpilogue = 64 << 10

// discardTimeout bounds removing what a refused upload has staged.
const discardTimeout = 30 * time.Second

// The name starts with a letter or digit and otherwise has only letters, digits, "+", "-", "_" and the extension's dot.
var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+_-]{0,250}\.[zZ][iI][pP]$`)

// upload is the body of an import.
type upload struct {
	*bufio.Reader
	io.Closer
}

func newUpload(body io.ReadCloser) *upload {
	return &upload{Reader: bufio.NewReaderSize(body, readBuffer), Closer: body}
}

// receive stages the package in the form. Unless it succeeds, nothing of it is left in staging.
func (s *server) receive(ctx context.Context, form *multipart.Reader, body *upload, key string) (name string, staged storage.Staged, err error) {
	// A body of unknown length may turn out to be none.
	if _, err = body.Peek(1); errors.Is(err, io.EOF) {
		return "", storage.Staged{}, noBody()
	}
	part, err := form.NextRawPart()
	switch {
	case err == io.EOF: //nolint:errorlint // see checkRest
		return "", storage.Staged{}, onePart()
	case err != nil:
		return "", storage.Staged{}, bodyFault(err)
	}
	if name, err = checkPart(part); err != nil {
		return "", storage.Staged{}, err
	}
	file := &clientReader{Reader: part}
	if staged, err = s.Staging.Stage(ctx, key, file, s.MaxUploadBytes); err != nil {
		if file.err != nil {
			err = bodyFault(file.err) // whose fault it was, whatever became of it on the way through the store
		}
		return "", storage.Staged{}, err
	}
	if err = checkRest(form, body, staged); err != nil {
		s.discard(ctx, key)
		return "", storage.Staged{}, err
	}
	return name, staged, nil
}

// checkRest sees the form to its end: one part, the closing boundary, and the end of the body, where a signature over
// the body is verified.
func checkRest(form *multipart.Reader, body io.Reader, staged storage.Staged) error {
	switch _, err := form.NextRawPart(); {
	case err == nil:
		return onePart()
	case err != io.EOF: // io.EOF itself is the closing boundary; wrapped, it is the body's end without one
		return bodyFault(err)
	}
	switch n, err := io.CopyN(io.Discard, body, maxEpilogue+1); {
	case err == nil || n > maxEpilogue:
		return fault.New(fault.Invalid, codeBody, "The body goes on after the form's closing boundary.")
	case err != io.EOF: //nolint:errorlint // as CopyN gives it
		return bodyFault(err)
	}
	if staged.Size == 0 {
		return fault.New(fault.Invalid, codeBody, "The file is empty.")
	}
	return nil
}

func onePart() *fault.Error {
	return fault.New(fault.Invalid, codeBody, "The form must have exactly one part, %s.", partName)
}

// checkPart gives the file's name where the part is the one that is asked for.
func checkPart(part *multipart.Part) (string, error) {
	// Not part.FileName(), which drops folders: a name with one is refused, not mended.
	disposition, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" || params["name"] != partName {
		return "", onePart().Wrap(err)
	}
	if name, ok := params["filename"]; !ok || !fileName.MatchString(name) {
		return "", fault.New(fault.Invalid, codeFileName, "Only .zip files can be imported. The file's name must start with a letter or digit "+
			"and may otherwise contain only letters, digits, +, - and _.")
	}
	switch encoding := strings.ToLower(part.Header.Get("Content-Transfer-Encoding")); encoding {
	case "", "binary", "8bit", "7bit":
		return params["filename"], nil
	default:
		return "", fault.New(fault.Invalid, codeBody, "The part must be sent as it is, without a Content-Transfer-Encoding.")
	}
}

// clientReader remembers the client's failure, to tell it from one of the store that reads it.
type clientReader struct {
	io.Reader
	err error
}

func (r *clientReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF { // the end of a part is this very value
		r.err = err
	}
	return n, err
}

// bodyFault turns a failure to read the form into a refusal. A fault of the body's own readers stays what it is: too
// large, too slow, or not what was signed.
func bodyFault(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, codeBody, "The request's body ends before the form's closing boundary.").Wrap(err)
	}
	return fault.New(fault.Invalid, codeBody, "The request's body is not a valid form, or the connection broke.").Wrap(err)
}

// discard removes a staged package although its request may be gone. What cannot be removed now is left to the sweep
// of abandoned staging objects.
func (s *server) discard(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := s.Staging.DeleteStaged(ctx, key); err != nil {
		s.Logger.WarnContext(ctx, "a staged package stays behind", "key", key, "error", err)
	}
}
