package replication_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/fault"
	"assetflow/replication"
)

const (
	assetID = "0b7c2d4e9f0a4c5d8e1f2a3b4c5d6e7f"
	// The keys are 00 01 … 0f and 10 11 … 1f.
	ringText = `{"primary": "2026-11", "keys": {"2026-11": "AAECAwQFBgcICQoLDA0ODw==", "2026-05": "EBESExQVFhcYGRobHB0eHw=="}}`
)

var (
	expires = time.Unix(1_795_000_000, 0)
	before  = expires.Add(-time.Minute)
)

func ring(t testing.TB, text string) *replication.KeyRing {
	t.Helper()
	r, err := replication.ParseKeyRing(text)
	require.NoError(t, err)
	return r
}

func payload() replication.Payload {
	return replication.Payload{
		SourceRegion:   "region-a",
		ManifestURL:    "https://s3.a.example/assetflow/manifests/p/a/m?X-Amz-Signature=00&X-Amz-Expires=3600",
		ManifestSHA256: strings.Repeat("5f", 32),
		ManifestSize:   12345,
		IssuedAt:       time.Date(2026, 11, 18, 9, 46, 40, 500_000_000, time.UTC),
		Metadata: replication.Metadata{
			Name: "Größe <1>", Type: "SCENE", Tags: []string{"a", "b"}, ExtraMeta: json.RawMessage(`{"x":[1,2.50]}`),
		},
	}
}

func seal(t testing.TB, r *replication.KeyRing, p replication.Payload) replication.Info {
	t.Helper()
	info, err := replication.Seal(r, p, assetID, expires, nil)
	require.NoError(t, err)
	return info
}

func requireRefused(t *testing.T, code string, err error, args ...any) {
	t.Helper()
	require.Equal(t, code, fault.CodeOf(err), args...)
	require.Equal(t, fault.Invalid, fault.KindOf(err), args...)
}

// The known answer was made by testdata/make.py, with another implementation of everything.
func TestKnownAnswer(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/sealed.json")
	require.NoError(t, err)
	var known replication.Info
	require.NoError(t, json.Unmarshal(text, &known))

	nonce := []byte{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab}
	sealed, err := replication.Seal(ring(t, ringText), payload(), assetID, expires, bytes.NewReader(nonce))
	require.NoError(t, err)
	require.True(t, known == sealed, "the sealed text differs")

	opened, err := replication.Open(ring(t, ringText), known, "region-b", before)
	require.NoError(t, err)
	require.True(t, payload().IssuedAt.Equal(opened.IssuedAt))
	opened.IssuedAt = payload().IssuedAt
	want, err := json.Marshal(payload())
	require.NoError(t, err)
	got, err := json.Marshal(opened)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	require.Equal(t, payload().Metadata, opened.Metadata)
}

