package replication

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
)

const (
	// keySize is the length of a key in bytes: AES-128.
	keySize = 16
	// maxKeys bounds a ring. One that is rotated in order holds two or three.
	maxKeys = 64
)

// identifier is what the id of a key, an asset or a file looks like. Ids become parts of keys in a bucket, so those that
// could mean something in a path are refused at the border.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// KeyRing holds the keys that replication infos are sealed with, by their ids. The primary one seals, every one opens.
// It prints and logs as a placeholder. It is safe for concurrent use.
type KeyRing struct {
	primary string
	keys    map[string]cipher.AEAD
}

// ParseKeyRing reads a ring in its text form:
//
//	{"primary": "2026-11", "keys": {"2026-11": "<base64 of 16 bytes>", "2026-05": "…"}}
//
// An id is 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit. Unknown fields, an id
// given twice, a key under two ids and a primary that is not among the keys are refused. The error never quotes a key.
func ParseKeyRing(text string) (*KeyRing, error) {
	var form struct {
		Primary string   `json:"primary"`
		Keys    keyTable `json:"keys"`
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&form); err != nil {
		if errors.Is(err, errKeyTwice) {
			return nil, errKeyTwice
		}
		// The decoder's own words may quote what it found.
		return nil, errors.New(`the key ring is not JSON of the form {"primary": "<id>", "keys": {"<id>": "<base64 of 16 bytes>"}}`)
	}
	if d.More() {
		return nil, errors.New("the key ring is followed by something else")
	}
	if n := len(form.Keys); n == 0 || n > maxKeys {
		return nil, fmt.Errorf("the key ring has %d keys; it takes 1 to %d", n, maxKeys)
	}
	ring := &KeyRing{primary: form.Primary, keys: map[string]cipher.AEAD{}}
	seen := map[[keySize]byte]bool{}
	for id, text := range form.Keys {
		if !identifier.MatchString(id) {
			return nil, errors.New("the key ring has an id that is not 1 to 64 letters, digits, dots, underscores and hyphens")
		}
		key, err := decodeBase64(text)
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("key %s of the key ring is not the base64 of %d bytes", id, keySize)
		}
		if seen[[keySize]byte(key)] {
			return nil, fmt.Errorf("key %s of the key ring stands there under another id, too", id)
		}
		seen[[keySize]byte(key)] = true
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make the cipher of key %s: %w", id, err)
		}
		if ring.keys[id], err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("make the cipher of key %s: %w", id, err)
		}
	}
	if ring.keys[form.Primary] == nil {
		return nil, errors.New("the primary key of the key ring is not among its keys")
	}
	return ring, nil
}

// GenerateKeyRing makes a ring of one random key with the id, in the text form that ParseKeyRing reads.
func GenerateKeyRing(id string) string {
	var key [keySize]byte
	_, _ = rand.Read(key[:]) // never fails
	text, _ := json.Marshal(map[string]any{
		"primary": id, "keys": map[string]string{id: base64.StdEncoding.EncodeToString(key[:])},
	})
	return string(text)
}

// Primary gives the id of the key that seals.
func (r *KeyRing) Primary() string { return r.primary }

// IDs gives the ids of all keys in their order.
func (r *KeyRing) IDs() []string {
	ids := make([]string, 0, len(r.keys))
	for id := range r.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

const ringText = "[key ring]"

// String keeps the keys out of what is printed.
func (r *KeyRing) String() string { return ringText }

// GoString keeps the keys out of what is printed with %#v.
func (r *KeyRing) GoString() string { return ringText }

// LogValue keeps the keys out of logs.
func (r *KeyRing) LogValue() slog.Value { return slog.StringValue(ringText) }

// keyTable is the ring's keys by id, in text form.
type keyTable map[string]string

var errKeyTwice = errors.New("the key ring names an id twice")

// UnmarshalJSON refuses an id that is given twice, of which encoding/json would silently take the last.
func (t *keyTable) UnmarshalJSON(text []byte) error {
	if *t != nil {
		return errKeyTwice // "keys" twice
	}
	*t = keyTable{}
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errors.New("keys is not an object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		id, _ := name.(string) // the names of an object are texts
		if _, twice := (*t)[id]; twice {
			return errKeyTwice
		}
		var key string
		if err := d.Decode(&key); err != nil {
			return err
		}
		(*t)[id] = key
	}
	return nil
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
