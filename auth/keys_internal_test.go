package auth

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMasterKey(t *testing.T) {
	t.Parallel()
	master := bytes.Repeat([]byte{0xfb, 0xef, 0xff, 0x01}, 8) // has both characters in which the alphabets differ
	want, err := newKeys(master)
	require.NoError(t, err)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		got, err := ParseMasterKey(" " + encoding.EncodeToString(master) + "\n")
		require.NoError(t, err)
		require.Equal(t, want.tokens, got.tokens)
	}
	for name, text := range map[string]string{
		"empty":      "",
		"not base64": strings.Repeat("!", 43),
		"short":      base64.StdEncoding.EncodeToString(master[1:]),
		"long":       base64.StdEncoding.EncodeToString(append([]byte{1}, master...)),
		"hex":        strings.Repeat("0f", 32),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseMasterKey(text)
			require.Error(t, err)
			if text != "" {
				require.NotContains(t, err.Error(), text[:4])
			}
		})
	}
}

func TestGenerateMasterKey(t *testing.T) {
	t.Parallel()
	a, b := GenerateMasterKey(), GenerateMasterKey()
	require.NotEqual(t, a, b)
	keys, err := ParseMasterKey(a)
	require.NoError(t, err)
	require.Len(t, keys.tokens, 32)
}

// The derivation is fixed: a change would make every issued token invalid and every stored secret unreadable.
func TestKeysStayTheSame(t *testing.T) {
	t.Parallel()
	keys, err := newKeys(make([]byte, 32))
	require.NoError(t, err)
	// HKDF-SHA256, no salt, info "assetflow token signing v1", computed with another implementation.
	require.Equal(t, tokenKeyOfZeroMaster, fmt.Sprintf("%x", keys.tokens))
	sealed, err := base64.StdEncoding.DecodeString(sealedByZeroMaster)
	require.NoError(t, err)
	secret, err := keys.openSecret("AKTEST", sealed)
	require.NoError(t, err)
	require.Equal(t, "SKTEST", secret)
}

func TestSealedSecret(t *testing.T) {
	t.Parallel()
	keys, err := ParseMasterKey(GenerateMasterKey())
	require.NoError(t, err)
	other, err := ParseMasterKey(GenerateMasterKey())
	require.NoError(t, err)
	sealed := keys.sealSecret("AK1", "the secret key")
	require.NotContains(t, string(sealed), "secret")
	require.NotEqual(t, sealed, keys.sealSecret("AK1", "the secret key"), "a nonce is used once")

	opened, err := keys.openSecret("AK1", sealed)
	require.NoError(t, err)
	require.Equal(t, "the secret key", opened)
	_, err = keys.openSecret("AK2", sealed)
	require.Error(t, err, "moved to another access key")
	_, err = other.openSecret("AK1", sealed)
	require.Error(t, err, "another master key")
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err = keys.openSecret("AK1", changed)
		require.Error(t, err, "byte %d changed", i)
	}
	_, err = keys.openSecret("AK1", nil)
	require.Error(t, err, "nothing")
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	keys, err := newKeys(bytes.Repeat([]byte("k"), 32))
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "keys", keys,
		"login", PasswordLogin{User: "anna", Password: "hidden-1"}, "token", Token{Value: "hidden-2"})
	text := log.String() + fmt.Sprintf("%v %+v %#v %s", keys, keys, keys, keys)
	for _, secret := range []any{PasswordLogin{Password: "hidden-1"}, Token{Value: "hidden-2"}} {
		text += fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret)
	}
	require.NotContains(t, text, "hidden")
	require.NotContains(t, text, fmt.Sprintf("%x", keys.tokens))
	require.NotContains(t, text, fmt.Sprintf("%d", keys.tokens))
	require.Contains(t, text, "anna")
}

// Computed with Python's hmac and cryptography packages and with Node's crypto from a master key of 32 zero bytes.
const (
	tokenKeyOfZeroMaster = "d41af07e623eb933468b40e67bf1e468333f9b4e8e5b0e1840f200d00661405c"
	sealedByZeroMaster   = "AAECAwQFBgcICQoLIucxezKHwZd0ko24UMR+zk8h27U6Og=="
)