func TestEverySealHasItsOwnNonce(t *testing.T) {
	t.Parallel()
	r, seen := ring(t, ringText), map[string]bool{}
	for range 100 {
		iv := seal(t, r, payload()).EncryptionInfo.IV
		require.Len(t, iv, 16)
		require.False(t, seen[iv])
		seen[iv] = true
	}
	broken := errors.New("no randomness")
	_, err := replication.Seal(r, payload(), assetID, expires, iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
	_, err = replication.Seal(r, payload(), assetID, expires, bytes.NewReader(make([]byte, 11)))
	require.Error(t, err, "half a nonce")
}

// However many files the manifest lists, the sealed text is as long; so it is for most metadata.
func TestLengthSaysNothing(t *testing.T) {
	t.Parallel()
	r := ring(t, ringText)
	length := len(seal(t, r, payload()).AssetInfo)
	for _, size := range []int64{1, 999, replication.MaxManifestSize} {
		p := payload()
		p.ManifestSize = size
		p.Metadata.Description = strings.Repeat("x", 1000)
		require.Len(t, seal(t, r, p).AssetInfo, length)
	}
	// 4 KiB of plaintext and the tag in base64, behind the nonce.
	require.Equal(t, 17+base64.StdEncoding.EncodedLen(4096+16), length)

	largest := 0
	for n := 60_000; ; n++ {
		p := payload()
		p.Metadata.Description = strings.Repeat("x", n)
		info, err := replication.Seal(r, p, assetID, expires, nil)
		if err != nil {
			require.Equal(t, "replication.metadata_too_large", fault.CodeOf(err))
			require.Equal(t, fault.TooLarge, fault.KindOf(err))
			break
		}
		largest = len(info.AssetInfo)
		opened, err := replication.Open(r, info, "region-b", before)
		require.NoError(t, err)
		require.Len(t, opened.Metadata.Description, n)
		n += 200
	}
	require.Equal(t, 98_345, largest)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	old := ring(t, `{"primary": "2026-05", "keys": {"2026-05": "EBESExQVFhcYGRobHB0eHw=="}}`)
	added := ring(t, `{"primary": "2026-05", "keys": {"2026-11": "AAECAwQFBgcICQoLDA0ODw==", "2026-05": "EBESExQVFhcYGRobHB0eHw=="}}`)
	moved := ring(t, ringText)
	retired := ring(t, `{"primary": "2026-11", "keys": {"2026-11": "AAECAwQFBgcICQoLDA0ODw=="}}`)
	for name, pair := range map[string]struct{ from, to *replication.KeyRing }{
		"the key is added at one": {added, old}, "at both": {added, added}, "primary at one": {moved, added},
		"and the other way": {added, moved}, "at both, primary": {moved, moved}, "retired at one": {retired, moved},
		"retired, the other way": {moved, retired},
	} {
		_, err := replication.Open(pair.to, seal(t, pair.from, payload()), "region-b", before)
		require.NoError(t, err, name)
	}
	require.Equal(t, "2026-11", moved.Primary())
	require.Equal(t, []string{"2026-05", "2026-11"}, moved.IDs())

	_, err := replication.Open(retired, seal(t, old, payload()), "region-b", before)
	requireRefused(t, "replication.unknown_key", err)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	r := ring(t, ringText)
	good := seal(t, r, payload())
	otherIV := base64.StdEncoding.EncodeToString(make([]byte, 12))
	cipherText := strings.TrimPrefix(good.AssetInfo, good.EncryptionInfo.IV+":")
	for name, c := range map[string]struct {
		code   string
		change func(*replication.Info)
	}{
		"empty":                {"replication.malformed", func(i *replication.Info) { *i = replication.Info{} }},
		"no asset id":          {"replication.malformed", func(i *replication.Info) { i.AssetID = "" }},
		"long asset id":        {"replication.malformed", func(i *replication.Info) { i.AssetID = strings.Repeat("a", 65) }},
		"a path as asset id":   {"replication.malformed", func(i *replication.Info) { i.AssetID = "../x" }},
		"another asset id":     {"replication.not_authentic", func(i *replication.Info) { i.AssetID = "other" }},
		"no algorithm":         {"replication.unknown_algorithm", func(i *replication.Info) { i.EncryptionInfo.Algorithm = "" }},
		"another algorithm":    {"replication.unknown_algorithm", func(i *replication.Info) { i.EncryptionInfo.Algorithm = "AES256_GCM" }},
		"its lower case":       {"replication.unknown_algorithm", func(i *replication.Info) { i.EncryptionInfo.Algorithm = "aes128_gcm" }},
		"no key":               {"replication.malformed", func(i *replication.Info) { i.EncryptionInfo.KeyID = "" }},
		"an unknown key":       {"replication.unknown_key", func(i *replication.Info) { i.EncryptionInfo.KeyID = "2027" }},
		"another key":          {"replication.not_authentic", func(i *replication.Info) { i.EncryptionInfo.KeyID = "2026-05" }},
		"no expire time":       {"replication.malformed", func(i *replication.Info) { i.ExpireTime = 0 }},
		"a later expire time":  {"replication.not_authentic", func(i *replication.Info) { i.ExpireTime++ }},
		"an earlier one":       {"replication.not_authentic", func(i *replication.Info) { i.ExpireTime-- }},
		"another iv field":     {"replication.malformed", func(i *replication.Info) { i.EncryptionInfo.IV = otherIV }},
		"another iv in front":  {"replication.malformed", func(i *replication.Info) { i.AssetInfo = otherIV + ":" + cipherText }},
		"another iv":           {"replication.not_authentic", func(i *replication.Info) { i.EncryptionInfo.IV, i.AssetInfo = otherIV, otherIV+":"+cipherText }},
		"a short iv":           {"replication.malformed", func(i *replication.Info) { i.EncryptionInfo.IV, i.AssetInfo = "AAAA", "AAAA:"+cipherText }},
		"an empty iv":          {"replication.malformed", func(i *replication.Info) { i.EncryptionInfo.IV, i.AssetInfo = "", ":"+cipherText }},
		"no iv in front":       {"replication.malformed", func(i *replication.Info) { i.AssetInfo = cipherText }},
		"no asset info":        {"replication.malformed", func(i *replication.Info) { i.AssetInfo = "" }},
		"no ciphertext":        {"replication.malformed", func(i *replication.Info) { i.AssetInfo = good.EncryptionInfo.IV + ":" }},
		"no base64":            {"replication.malformed", func(i *replication.Info) { i.AssetInfo += "!" }},
		"a line break":         {"replication.malformed", func(i *replication.Info) { i.AssetInfo = i.AssetInfo[:100] + "\n" + i.AssetInfo[100:] }},
		"a line break at last": {"replication.malformed", func(i *replication.Info) { i.AssetInfo += "\r\n" }},
		"a second colon":       {"replication.malformed", func(i *replication.Info) { i.AssetInfo += ":AAAA" }},
		"too long":             {"replication.malformed", func(i *replication.Info) { i.AssetInfo += strings.Repeat("A", 100_000) }},
		"a block too few": {"replication.malformed", func(i *replication.Info) {
			i.AssetInfo = i.EncryptionInfo.IV + ":" + base64.StdEncoding.EncodeToString(make([]byte, 16))
		}},
		"a cut block": {"replication.malformed", func(i *replication.Info) { i.AssetInfo = i.AssetInfo[:len(i.AssetInfo)-8] }},
		"a block too many": {"replication.malformed", func(i *replication.Info) {
			i.AssetInfo = i.EncryptionInfo.IV + ":" + base64.StdEncoding.EncodeToString(make([]byte, 19*4096+16))
		}},
		"a text nobody sealed": {"replication.not_authentic", func(i *replication.Info) {
			i.AssetInfo = i.EncryptionInfo.IV + ":" + base64.StdEncoding.EncodeToString(make([]byte, 2*4096+16))
		}},
		"unchanged, as a check": {"", func(*replication.Info) {}},
	} {
		info := good
		c.change(&info)
		_, err := replication.Open(r, info, "region-b", before)
		if c.code == "" {
			require.NoError(t, err, name)
			continue
		}
		requireRefused(t, c.code, err, name)
	}
}

// A wrong key and a forged text are told in the same words.
func TestWrongKeyLooksLikeAForgery(t *testing.T) {
	t.Parallel()
	good := seal(t, ring(t, ringText), payload())
	wrong := ring(t, `{"primary": "2026-11", "keys": {"2026-11": "EBESExQVFhcYGRobHB0eHw=="}}`)
	_, wrongKey := replication.Open(wrong, good, "region-b", before)
	forged := good
	forged.AssetInfo = forged.AssetInfo[:200] + "AAAA" + forged.AssetInfo[204:]
	_, forgery := replication.Open(ring(t, ringText), forged, "region-b", before)
	requireRefused(t, "replication.not_authentic", wrongKey)
	require.Equal(t, wrongKey, forgery)
}

// Every character of asset_info counts.
func TestTamperingEveryPosition(t *testing.T) {
	t.Parallel()
	r := ring(t, ringText)
	good := seal(t, r, payload())
	for at := range good.AssetInfo {
		if at > 100 && at < len(good.AssetInfo)-100 && at%7 != 0 {
			continue
		}
		for _, c := range []byte{'A', 'B', '=', ':', '\n'} {
			if good.AssetInfo[at] == c {
				continue
			}
			text := []byte(good.AssetInfo)
			text[at] = c
			info := good
			info.AssetInfo = string(text)
			if iv, _, ok := strings.Cut(info.AssetInfo, ":"); ok {
				info.EncryptionInfo.IV = iv
			}
			_, err := replication.Open(r, info, "region-b", before)
			require.Error(t, err, "%q at %d", c, at)
			require.Contains(t, []string{"replication.malformed", "replication.not_authentic"}, fault.CodeOf(err))
		}
	}
	sealed, err := base64.StdEncoding.DecodeString(good.AssetInfo[17:])
	require.NoError(t, err)
	for bit := 0; bit < 8*len(sealed); bit += 37 {
		sealed[bit/8] ^= 1 << (bit % 8)
		info := good
		info.AssetInfo = good.EncryptionInfo.IV + ":" + base64.StdEncoding.EncodeToString(sealed)
		_, err := replication.Open(r, info, "region-b", before)
		requireRefused(t, "replication.not_authentic", err, "bit %d", bit)
		sealed[bit/8] ^= 1 << (bit % 8)
	}
}

func TestExpiryAndRegion(t *testing.T) {
	t.Parallel()
	r := ring(t, ringText)
	good := seal(t, r, payload())
	_, err := replication.Open(r, good, "region-b", expires.Add(-time.Nanosecond))
	require.NoError(t, err, "to the last moment")
	for _, now := range []time.Time{expires, expires.Add(time.Hour)} {
		_, err := replication.Open(r, good, "region-b", now)
		requireRefused(t, "replication.expired", err)
	}
	_, err = replication.Open(r, good, "region-a", before)
	requireRefused(t, "replication.own_region", err)

	_, err = replication.Open(nil, good, "region-b", before)
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "no ring")
	_, err = replication.Seal(nil, payload(), assetID, expires, nil)
	require.Equal(t, fault.Unavailable, fault.KindOf(err), "no ring")
}

