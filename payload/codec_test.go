package payload_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"assetflow/fault"
	"assetflow/keyring"
	"assetflow/payload"
)

const (
	may      = `"2026-05": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="`
	november = `"2026-11": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="`
)

// ring has the keys, of which the named one is the primary.
func ring(t testing.TB, primary string, keys ...string) *keyring.Ring {
	t.Helper()
	r, err := payload.ParseKeys(fmt.Sprintf(`{"primary": %q, "keys": {%s}}`, primary, strings.Join(keys, ", ")))
	require.NoError(t, err)
	return r
}

func codec(t testing.TB, primary string, keys ...string) *payload.Codec {
	t.Helper()
	return payload.NewCodec(ring(t, primary, keys...), true)
}

// secret is a payload whose data and metadata nobody may see.
func secret() *commonpb.Payload {
	return &commonpb.Payload{
		Metadata: map[string][]byte{"encoding": []byte("json/plain"), "hidden-name": []byte("hidden-value")},
		Data:     []byte(`{"file_name": "hidden.zip"}`),
	}
}

func encode(t testing.TB, c *payload.Codec, p *commonpb.Payload) *commonpb.Payload {
	t.Helper()
	encrypted, err := c.Encode([]*commonpb.Payload{p})
	require.NoError(t, err)
	require.Len(t, encrypted, 1)
	return encrypted[0]
}

func requireSame(t testing.TB, want *commonpb.Payload, c *payload.Codec, encrypted *commonpb.Payload) {
	t.Helper()
	decrypted, err := c.Decode([]*commonpb.Payload{encrypted})
	require.NoError(t, err)
	require.Len(t, decrypted, 1)
	require.True(t, proto.Equal(want, decrypted[0]), "%v", decrypted[0])
}

func TestEncode(t *testing.T) {
	t.Parallel()
	c, clear := codec(t, "2026-11", november), secret()
	encrypted := encode(t, c, clear)
	require.True(t, proto.Equal(secret(), clear), "what is given to it stays as it is")
	require.Equal(t, map[string][]byte{"encoding": []byte("binary/encrypted"), "encryption-key-id": []byte("2026-11")}, encrypted.Metadata)
	message, err := proto.Marshal(encrypted)
	require.NoError(t, err)
	for _, text := range []string{"hidden", "json", "encoding\x12\x0ajson"} {
		require.NotContains(t, string(message), text)
	}
	before := proto.Clone(encrypted)
	requireSame(t, clear, c, encrypted)
	require.True(t, proto.Equal(before, encrypted), "nor does decoding change it")

	size, err := proto.Marshal(clear)
	require.NoError(t, err)
	require.Len(t, encrypted.Data, len(size)+29, "version, nonce and tag")

	requireSame(t, encrypted, c, encode(t, c, encrypted)) // twice in, twice out
	for range 2 {
		none, err := c.Encode(nil)
		require.NoError(t, err)
		require.Empty(t, none)
	}
}

func TestEveryPayloadHasItsOwnNonce(t *testing.T) {
	t.Parallel()
	c, seen := codec(t, "2026-11", november), map[string]bool{}
	for range 200 {
		encrypted, err := c.Encode([]*commonpb.Payload{secret(), secret()})
		require.NoError(t, err)
		for _, p := range encrypted {
			nonce := string(p.Data[1:13])
			require.False(t, seen[nonce])
			seen[nonce] = true
		}
	}
}

// A key is added, made the primary, and taken away: at each step what has to be read can be.
func TestRotation(t *testing.T) {
	t.Parallel()
	before := codec(t, "2026-05", may)
	added := codec(t, "2026-05", may, november)
	moved := codec(t, "2026-11", may, november)
	retired := codec(t, "2026-11", november)
	steps := []*payload.Codec{before, added, moved, retired}
	for i, c := range steps[:3] { // two steps are in use at the same time while one follows the other
		for _, p := range []*commonpb.Payload{encode(t, c, secret()), encode(t, steps[i+1], secret())} {
			if string(p.Metadata["encryption-key-id"]) == "2026-05" && i == 2 {
				continue // no job of that time is left
			}
			requireSame(t, secret(), c, p)
			requireSame(t, secret(), steps[i+1], p)
		}
	}
	_, err := retired.Decode([]*commonpb.Payload{encode(t, added, secret())})
	require.Equal(t, payload.CodeUnknownKey, fault.CodeOf(err))
	require.EqualError(t, err, `The payload is encrypted with the key "2026-05", which is not among the keys for payloads.`)
}

