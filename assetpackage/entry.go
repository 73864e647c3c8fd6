package assetpackage

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	methodStore   = 0
	methodDeflate = 8

	flagEncrypted        = 1 << 0
	flagPatched          = 1 << 5
	flagStrongEncryption = 1 << 6
	flagMaskedHeaders    = 1 << 13
)

// entry is what the directory says about one entry of the archive.
type entry struct {
	name       string
	flags      uint16
	method     uint16
	attributes uint32
	crc        uint32
	compressed int64
	size       int64 // decompressed
	offset     int64 // of the local header
	end        int64 // where the next entry or the directory begins: nothing of this entry lies behind it
}

// folder reports whether the entry is a folder, which its name's final slash says.
func (e *entry) folder() bool { return strings.HasSuffix(e.name, "/") }

// parseEntries reads the entries out of the directory. What makes the archive as a whole unreadable ends in a
// *ProblemsError.
func parseEntries(d *directory) ([]entry, error) {
	if int64(len(d.bytes))/headerLen < d.count {
		return nil, badDirectory("it is too short for %d entries", d.count)
	}
	entries := make([]entry, d.count)
	rest := d.bytes
	for i := range entries {
		n, err := parseEntry(&entries[i], rest)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return nil, badDirectory("it holds more than the %d entries that the end record counts", d.count)
	}
	return entries, placeEntries(entries, d.offset)
}

func badDirectory(format string, args ...any) error {
	return refuse(CodeBadArchive, "The archive's directory is damaged: %s. Make or upload the archive again.", fmt.Sprintf(format, args...))
}

// parseEntry reads the entry at the start of b and returns its length.
func parseEntry(e *entry, b []byte) (int, error) {
	if len(b) < headerLen || !bytes.HasPrefix(b, signatureHeader) {
		return 0, badDirectory("an entry does not begin where it should")
	}
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	length := headerLen + nameLen + extraLen + commentLen
	if len(b) < length {
		return 0, badDirectory("an entry is longer than the directory")
	}
	name := b[headerLen : headerLen+nameLen]
	*e = entry{
		name:       string(name),
		flags:      le.Uint16(b[8:]),
		method:     le.Uint16(b[10:]),
		crc:        le.Uint32(b[16:]),
		attributes: le.Uint32(b[38:]),
	}
	disk := int64(le.Uint16(b[34:]))
	e.compressed, e.size, e.offset = int64(le.Uint32(b[20:])), int64(le.Uint32(b[24:])), int64(le.Uint32(b[42:]))
	if err := parseExtra(e, b[headerLen+nameLen:headerLen+nameLen+extraLen], &disk); err != nil {
		return 0, err
	}
	if disk != 0 {
		return 0, refuse(CodeBadArchive, "The archive is one part of several. Make a single zip file.")
	}
	if max(e.size, e.compressed, e.offset) == math.MaxInt64 {
		return 0, badDirectory("entry %s has an impossible size or position", quote(e.name))
	}
	return length, nil
}

// parseExtra takes the numbers that are too long for the entry's own fields out of the zip64 field, and refuses an
// entry that tells other tools another name.
func parseExtra(e *entry, extra []byte, disk *int64) error {
	seen := false
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return badDirectory("an extra field of entry %s is longer than its room", quote(e.name))
		}
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		switch id {
		case extraZip64:
			if seen {
				return badDirectory("entry %s has two zip64 fields", quote(e.name))
			}
			seen = true
			if !takeZip64(e, field, disk) {
				return badDirectory("the zip64 field of entry %s is too short", quote(e.name))
			}
		case extraUnicodePath: // version, CRC of the name, name
			if n < 5 || string(field[5:]) != e.name {
				return refuse(CodeBadArchive, "Entry %s has a second, different name for other zip tools. Make the archive with a tool that writes UTF-8 names.", quote(e.name))
			}
		}
	}
	if !seen && max(e.size, e.compressed, e.offset) == math.MaxUint32 {
		return badDirectory("entry %s lacks its zip64 field", quote(e.name))
	}
	return nil
}

func takeZip64(e *entry, field []byte, disk *int64) bool {
	for _, value := range []*int64{&e.size, &e.compressed, &e.offset} {
		if *value != math.MaxUint32 {
			continue
		}
		if len(field) < 8 {
			return false
		}
		*value, field = int64At(field), field[8:]
	}
	if *disk == math.MaxUint16 {
		if len(field) < 4 {
			return false
		}
		*disk = int64(le.Uint32(field))
	}
	return true
}

