package packagetest

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"assetflow/assetpackage"
)

// Case is a package that must be refused.
type Case struct {
	Name     string                  // of the test
	Build    func(w io.Writer) error // writes the package
	WantCode string                  // the code of one of its problems
	WantText string                  // what the message of that problem says, among other things
	ByVerify bool                    // Open accepts it; only Verify, which reads the files, can see it
}

// Bad returns packages that must be refused under DefaultLimits, one for each kind of mistake or attack.
func Bad() []Case {
	var cases []Case
	cases = append(cases, notArchives()...)
	cases = append(cases, badStructures()...)
	cases = append(cases, badEntries()...)
	cases = append(cases, bombs()...)
	cases = append(cases, badContents()...)
	return append(cases, badManifests()...)
}

// Bytes builds the case in memory.
func (c Case) Bytes() ([]byte, error) {
	var b bytes.Buffer
	err := c.Build(&b)
	return b.Bytes(), err
}

func raw(name, code, text string, build func() []byte) Case {
	return Case{Name: name, WantCode: code, WantText: text, Build: func(w io.Writer) error {
		_, err := w.Write(build())
		return err
	}}
}

func text(name, code, text, content string) Case {
	return raw(name, code, text, func() []byte { return []byte(content) })
}

func archive(name, code, text string, build func() Archive) Case {
	return raw(name, code, text, func() []byte { return build().Bytes() })
}

func byVerify(c Case) Case {
	c.ByVerify = true
	return c
}

// Listed renders the entry of a manifest's files for a file.
func Listed(path string, data []byte) string {
	name, err := json.Marshal(path)
	if err != nil {
		panic("packagetest: encode path: " + err.Error()) // a text can always be encoded
	}
	return fmt.Sprintf(`{"path":%s,"sha256":"%x","size":%d}`, name, sha256.Sum256(data), len(data))
}

// Manifest renders a manifest with one application named shop that lists files.
func Manifest(files ...string) string {
	return ManifestOf(fmt.Sprintf(`{"name":"shop","definition":{},"files":[%s]}`, strings.Join(files, ",")))
}

// ManifestOf renders a manifest with applications given as JSON.
func ManifestOf(applications ...string) string {
	return fmt.Sprintf(`{"format":%q,"version":"1.0.0","applications":[%s]}`, assetpackage.Format, strings.Join(applications, ","))
}

// WithManifest returns an archive of a manifest and further entries.
func WithManifest(manifest string, entries ...Entry) Archive {
	return Archive{Entries: append([]Entry{{Name: assetpackage.ManifestName, Data: []byte(manifest)}}, entries...)}
}

// Valid is a valid package with one application, shop, and one file, a.txt.
func Valid() Archive {
	return WithManifest(Manifest(Listed("a.txt", hello)), Entry{Name: "a.txt", Data: hello})
}

var hello = []byte("hello")

// with is Valid with a further entry that the manifest lists.
func with(e Entry) Archive {
	a := WithManifest(Manifest(Listed("a.txt", hello), Listed(e.Name, e.Data)), Entry{Name: "a.txt", Data: hello})
	a.Entries = append(a.Entries, e)
	return a
}

func notArchives() []Case {
	return []Case{
		text("empty file", assetpackage.CodeNotAZip, "is empty", ""),
		text("text file", assetpackage.CodeNotAZip, "text file", "This is not an archive, but a letter that somebody wrote."),
		text("gzip", assetpackage.CodeNotAZip, "gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00"),
		text("7z", assetpackage.CodeNotAZip, "7z", "7z\xbc\xaf\x27\x1c\x00\x04"+strings.Repeat("\x00\xff", 20)),
		text("rar", assetpackage.CodeNotAZip, "RAR", "Rar!\x1a\x07\x01\x00"+strings.Repeat("\x00\xff", 20)),
		text("tar", assetpackage.CodeNotAZip, "tar archive", "manifest.json"+strings.Repeat("\x00", 244)+"ustar\x0000"+strings.Repeat("\x00", 248)),
		text("web page", assetpackage.CodeNotAZip, "web page", "<!DOCTYPE html>\n<html><title>502 Bad Gateway</title></html>"),
		text("bare manifest", assetpackage.CodeNotAZip, "JSON document", Manifest()),
		text("multipart body", assetpackage.CodeNotAZip, "multipart", "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nPK\x03\x04\r\n--x--\r\n"),
		raw("truncated in the data", assetpackage.CodeTruncated, "cut off", func() []byte {
			all := Valid().Bytes()
			return all[:len(all)/2]
		}),
		raw("truncated in the end record", assetpackage.CodeTruncated, "cut off", func() []byte {
			all := Valid().Bytes()
			return all[:len(all)-3]
		}),
		raw("truncated in the comment", assetpackage.CodeTruncated, "cut off", func() []byte {
			a := Valid()
			a.Comment = "made by hand"
			all := a.Bytes()
			return all[:len(all)-3]
		}),
	}
}

