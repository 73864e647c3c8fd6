package replication

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"assetflow/fault"
)

const (
	nonceSize = 12
	tagSize   = 16

	// The plaintext is padded to a multiple of blockSize and is at most maxBlocks long: with nonce, tag and base64 that
	// is 98,345 of the 100,000 characters that asset_info may have.
	blockSize    = 4 << 10
	maxBlocks    = 18
	lengthSize   = 4
	maxPlaintext = blockSize * maxBlocks
)

// The refusals of Open. Their messages are for the caller, who is told which of them it is; a wrong key and a forged
// text are one and the same.
var (
	errAlgorithm = fault.New(fault.Invalid, "replication.unknown_algorithm", "encryption_info.algorithm is not %s", Algorithm)
	errKey       = fault.New(fault.Invalid, "replication.unknown_key", "encryption_info.key_id names a key that this region does not have")
	errAuthentic = fault.New(fault.Invalid, "replication.not_authentic", "asset_info cannot be opened: it was not sealed "+
		"with the key of this id for this asset_id and expire_time, or one of them was changed since")
	errExpired   = fault.New(fault.Invalid, "replication.expired", "the replication info has expired; ask the source region for another one")
	errOwnRegion = fault.New(fault.Invalid, "replication.own_region", "the replication info was made by this region itself")
	errNoRing    = fault.New(fault.Unavailable, "replication.not_configured", "this region has no replication key ring: it takes part in no copies")
	errLarge     = fault.New(fault.TooLarge, "replication.metadata_too_large",
		"the asset's metadata does not fit into a replication info: shorten description, tags or asset_extra_meta")
)

func malformed(format string, args ...any) error {
	return fault.New(fault.Invalid, "replication.malformed", format, args...)
}

