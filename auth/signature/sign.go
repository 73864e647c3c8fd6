package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Sign signs r with an access key as the vendor's SDK does. It sets X-Sdk-Date and Authorization; where r has a body
// that is not JSON also X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD, and where the JSON body is larger than MaxHashedBody its
// hash there. A PayloadHeader already set is kept and signed. A JSON body (or one without Content-Type) is read into
// memory and put back.
//
// Signed are User-Agent, Idempotency-Key and all X-… headers that r has at that moment, but for those that proxies
// write (X-Forwarded-…, X-Real-Ip, X-Request-Id); neither Host nor Content-Type is. Each may stand only once.
func Sign(r *http.Request, accessKey, secretKey string, now time.Time) error {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	date := now.UTC().Format(DateFormat)
	r.Header.Set(DateHeader, date)
	hash, err := payloadToSign(r)
	if err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	names := namesToSign(r.Header)
	mac, err := compute(r, names, hash, date, secretKey)
	if err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	a := Authorization{AccessKey: accessKey, SignedHeaders: names, Signature: hex.EncodeToString(mac)}
	r.Header.Set("Authorization", a.String())
	return nil
}

// payloadToSign gives the payload hash and sets PayloadHeader where the request needs it.
func payloadToSign(r *http.Request) (string, error) {
	if value := r.Header.Get(PayloadHeader); value != "" {
		return value, nil
	}
	if r.Body == nil || r.Body == http.NoBody {
		return emptyHash, nil
	}
	if !coversBody(r) {
		r.Header.Set(PayloadHeader, UnsignedPayload)
		return UnsignedPayload, nil
	}
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return "", fmt.Errorf("read the body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.ContentLength = int64(len(body))
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if len(body) > MaxHashedBody {
		r.Header.Set(PayloadHeader, hash)
	}
	return hash, nil
}

func namesToSign(h http.Header) []string {
	var names []string
	for key := range h {
		name := strings.ToLower(key)
		switch {
		case strings.HasPrefix(name, "x-forwarded-"), name == "x-real-ip", name == "x-request-id":
		case strings.HasPrefix(name, "x-"), name == "user-agent", name == "idempotency-key":
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
