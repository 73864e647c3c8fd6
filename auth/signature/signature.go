// Package signature makes and checks request signatures of the form
//
//	Authorization: SDK-HMAC-SHA256 Access=<access key>, SignedHeaders=<a;b;c>, Signature=<hex>
//
// as Huawei Cloud's SDKs and API gateways define them.
package signature

import (
	"net/http"
	"time"
)

const (
	// Algorithm opens the Authorization header and the string to sign.
	Algorithm = "SDK-HMAC-SHA256"
	// DateHeader carries the time of signing, in DateFormat, UTC.
	DateHeader = "X-Sdk-Date"
	// DateFormat is the form of DateHeader for time.Parse.
	DateFormat = "20060102T150405Z"
	// PayloadHeader carries the hex SHA-256 of the body, or UnsignedPayload.
	PayloadHeader = "X-Sdk-Content-Sha256"
	// UnsignedPayload in PayloadHeader says that the signature does not cover the body.
	UnsignedPayload = "UNSIGNED-PAYLOAD"
	// Tolerance is how far DateHeader may be from the server's clock, either way.
	Tolerance = 15 * time.Minute
)

// Sign signs r with an access key as the vendor's SDK does: it sets X-Sdk-Date and Authorization, and
// X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD where r has a body that is not JSON. A JSON body is read and put back.
// User-Agent, X-Project-Id and the headers of the signature itself are signed where r has them; neither Host nor
// Content-Type is.
func Sign(r *http.Request, accessKey, secretKey string, now time.Time) error { panic("not built yet") }

// Authorization is the parsed Authorization header.
type Authorization struct {
	AccessKey     string
	SignedHeaders []string // lower-case, in the order given
	Signature     string   // 64 lower-case hex digits
}

// Matches reports whether an Authorization header is of this package's scheme at all.
func Matches(header string) bool { panic("not built yet") }

// Parse reads an Authorization header.
func Parse(header string) (Authorization, error) { panic("not built yet") }

// Verify checks that r was signed with secretKey.
func Verify(r *http.Request, a Authorization, secretKey string, now time.Time) error {
	panic("not built yet")
}
