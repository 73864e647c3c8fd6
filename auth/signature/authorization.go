package signature

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Limits of the Authorization header.
const (
	maxAuthorization = 8 << 10 // bytes of the whole header
	maxAccessKey     = 128     // bytes
	maxSignedHeaders = 100     // names
)

// Authorization is the parsed Authorization header.
type Authorization struct {
	AccessKey     string
	SignedHeaders []string // lower-case, in the order given, no name twice
	Signature     string   // 64 lower-case hex digits
}

// String gives the header's text.
func (a Authorization) String() string {
	return fmt.Sprintf("%s Access=%s, SignedHeaders=%s, Signature=%s",
		Algorithm, a.AccessKey, strings.Join(a.SignedHeaders, ";"), a.Signature)
}

// Matches reports whether an Authorization header is of this package's scheme at all, be it well-formed or not.
func Matches(header string) bool {
	scheme, _, _ := strings.Cut(strings.TrimLeft(header, " \t"), " ")
	return strings.EqualFold(scheme, Algorithm)
}

// Parse reads an Authorization header of at most 8 KiB: the three fields in any order, each exactly once, and nothing
// else. The error is Unauthenticated "auth.signature_mismatch" and never quotes the header.
func Parse(header string) (Authorization, error) {
	a, err := parse(header)
	if err != nil {
		return Authorization{}, mismatch(fmt.Errorf("read Authorization header: %w", err))
	}
	return a, nil
}

func parse(header string) (Authorization, error) {
	if len(header) > maxAuthorization {
		return Authorization{}, fmt.Errorf("it is longer than %d bytes", maxAuthorization)
	}
	scheme, rest, found := strings.Cut(strings.Trim(header, " \t"), " ")
	if !found || !strings.EqualFold(scheme, Algorithm) {
		return Authorization{}, fmt.Errorf("the scheme is not %s", Algorithm)
	}
	var a Authorization
	for field := range strings.SplitSeq(rest, ",") {
		name, value, found := strings.Cut(strings.Trim(field, " \t"), "=")
		if !found || value == "" {
			return Authorization{}, errors.New("a field is not of the form name=value")
		}
		var err error
		switch name {
		case "Access":
			err = once(a.AccessKey == "")
			a.AccessKey = value
			if err == nil && !isAccessKey(value) {
				err = errors.New("the access key has characters that none has, or too many")
			}
		case "SignedHeaders":
			err = once(a.SignedHeaders == nil)
			if err == nil {
				a.SignedHeaders, err = parseNames(value)
			}
		case "Signature":
			err = once(a.Signature == "")
			a.Signature = strings.ToLower(value)
			if raw, bad := hex.DecodeString(value); err == nil && (bad != nil || len(raw) != 32) {
				err = errors.New("the signature is not 64 hex digits")
			}
		default:
			err = errors.New("it has a field that is not known")
		}
		if err != nil {
			return Authorization{}, err
		}
	}
	if a.AccessKey == "" || a.SignedHeaders == nil || a.Signature == "" {
		return Authorization{}, errors.New("it lacks Access, SignedHeaders or Signature")
	}
	return a, nil
}

func once(first bool) error {
	if !first {
		return errors.New("it has a field twice")
	}
	return nil
}

func parseNames(list string) ([]string, error) {
	names := strings.Split(list, ";")
	if len(names) > maxSignedHeaders {
		return nil, fmt.Errorf("it lists more than %d signed headers", maxSignedHeaders)
	}
	for i, name := range names {
		if !isHeaderName(name) {
			return nil, errors.New("a signed header's name is empty or not in lower case")
		}
		if slices.Contains(names[:i], name) {
			return nil, errors.New("it lists a signed header twice")
		}
	}
	return names, nil
}

func isAccessKey(s string) bool {
	for i := range len(s) {
		if !isUnreserved(s[i]) {
			return false
		}
	}
	return len(s) <= maxAccessKey
}

func isHeaderName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
