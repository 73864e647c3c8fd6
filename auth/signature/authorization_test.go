package signature_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/auth/signature"
	"assetflow/fault"
)

const someSignature = "548aaa69e2e3af2b0428c41fb9bc7a34e9b5747281cc9529d811b4e47c8e23ee"

func TestParse(t *testing.T) {
	t.Parallel()
	want := signature.Authorization{AccessKey: "AK1", SignedHeaders: []string{"host", "x-sdk-date"}, Signature: someSignature}
	for _, header := range []string{
		"SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host;x-sdk-date, Signature=" + someSignature,
		"SDK-HMAC-SHA256 Access=AK1,SignedHeaders=host;x-sdk-date,Signature=" + someSignature,
		"sdk-hmac-sha256  Signature=" + strings.ToUpper(someSignature) + " ,\tSignedHeaders=host;x-sdk-date , Access=AK1 ",
	} {
		require.True(t, signature.Matches(header))
		got, err := signature.Parse(header)
		require.NoError(t, err, header)
		require.Equal(t, want, got)
	}
	require.Equal(t, "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host;x-sdk-date, Signature="+someSignature, want.String())
	for _, other := range []string{"", "Basic c3lzdGVtOm1hbmFnZXI=", "HSSO abc", "SDK-HMAC-SHA2567 Access=AK1", "SDK-HMAC-SM3 Access=a"} {
		require.False(t, signature.Matches(other), other)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	sig := "Signature=" + someSignature
	for name, header := range map[string]string{
		"empty":                 "",
		"another scheme":        "Basic Access=AK1, SignedHeaders=host, " + sig,
		"scheme only":           "SDK-HMAC-SHA256",
		"scheme and blank":      "SDK-HMAC-SHA256 ",
		"no access key":         "SDK-HMAC-SHA256 SignedHeaders=host, " + sig,
		"no signed headers":     "SDK-HMAC-SHA256 Access=AK1, " + sig,
		"no signature":          "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host",
		"empty access key":      "SDK-HMAC-SHA256 Access=, SignedHeaders=host, " + sig,
		"empty signed headers":  "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=, " + sig,
		"empty signed header":   "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host;, " + sig,
		"upper-case header":     "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=Host, " + sig,
		"header twice":          "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host;host, " + sig,
		"header with line feed": "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=ho\nst, " + sig,
		"too many headers":      "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=a" + strings.Repeat(";b", 100) + ", " + sig,
		"access key twice":      "SDK-HMAC-SHA256 Access=AK1, Access=AK1, SignedHeaders=host, " + sig,
		"signed headers twice":  "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, SignedHeaders=host, " + sig,
		"signature twice":       "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, " + sig + ", " + sig,
		"unknown field":         "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, " + sig + ", Extra=1",
		"field in another case": "SDK-HMAC-SHA256 access=AK1, SignedHeaders=host, " + sig,
		"trailing comma":        "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, " + sig + ",",
		"short signature":       "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, " + sig[:len(sig)-2],
		"long signature":        "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, " + sig + "00",
		"signature not hex":     "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host, Signature=" + strings.Repeat("zz", 32),
		"strange access key":    "SDK-HMAC-SHA256 Access=A K, SignedHeaders=host, " + sig,
		"access key not ASCII":  "SDK-HMAC-SHA256 Access=AKé, SignedHeaders=host, " + sig,
		"access key too long":   "SDK-HMAC-SHA256 Access=" + strings.Repeat("A", 129) + ", SignedHeaders=host, " + sig,
		"header of over 8 KiB":  "SDK-HMAC-SHA256 Access=AK1, SignedHeaders=" + strings.Repeat("a", 8<<10) + ", " + sig,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := signature.Parse(header)
			require.Equal(t, "auth.signature_mismatch", fault.CodeOf(err))
			f, _ := fault.As(err)
			require.Equal(t, fault.Unauthenticated, f.Kind)
			require.Equal(t, "verify aksk signature fail", f.Message)
			require.NotContains(t, err.Error(), someSignature)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("SDK-HMAC-SHA256 Access=AK1, SignedHeaders=host;x-sdk-date, Signature=" + someSignature)
	f.Add("SDK-HMAC-SHA256 Signature=" + someSignature + ",SignedHeaders=a,Access=b")
	f.Add("SDK-HMAC-SHA256 Access==,,=")
	f.Add("Basic c3lzdGVtOm1hbmFnZXI=")
	f.Fuzz(func(t *testing.T, header string) {
		a, err := signature.Parse(header)
		if err != nil {
			require.Equal(t, signature.Authorization{}, a)
			require.Equal(t, "auth.signature_mismatch", fault.CodeOf(err))
			return
		}
		require.True(t, signature.Matches(header))
		require.NotEmpty(t, a.AccessKey)
		require.NotEmpty(t, a.SignedHeaders)
		require.Len(t, a.Signature, 64)
		again, err := signature.Parse(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
