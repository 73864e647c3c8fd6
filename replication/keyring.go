package replication

import "assetflow/keyring"

// KeyRing holds the keys that replication infos are sealed with.
type KeyRing = keyring.Ring

// keySize is the one that Algorithm asks for.
const keySize = keyring.AES128

// ParseKeyRing reads a ring in its text form, see [keyring.Parse]. The error never quotes a key.
func ParseKeyRing(text string) (*KeyRing, error) { return keyring.Parse(text, keySize) }

// GenerateKeyRing makes a ring of one random key with the id, in the text form that ParseKeyRing reads.
func GenerateKeyRing(id string) string { return keyring.Generate(id, keySize) }
