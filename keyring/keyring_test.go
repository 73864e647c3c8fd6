package keyring_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/keyring"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const (
		key  = "AAECAwQFBgcICQoLDA0ODw=="
		good = `{"primary": "a", "keys": {"a": "` + key + `"}}`
	)
	_, err := keyring.Parse(good, keyring.AES128)
	require.NoError(t, err)
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprintf(`"%d": "%sAA=="`, i, strings.Repeat("A", 18)+string(rune('A'+i%26))+"A"))
	}
	for name, text := range map[string]string{
		"nothing":            "",
		"no JSON":            "2026-11=" + key,
		"no keys":            `{"primary": "a"}`,
		"empty keys":         `{"primary": "a", "keys": {}}`,
		"null":               `null`,
		"list":               `{"primary": "a", "keys": ["` + key + `"]}`,
		"no primary":         `{"keys": {"a": "` + key + `"}}`,
		"another primary":    `{"primary": "b", "keys": {"a": "` + key + `"}}`,
		"an unknown field":   `{"primary": "a", "keys": {"a": "` + key + `"}, "kyes": {}}`,
		"an id twice":        `{"primary": "a", "keys": {"a": "` + key + `", "a": "EBESExQVFhcYGRobHB0eHw=="}}`,
		"keys twice":         `{"primary": "a", "keys": {"a": "` + key + `"}, "keys": {"a": "EBESExQVFhcYGRobHB0eHw=="}}`,
		"a key twice":        `{"primary": "a", "keys": {"a": "` + key + `", "b": "` + key + `"}}`,
		"an empty id":        `{"primary": "", "keys": {"": "` + key + `"}}`,
		"a bad id":           `{"primary": "a b", "keys": {"a b": "` + key + `"}}`,
		"a long id":          `{"primary": "` + strings.Repeat("a", 65) + `", "keys": {"` + strings.Repeat("a", 65) + `": "` + key + `"}}`,
		"a number":           `{"primary": "a", "keys": {"a": 1}}`,
		"15 bytes":           `{"primary": "a", "keys": {"a": "AAECAwQFBgcICQoLDA0O"}}`,
		"32 bytes":           `{"primary": "a", "keys": {"a": "AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8="}}`,
		"no padding":         `{"primary": "a", "keys": {"a": "AAECAwQFBgcICQoLDA0ODw"}}`,
		"a line break":       `{"primary": "a", "keys": {"a": "AAECAwQF\nBgcICQoLDA0ODw=="}}`,
		"something behind":   good + good,
		"a brace behind":     good + "}",
		"half":               good[:len(good)-4],
		"65 keys":            `{"primary": "0", "keys": {` + strings.Join(many, ",") + `}}`,
		"trailing bits used": `{"primary": "a", "keys": {"a": "AAECAwQFBgcICQoLDA0ODx=="}}`,
	} {
		_, err := keyring.Parse(text, keyring.AES128)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "AAECAwQ", name)
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	for size, other := range map[keyring.Size]keyring.Size{keyring.AES128: keyring.AES256, keyring.AES256: keyring.AES128} {
		text := keyring.Generate("dev", size)
		require.NotEqual(t, text, keyring.Generate("dev", size))
		ring, err := keyring.Parse(text, size)
		require.NoError(t, err)
		require.Equal(t, "dev", ring.Primary())
		_, err = keyring.Parse(text, other)
		require.ErrorContains(t, err, fmt.Sprintf("key dev of the key ring is not the base64 of %d bytes", other))
	}
}

func TestRing(t *testing.T) {
	t.Parallel()
	ring, err := keyring.Parse(`{"primary": "b", "keys": {"b": "AAECAwQFBgcICQoLDA0ODw==", "a": "EBESExQVFhcYGRobHB0eHw=="}}`, keyring.AES128)
	require.NoError(t, err)
	require.Equal(t, "b", ring.Primary())
	require.Equal(t, []string{"a", "b"}, ring.IDs())
	require.Nil(t, ring.Key("c"))
	nonce := make([]byte, ring.Key("a").NonceSize())
	sealed := ring.Key("a").Seal(nil, nonce, []byte("text"), nil)
	opened, err := ring.Key("a").Open(nil, nonce, sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "text", string(opened))
	_, err = ring.Key("b").Open(nil, nonce, sealed, nil)
	require.Error(t, err)

	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "ring", ring)
	for _, shown := range []string{log.String(), fmt.Sprint(ring), fmt.Sprintf("%#v", ring), fmt.Sprintf("%+v", ring)} {
		require.Contains(t, shown, "[key ring]")
		require.NotContains(t, shown, "AAECAw")
	}
}
