package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// masterKeySize is the length of the master key in bytes.
const masterKeySize = 32

// What each derived key is for. A purpose is part of the derivation: changing its text changes the key, and with it
// makes tokens invalid or sealed secrets unreadable.
const (
	purposeTokens = "assetflow token signing v1"
	purposeHSSO   = "assetflow hsso token signing v1"
	purposeSeal   = "assetflow secret key sealing v1"
)

// Keys holds the keys of the service, all derived from one master key by HKDF-SHA256: one signs tokens, one signs HSSO
// tokens, so that neither passes for the other, and one seals the secret keys of access keys at rest. It prints and logs
// as a placeholder.
type Keys struct {
	tokens []byte
	hsso   []byte
	seal   cipher.AEAD // prefixes a random nonce by itself
}

// ParseMasterKey derives the keys from a master key in its text form: 32 bytes in base64 (standard or URL alphabet,
// with or without padding). The error never quotes the text.
func ParseMasterKey(text string) (*Keys, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	master, err := base64.RawStdEncoding.Strict().DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(text))
	if err != nil {
		return nil, errors.New("the master key is not base64")
	}
	if len(master) != masterKeySize {
		return nil, fmt.Errorf("the master key has %d bytes instead of %d", len(master), masterKeySize)
	}
	return newKeys(master)
}

func newKeys(master []byte) (*Keys, error) {
	tokens, err := hkdf.Key(sha256.New, master, nil, purposeTokens, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for tokens: %w", err)
	}
	hsso, err := hkdf.Key(sha256.New, master, nil, purposeHSSO, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for HSSO tokens: %w", err)
	}
	sealing, err := hkdf.Key(sha256.New, master, nil, purposeSeal, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key for secret keys: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("make the cipher for secret keys: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make the cipher for secret keys: %w", err)
	}
	return &Keys{tokens: tokens, hsso: hsso, seal: seal}, nil
}

// GenerateMasterKey makes a random master key in the text form that ParseMasterKey reads.
func GenerateMasterKey() string {
	var master [masterKeySize]byte
	_, _ = rand.Read(master[:]) // never fails
	return base64.StdEncoding.EncodeToString(master[:])
}

// sealSecret seals a secret key for the catalog. The access key is bound to it: a sealed secret that is moved to
// another access key does not open.
func (k *Keys) sealSecret(accessKey, secretKey string) []byte {
	return k.seal.Seal(nil, nil, []byte(secretKey), []byte(accessKey)) //nolint:gosec // the cipher takes no nonce, it makes one
}

func (k *Keys) openSecret(accessKey string, sealed []byte) (string, error) {
	secret, err := k.seal.Open(nil, nil, sealed, []byte(accessKey))
	if err != nil {
		return "", errors.New("the sealed secret key does not open: it was sealed with another master key, or was changed")
	}
	return string(secret), nil
}

// String keeps the keys out of what is printed.
func (k *Keys) String() string { return "[keys]" }

// GoString keeps the keys out of what is printed with %#v.
func (k *Keys) GoString() string { return "[keys]" }

// LogValue keeps the keys out of logs.
func (k *Keys) LogValue() slog.Value { return slog.StringValue("[keys]") }
