package replication

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// Payload is what a replication info says once it is opened. The URL lets its holder read the manifest, so a payload
// prints and logs as a placeholder.
type Payload struct {
	SourceRegion   string    `json:"source_region"`
	ManifestURL    string    `json:"manifest_url"` // presigned
	ManifestSHA256 string    `json:"manifest_sha256"`
	ManifestSize   int64     `json:"manifest_size"` // bytes
	IssuedAt       time.Time `json:"issued_at"`
	Metadata       Metadata  `json:"metadata"`
}

// Metadata is the asset without its files. Its fields are those of the catalog's DigitalMetadata, so that one converts to
// the other.
type Metadata struct {
	Name             string          `json:"name"`
	Description      string          `json:"description,omitempty"`
	AppUserID        string          `json:"app_user_id,omitempty"`
	Type             string          `json:"type"`
	Tags             []string        `json:"tags,omitempty"`
	ExtraMeta        json.RawMessage `json:"extra_meta,omitempty"`
	SystemProperties []string        `json:"system_properties,omitempty"`
	Order            int64           `json:"order,omitempty"`
}

const payloadText = "[replication payload]"

// String keeps the URL out of what is printed.
func (p Payload) String() string { return payloadText }

// GoString keeps the URL out of what is printed with %#v.
func (p Payload) GoString() string { return payloadText }

// LogValue keeps the URL out of logs.
func (p Payload) LogValue() slog.Value { return slog.StringValue(payloadText) }

// check tells what is missing or cannot be: of our own making before a payload is sealed, of another version's after.
func (p Payload) check() error {
	switch {
	case p.SourceRegion == "":
		return errors.New("no source region")
	case !isWebURL(p.ManifestURL):
		return errors.New("no URL of a manifest")
	case !isSHA256(p.ManifestSHA256):
		return errors.New("no digest of a manifest")
	case p.ManifestSize < 1 || p.ManifestSize > MaxManifestSize:
		return errors.New("no size of a manifest")
	case p.IssuedAt.Unix() <= 0:
		return errors.New("no time of issue")
	case p.Metadata.Name == "" || p.Metadata.Type == "":
		return errors.New("no name or type of an asset")
	}
	return nil
}

func isSHA256(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