func badStructures() []Case {
	const code = assetpackage.CodeBadArchive
	return []Case{
		archive("bytes after the end", assetpackage.CodeTrailingBytes, "7 bytes", func() Archive {
			a := Valid()
			a.After = []byte("garbage")
			return a
		}),
		archive("bytes in front", code, "front", func() Archive {
			a := Valid()
			a.Before = []byte("#!/bin/sh\n")
			return a
		}),
		archive("offsets that ignore what is in front", code, "front", func() Archive {
			a := Valid()
			a.Finish = func(all []byte) []byte { return append([]byte("MZ garbage"), all...) }
			return a
		}),
		archive("part of a split archive", code, "several", func() Archive {
			a := Valid()
			a.End = func(end []byte) { le.PutUint16(end[4:], 1) }
			return a
		}),
		archive("fewer entries counted than there are", code, "more than the 1 entries", func() Archive {
			a := Valid()
			a.Count = 1
			return a
		}),
		archive("more entries counted than there are", code, "too short", func() Archive {
			a := Valid()
			a.Count = 1000
			return a
		}),
		archive("zip64 record differs from the end record", code, "zip64", func() Archive {
			a := Valid()
			a.Zip64 = true
			a.End64 = func(record []byte) { le.PutUint64(record[32:], 1); le.PutUint64(record[24:], 1) }
			return a
		}),
		archive("zip64 directory size beyond the file", code, "directory", func() Archive {
			a := Valid()
			a.Zip64 = true
			a.End64 = func(record []byte) { le.PutUint64(record[48:], 1<<63+5) }
			a.End = func(end []byte) { le.PutUint32(end[16:], 0xffffffff) }
			return a
		}),
		archive("zip64 record of an impossible length", code, "zip64", func() Archive {
			a := Valid()
			a.Zip64 = true
			a.End64 = func(record []byte) { le.PutUint64(record[4:], 1<<62) }
			return a
		}),
		archive("zip64 field with an impossible size", code, "impossible", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Size: 1<<63 + 1})
		}),
		archive("entry behind the directory", code, "outside", func() Archive {
			a := Valid()
			a.Finish = func(all []byte) []byte {
				le.PutUint32(all[bytes.LastIndex(all, []byte("PK\x01\x02"))+42:], uint32(len(all)))
				return all
			}
			return a
		}),
		archive("zip64 field that is too short", code, "zip64 field", func() Archive {
			a := with(Entry{Name: "b.txt", Data: hello, Zip64: true})
			a.Finish = func(all []byte) []byte { // the last eight bytes of the field become a field of their own
				at := bytes.LastIndex(all, []byte{1, 0, 24, 0})
				copy(all[at:], []byte{1, 0, 16, 0})
				copy(all[at+20:], []byte{0xfe, 0xca, 4, 0})
				return all
			}
			return a
		}),
		archive("zip64 field that is missing", code, "zip64 field", func() Archive {
			a := with(Entry{Name: "b.txt", Data: hello, Zip64: true})
			a.Finish = func(all []byte) []byte { // it becomes a field that nobody knows
				copy(all[bytes.LastIndex(all, []byte{1, 0, 24, 0}):], []byte{0xfe, 0xca})
				return all
			}
			return a
		}),
		archive("zip64 field that is there twice", code, "two zip64 fields", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Zip64: true, Extra: []byte{1, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0}})
		}),
		archive("name for other tools", code, "second, different name", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Extra: append([]byte{0x75, 0x70, 13, 0, 1, 0, 0, 0, 0}, "evil.txt"...)})
		}),
		local("methods that differ between header and directory", code, "compression or encryption", func(b []byte) { le.PutUint16(b[8:], 8) }),
		local("encryption that differs between header and directory", code, "compression or encryption", func(b []byte) { le.PutUint16(b[6:], 1) }),
		local("sizes that differ between header and directory", code, "size or checksum", func(b []byte) { le.PutUint32(b[22:], 6) }),
		local("compressed sizes that differ between header and directory", code, "size or checksum", func(b []byte) { le.PutUint32(b[18:], 6) }),
		local("checksums that differ between header and directory", code, "size or checksum", func(b []byte) { le.PutUint32(b[14:], 6) }),
		local("header that is none", code, "not where the directory says", func(b []byte) { b[0] = 'X' }),
		local("header that reaches into the next entry", assetpackage.CodeBomb, "reaches into", func(b []byte) { le.PutUint16(b[28:], 10) }),
		byVerify(archive("names that differ between header and directory", code, "another name", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, LocalName: "c.txt"})
		})),
	}
}