func TestSealRefusesHalfAPayload(t *testing.T) {
	t.Parallel()
	r := ring(t, ringText)
	for name, change := range map[string]func(*replication.Payload){
		"region":     func(p *replication.Payload) { p.SourceRegion = "" },
		"no url":     func(p *replication.Payload) { p.ManifestURL = "" },
		"file url":   func(p *replication.Payload) { p.ManifestURL = "file:///etc/passwd" },
		"user":       func(p *replication.Payload) { p.ManifestURL = "https://user:very-secret@host/" },
		"digest":     func(p *replication.Payload) { p.ManifestSHA256 = strings.Repeat("5F", 32) },
		"size":       func(p *replication.Payload) { p.ManifestSize = 0 },
		"large":      func(p *replication.Payload) { p.ManifestSize = replication.MaxManifestSize + 1 },
		"issued":     func(p *replication.Payload) { p.IssuedAt = time.Time{} },
		"name":       func(p *replication.Payload) { p.Metadata.Name = "" },
		"extra meta": func(p *replication.Payload) { p.Metadata.ExtraMeta = json.RawMessage("{") },
	} {
		p := payload()
		change(&p)
		_, err := replication.Seal(r, p, assetID, expires, nil)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "very-secret")
	}
	for _, id := range []string{"", strings.Repeat("a", 65), "a/b", ".."} {
		_, err := replication.Seal(r, payload(), id, expires, nil)
		require.Error(t, err)
	}
}

