package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"assetflow/fault"
)

// emptyHash is the hex SHA-256 of no bytes.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// CheckDate checks that r carries exactly one well-formed X-Sdk-Date within Tolerance of now.
// Errors: "auth.signature_mismatch" where it is missing or malformed, "auth.signature_expired" where it is too far off.
func CheckDate(r *http.Request, now time.Time) error {
	dates := r.Header.Values(DateHeader)
	if len(dates) != 1 {
		return mismatch(fmt.Errorf("header %s was sent %d times instead of once", DateHeader, len(dates)))
	}
	signed, err := time.Parse(DateFormat, dates[0])
	if err != nil || signed.Format(DateFormat) != dates[0] { // Parse alone also takes a fraction of a second
		return mismatch(fmt.Errorf("header %s is not of the form %s", DateHeader, DateFormat))
	}
	if off := now.Sub(signed).Abs(); off > Tolerance {
		return fault.New(fault.Unauthenticated, "auth.signature_expired",
			"signature expired, signed at: %s, server time: %s", dates[0], now.UTC().Format(DateFormat))
	}
	return nil
}

// Verify checks that r was signed with secretKey, by exactly the headers that a lists, and within Tolerance of now.
//
// The body is held against the signature as well: without PayloadHeader, it is read into memory (at most MaxHashedBody)
// and r.Body is replaced by what was read. With a hash in PayloadHeader, the same is done with a body of that size;
// a larger one is replaced by a reader that gives an error in the place of io.EOF where the bytes were not those signed:
// its bytes are to be believed only when it has been read to its end. UnsignedPayload is accepted for bodies that are
// not JSON (a body without Content-Type may be JSON), and leaves r.Body alone.
//
// Errors: Unauthenticated "auth.signature_mismatch" (with ErrDiffers in its chain where only the value is wrong) or
// "auth.signature_expired"; TooLarge "auth.body_too_large"; Invalid "auth.body_unreadable" where reading the body fails.
func Verify(r *http.Request, a Authorization, secretKey string, now time.Time) error {
	if err := CheckDate(r, now); err != nil {
		return err
	}
	payload := r.Header.Values(PayloadHeader)
	if len(payload) > 1 {
		return mismatch(fmt.Errorf("header %s was sent %d times", PayloadHeader, len(payload)))
	}
	if len(payload) == 0 {
		return verifyHashed(r, a, secretKey)
	}
	var want []byte
	switch unsigned := payload[0] == UnsignedPayload; {
	case unsigned && hasBody(r) && coversBody(r):
		return mismatch(errors.New("a JSON body must be signed, and it came as " + UnsignedPayload))
	case !unsigned:
		var err error
		if want, err = hex.DecodeString(payload[0]); err != nil || len(want) != sha256.Size {
			return mismatch(fmt.Errorf("header %s is neither %s nor 64 hex digits", PayloadHeader, UnsignedPayload))
		}
	}
	if err := compare(r, a, payload[0], secretKey); err != nil {
		return err
	}
	if want == nil {
		return nil
	}
	return checkBody(r, want)
}

// verifyHashed verifies a request whose payload hash has to be computed from the body.
func verifyHashed(r *http.Request, a Authorization, secretKey string) error {
	tooLarge := fault.New(fault.TooLarge, "auth.body_too_large",
		"a signed body of more than %d bytes must come with its SHA-256 in %s", MaxHashedBody, PayloadHeader)
	if r.ContentLength > MaxHashedBody {
		return tooLarge
	}
	body, whole, err := readBody(r)
	if err != nil {
		return err
	}
	if !whole {
		return tooLarge
	}
	sum := sha256.Sum256(body)
	return compare(r, a, hex.EncodeToString(sum[:]), secretKey)
}

func compare(r *http.Request, a Authorization, payloadHash, secretKey string) error {
	given, err := hex.DecodeString(a.Signature)
	if err != nil {
		return mismatch(errors.New("the signature is not hexadecimal"))
	}
	mac, err := compute(r, a.SignedHeaders, payloadHash, r.Header.Get(DateHeader), secretKey)
	if err != nil {
		return mismatch(err)
	}
	if !hmac.Equal(mac, given) {
		return mismatch(ErrDiffers)
	}
	return nil
}

// checkBody holds the body against its signed hash: at once where it is small, else while it is read.
func checkBody(r *http.Request, want []byte) error {
	original := r.Body
	body, whole, err := readBody(r)
	if err != nil {
		return err
	}
	if whole {
		if sum := sha256.Sum256(body); !hmac.Equal(sum[:], want) {
			return mismatch(errBody)
		}
		return nil
	}
	r.Body = &verifiedBody{
		Reader: io.MultiReader(bytes.NewReader(body), original), Closer: original,
		hash: sha256.New(), want: want,
	}
	return nil
}

var errBody = fmt.Errorf("the body differs from the hash in %s", PayloadHeader)

// readBody reads at most MaxHashedBody bytes and one more. With the whole body in hand it replaces r.Body by it.
func readBody(r *http.Request) (body []byte, whole bool, err error) {
	if !hasBody(r) {
		return nil, true, nil
	}
	body, err = io.ReadAll(io.LimitReader(r.Body, MaxHashedBody+1))
	if err != nil {
		return nil, false, fault.New(fault.Invalid, "auth.body_unreadable", "the request body could not be read to its end").Wrap(err)
	}
	if len(body) > MaxHashedBody {
		return body, false, nil
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(body), r.Body}
	return body, true, nil
}

// verifiedBody hands bytes through and compares their hash at the end.
type verifiedBody struct {
	io.Reader
	io.Closer
	hash hash.Hash
	want []byte
	err  error // what every further Read answers
}

// Read gives the last bytes only when the whole body is what was signed.
func (b *verifiedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.Reader.Read(p)
	b.hash.Write(p[:n])
	if errors.Is(err, io.EOF) && !hmac.Equal(b.hash.Sum(nil), b.want) {
		n, err = 0, mismatch(errBody)
	}
	b.err = err
	return n, err
}

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// coversBody reports whether a signature must cover r's body: one that is JSON, or could be for want of a Content-Type.
func coversBody(r *http.Request) bool {
	types := r.Header.Values("Content-Type")
	for _, t := range types {
		mediaType, _, _ := strings.Cut(t, ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
		if mediaType == "" || strings.Contains(mediaType, "json") {
			return true
		}
	}
	return len(types) == 0
}
