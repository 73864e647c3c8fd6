package assetpackage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
)

// bufferBytes is how much of the archive is read, decompressed and hashed at a time.
const bufferBytes = 128 * kib

// archiveStream reads a stretch of the archive once, from front to back. It keeps apart what the source does (fail)
// from what its bytes are (wrong).
type archiveStream struct {
	body io.ReadCloser
	buf  *bufio.Reader
	left int64 // bytes that the source still owes
	pos  int64 // offset in the archive of the next byte out of buf
	err  error // of the source
}

var bufferPool = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferBytes) }}

func openStream(ctx context.Context, src Source, off, end int64) (*archiveStream, error) {
	body, err := src.OpenRange(ctx, off, end-off)
	if err != nil {
		return nil, fmt.Errorf("read package from byte %d: %w", off, err)
	}
	s := &archiveStream{body: body, left: end - off, pos: off}
	s.buf = bufferPool.Get().(*bufio.Reader)
	s.buf.Reset(sourceReader{s})
	return s, nil
}

func (s *archiveStream) close() error {
	s.buf.Reset(nil)
	bufferPool.Put(s.buf)
	s.buf = nil
	return s.body.Close()
}

// sourceReader fills the stream's buffer.
type sourceReader struct{ s *archiveStream }

func (r sourceReader) Read(p []byte) (int, error) {
	s := r.s
	if s.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.body.Read(p)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		s.err = fmt.Errorf("read package: %w", err)
		return n, s.err
	}
	return n, nil
}

// skipTo moves forward to an offset in the archive.
func (s *archiveStream) skipTo(off int64) error {
	for s.pos < off {
		n, err := s.buf.Discard(int(min(off-s.pos, math.MaxInt32)))
		s.pos += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// section is the compressed data of one entry: nothing behind it is consumed.
type section struct {
	s    *archiveStream
	left int64
}

func (c *section) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.s.buf.Read(p)
	c.s.pos += int64(n)
	c.left -= int64(n)
	return n, noEOF(err)
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
