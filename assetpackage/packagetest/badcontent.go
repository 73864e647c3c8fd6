package packagetest

import (
	"fmt"
	"strings"

	"assetflow/assetpackage"
)

func badContents() []Case {
	b := []byte("content of b")
	return []Case{
		byVerify(archive("wrong digest", assetpackage.CodeDigestMismatch, "SHA-256", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", []byte("CONTENT of b"))), Entry{Name: "b.txt", Data: b})
		})),
		archive("wrong size", assetpackage.CodeSizeMismatch, "12 bytes long in the archive", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", hello)), Entry{Name: "b.txt", Data: b})
		}),
		byVerify(archive("less data than declared", assetpackage.CodeSizeMismatch, "decompresses to 5 bytes", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)), Entry{Name: "b.txt", Data: b, Raw: Compress(hello), Method: 8})
		})),
		byVerify(archive("damaged data", assetpackage.CodeCorruptFile, "cannot be decompressed", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)), Entry{Name: "b.txt", Data: b, Raw: []byte{0x07, 0xff, 0xff, 0xff}, Method: 8})
		})),
		byVerify(archive("data cut short", assetpackage.CodeCorruptFile, "cannot be decompressed", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)), Entry{Name: "b.txt", Data: b, Raw: Compress(b)[:5], Method: 8})
		})),
		byVerify(archive("data with an appendix", assetpackage.CodeCorruptFile, "do not belong", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)), Entry{Name: "b.txt", Data: b, Raw: append(Compress(b), "more"...), Method: 8})
		})),
		byVerify(archive("wrong checksum", assetpackage.CodeCorruptFile, "checksum", func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)), Entry{Name: "b.txt", Data: b, Checksum: 1})
		})),
		archive("missing file", assetpackage.CodeMissingFile, `"b.txt"`, func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)))
		}),
		archive("missing file of another case", assetpackage.CodeMissingFile, `It has "B.txt"`, func() Archive {
			return WithManifest(Manifest(Listed("b.txt", b)), Entry{Name: "B.txt", Data: b})
		}),
		archive("unlisted file", assetpackage.CodeUnlistedFile, `"b.txt"`, func() Archive {
			a := Valid()
			a.Entries = append(a.Entries, Entry{Name: "b.txt", Data: b})
			return a
		}),
		archive("no manifest", assetpackage.CodeNoManifest, "no manifest.json", func() Archive {
			return Archive{Entries: []Entry{{Name: "a.txt", Data: hello}}}
		}),
		archive("empty archive", assetpackage.CodeNoManifest, "no manifest.json", func() Archive { return Archive{} }),
		archive("manifest in a folder", assetpackage.CodeNoManifest, "Zip the content of that folder", func() Archive {
			return Archive{Entries: []Entry{{Name: "shop/manifest.json", Data: []byte(Manifest())}}}
		}),
		archive("manifest in upper case", assetpackage.CodeNoManifest, `"MANIFEST.JSON"; rename it`, func() Archive {
			return Archive{Entries: []Entry{{Name: "MANIFEST.JSON", Data: []byte(Manifest())}}}
		}),
	}
}

