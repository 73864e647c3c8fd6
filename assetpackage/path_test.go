package assetpackage_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/assetpackage/packagetest"
	"assetflow/fault"
)

func TestPathFlaw(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a":                            "",
		"a/b.c/d-e_f g.txt":            "",
		"Küche/品目/नमस्ते.txt":          "",
		"..a/b../...":                  "",
		".hidden/x":                    "",
		"a:b":                          "drive letter", // on Windows this is relative to the drive's current folder
		"ab:c":                         "",
		"~/x":                          "",
		strings.Repeat("a/", 31) + "b": "",
		strings.Repeat("a/", 32) + "b": "32 folders deep",
		strings.Repeat("b", 255):       "",
		strings.Repeat("b", 256):       "256 bytes",
		strings.Repeat("b/", 16) + strings.Repeat("c", 255) + "/" + strings.Repeat("d", 224): "",
		strings.Repeat("b/", 16) + strings.Repeat("c", 255) + "/" + strings.Repeat("d", 225): "513 bytes",
		"":              "empty",
		"/a":            "absolute",
		"//server/a":    "absolute",
		"a/":            "empty folder or file name",
		"./a":           `"."`,
		"a/..":          `".."`,
		`a\b`:           "backslash",
		"C:/a":          "drive letter",
		"a\x7f":         "U+007F",
		"a\u0085b":      "U+0085",
		"a\u2028b":      "line separator",
		"a\u202eb":      "direction",
		"a\u2067b":      "direction",
		"a\ufffdb":      "replacement character",
		"a\xc0\x80":     "not valid UTF-8",
		"a\xed\xa0\x80": "not valid UTF-8",
	} {
		flaw := assetpackage.PathFlaw(path)
		if want == "" {
			require.Empty(t, flaw, path)
		} else {
			require.Contains(t, flaw, want, path)
		}
	}
}

func TestFoldPath(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"a/B.txt", "A/b.TXT"},
		{"caf\u00e9", "cafe\u0301", "CAFE\u0301", "CAF\u00c9"},
		{"\u212angstr\u00f6m", "k\u006egstro\u0308m"}, // the Kelvin sign
		{"ΣΑΣ", "σας", "σασ"},
		{"straße", "STRAẞE"},
		{"\u1e9b\u0323", "\u1e61\u0323", "\u1e69"}, // composition after folding
	} {
		for _, s := range same[1:] {
			require.Equal(t, assetpackage.FoldPath(same[0]), assetpackage.FoldPath(s), "%q %q", same[0], s)
		}
	}
	for _, other := range [][2]string{{"a", "b"}, {"a", "ä"}, {"ß", "ss"}, {"ﬁ", "fi"}, {"x²", "x2"}} {
		require.NotEqual(t, assetpackage.FoldPath(other[0]), assetpackage.FoldPath(other[1]))
	}
}

func TestCollisionsBeyondNeighbours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		names []string
		codes []string
	}{
		"a name that sorts between a file and what is below it": {[]string{"a", "a-b", "a.c", "A/x/y"}, []string{"path_conflict"}},
		"a file and its twin and what is below":                 {[]string{"a", "A", "a/b"}, []string{"duplicate_entry", "path_conflict"}},
		"a folder of another case":                              {[]string{"a/x", "A/y", "A/"}, nil},
		"the same folder twice":                                 {[]string{"a/", "a/"}, []string{"duplicate_entry"}},
		"a folder and its twin":                                 {[]string{"a/", "A/"}, []string{"duplicate_entry"}},
		"a file below two others":                               {[]string{"a", "a/b", "a/b/c"}, []string{"path_conflict", "path_conflict"}},
		"prefixes that are no folders":                          {[]string{"a", "ab", "abc/d", "ab c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var entries []packagetest.Entry
			var listed []string
			for _, n := range c.names {
				entries = append(entries, packagetest.Entry{Name: n})
				if !strings.HasSuffix(n, "/") {
					listed = append(listed, packagetest.Listed(n, nil))
				}
			}
			_, err := openAndVerify(t, packagetest.WithManifest(packagetest.Manifest(listed...), entries...).Bytes(), assetpackage.Limits{})
			var codes []string
			if c.codes != nil {
				for _, p := range problemsOf(t, err) {
					codes = append(codes, p.Code)
				}
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, c.codes, codes)
		})
	}
}

func TestCarriesSecret(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"host", "HOST", "dbHost", "db_host", "db-host", "DBHost", "host1", "dbhostname", "address", "ipAddress", "ip", "url", "jdbcUrl", "JDBC_URL",
		"user", "username", "userName", "USERNAME", "dbusername", "account", "password", "Password", "dbpassword", "pwd", "secret", "clientsecret",
		"token", "accessToken", "apikey", "apiKey", "API_KEY", "key", "ak", "sk", "private.key", "endpoint", "bootstrap_servers", "brokers",
		"connectionString", "connection_string", "ConnectionString", "pass.word", "Authorization",
	} {
		require.True(t, assetpackage.CarriesSecret(key), key)
	}
	for _, key := range []string{
		"database", "schema", "charset", "port", "timeout", "poolSize", "topic", "table", "keyspace", "monkey", "bucket", "region", "tipping",
		"skip", "bypass", "passive", "hosted", "ship", "sourcing", "compress", "x1", "1",
	} {
		require.False(t, assetpackage.CarriesSecret(key), key)
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "7", "Order service 2.0_beta-x", "Küche", "品目同期", "данные", "नमस्ते", "a.", strings.Repeat("é", 64)} {
		require.NoError(t, assetpackage.CheckName(name), name)
	}
	for _, name := range []string{
		"", " a", "a ", "-a", ".a", "_a", "a/b", `a\b`, "a\nb", "a\tb", "a\u00a0b", "a:b", "a\x00b", "\u0301a", "e\u0301", "a\xff", "a\ufffdb",
		"a\u200bb", "a\u202eb", "😀", strings.Repeat("a", 65),
	} {
		err := assetpackage.CheckName(name)
		require.Equal(t, fault.Invalid, fault.KindOf(err), name)
		require.Equal(t, "package.bad_name", fault.CodeOf(err))
	}
}
