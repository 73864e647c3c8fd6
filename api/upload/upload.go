// Package upload receives packages: what the contracts that take one as a form share. Its faults have codes of their
// own, which each contract turns into its form.
package upload

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"time"

	"assetflow/api/middleware"
	"assetflow/fault"
	"assetflow/storage"
)

// Codes of the faults this package makes, all Invalid.
const (
	CodeParameter = "upload.parameter"
	CodeNoBody    = "upload.no_body"
	CodeBody      = "upload.body"
	CodeMediaType = "upload.media_type" // the body is no form
	CodeFileName  = "upload.file_name"
)

// partName is the name of the one part of the form where a contract does not say otherwise.
const partName = "ImportAssetRequestBody"

// formBytes is what a form may take beside the package in it: boundaries and the part's headers.
const formBytes = 64 << 10

// readBuffer is what one upload is read ahead. The multipart reader asks for 4 KiB at a time, which would be a
// system call each.
const readBuffer = 128 << 10

// maxEpilogue is how much may follow the form's closing boundary.
const maxEpilogue = 64 << 10

// discardTimeout bounds removing what a refused upload has staged.
const discardTimeout = 30 * time.Second

// The name starts with a letter or digit and otherwise has only letters, digits, "+", "-", "_" and the extension's dot.
var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+_-]{0,250}\.[zZ][iI][pP]$`)

// Staging is what an upload needs of *storage.Store.
type Staging interface {
	Stage(ctx context.Context, key string, r io.Reader, limit int64) (storage.Staged, error)
	DeleteStaged(ctx context.Context, key string) error
}

// Receiver takes packages in.
type Receiver struct {
	Staging  Staging
	Logger   *slog.Logger
	MaxBytes int64 // of one package

	Part string // the name of the form's one part; empty: ImportAssetRequestBody
	// Name gives the name of an uploaded file as it is taken, or refuses it; nil: that of an asset package, as it is.
	Name func(fileName string) (string, error)
}

// MaxBody is how many bytes a whole request may have.
func (r Receiver) MaxBody() int64 { return r.MaxBytes + formBytes }

// Body is the body of a request with a package.
type Body struct {
	*bufio.Reader
	io.Closer
}

// Open refuses what can be seen of a request before its body is read, and puts a Body in place of it.
func (r Receiver) Open(request *http.Request) error {
	if request.ContentLength == 0 {
		return noBody()
	}
	kind, params, err := mime.ParseMediaType(request.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return fault.New(fault.Invalid, CodeMediaType,
			"The request's body must be of the type multipart/form-data, with a boundary.").Wrap(err)
	}
	if request.ContentLength > r.MaxBody() {
		return middleware.BodyTooLarge(r.MaxBytes)
	}
	request.Body = &Body{Reader: bufio.NewReaderSize(request.Body, readBuffer), Closer: request.Body}
	return nil
}

func noBody() *fault.Error {
	return fault.New(fault.Invalid, CodeNoBody, "The request has no body: send the package as multipart/form-data.")
}

// Receive stages the package in the form, which is read from body. Unless it succeeds, nothing of it is left in staging.
func (r Receiver) Receive(ctx context.Context, form *multipart.Reader, body *Body, key string) (name string, staged storage.Staged, err error) {
	// A body of unknown length may turn out to be none.
	if _, err = body.Peek(1); errors.Is(err, io.EOF) {
		return "", storage.Staged{}, noBody()
	}
	part, err := form.NextRawPart()
	switch {
	case err == io.EOF: //nolint:errorlint // see checkRest
		return "", storage.Staged{}, r.onePart()
	case err != nil:
		return "", storage.Staged{}, BodyFault(err)
	}
	if name, err = r.checkPart(part); err != nil {
		return "", storage.Staged{}, err
	}
	file := &clientReader{Reader: part}
	if staged, err = r.Staging.Stage(ctx, key, file, r.MaxBytes); err != nil {
		if file.err != nil {
			err = BodyFault(file.err) // whose fault it was, whatever became of it on the way through the store
		}
		return "", storage.Staged{}, err
	}
	if err = r.checkRest(form, body, staged); err != nil {
		r.Discard(ctx, key)
		return "", storage.Staged{}, err
	}
	return name, staged, nil
}

// checkRest sees the form to its end: one part, the closing boundary, and the end of the body, where a signature over
// the body is verified.
func (r Receiver) checkRest(form *multipart.Reader, body io.Reader, staged storage.Staged) error {
	switch _, err := form.NextRawPart(); {
	case err == nil:
		return r.onePart()
	case err != io.EOF: // io.EOF itself is the closing boundary; wrapped, it is the body's end without one
		return BodyFault(err)
	}
	switch n, err := io.CopyN(io.Discard, body, maxEpilogue+1); {
	case err == nil || n > maxEpilogue:
		return fault.New(fault.Invalid, CodeBody, "The body goes on after the form's closing boundary.")
	case err != io.EOF: //nolint:errorlint // as CopyN gives it
		return BodyFault(err)
	}
	if staged.Size == 0 {
		return fault.New(fault.Invalid, CodeBody, "The file is empty.")
	}
	return nil
}

func (r Receiver) onePart() *fault.Error {
	return fault.New(fault.Invalid, CodeBody, "The form must have exactly one part, %s.", r.part())
}

func (r Receiver) part() string { return cmp.Or(r.Part, partName) }

// checkPart gives the file's name where the part is the one that is asked for.
func (r Receiver) checkPart(part *multipart.Part) (string, error) {
	// Not part.FileName(), which drops folders: a name with one is refused, not mended.
	disposition, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || disposition != "form-data" || params["name"] != r.part() {
		return "", r.onePart().Wrap(err)
	}
	accept := r.Name
	if accept == nil {
		accept = packageName
	}
	name, err := accept(params["filename"])
	if err != nil {
		return "", err
	}
	switch encoding := strings.ToLower(part.Header.Get("Content-Transfer-Encoding")); encoding {
	case "", "binary", "8bit", "7bit":
		return name, nil
	default:
		return "", fault.New(fault.Invalid, CodeBody, "The part must be sent as it is, without a Content-Transfer-Encoding.")
	}
}

// packageName accepts the names that an asset package can have.
func packageName(name string) (string, error) {
	if !fileName.MatchString(name) {
		return "", fault.New(fault.Invalid, CodeFileName, "Only .zip files can be imported. The file's name must start with a letter or digit "+
			"and may otherwise contain only letters, digits, +, - and _.")
	}
	return name, nil
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

// BodyFault turns a failure to read the form into a refusal. A fault of the body's own readers stays what it is: too
// large, too slow, or not what was signed.
func BodyFault(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, CodeBody, "The request's body ends before the form's closing boundary.").Wrap(err)
	}
	return fault.New(fault.Invalid, CodeBody, "The request's body is not a valid form, or the connection broke.").Wrap(err)
}

// Discard removes a staged package although its request may be gone. What cannot be removed now is left to the sweep
// of abandoned staging objects.
func (r Receiver) Discard(ctx context.Context, key string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := r.Staging.DeleteStaged(ctx, key); err != nil {
		r.Logger.WarnContext(ctx, "a staged package stays behind", "key", key, "error", err)
	}
}
