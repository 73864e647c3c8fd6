package replication_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/replication"
)

func TestParseKeyRingRefuses(t *testing.T) {
	t.Parallel()
	const key = "AAECAwQFBgcICQoLDA0ODw=="
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
		"something behind":   ringText + ringText,
		"half":               ringText[:len(ringText)-4],
		"65 keys":            `{"primary": "0", "keys": {` + strings.Join(many, ",") + `}}`,
		"trailing bits used": `{"primary": "a", "keys": {"a": "AAECAwQFBgcICQoLDA0ODx=="}}`,
	} {
		_, err := replication.ParseKeyRing(text)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "AAECAwQ", name)
	}
}

func TestGenerateKeyRing(t *testing.T) {
	t.Parallel()
	text := replication.GenerateKeyRing("dev")
	require.Equal(t, "dev", ring(t, text).Primary())
	require.NotEqual(t, text, replication.GenerateKeyRing("dev"))
}

func TestKeyIDOnTheWire(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`"1"`: "1", `1`: "1", `"2026-11"`: "2026-11", `20261118`: "20261118", `null`: "", `""`: ""} {
		var e replication.Encryption
		require.NoError(t, json.Unmarshal([]byte(`{"key_id":`+text+`}`), &e), text)
		require.Equal(t, want, string(e.KeyID))
		written, err := json.Marshal(e.KeyID)
		require.NoError(t, err)
		require.Equal(t, `"`+want+`"`, string(written))
	}
	for _, text := range []string{`1.0`, `1e0`, `-1`, `true`, `{}`, `["1"]`, strings.Repeat("1", 65)} {
		var e replication.Encryption
		require.Error(t, json.Unmarshal([]byte(`{"key_id":`+text+`}`), &e), text)
	}
}