func badManifests() []Case {
	const bad = assetpackage.CodeBadManifest
	of := func(name, code, text, manifest string) Case {
		return archive(name, code, text, func() Archive { return WithManifest(manifest) })
	}
	app := func(name, code, text string, applications ...string) Case {
		return of(name, code, text, ManifestOf(applications...))
	}
	source := func(name, code, text, source string) Case {
		return app(name, code, text, fmt.Sprintf(`{"name":"shop","definition":{},"data_sources":[%s]}`, source))
	}
	return []Case{
		of("manifest that is not JSON", bad, "line 2, column 1", "{\"format\":\n}"),
		of("empty manifest", bad, "not valid JSON", ""),
		of("manifest that is a list", bad, "must hold a JSON object", "[]"),
		of("broken UTF-8", bad, "0xE9 at line 2, column 9", "{\n\"name\":\"\xe9\"}"),
		of("UTF-16", bad, "UTF-16", "\xff\xfe{\x00}\x00"),
		of("half a surrogate pair", bad, "surrogate", ManifestOf(`{"name":"shop","definition":{"a":"\ud800"}}`)),
		of("NUL in a text", bad, "NUL", ManifestOf(`{"name":"shop","definition":{"a":"\u0000"}}`)),
		of("number out of range", bad, "applications[0].definition.a", ManifestOf(`{"name":"shop","definition":{"a":1e999}}`)),
		app("key twice", bad, "applications[0].name: this key is there more than once", `{"name":"shop","name":"other","definition":{}}`),
		app("key twice in a definition", bad, "applications[0].definition.a.b", `{"name":"shop","definition":{"a":{"b":1,"b":2}}}`),
		app("deep nesting", bad, "at most 64", `{"name":"shop","definition":{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}}`),
		app("too many values", bad, "at most 500000", `{"name":"shop","definition":{"a":[0`+strings.Repeat(",0", 600_000)+`]}}`),
		of("unknown format", assetpackage.CodeUnknownFormat, "v9", `{"format":"assetflow.asset-package/v9","version":"1","applications":[],"content":{}}`),
		of("no format", assetpackage.CodeUnknownFormat, `add "format"`, `{"version":"1.0.0"}`),
		of("no version", bad, `"version" is missing`, fmt.Sprintf(`{"format":%q,"applications":[{"name":"shop","definition":{}}]}`, assetpackage.Format)),
		of("no assets", assetpackage.CodeNoAssets, "no application", ManifestOf()),
		app("101 assets", assetpackage.CodeTooManyAssets, "101 assets", numbered(101)...),
		app("unknown key", bad, `applications[0]: the key "definitions" is not known`, `{"name":"shop","definition":{},"definitions":{}}`),
		app("no name", bad, `applications[0]: "name" is missing`, `{"definition":{}}`),
		app("bad name", bad, `applications[1].name: "a/b" is not allowed`, `{"name":"shop","definition":{}}`, `{"name":"a/b","definition":{}}`),
		app("name in decomposed characters", bad, "normalisation form C", "{\"name\":\"cafe\u0301\",\"definition\":{}}"),
		app("long description", bad, "1024 characters", fmt.Sprintf(`{"name":"shop","definition":{},"description":%q}`, strings.Repeat("x", 1025))),
		app("definition that is a list", bad, "applications[0].definition: it is a list", `{"name":"shop","definition":[]}`),
		app("application that names applications", bad, `"applications" is not known`, `{"name":"shop","definition":{},"applications":["shop"]}`),
		app("two applications of one name", assetpackage.CodeDuplicateName, "two applications", `{"name":"shop","definition":{}}`, `{"name":"shop","definition":{}}`),
		app("two applications of one id", assetpackage.CodeDuplicateID, `"7"`, `{"id":"7","name":"shop","definition":{}}`, `{"id":"7","name":"other","definition":{}}`),
		app("file listed twice", assetpackage.CodeDuplicateFile, "every file belongs to one asset",
			`{"name":"shop","definition":{},"files":[`+Listed("a.txt", hello)+`]}`, `{"name":"other","definition":{},"files":[`+Listed("a.txt", hello)+`]}`),
		app("manifest listed as a file", assetpackage.CodeUnsafePath, "name of the manifest", `{"name":"shop","definition":{},"files":[`+Listed("manifest.json", hello)+`]}`),
		app("unsafe path in the manifest only", assetpackage.CodeUnsafePath, `".."`, `{"name":"shop","definition":{},"files":[`+Listed("../x", hello)+`]}`),
		app("bad digest", bad, "applications[0].files[0].sha256", `{"name":"shop","definition":{},"files":[{"path":"a.txt","sha256":"ABC","size":5}]}`),
		app("negative size", bad, "applications[0].files[0].size: -5", `{"name":"shop","definition":{},"files":[{"path":"a.txt","sha256":"`+strings.Repeat("0", 64)+`","size":-5}]}`),
		source("password in the settings", assetpackage.CodeSecretSetting, `"db_Password"`, `{"name":"orders","type":"MYSQL","settings":{"db_Password":"x"}}`),
		source("address in the settings", assetpackage.CodeSecretSetting, `"source"`, `{"name":"orders","type":"MYSQL","settings":{"source":"jdbc:mysql://10.0.0.1/db"}}`),
		source("settings that are not scalars", bad, "settings.pool", `{"name":"orders","type":"MYSQL","settings":{"pool":{"size":5}}}`),
		source("data source twice", assetpackage.CodeDuplicateName, "listed twice", `{"name":"orders","type":"MYSQL"},{"name":"orders","type":"MYSQL"}`),
		app("data source of two types", assetpackage.CodeDataSourceConflict, "another type",
			`{"name":"shop","definition":{},"data_sources":[{"name":"orders","type":"MYSQL"}]}`, `{"name":"other","definition":{},"data_sources":[{"name":"orders","type":"ORACLE"}]}`),
	}
}

// numbered renders n applications.
func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`{"name":"app %d","definition":{}}`, i+1)
	}
	return out
}
