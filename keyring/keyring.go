// Package keyring reads and makes rings of AES keys that are replaced one after the other: one of them seals, all of them
// open.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
)

// Size is the length of a ring's keys in bytes.
type Size int

// The sizes there are.
const (
	AES128 Size = 16
	AES256 Size = 32
)

// maxKeys bounds a ring. One that is rotated in order holds two or three.
const maxKeys = 64

// identifier is what the id of a key looks like.
var identifier = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Ring holds keys by their ids. The primary one seals, every one opens. It prints and logs as a placeholder. It is safe
// for concurrent use.
type Ring struct {
	primary string
	keys    map[string]cipher.AEAD
}

// Parse reads a ring of keys of the size in its text form:
//
//	{"primary": "2026-11", "keys": {"2026-11": "<base64 of the key>", "2026-05": "…"}}
//
// An id is 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit. Unknown fields, an id
// given twice, a key under two ids and a primary that is not among the keys are refused. The error never quotes a key.
func Parse(text string, size Size) (*Ring, error) {
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
		return nil, fmt.Errorf(`the key ring is not JSON of the form {"primary": "<id>", "keys": {"<id>": "<base64 of %d bytes>"}}`, size)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the key ring is followed by something else")
	}
	if n := len(form.Keys); n == 0 || n > maxKeys {
		return nil, fmt.Errorf("the key ring has %d keys; it takes 1 to %d", n, maxKeys)
	}
	ring := &Ring{primary: form.Primary, keys: map[string]cipher.AEAD{}}
	seen := map[string]bool{}
	for id, text := range form.Keys {
		if !identifier.MatchString(id) {
			return nil, errors.New("the key ring has an id that is not 1 to 64 letters, digits, dots, underscores and hyphens")
		}
		// The decoder passes over line breaks, so the text's length is looked at as well.
		key, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(key) != int(size) || len(text) != base64.StdEncoding.EncodedLen(int(size)) {
			return nil, fmt.Errorf("key %s of the key ring is not the base64 of %d bytes", id, size)
		}
		if seen[string(key)] {
			return nil, fmt.Errorf("key %s of the key ring stands there under another id, too", id)
		}
		seen[string(key)] = true
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

// Generate makes a ring of one random key with the id, in the text form that Parse reads.
func Generate(id string, size Size) string {
	key := make([]byte, size)
	_, _ = rand.Read(key) // never fails
	text, _ := json.Marshal(map[string]any{
		"primary": id, "keys": map[string]string{id: base64.StdEncoding.EncodeToString(key)},
	})
	return string(text)
}

// Primary gives the id of the key that seals.
func (r *Ring) Primary() string { return r.primary }

// Key gives the AES-GCM of the key with the id; nil where the ring has none.
func (r *Ring) Key(id string) cipher.AEAD { return r.keys[id] }

// IDs gives the ids of all keys in their order.
func (r *Ring) IDs() []string {
	ids := make([]string, 0, len(r.keys))
	for id := range r.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

const ringText = "[key ring]"

// String keeps the keys out of what is printed.
func (r *Ring) String() string { return ringText }

// GoString keeps the keys out of what is printed with %#v.
func (r *Ring) GoString() string { return ringText }

// LogValue keeps the keys out of logs.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(ringText) }

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
