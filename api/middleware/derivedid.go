package middleware

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// DerivedID makes the one id that belongs to these parts: a UUIDv7 of a time after 1970, so that it stands among others
// where it belongs, whose other bits are a digest of the parts.
func DerivedID(at time.Time, parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // or parts could run into each other
		hash.Write([]byte(part))
	}
	var id uuid.UUID
	copy(id[:], hash.Sum(nil))
	stamp := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())) // #nosec G115 -- after 1970
	copy(id[:6], stamp[2:])
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}
