package replication_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/keyring"
	"assetflow/replication"
)

func TestKeyRing(t *testing.T) {
	t.Parallel()
	text := replication.GenerateKeyRing("dev")
	require.Equal(t, "dev", ring(t, text).Primary())
	_, err := replication.ParseKeyRing(keyring.Generate("dev", keyring.AES256))
	require.ErrorContains(t, err, "16 bytes")
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
