package config

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "[redacted]"

// Secret is a text that must not be shown. Printing it in any way, logging it or encoding it shows that there is one,
// and nothing of it; a conversion to string gives the text.
type Secret string

// String gives "[redacted]", or nothing for the empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format prints the secret redacted whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs the secret redacted.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText encodes the secret redacted.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is a database URL. Printed, logged or encoded it shows no password; a conversion to string gives the whole.
type URL string

// String gives the URL with its password redacted.
func (u URL) String() string {
	if u == "" || strings.HasPrefix(string(u), "sqlite:") {
		return string(u)
	}
	p, err := url.Parse(string(u))
	if err != nil || p.Scheme == "" || p.Opaque != "" {
		return redacted // not the URL we know: nobody can tell where its password stands
	}
	q := p.Query()
	if q.Has("password") { // PostgreSQL takes it there too
		q.Set("password", "xxxxx")
		p.RawQuery = q.Encode()
	}
	return p.Redacted()
}

// Format prints the URL without its password whatever the verb.
func (u URL) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, u.String()) }

// LogValue logs the URL without its password.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText encodes the URL without its password.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
