package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
)

// CanonicalRequest gives the text whose hash is signed: see the package comment. It fails where a signed header is
// missing or sent twice, and where the query cannot be decoded.
func CanonicalRequest(r *http.Request, signedHeaders []string, payloadHash string) (string, error) {
	uri, err := canonicalURI(r.URL.EscapedPath())
	if err != nil {
		return "", err
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	var headers strings.Builder
	for _, name := range signedHeaders {
		value, err := headerValue(r, name)
		if err != nil {
			return "", err
		}
		headers.WriteString(name + ":" + value + "\n")
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	return strings.Join([]string{method, uri, query, headers.String(), strings.Join(signedHeaders, ";"), payloadHash}, "\n"), nil
}

// StringToSign gives the text that is signed; date is the value of X-Sdk-Date.
func StringToSign(date, canonicalRequest string) string {
	sum := sha256.Sum256([]byte(canonicalRequest))
	return Algorithm + "\n" + date + "\n" + hex.EncodeToString(sum[:])
}

// compute gives the signature's 32 bytes.
func compute(r *http.Request, signedHeaders []string, payloadHash, date, secretKey string) ([]byte, error) {
	canonical, err := CanonicalRequest(r, signedHeaders, payloadHash)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write([]byte(StringToSign(date, canonical)))
	return mac.Sum(nil), nil
}

// canonicalURI encodes a path segment by segment. The path is the one sent, still encoded, so that an encoded slash
// stays part of its segment, as it was for the signer.
func canonicalURI(escapedPath string) (string, error) {
	segments := strings.Split(escapedPath, "/")
	for i, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return "", fmt.Errorf("decode the path: %w", err)
		}
		segments[i] = encode(decoded)
	}
	uri := strings.Join(segments, "/")
	if !strings.HasSuffix(uri, "/") {
		uri += "/"
	}
	return uri, nil
}

// canonicalQuery sorts by the decoded keys and values, as the vendor's SDK does. A parameter without "=" counts as one
// with an empty value: the vendor's SDK signs "a=" and sends "a". A raw ";" is refused: net/url drops the parameter it
// stands in, so that a changed "%3B" would take a signed parameter away unnoticed.
func canonicalQuery(rawQuery string) (string, error) {
	if strings.Contains(rawQuery, ";") {
		return "", errors.New("the query has a raw semicolon")
	}
	type parameter struct{ key, value string }
	var parameters []parameter
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		rawKey, rawValue, _ := strings.Cut(part, "=")
		key, err := url.QueryUnescape(rawKey)
		if err != nil {
			return "", fmt.Errorf("decode the query: %w", err)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return "", fmt.Errorf("decode the query: %w", err)
		}
		parameters = append(parameters, parameter{key, value})
	}
	slices.SortFunc(parameters, func(a, b parameter) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	encoded := make([]string, len(parameters))
	for i, p := range parameters {
		encoded[i] = encode(p.key) + "=" + encode(p.value)
	}
	return strings.Join(encoded, "&"), nil
}

// headerValue gives the one value of a signed header. Host is not among a request's headers in Go but a field of its own.
func headerValue(r *http.Request, name string) (string, error) {
	if name == "host" {
		if r.Host != "" {
			return r.Host, nil
		}
		return r.URL.Host, nil
	}
	values := r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	if len(values) != 1 {
		return "", fmt.Errorf("signed header %q was sent %d times instead of once", name, len(values))
	}
	return strings.TrimSpace(values[0]), nil
}

const upperHex = "0123456789ABCDEF"

// encode percent-encodes all but the unreserved characters of RFC 3986.
func encode(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}
