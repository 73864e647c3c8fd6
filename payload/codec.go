package payload

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"assetflow/fault"
	"assetflow/keyring"
)

// Codes of this package's faults.
const (
	CodeUnknownKey   = "payload.unknown_key"   // Invalid: the ring has no key of this id
	CodeNotAuthentic = "payload.not_authentic" // Invalid: it was not made with the key of this id, or changed since
	CodeMalformed    = "payload.malformed"     // Invalid: it says that it is encrypted and has not the form of one that is
)

// What the metadata of an encrypted payload says.
const (
	Encoding      = "binary/encrypted"
	MetadataKeyID = "encryption-key-id"
)

const (
	version    = 1
	nonceSize  = 12
	tagSize    = 16
	maxIDShown = 64 // bytes of an id that an error quotes; no ring has a longer one
)

// keySize is the one that the form asks for.
const keySize = keyring.AES256

// ParseKeys reads a ring of keys for payloads in its text form, see [keyring.Parse]. The error never quotes a key.
func ParseKeys(text string) (*keyring.Ring, error) { return keyring.Parse(text, keySize) }

// GenerateKeys makes a ring of one random key with the id, in the text form that ParseKeys reads.
func GenerateKeys(id string) string { return keyring.Generate(id, keySize) }

// Codec encrypts and decrypts payloads. It is a [converter.PayloadCodec] and safe for concurrent use.
type Codec struct {
	ring     *keyring.Ring
	encrypts bool
	random   io.Reader
}

var _ converter.PayloadCodec = (*Codec)(nil)

// NewCodec makes a codec over a ring of ParseKeys. One that does not encrypt leaves payloads as they are and decrypts
// those that others have encrypted.
func NewCodec(ring *keyring.Ring, encrypts bool) *Codec {
	return &Codec{ring: ring, encrypts: encrypts, random: rand.Reader}
}

// Encode encrypts payloads with the ring's primary key. It leaves those that are given to it as they are.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if !c.encrypts {
		return payloads, nil
	}
	encrypted := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if encrypted[i], err = c.encrypt(p); err != nil {
			return nil, err
		}
	}
	return encrypted, nil
}

// Decode gives the payloads that were encrypted, and those that were not as they are. All errors are Invalid:
// CodeUnknownKey, CodeNotAuthentic, CodeMalformed.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	decrypted := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != Encoding {
			decrypted[i] = p
			continue
		}
		var err error
		if decrypted[i], err = c.decrypt(p); err != nil {
			return nil, err
		}
	}
	return decrypted, nil
}

func (c *Codec) encrypt(p *commonpb.Payload) (*commonpb.Payload, error) {
	plaintext, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, errors.New("encrypt a payload: it is not a message") // the cause may quote it
	}
	data := make([]byte, 1+nonceSize, 1+nonceSize+len(plaintext)+tagSize)
	data[0] = version
	nonce := data[1:]
	if _, err := io.ReadFull(c.random, nonce); err != nil {
		return nil, fmt.Errorf("encrypt a payload: %w", err)
	}
	id := c.ring.Primary()
	metadata := map[string][]byte{converter.MetadataEncoding: []byte(Encoding), MetadataKeyID: []byte(id)}
	return &commonpb.Payload{
		Metadata: metadata,
		Data:     c.ring.Key(id).Seal(data, nonce, plaintext, associated(metadata)),
	}, nil
}

func (c *Codec) decrypt(p *commonpb.Payload) (*commonpb.Payload, error) {
	id, named := p.GetMetadata()[MetadataKeyID]
	data := p.GetData()
	switch {
	case !named:
		return nil, malformed("it names no key")
	case len(data) < 1+nonceSize+tagSize:
		return nil, malformed("it is too short")
	case data[0] != version:
		return nil, malformed("it was made by another version of the service, or by something else")
	case len(p.GetExternalPayloads()) > 0:
		return nil, malformed("it stands elsewhere in part")
	}
	aead := c.ring.Key(string(id))
	if aead == nil {
		return nil, fault.New(fault.Invalid, CodeUnknownKey,
			"The payload is encrypted with the key %.*q, which is not among the keys for payloads.", maxIDShown, id)
	}
	nonce, ciphertext := data[1:1+nonceSize], data[1+nonceSize:]
	plaintext, err := aead.Open(nil, nonce, ciphertext, associated(p.GetMetadata()))
	if err != nil {
		return nil, fault.New(fault.Invalid, CodeNotAuthentic,
			"The payload cannot be decrypted: it was not encrypted with the key %q, or was changed since.", id)
	}
	var decrypted commonpb.Payload
	if proto.Unmarshal(plaintext, &decrypted) != nil {
		return nil, malformed("what is in it is not a payload")
	}
	return &decrypted, nil
}

func malformed(why string) error {
	return fault.New(fault.Invalid, CodeMalformed, "The encrypted payload is malformed: %s.", why)
}

// associated is the data that is bound to the ciphertext.
func associated(metadata map[string][]byte) []byte {
	data := appendText(nil, "assetflow payload v1")
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		data = appendText(data, name)
		data = appendText(data, string(metadata[name]))
	}
	return data
}

func appendText(data []byte, text string) []byte {
	data = binary.BigEndian.AppendUint32(data, uint32(len(text))) //nolint:gosec // a message has less than 2 GiB
	return append(data, text...)
}
