// Package signature makes and checks request signatures of the form
//
//	Authorization: SDK-HMAC-SHA256 Access=<access key>, SignedHeaders=<a;b;c>, Signature=<hex>
//
// as Huawei Cloud's SDKs and API gateways define them:
//
//	signature         = hex(HMAC-SHA256(secret key, string to sign))
//	string to sign    = "SDK-HMAC-SHA256" LF X-Sdk-Date LF hex(SHA-256(canonical request))
//	canonical request = METHOD LF URI LF query LF headers LF SignedHeaders LF payload hash
//
// The URI is taken segment by segment, percent-encoded (only A-Z a-z 0-9 - _ . ~ stay) and always ends in "/". The
// query's parameters are sorted by key, then by value, and encoded likewise. The headers are those listed, in the order
// listed, each as name:value LF. The payload hash is the value of X-Sdk-Content-Sha256 where that header is sent, else
// the hex SHA-256 of the body's bytes.
package signature

import (
	"errors"
	"time"

	"assetflow/fault"
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
	// MaxHashedBody is the largest body, in bytes, that is held in memory to be hashed. A larger one must bring its hash,
	// or UnsignedPayload, in PayloadHeader.
	MaxHashedBody = 1 << 20
)

// ErrDiffers is in the chain of the error that Verify returns when everything about a signature is in order but its
// value: what a wrong secret key, or a guess, leads to.
var ErrDiffers = errors.New("the signature differs from the one computed")

// mismatch is the refusal for all that is wrong with a signature. The caller is not told what; the log is.
func mismatch(cause error) error {
	return fault.New(fault.Unauthenticated, "auth.signature_mismatch", "verify aksk signature fail").Wrap(cause)
}