// Neither an info nor what it says shows itself in a text or a log.
func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	r := ring(t, ringText)
	info, p := seal(t, r, payload()), payload()
	f := file(1)
	for _, value := range []any{info, &info, p, &p, r, f, &f, struct{ I replication.Info }{info}, []any{p, f}} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
		for _, text := range []string{fmt.Sprint(value), fmt.Sprintf("%+v", value), fmt.Sprintf("%#v", value), fmt.Sprintf("%s", value), log.String()} {
			for _, secret := range []string{info.AssetInfo[20:60], "X-Amz-Signature", "AAECAwQ", "0x1, 0x2, 0x3"} {
				require.NotContains(t, text, secret)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, ringText)
	// The same in every process that fuzzes.
	sealed, err := replication.Seal(r, payload(), assetID, expires, bytes.NewReader(make([]byte, 12)))
	require.NoError(f, err)
	good, err := json.Marshal(sealed)
	require.NoError(f, err)
	f.Add(good)
	known, err := os.ReadFile("testdata/sealed.json")
	require.NoError(f, err)
	f.Add(known)
	f.Add([]byte(`{"asset_id":"a","asset_info":"AAAAAAAAAAAAAAAA:AAAA","encryption_info":{"algorithm":"AES128_GCM","key_id":1,"iv":"AAAAAAAAAAAAAAAA"},"expire_time":1}`))
	var vector replication.Info
	require.NoError(f, json.Unmarshal(known, &vector))
	f.Fuzz(func(t *testing.T, text []byte) {
		var info replication.Info
		if json.Unmarshal(text, &info) != nil {
			return
		}
		p, err := replication.Open(r, info, "region-b", before)
		if err != nil {
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.Equal(t, replication.Payload{}, p)
			return
		}
		require.True(t, info == sealed || info == vector, "nobody but the ring's owner can seal")
	})
}
