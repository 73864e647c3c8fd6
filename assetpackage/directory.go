package assetpackage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The directory is read by code of our own and not by archive/zip, because of what a hostile archive does before any
// check of ours could run there: archive/zip reads the whole directory whatever its size, accepts bytes before and
// after the archive and entries that overlap, and keeps the position of an entry to itself. archive/zip is what the
// tests compare this reader with.

const (
	endLen        = 22 // end of central directory record, without comment
	end64Len      = 56 // zip64 end of central directory record, without extension
	locator64Len  = 20 // zip64 end of central directory locator
	headerLen     = 46 // entry of the central directory, without name, extra fields and comment
	localLen      = 30 // header in front of an entry's data, without name and extra fields
	maxCommentLen = math.MaxUint16

	extraZip64       = 0x0001
	extraUnicodePath = 0x7075
)

var (
	signatureLocal     = []byte("PK\x03\x04")
	signatureHeader    = []byte("PK\x01\x02")
	signatureEnd       = []byte("PK\x05\x06")
	signatureEnd64     = []byte("PK\x06\x06")
	signatureLocator64 = []byte("PK\x06\x07")
)

var le = binary.LittleEndian

// directory is where the central directory of an archive lies.
type directory struct {
	count  int64
	offset int64
	bytes  []byte
}

// readDirectory finds the central directory and reads its bytes. A file that is no archive, or one over a limit, ends
// in a *ProblemsError before memory is set aside for it.
func readDirectory(src Source, limits Limits) (*directory, error) {
	size := src.Size()
	tail := make([]byte, min(size, maxCommentLen+endLen+locator64Len+end64Len))
	tailStart := size - int64(len(tail))
	if err := readAt(src, tail, tailStart); err != nil {
		return nil, err
	}
	at, err := findEnd(src, tail)
	if err != nil {
		return nil, err
	}
	end := tail[at:]
	if len(end) > endLen+maxCommentLen {
		return nil, refuse(CodeBadArchive, "The archive's comment is longer than a zip archive allows.")
	}
	d := &directory{count: int64(le.Uint16(end[10:])), offset: int64(le.Uint32(end[16:]))}
	dirSize := int64(le.Uint32(end[12:]))
	disks := le.Uint16(end[4:]) != 0 || le.Uint16(end[6:]) != 0
	countHere := int64(le.Uint16(end[8:]))
	dirEnd := tailStart + int64(at)

	if at >= locator64Len && bytes.HasPrefix(tail[at-locator64Len:], signatureLocator64) {
		e, start, err := readEnd64(src, tail[at-locator64Len:at], dirEnd-locator64Len)
		if err != nil {
			return nil, err
		}
		if !agree(d.count, math.MaxUint16, e.count) || !agree(dirSize, math.MaxUint32, e.size) || !agree(d.offset, math.MaxUint32, e.offset) {
			return nil, refuse(CodeBadArchive, "The archive contradicts itself: its zip64 record and its end record differ. Make it again with another zip tool.")
		}
		d.count, dirSize, d.offset, dirEnd = e.count, e.size, e.offset, start
		countHere, disks = e.countHere, e.disks
	}
	if disks || countHere != d.count {
		return nil, refuse(CodeBadArchive, "The archive is one part of several. Make a single zip file.")
	}
	if d.count > int64(limits.MaxEntries) {
		return nil, refuse(CodeTooManyEntries, "The archive says it has %d entries; at most %d are allowed. Split the package.", d.count, limits.MaxEntries)
	}
	if dirSize > limits.MaxDirectoryBytes {
		return nil, refuse(CodeTooLarge, "The archive's directory is %s long; at most %s are allowed. Use fewer or shorter file names.", bytesText(dirSize), bytesText(limits.MaxDirectoryBytes))
	}
	if d.offset > dirEnd || dirSize != dirEnd-d.offset {
		return nil, refuse(CodeBadArchive, "The archive is damaged: its directory is not where its end record says. Something was cut out of the file or put in front of it; make or upload it again.")
	}
	d.bytes = make([]byte, dirSize)
	if d.offset >= tailStart {
		copy(d.bytes, tail[d.offset-tailStart:])
		return d, nil
	}
	return d, readAt(src, d.bytes, d.offset)
}

// findEnd returns the position in tail of the record that ends the archive exactly where the file ends.
func findEnd(src Source, tail []byte) (int, error) {
	last := -1
	for at := len(tail) - endLen; at >= 0; at-- {
		if !bytes.HasPrefix(tail[at:], signatureEnd) {
			continue
		}
		if at+endLen+int(le.Uint16(tail[at+20:])) == len(tail) {
			return at, nil
		}
		if last < 0 {
			last = at
		}
	}
	kind, err := sniff(src)
	switch {
	case err != nil:
		return 0, err
	case kind != "":
		return 0, refuse(CodeNotAZip, "The file is not a zip archive: it %s. Upload the zip archive itself.", kind)
	case last < 0:
		return 0, refuse(CodeTruncated, "The archive is cut off: the directory at its end is missing. Upload it again, completely.")
	}
	if missing := endLen + int(le.Uint16(tail[last+20:])) - (len(tail) - last); missing > 0 {
		return 0, refuse(CodeTruncated, "The archive is cut off: %s are missing at its end. Upload it again, completely.", bytesText(int64(missing)))
	}
	extra := len(tail) - last - endLen - int(le.Uint16(tail[last+20:]))
	return 0, refuse(CodeTrailingBytes, "The archive is followed by %s that do not belong to it. Make or upload it again.", bytesText(int64(extra)))
}

type end64 struct {
	countHere, count, size, offset int64
	disks                          bool
}

// readEnd64 reads the zip64 end record that the locator at offset locatorAt points to. start is where the record
// begins, which is where the directory has to end.
func readEnd64(src Source, locator []byte, locatorAt int64) (e end64, start int64, err error) {
	broken := refuse(CodeBadArchive, "The archive is damaged: its zip64 end record is not where it should be. Make or upload it again.")
	start = int64At(locator[8:])
	if le.Uint32(locator[4:]) != 0 || le.Uint32(locator[16:]) > 1 {
		return e, 0, refuse(CodeBadArchive, "The archive is one part of several. Make a single zip file.")
	}
	if locatorAt-start < end64Len {
		return e, 0, broken
	}
	record := make([]byte, end64Len)
	if err := readAt(src, record, start); err != nil {
		return e, 0, err
	}
	if !bytes.HasPrefix(record, signatureEnd64) || int64At(record[4:]) != locatorAt-start-12 {
		return e, 0, broken
	}
	return end64{
		disks:     le.Uint32(record[16:]) != 0 || le.Uint32(record[20:]) != 0,
		countHere: int64At(record[24:]),
		count:     int64At(record[32:]),
		size:      int64At(record[40:]),
		offset:    int64At(record[48:]),
	}, start, nil
}

// agree reports whether the short field of the end record is the placeholder for the long one, or equal to it.
func agree(short, placeholder, long int64) bool { return short == placeholder || short == long }

// int64At reads a number of eight bytes. One that no archive can have becomes the largest there is, which every check
// refuses.
func int64At(b []byte) int64 { return int64(min(le.Uint64(b), math.MaxInt64)) }

// readAt fills p from offset off. A source that ends early is a failing source: its size is known.
func readAt(src Source, p []byte, off int64) error {
	n, err := src.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read package at byte %d: %w", off, err)
}
