package assetpackage

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/flate" // half again as fast as compress/flate
)

// item is a file of the package: what the manifest says of it, its entry, and its asset. The manifest itself has
// no File.
type item struct {
	entry *entry
	file  *File
	owner asset
}

func (it *item) refuse(code, format string, args ...any) error {
	return &ProblemsError{Problems: []Problem{problem(it.owner, code, format, args...)}, Total: 1}
}

// content is the decompressed bytes of one item. Its last Read answers io.EOF only when size, checksum and digest are
// right; it answers a *ProblemsError when the bytes are wrong and another error when the source fails. It never
// decompresses more than one byte beyond the size that the directory gives.
type content struct {
	item   *item
	stream *archiveStream
	data   section
	in     io.Reader
	flate  *inflater // nil for a stored entry
	crc    uint32
	hash   hash.Hash
	n      int64
	err    error // sticky
}

// inflater decompresses. The decompressor is fastest on a bufio.Reader of its own.
type inflater struct {
	buf   *bufio.Reader
	flate io.Reader
}

var inflatePool = sync.Pool{New: func() any {
	buf := bufio.NewReaderSize(nil, 16*kib)
	return &inflater{buf: buf, flate: flate.NewReader(buf)}
}}

func newInflater(r io.Reader) *inflater {
	i := inflatePool.Get().(*inflater)
	i.buf.Reset(r)
	_ = i.flate.(flate.Resetter).Reset(i.buf, nil) // every flate reader has it, and it never fails
	return i
}

func (i *inflater) release() {
	i.buf.Reset(nil)
	inflatePool.Put(i)
}

// openContent reads the header in front of the item's data, at which the stream stands.
func openContent(it *item, s *archiveStream) (*content, error) {
	c := &content{item: it, stream: s}
	if err := c.readHeader(); err != nil {
		return nil, c.classify(err)
	}
	c.data = section{s, it.entry.compressed}
	c.in = &c.data
	if it.entry.method == methodDeflate {
		c.flate = newInflater(&c.data)
		c.in = c.flate.flate
	}
	if it.file != nil {
		c.hash = sha256.New()
	}
	return c, nil
}

// readHeader compares the header in front of the data with the directory: two tools must not see two files.
func (c *content) readHeader() error {
	e := c.item.entry
	head := make([]byte, localLen+len(e.name))
	n, err := io.ReadFull(c.stream.buf, head)
	c.stream.pos += int64(n)
	if err != nil {
		return noEOF(err)
	}
	extraLen := int64(le.Uint16(head[28:]))
	const descriptor = 1 << 3
	switch {
	case !bytes.HasPrefix(head, signatureLocal):
		return c.item.refuse(CodeBadArchive, "The archive is damaged: %s is not where the directory says. Make or upload it again.", quote(e.name))
	case int(le.Uint16(head[26:])) != len(e.name) || string(head[localLen:]) != e.name:
		return c.item.refuse(CodeBadArchive, "The archive contradicts itself: its directory calls an entry %s, the entry has another name. Make the archive again with another zip tool.", quote(e.name))
	case le.Uint16(head[8:]) != e.method || (le.Uint16(head[6:])^e.flags)&(flagEncrypted|flagStrongEncryption|descriptor) != 0:
		return c.item.refuse(CodeBadArchive, "The archive contradicts itself: its directory and the entry %s disagree on compression or encryption. Make the archive again with another zip tool.", quote(e.name))
	case e.flags&descriptor == 0 && (le.Uint32(head[14:]) != e.crc || !sameSize(head[18:], e.compressed) || !sameSize(head[22:], e.size)):
		return c.item.refuse(CodeBadArchive, "The archive contradicts itself: its directory and the entry %s disagree on its size or checksum. Make the archive again with another zip tool.", quote(e.name))
	case extraLen > e.end-c.stream.pos-e.compressed:
		return c.item.refuse(CodeBomb, "Entry %s reaches into the next one, as decompression bombs do. Make the archive again with another zip tool.", quote(e.name))
	}
	return c.stream.skipTo(c.stream.pos + extraLen)
}

