package replication

import (
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
)

// Algorithm is the one algorithm that seals.
const Algorithm = "AES128_GCM"

// maxAssetInfo is the contract's limit in bytes.
const maxAssetInfo = 100_000

// identifier is what the id of an asset or a file looks like. Ids become parts of keys in a bucket, so those that could
// mean something in a path are refused at the border.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Info is the replication info as it goes over the wire (MetaStudio v1, ReplicationAssetInfo). Whoever holds it can have
// the asset copied until it expires, so it prints and logs as a placeholder.
type Info struct {
	AssetID        string     `json:"asset_id"`
	AssetInfo      string     `json:"asset_info"` // sealed
	EncryptionInfo Encryption `json:"encryption_info"`
	ExpireTime     int64      `json:"expire_time"` // Unix seconds
}

// Encryption says how an asset_info is sealed.
type Encryption struct {
	Algorithm string `json:"algorithm"`
	KeyID     KeyID  `json:"key_id"`
	IV        string `json:"iv"` // base64 of the nonce's 12 bytes
}

// KeyID is the id of a key. It reads a JSON string as well as an integer and always writes a string.
type KeyID string

// UnmarshalJSON implements [json.Unmarshaler].
func (k *KeyID) UnmarshalJSON(text []byte) error {
	if len(text) == 0 {
		return errKeyID
	}
	switch c := text[0]; {
	case c == '"', c == 'n': // null is as good as absent
		return json.Unmarshal(text, (*string)(k))
	case c >= '0' && c <= '9' && len(text) <= maxWord:
		for _, digit := range text {
			if digit < '0' || digit > '9' {
				return errKeyID // 1.0 and 1e0 are no way to write an id
			}
		}
		*k = KeyID(text)
		return nil
	}
	return errKeyID
}

var errKeyID = errors.New("key_id is neither a string nor an integer")

const infoText = "[replication info]"

// String keeps the sealed text out of what is printed.
func (i Info) String() string { return infoText }

// GoString keeps the sealed text out of what is printed with %#v.
func (i Info) GoString() string { return infoText }

// LogValue keeps the sealed text out of logs.
func (i Info) LogValue() slog.Value { return slog.StringValue(infoText) }