// local is Valid with another header in front of the data of a.txt.
func local(name, code, text string, change func(header []byte)) Case {
	return byVerify(archive(name, code, text, func() Archive {
		a := Valid()
		a.Entries[1].Local = change
		return a
	}))
}

func badEntries() []Case {
	unsafe := func(name, text, path string) Case {
		return archive(name, assetpackage.CodeUnsafePath, text, func() Archive { return with(Entry{Name: path, Data: hello}) })
	}
	special := func(name, text string, mode uint32) Case {
		return archive(name, assetpackage.CodeSpecialFile, text, func() Archive {
			return with(Entry{Name: "b.txt", Data: []byte("/etc/passwd"), Mode: mode})
		})
	}
	twice := func(name, code, first, second string) Case {
		return archive(name, code, "rename one", func() Archive {
			return WithManifest(Manifest(Listed(first, hello), Listed(second, hello)), Entry{Name: first, Data: hello}, Entry{Name: second, Data: hello})
		})
	}
	return []Case{
		unsafe("zip slip", `".."`, "../../etc/cron.d/evil"),
		unsafe("zip slip in the middle", `".."`, "a/../../evil"),
		unsafe("dot segment", `"."`, "a/./b.txt"),
		unsafe("empty segment", "empty", "a//b.txt"),
		unsafe("absolute path", "absolute", "/etc/passwd"),
		unsafe("backslash", "backslash", `..\evil.txt`),
		unsafe("drive letter", "drive letter", "C:evil.txt"),
		unsafe("NUL in a name", "NUL", "a.txt\x00.png"),
		unsafe("control character in a name", "control character U+000A", "a\nb.txt"),
		unsafe("direction override in a name", "direction", "invoice\u202efdp.exe"),
		unsafe("name that is not UTF-8", "not valid UTF-8", "caf\xe9.txt"),
		unsafe("long path", "at most 512", strings.Repeat("a/", 15)+strings.Repeat("b", 500)),
		unsafe("long segment", "at most 255", strings.Repeat("b", 256)),
		unsafe("deep path", "at most 31", strings.Repeat("a/", 32)+"b.txt"),
		special("symbolic link", "symbolic link", 0o120777),
		special("device", "block device", 0o060644),
		special("named pipe", "named pipe", 0o010644),
		special("socket", "socket", 0o140644),
		special("file with the mark of a folder", "folder by one mark", 0o040755),
		archive("encrypted", assetpackage.CodeEncrypted, "password", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Flags: 1})
		}),
		archive("unknown compression", assetpackage.CodeUnknownCompression, "zstd", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Method: 93})
		}),
		archive("patched data", assetpackage.CodeUnknownCompression, "store or deflate", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Flags: 1 << 5})
		}),
		archive("stored in two sizes", assetpackage.CodeBadArchive, "two sizes", func() Archive {
			return with(Entry{Name: "b.txt", Data: hello, Size: 6})
		}),
		archive("folder with content", assetpackage.CodeBadArchive, "is a folder", func() Archive {
			a := Valid()
			a.Entries = append(a.Entries, Entry{Name: "b/", Data: hello})
			return a
		}),
		archive("same path twice", assetpackage.CodeDuplicateEntry, "more than once", func() Archive {
			return WithManifest(Manifest(Listed("a.txt", hello)), Entry{Name: "a.txt", Data: hello}, Entry{Name: "a.txt", Data: []byte("other")})
		}),
		twice("names that differ in case", assetpackage.CodeDuplicateEntry, "a.txt", "A.txt"),
		twice("names that differ in normalisation", assetpackage.CodeDuplicateEntry, "caf\u00e9.txt", "cafe\u0301.txt"),
		twice("file that is a folder", assetpackage.CodePathConflict, "a", "a/b.txt"),
		archive("folder entry over a file", assetpackage.CodePathConflict, "rename one", func() Archive {
			a := Valid()
			a.Entries = append(a.Entries, Entry{Name: "a.txt/"})
			return a
		}),
	}
}