// Jobs run while encryption is switched on: first everybody reads, then everybody writes.
func TestSwitchingOn(t *testing.T) {
	t.Parallel()
	r := ring(t, "2026-11", november)
	reads, writes := payload.NewCodec(r, false), payload.NewCodec(r, true)
	require.True(t, proto.Equal(secret(), encode(t, reads, secret())), "it stays clear")
	for _, c := range []*payload.Codec{reads, writes} {
		requireSame(t, secret(), c, secret())
		requireSame(t, secret(), c, encode(t, writes, secret()))
		both, err := c.Decode([]*commonpb.Payload{secret(), encode(t, writes, secret()), secret()})
		require.NoError(t, err)
		for _, p := range both {
			require.True(t, proto.Equal(secret(), p))
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	c := codec(t, "2026-11", may, november)
	good := encode(t, c, secret())
	const forged, bad, unknown = payload.CodeNotAuthentic, payload.CodeMalformed, payload.CodeUnknownKey
	for name, tc := range map[string]struct {
		change func(p *commonpb.Payload)
		want   string
	}{
		"another key of the ring": {func(p *commonpb.Payload) { p.Metadata["encryption-key-id"] = []byte("2026-05") }, forged},
		"an unknown key":          {func(p *commonpb.Payload) { p.Metadata["encryption-key-id"] = []byte("2027-01") }, unknown},
		"an empty key id":         {func(p *commonpb.Payload) { p.Metadata["encryption-key-id"] = nil }, unknown},
		"a long key id":           {func(p *commonpb.Payload) { p.Metadata["encryption-key-id"] = []byte(strings.Repeat("x\n", 1<<20)) }, unknown},
		"no key id":               {func(p *commonpb.Payload) { delete(p.Metadata, "encryption-key-id") }, bad},
		"one more entry":          {func(p *commonpb.Payload) { p.Metadata["messageType"] = []byte("x") }, forged},
		"another version":         {func(p *commonpb.Payload) { p.Data[0] = 2 }, bad},
		"no data":                 {func(p *commonpb.Payload) { p.Data = nil }, bad},
		"28 bytes":                {func(p *commonpb.Payload) { p.Data = p.Data[:28] }, bad},
		"nothing but a tag":       {func(p *commonpb.Payload) { p.Data = p.Data[:29] }, forged},
		"one byte less":           {func(p *commonpb.Payload) { p.Data = p.Data[:len(p.Data)-1] }, forged},
		"one byte more":           {func(p *commonpb.Payload) { p.Data = append(p.Data, 0) }, forged},
		"a part elsewhere": {func(p *commonpb.Payload) {
			p.ExternalPayloads = []*commonpb.Payload_ExternalPayloadDetails{{SizeBytes: 1}}
		}, bad},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := proto.Clone(good).(*commonpb.Payload)
			tc.change(p)
			decrypted, err := c.Decode([]*commonpb.Payload{secret(), p})
			require.Nil(t, decrypted)
			require.Equal(t, tc.want, fault.CodeOf(err))
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.Less(t, len(err.Error()), 300)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
	for i := range good.Data {
		p := proto.Clone(good).(*commonpb.Payload)
		p.Data[i] ^= 0x10
		_, err := c.Decode([]*commonpb.Payload{p})
		require.Error(t, err, "byte %d", i)
	}
}

// A text that only the holder of the key can have written is refused as well where it is no payload.
func TestDecodeOfNoPayload(t *testing.T) {
	t.Parallel()
	r := ring(t, "2026-11", november)
	p := encode(t, payload.NewCodec(r, true), &commonpb.Payload{})
	var associated []byte
	for _, text := range []string{"assetflow payload v1", "encoding", "binary/encrypted", "encryption-key-id", "2026-11"} {
		associated = append(append(associated, 0, 0, 0, byte(len(text))), text...)
	}
	p.Data = r.Key("2026-11").Seal(p.Data[:13:13], p.Data[1:13], []byte("no message"), associated)
	_, err := payload.NewCodec(r, true).Decode([]*commonpb.Payload{p})
	require.Equal(t, payload.CodeMalformed, fault.CodeOf(err))
}

// knownAnswer is the first of testdata/encrypted.json: the same in every process, unlike what is encrypted anew.
const knownAnswer = "AaChoqOkpaanqKmqq3QqrjyhuePFxUHD3TRXHNX+Ee53UNVPTB22sNuZCc2xW3cHljaY+kis0uPdbFq/sxk3Hg7Np/ELFSD9G627q2LMvjfuJXXyoYgMecgB5w=="

// Whatever stands in a payload, decoding gives an error or what was encrypted, and never changes what is clear.
func FuzzDecode(f *testing.F) {
	c := codec(f, "2026-11", may, november)
	good, err := base64.StdEncoding.DecodeString(knownAnswer)
	require.NoError(f, err)
	f.Add("binary/encrypted", "2026-11", good)
	f.Add("binary/encrypted", "2026-05", good)
	f.Add("binary/encrypted", "", good[:29])
	f.Add("binary/encrypted", "2027", []byte{1})
	f.Add("json/plain", "2026-11", []byte("{}"))
	f.Fuzz(func(t *testing.T, encoding, id string, data []byte) {
		p := &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding), payload.MetadataKeyID: []byte(id)}, Data: data,
		}
		before := proto.Clone(p)
		decrypted, err := c.Decode([]*commonpb.Payload{p})
		require.True(t, proto.Equal(before, p))
		switch {
		case encoding != payload.Encoding:
			require.NoError(t, err)
			require.Same(t, p, decrypted[0])
		case id == "2026-11" && bytes.Equal(data, good):
			require.NoError(t, err)
			require.JSONEq(t, `{"JobID": "0192f000", "Mode": "AddNew"}`, string(decrypted[0].Data))
		default:
			require.Equal(t, fault.Invalid, fault.KindOf(err))
		}
	})
}
