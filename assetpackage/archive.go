package assetpackage

import (
	"bytes"
	"context"
	"io"
	"strings"
)

// Archive is a zip archive without a manifest of ours: what the other package formats, which are zip archives as well,
// are read with. It is as distrustful as Open, and safe for use by several goroutines at once, as far as its Source is.
type Archive struct {
	src     Source
	entries []entry
	list    []ArchiveEntry
}

// ArchiveEntry is a file of an archive.
type ArchiveEntry struct {
	Name   string // a path in the sense of the format: safe, and unlike every other of the archive on every file system
	Size   int64  // decompressed
	Stored bool   // not compressed: the entry's bytes are a range of the archive
}

// OpenArchive reads the directory of an archive and makes the checks that need no file bytes; what is wrong ends in a
// *ProblemsError, every other error is a failure to read the source. Of the limits, those on the manifest and on
// assets do not apply. The source must stay open as long as the archive is used.
func OpenArchive(src Source, limits Limits) (*Archive, error) {
	limits = limits.withDefaults()
	d, err := readDirectory(src, limits)
	if err != nil {
		return nil, err
	}
	entries, err := parseEntries(d)
	if err != nil {
		return nil, err
	}
	a := &Archive{src: src}
	var ps problems
	var total int64
	locations := make([]location, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		if code, message := e.flaw(limits); code != "" {
			ps.add(asset{}, code, "%s", message)
			continue
		}
		locations = append(locations, location{strings.TrimSuffix(e.name, "/"), e.folder()})
		if e.folder() {
			continue
		}
		total += e.size // no overflow: entries and their sizes are limited
		a.entries = append(a.entries, *e)
		a.list = append(a.list, ArchiveEntry{Name: e.name, Size: e.size, Stored: e.method == methodStore})
	}
	checkCollisions(locations, func(code, message string) { ps.add(asset{}, code, "%s.", message) })
	if total > limits.MaxTotalBytes {
		ps.add(asset{}, CodeTooLarge, "The files of the archive are %s long together; at most %s are allowed. Split it.", bytesText(total), bytesText(limits.MaxTotalBytes))
	}
	return a, ps.err()
}

// Entries are the files of the archive in the order of its directory; folders are left out. The caller must not change
// them.
func (a *Archive) Entries() []ArchiveEntry { return a.list }

// OpenEntry returns the decompressed bytes of the entry with an index into Entries; the caller closes it. Its last Read
// answers io.EOF only when size and checksum are right, and a *ProblemsError when the bytes are wrong.
func (a *Archive) OpenEntry(ctx context.Context, i int) (io.ReadCloser, error) {
	return openItem(ctx, a.src, &item{entry: &a.entries[i]})
}

// Section returns the bytes of a stored entry in place, as a source of its own. They are not checked against the
// archive's checksum: that is done by reading OpenEntry to its end.
func (a *Archive) Section(ctx context.Context, i int) (Source, error) {
	r, err := openItem(ctx, a.src, &item{entry: &a.entries[i]})
	if err != nil {
		return nil, err
	}
	offset := r.stream.pos // behind the header, whose length the directory does not say
	return part{a.src, offset, a.entries[i].compressed}, r.Close()
}

// part is a range of a source.
type part struct {
	src          Source
	offset, size int64
}

func (p part) Size() int64 { return p.size }

func (p part) ReadAt(b []byte, off int64) (int, error) {
	return io.NewSectionReader(p.src, p.offset, p.size).ReadAt(b, off)
}

func (p part) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	return p.src.OpenRange(ctx, p.offset+off, n)
}

// MemorySource is a package that is in memory.
func MemorySource(data []byte) Source { return memory{bytes.NewReader(data)} }

type memory struct{ *bytes.Reader }

func (m memory) OpenRange(_ context.Context, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(m.Reader, off, n)), nil
}
