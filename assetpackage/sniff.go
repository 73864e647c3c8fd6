package assetpackage

import (
	"bytes"
	"unicode/utf8"
)

// sniff says what a file looks like that ends as no zip archive does. It is empty for one that begins as a zip
// archive does: that one was cut off.
func sniff(src Source) (string, error) {
	head := make([]byte, min(src.Size(), 512))
	if err := readAt(src, head, 0); err != nil {
		return "", err
	}
	if len(head) == 0 {
		return "is empty", nil
	}
	if bytes.HasPrefix(head, signatureLocal) {
		return "", nil
	}
	for _, m := range []struct {
		offset int
		magic  string
		looks  string
	}{
		{0, "PK\x07\x08", "looks like one part of a split archive"},
		{0, "\x1f\x8b", "looks like a gzip file (.gz or .tgz)"},
		{0, "7z\xbc\xaf\x27\x1c", "looks like a 7z archive"},
		{0, "Rar!\x1a\x07", "looks like a RAR archive"},
		{0, "\xfd7zXZ\x00", "looks like an xz file"},
		{0, "\x28\xb5\x2f\xfd", "looks like a zstd file"},
		{0, "BZh", "looks like a bzip2 file"},
		{257, "ustar", "looks like a tar archive"},
		{0, "%PDF-", "looks like a PDF document"},
		{0, "MZ", "looks like a Windows program"},
		{0, "\x7fELF", "looks like a Linux program"},
	} {
		if len(head) >= m.offset+len(m.magic) && string(head[m.offset:m.offset+len(m.magic)]) == m.magic {
			return m.looks, nil
		}
	}
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))))
	switch {
	case bytes.HasPrefix(text, []byte("<!doctype html")), bytes.HasPrefix(text, []byte("<html")):
		return "looks like a web page, perhaps an error page that was saved under the package's name", nil
	case bytes.HasPrefix(text, []byte("<?xml")):
		return "looks like an XML document", nil
	case bytes.HasPrefix(text, []byte("{")), bytes.HasPrefix(text, []byte("[")):
		return "looks like a JSON document; put manifest.json and the files it lists into a zip archive", nil
	case bytes.HasPrefix(text, []byte("--")) && bytes.Contains(text, []byte("content-disposition:")):
		return "looks like a whole multipart request body instead of its file part", nil
	case isText(head):
		return "looks like a text file", nil
	default:
		return "does not begin as a zip archive does", nil
	}
}

// isText allows for a character that the end of head cuts in two.
func isText(head []byte) bool {
	for cut := range min(utf8.UTFMax, len(head)) {
		if utf8.Valid(head[:len(head)-cut]) {
			return !bytes.ContainsRune(head, 0)
		}
	}
	return false
}