func bombs() []Case {
	return []Case{
		archive("ratio bomb", assetpackage.CodeBomb, "more than 200 times", func() Archive {
			return with(Entry{Name: "b.bin", Data: make([]byte, 16<<20), Deflate: true})
		}),
		archive("entries that share their bytes", assetpackage.CodeBomb, "share bytes", func() Archive {
			return WithManifest(Manifest(Listed("a.txt", hello), Listed("b.txt", hello)),
				Entry{Name: "a.txt", Data: hello}, Entry{Name: "b.txt", Data: hello, SameData: true})
		}),
		archive("too many entries", assetpackage.CodeTooManyEntries, "at most 20000", func() Archive {
			return manyEntries(20_001)
		}),
		archive("count bomb", assetpackage.CodeTooManyEntries, "4000000000 entries", func() Archive {
			a := Valid()
			a.Zip64, a.Count = true, 4_000_000_000
			return a
		}),
		archive("count bomb that overflows the count", assetpackage.CodeBadArchive, "more than", func() Archive {
			a := manyEntries(1<<16 + 10)
			a.Count = 10 // as tools without zip64 count: modulo 65536
			return a
		}),
		archive("directory over the limit", assetpackage.CodeTooLarge, "directory", func() Archive {
			a := manyEntries(150)
			for i := range a.Entries {
				a.Entries[i].Extra = append([]byte{0xfe, 0xca, 0xf0, 0xff}, make([]byte, 0xfff0)...)
			}
			return a
		}),
		archive("file over the limit", assetpackage.CodeTooLarge, "6 GiB", func() Archive {
			return with(Entry{Name: "b.bin", Raw: Repeated(' ', 1<<20), Size: 6 << 30, Method: 8, Checksum: 1})
		}),
		byVerify(archive("more data than declared", assetpackage.CodeSizeMismatch, "more than", func() Archive {
			return with(Entry{Name: "b.bin", Data: hello, Raw: Repeated(' ', 100<<20), Method: 8})
		})),
		archive("manifest of 100 MB", assetpackage.CodeTooLarge, "100 MiB", func() Archive {
			return Archive{Entries: []Entry{{Name: assetpackage.ManifestName, Raw: Repeated(' ', 100<<20), Size: 100 << 20, Method: 8, Checksum: 1}}}
		}),
		archive("manifest of 100 MB, undeclared", assetpackage.CodeSizeMismatch, "manifest.json", func() Archive {
			return Archive{Entries: []Entry{{Name: assetpackage.ManifestName, Data: []byte(Manifest()), Raw: Repeated(' ', 100<<20), Method: 8}}}
		}),
	}
}

func manyEntries(n int) Archive {
	a := WithManifest(Manifest())
	for i := len(a.Entries); i < n; i++ {
		a.Entries = append(a.Entries, Entry{Name: fmt.Sprintf("f/%d", i)})
	}
	return a
}

// Repeated returns n times the byte c, deflated, without holding them in memory.
func Repeated(c byte, n int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	block := bytes.Repeat([]byte{c}, 1<<16)
	for ; err == nil && n > 0; n -= len(block) {
		_, err = w.Write(block[:min(n, len(block))])
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("packagetest: deflate: " + err.Error()) // a buffer takes everything
	}
	return b.Bytes()
}