// Seal makes the replication info of an asset with the ring's primary key. expires counts in whole seconds, rounded down.
// The nonce is read from random; nil stands for crypto/rand. It is TooLarge "replication.metadata_too_large" where
// the payload does not fit, Unavailable "replication.not_configured" where there is no ring; a payload that is not complete
// and a source of random bytes that fails are errors without a kind.
func Seal(ring *KeyRing, p Payload, assetID string, expires time.Time, random io.Reader) (Info, error) {
	if ring == nil {
		return Info{}, errNoRing
	}
	if err := p.check(); err != nil {
		return Info{}, fmt.Errorf("seal a replication info: %w", err)
	}
	if !identifier.MatchString(assetID) {
		return Info{}, errors.New("seal a replication info: the asset's id is none")
	}
	plaintext, err := p.plaintext()
	if err != nil {
		return Info{}, err
	}
	if random == nil {
		random = rand.Reader
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(random, nonce); err != nil {
		return Info{}, fmt.Errorf("seal a replication info: %w", err)
	}
	info := Info{
		AssetID: assetID, ExpireTime: expires.Unix(),
		EncryptionInfo: Encryption{
			Algorithm: Algorithm, KeyID: KeyID(ring.Primary()), IV: base64.StdEncoding.EncodeToString(nonce),
		},
	}
	sealed := ring.Key(ring.Primary()).Seal(nil, nonce, plaintext, info.associated())
	info.AssetInfo = info.EncryptionInfo.IV + ":" + base64.StdEncoding.EncodeToString(sealed)
	return info, nil
}

// Open gives the payload of a replication info that another region has sealed. Without a ring it is Unavailable
// "replication.not_configured"; every refusal is Invalid, with a message for the caller: "replication.malformed" (something is missing, not base64 or contradicts itself),
// "replication.unknown_algorithm", "replication.unknown_key", "replication.not_authentic" (another key, another asset_id,
// another expire_time, a forged text), "replication.expired", "replication.own_region".
func Open(ring *KeyRing, info Info, ownRegion string, now time.Time) (Payload, error) {
	if ring == nil {
		return Payload{}, errNoRing
	}
	nonce, sealed, err := info.sealed()
	if err != nil {
		return Payload{}, err
	}
	aead := ring.Key(string(info.EncryptionInfo.KeyID))
	if aead == nil {
		return Payload{}, errKey
	}
	plaintext, err := aead.Open(nil, nonce, sealed, info.associated())
	if err != nil {
		return Payload{}, errAuthentic
	}
	// From here on the source region itself speaks.
	if now.Unix() >= info.ExpireTime {
		return Payload{}, errExpired
	}
	p, err := parsePlaintext(plaintext)
	if err != nil {
		return Payload{}, malformed("asset_info was sealed by a version of the service that this one does not understand")
	}
	if p.SourceRegion == ownRegion {
		return Payload{}, errOwnRegion
	}
	return p, nil
}

// sealed checks the form of the info and gives the nonce, and the ciphertext with its tag.
func (i Info) sealed() (nonce, sealed []byte, err error) {
	e := i.EncryptionInfo
	switch {
	case !identifier.MatchString(i.AssetID):
		return nil, nil, malformed("asset_id is not 1 to 64 letters, digits, dots, underscores and hyphens")
	case i.AssetInfo == "" || len(i.AssetInfo) > maxAssetInfo:
		return nil, nil, malformed("asset_info is not 1 to %d characters long", maxAssetInfo)
	case e.Algorithm != Algorithm:
		return nil, nil, errAlgorithm
	case e.KeyID == "":
		return nil, nil, malformed("encryption_info.key_id is missing")
	case i.ExpireTime <= 0:
		return nil, nil, malformed("expire_time is not a Unix time in seconds")
	}
	iv, text, ok := strings.Cut(i.AssetInfo, ":")
	if !ok {
		return nil, nil, malformed("asset_info is not <iv>:<ciphertext>")
	}
	if iv != e.IV {
		return nil, nil, malformed("encryption_info.iv differs from the one in asset_info")
	}
	if nonce, err = decodeBase64(iv); err != nil || len(nonce) != nonceSize {
		return nil, nil, malformed("encryption_info.iv is not the base64 of %d bytes", nonceSize)
	}
	if sealed, err = decodeBase64(text); err != nil {
		return nil, nil, malformed("asset_info is not base64 behind the colon")
	}
	if n := len(sealed) - tagSize; n < blockSize || n > maxPlaintext || n%blockSize != 0 {
		return nil, nil, malformed("asset_info has a length that it cannot have")
	}
	return nonce, sealed, nil
}

// associated is the data that is bound to the ciphertext.
func (i Info) associated() []byte {
	var data []byte
	for _, text := range []string{
		"assetflow replication info v1", i.EncryptionInfo.Algorithm, string(i.EncryptionInfo.KeyID), i.AssetID,
	} {
		data = binary.BigEndian.AppendUint32(data, uint32(len(text))) //nolint:gosec // each is shorter than 100,000 bytes
		data = append(data, text...)
	}
	return binary.BigEndian.AppendUint64(data, uint64(i.ExpireTime)) //nolint:gosec // the same 64 bits
}

// plaintext gives the payload as it is sealed: length, JSON, zeros.
func (p Payload) plaintext() ([]byte, error) {
	p.IssuedAt = p.IssuedAt.UTC()
	var encoded bytes.Buffer
	e := json.NewEncoder(&encoded)
	e.SetEscapeHTML(false) // the extra metadata arrives as it was written
	if err := e.Encode(p); err != nil {
		return nil, fmt.Errorf("seal a replication info: %w", err)
	}
	text := bytes.TrimSuffix(encoded.Bytes(), []byte("\n"))
	size := lengthSize + len(text)
	if size > maxPlaintext {
		return nil, errLarge
	}
	padded := make([]byte, (size+blockSize-1)/blockSize*blockSize)
	binary.BigEndian.PutUint32(padded, uint32(len(text))) //nolint:gosec // at most maxPlaintext
	copy(padded[lengthSize:], text)
	return padded, nil
}

// parsePlaintext reads what plaintext wrote. Fields it does not know are passed over: a later version may add some that
// an earlier one can do without.
func parsePlaintext(padded []byte) (Payload, error) {
	if len(padded) < lengthSize {
		return Payload{}, io.ErrUnexpectedEOF
	}
	size := int64(binary.BigEndian.Uint32(padded))
	rest := padded[lengthSize:]
	if size > int64(len(rest)) {
		return Payload{}, io.ErrUnexpectedEOF
	}
	var p Payload
	if err := json.Unmarshal(rest[:size], &p); err != nil {
		return Payload{}, err
	}
	return p, p.check()
}

// decodeBase64 reads the one text that stands for the bytes: with padding, without blanks.
func decodeBase64(text string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(text) != base64.StdEncoding.EncodedLen(len(data)) {
		return nil, errors.New("base64 with line breaks") // which the decoder passes over
	}
	return data, nil
}