// sameSize compares a size in the local header with the directory's. One that is in the zip64 field is not compared:
// only the directory's is used.
func sameSize(field []byte, size int64) bool {
	short := le.Uint32(field)
	return short == math.MaxUint32 || int64(short) == size
}

// Read gives the next bytes.
func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.fill(p)
	// Whoever reads exactly as many bytes as the file has must hear what the end says.
	if err == nil && c.n == c.item.entry.size {
		var probe [1]byte
		_, err = c.fill(probe[:])
	}
	if err != nil {
		c.err = c.finish(err)
	}
	return n, c.err
}

func (c *content) fill(p []byte) (int, error) {
	room := c.item.entry.size - c.n
	p = p[:min(int64(len(p)), max(room, 1))]
	n, err := c.in.Read(p)
	if int64(n) > room {
		return 0, c.item.refuse(CodeSizeMismatch, "%s decompresses to more than the %s that the archive's directory gives. Make the archive again.", quote(c.item.entry.name), bytesText(c.item.entry.size))
	}
	c.n += int64(n)
	c.crc = crc32.Update(c.crc, crc32.IEEETable, p[:n])
	if c.hash != nil {
		c.hash.Write(p[:n])
	}
	return n, err
}

// finish turns the end of the data into the reader's last answer.
func (c *content) finish(err error) error {
	if !errors.Is(err, io.EOF) {
		return c.classify(err)
	}
	e, name := c.item.entry, quote(c.item.entry.name)
	switch {
	case c.n != e.size:
		return c.item.refuse(CodeSizeMismatch, "%s decompresses to %s, but the archive's directory gives %s. Make the archive again.", name, bytesText(c.n), bytesText(e.size))
	case c.unused() > 0:
		return c.item.refuse(CodeCorruptFile, "The compressed data of %s is followed by %s that do not belong to it. Make the archive again.", name, bytesText(c.unused()))
	case c.hash != nil && hex.EncodeToString(c.hash.Sum(nil)) != c.item.file.SHA256:
		return c.item.refuse(CodeDigestMismatch, "The content of %s is not what the manifest says: its SHA-256 is %x, the manifest has %s. Correct the manifest or the file.", name, c.hash.Sum(nil), c.item.file.SHA256)
	case c.crc != e.crc:
		return c.item.refuse(CodeCorruptFile, "%s is damaged: its checksum in the archive does not match. Make or upload the archive again.", name)
	}
	return io.EOF
}

// unused is how many bytes of the entry's data the decompressor did not need.
func (c *content) unused() int64 {
	if c.flate != nil {
		return c.data.left + int64(c.flate.buf.Buffered())
	}
	return c.data.left
}

// classify leaves the source's failures and our own problems as they are; everything else is damaged data.
func (c *content) classify(err error) error {
	var bad *ProblemsError
	switch {
	case c.stream.err != nil:
		return c.stream.err
	case errors.As(err, &bad):
		return err
	}
	return c.item.refuse(CodeCorruptFile, "%s cannot be decompressed: its data is damaged. Make or upload the archive again.", quote(c.item.entry.name))
}

// release gives back what the content holds. The stream stays open.
func (c *content) release() {
	if c.flate != nil {
		c.flate.release()
		c.flate = nil
	}
	if c.err == nil {
		c.err = errors.New("read of a closed file")
	}
}

// fileReader is a content with a stream of its own.
type fileReader struct {
	*content
	closed bool
}

// Close ends the stream.
func (r *fileReader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	r.release()
	return r.stream.close()
}

// openItem opens the bytes of one item over one range of the source.
func openItem(ctx context.Context, src Source, it *item) (*fileReader, error) {
	// The header in front of the data may have extra fields that the directory does not show.
	e := it.entry
	end := min(e.end, e.offset+localLen+int64(len(e.name))+math.MaxUint16+e.compressed)
	s, err := openStream(ctx, src, e.offset, end)
	if err != nil {
		return nil, err
	}
	c, err := openContent(it, s)
	if err != nil {
		_ = s.close() // the first error says more
		return nil, err
	}
	return &fileReader{content: c}, nil
}
