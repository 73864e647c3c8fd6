package payload

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"
)

type vector struct {
	KeyID              string `json:"key_id"`
	Nonce              []byte
	Payload, Encrypted struct {
		Metadata map[string][]byte
		Data     []byte
	}
}

// The known answers were made by testdata/make.py, with another implementation of everything.
func TestKnownAnswers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/encrypted.json")
	require.NoError(t, err)
	var known []vector
	require.NoError(t, json.Unmarshal(text, &known))
	require.Len(t, known, 4)
	keys := make([]byte, 64)
	for i := range keys {
		keys[i] = byte(i)
	}
	for i, v := range known {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			ring, err := ParseKeys(fmt.Sprintf(`{"primary": %q, "keys": {"2026-05": %q, "2026-11": %q}}`, v.KeyID,
				base64.StdEncoding.EncodeToString(keys[:32]), base64.StdEncoding.EncodeToString(keys[32:])))
			require.NoError(t, err)
			codec := NewCodec(ring, true)
			codec.random = bytes.NewReader(v.Nonce)
			clear := &commonpb.Payload{Metadata: v.Payload.Metadata, Data: v.Payload.Data}
			want := &commonpb.Payload{Metadata: v.Encrypted.Metadata, Data: v.Encrypted.Data}

			encrypted, err := codec.Encode([]*commonpb.Payload{clear})
			require.NoError(t, err)
			require.True(t, proto.Equal(want, encrypted[0]), "%v", encrypted[0])

			decrypted, err := codec.Decode([]*commonpb.Payload{want})
			require.NoError(t, err)
			require.True(t, proto.Equal(clear, decrypted[0]), "%v", decrypted[0])
		})
	}
}

// What cannot be encrypted is not handed on in clear.
func TestNoRandomness(t *testing.T) {
	t.Parallel()
	ring, err := ParseKeys(GenerateKeys("a"))
	require.NoError(t, err)
	codec := NewCodec(ring, true)
	codec.random = bytes.NewReader(make([]byte, nonceSize+nonceSize-1)) // enough for one payload
	payloads, err := codec.Encode([]*commonpb.Payload{{Data: []byte("one")}, {Data: []byte("two")}})
	require.Error(t, err)
	require.Nil(t, payloads)
}
