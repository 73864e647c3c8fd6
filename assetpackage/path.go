package assetpackage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxSegmentBytes is the longest name of one file or folder that common file systems take.
const maxSegmentBytes = 255

// pathFlaw says what is wrong with a path in a package, and what to do; it is empty for a good one. Paths are never
// used on a file system by this package, but people unpack archives with other tools.
func pathFlaw(path string) string {
	switch {
	case path == "":
		return "is empty"
	case len(path) > MaxPathBytes:
		return fmt.Sprintf("is %d bytes long; at most %d are allowed", len(path), MaxPathBytes)
	case !utf8.ValidString(path):
		return "is not valid UTF-8; make the archive with a tool that writes UTF-8 names"
	case strings.Contains(path, `\`):
		return "contains a backslash; separate folders with forward slashes"
	case strings.HasPrefix(path, "/"):
		return "is absolute; paths are relative to the root of the archive"
	case len(path) >= 2 && path[1] == ':' && isASCIILetter(path[0]):
		return "begins with a drive letter; paths are relative to the root of the archive"
	}
	for _, r := range path {
		if flaw := runeFlaw(r); flaw != "" {
			return "contains " + flaw + "; rename the file"
		}
	}
	segments := strings.Split(path, "/")
	if len(segments) > MaxPathDepth {
		return fmt.Sprintf("is %d folders deep; at most %d are allowed", len(segments)-1, MaxPathDepth-1)
	}
	for _, segment := range segments {
		switch {
		case segment == "":
			return "contains an empty folder or file name"
		case segment == "." || segment == "..":
			return fmt.Sprintf("contains %q, which leads to another folder; write the plain path", segment)
		case len(segment) > maxSegmentBytes:
			return fmt.Sprintf("contains a name of %d bytes; at most %d are allowed", len(segment), maxSegmentBytes)
		}
	}
	return ""
}

// runeFlaw refuses characters that cannot be seen, or that make a name look like another one.
func runeFlaw(r rune) string {
	switch {
	case r == 0:
		return "a NUL character"
	case unicode.IsControl(r):
		return fmt.Sprintf("the control character %U", r)
	case r == '\u2028' || r == '\u2029':
		return "a line separator"
	case unicode.Is(unicode.Bidi_Control, r):
		return fmt.Sprintf("%U, which changes the direction of the text", r)
	case r == utf8.RuneError:
		return "the replacement character U+FFFD, the trace of a broken conversion"
	default:
		return ""
	}
}

func isASCIILetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// foldPath maps paths that a file system may take for the same one to one key: it ignores case (simple folding, as
// Windows and macOS do) and the Unicode normalisation form.
func foldPath(path string) string {
	ascii := true
	for i := range len(path) {
		if path[i] >= utf8.RuneSelf {
			ascii = false
			break
		}
	}
	if ascii {
		return strings.ToLower(path)
	}
	return norm.NFC.String(strings.Map(foldRune, norm.NFD.String(path)))
}

// foldRune returns one fixed member of the set of runes that differ from r only in case.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	// The ASCII path folds to lower case, so this one has to as well.
	return unicode.ToLower(least)
}

// location is a path of the archive: a file, or a folder entry (without its final slash).
type location struct {
	path   string
	folder bool
}

// checkCollisions reports locations that cannot be unpacked side by side: the same path twice, and a file where
// another path needs a folder. The locations must have no flaw.
func checkCollisions(locations []location, report func(code, message string)) {
	type keyed struct {
		location
		key string
	}
	all := make([]keyed, len(locations))
	for i, l := range locations {
		// NUL occurs in no path and sorts before everything, so what is below a folder directly follows it.
		all[i] = keyed{l, strings.ReplaceAll(foldPath(l.path), "/", "\x00")}
	}
	slices.SortFunc(all, func(a, b keyed) int {
		return cmp.Or(strings.Compare(a.key, b.key), strings.Compare(a.path, b.path))
	})
	file := -1 // the last file, whose key all that needs it as a folder begins with
	for i, l := range all {
		switch {
		case i > 0 && all[i-1].key == l.key && all[i-1].folder == l.folder:
			report(CodeDuplicateEntry, sameText(all[i-1].path, l.path))
		case i > 0 && all[i-1].key == l.key:
			report(CodePathConflict, fmt.Sprintf("%s is in the archive as a file and as a folder; rename one", quote(l.path)))
		case file >= 0 && strings.HasPrefix(l.key, all[file].key+"\x00"):
			report(CodePathConflict, fmt.Sprintf("%s is a file, but %s needs a folder of that name; rename one", quote(all[file].path), quote(l.path)))
		case !l.folder:
			file = i
		}
	}
}

func sameText(a, b string) string {
	if a == b {
		return fmt.Sprintf("%s occurs more than once in the archive; every path must be there once", quote(a))
	}
	return fmt.Sprintf("%s and %s differ only in case or in Unicode normalisation and are the same file on some systems; rename one", quote(a), quote(b))
}