// placeEntries sets where each entry has to end, and refuses entries that lie outside the archive or on one another:
// an archive in which many entries share one block of data is how a small file becomes petabytes.
func placeEntries(entries []entry, dirOffset int64) error {
	order := make([]*entry, len(entries))
	for i := range entries {
		order[i] = &entries[i]
	}
	slices.SortFunc(order, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), cmp.Compare(a.name, b.name))
	})
	if len(order) > 0 && order[0].offset != 0 {
		return refuse(CodeBadArchive, "The archive does not begin with an entry: %s stand in front of the first one. Make it again as a plain zip file.", bytesText(order[0].offset))
	}
	for i, e := range order {
		e.end = dirOffset
		if i+1 < len(order) {
			e.end = order[i+1].offset
		}
		// This cannot overflow, as both ends are positive. The last entry has no room where it lies behind the
		// directory, so no entry does.
		room := e.end - e.offset - localLen - int64(len(e.name))
		if e.compressed <= room {
			continue
		}
		if i+1 < len(order) {
			return refuse(CodeBomb, "Entries %s and %s share bytes of the archive, as decompression bombs do. Make the archive again with another zip tool.", quote(e.name), quote(order[i+1].name))
		}
		return badDirectory("entry %s lies outside the archive", quote(e.name))
	}
	return nil
}

// flaw says what is wrong with an entry on its own; the code is empty for a good one.
func (e *entry) flaw(limits Limits) (code, message string) {
	name := quote(e.name)
	if flaw := pathFlaw(strings.TrimSuffix(e.name, "/")); flaw != "" {
		return CodeUnsafePath, fmt.Sprintf("The path %s %s.", name, flaw)
	}
	if code, message := e.typeFlaw(name); code != "" {
		return code, message
	}
	switch {
	case e.flags&(flagEncrypted|flagStrongEncryption|flagMaskedHeaders) != 0:
		return CodeEncrypted, fmt.Sprintf("%s is encrypted. Make the archive without a password.", name)
	case e.flags&flagPatched != 0:
		return CodeUnknownCompression, fmt.Sprintf("%s holds a patch instead of its content. Make the archive with the methods store or deflate only.", name)
	case e.method != methodStore && e.method != methodDeflate:
		return CodeUnknownCompression, fmt.Sprintf("%s is compressed with %s. Make the archive with the methods store or deflate only.", name, methodText(e.method))
	case e.method == methodStore && e.compressed != e.size:
		return CodeBadArchive, fmt.Sprintf("%s is stored uncompressed, but the archive gives two sizes for it: %d and %d bytes.", name, e.compressed, e.size)
	case e.folder() && e.size != 0:
		return CodeBadArchive, fmt.Sprintf("%s is a folder, but has %s of content.", name, bytesText(e.size))
	case e.size > limits.MaxEntryBytes:
		return CodeTooLarge, fmt.Sprintf("%s is %s long; at most %s are allowed for one file.", name, bytesText(e.size), bytesText(limits.MaxEntryBytes))
	case e.size > limits.RatioFloorBytes && (e.size-1)/limits.MaxRatio >= e.compressed:
		return CodeBomb, fmt.Sprintf("%s expands from %s to %s, more than %d times, as decompression bombs do. Store it uncompressed if it is meant.", name, bytesText(e.compressed), bytesText(e.size), limits.MaxRatio)
	}
	return "", ""
}

// typeFlaw refuses everything that is neither a regular file nor a folder. Tools write the Unix mode into the upper
// half of the attributes, and some do so whatever system they say they run on.
func (e *entry) typeFlaw(name string) (code, message string) {
	switch mode := e.attributes >> 16 & typeMask; {
	case mode == 0, mode == typeFile && !e.folder(), mode == typeFolder && e.folder():
		return "", ""
	case mode == typeFile || mode == typeFolder:
		return CodeSpecialFile, fmt.Sprintf("%s is a folder by one mark and a file by another. Make the archive again with another zip tool.", name)
	default:
		kind, ok := typeNames[mode]
		if !ok {
			kind = fmt.Sprintf("of an unknown type (mode %o)", mode)
		}
		return CodeSpecialFile, fmt.Sprintf("%s is %s; a package holds regular files only. Put in the file itself.", name, kind)
	}
}

// The type bits of a Unix mode.
const (
	typeMask   = 0o170000
	typeFolder = 0o040000
	typeFile   = 0o100000
)

var typeNames = map[uint32]string{
	0o120000: "a symbolic link", 0o020000: "a character device", 0o060000: "a block device",
	0o010000: "a named pipe", 0o140000: "a socket",
}

var methodNames = map[uint16]string{
	1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 98: "PPMd", 99: "AES encryption",
}

func methodText(method uint16) string {
	if n, ok := methodNames[method]; ok {
		return n
	}
	return fmt.Sprintf("the unknown method %d", method)
}
