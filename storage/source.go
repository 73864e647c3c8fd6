package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// source reads a body once, from front to end, counting and hashing what it reads.
type source struct {
	r     io.Reader
	hash  hash.Hash
	size  int64 // bytes read
	limit int64 // more bytes are refused …
	over  error // … with this
	eof   bool  // r has ended

	// The byte that told that the body goes on after a full buffer: it begins the next one.
	ahead    [1]byte
	hasAhead bool
}

func newSource(r io.Reader, limit int64, over error) *source {
	return &source{r: r, hash: sha256.New(), limit: limit, over: over}
}

// ended tells whether the whole body was handed out.
func (s *source) ended() bool { return s.eof && !s.hasAhead }

// digest gives the SHA-256 of what was read, in lower-case hex.
func (s *source) digest() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// fill reads on until buf is full or the body ends, and finds out whether it ends there, so that a body that just
// fills a buffer needs no second one.
func (s *source) fill(ctx context.Context, buf *buffer) error {
	if s.hasAhead {
		s.hasAhead = false
		buf.data[buf.n] = s.ahead[0]
		buf.n++
	}
	n, err := s.read(ctx, buf.data[buf.n:])
	buf.n += n
	if err != nil || s.eof {
		return err
	}
	n, err = s.read(ctx, s.ahead[:])
	s.hasAhead = n > 0
	return err
}

// read fills p as far as the body goes. It looks at ctx before each read, but cannot interrupt one.
func (s *source) read(ctx context.Context, p []byte) (int, error) {
	filled, idle := 0, 0
	for filled < len(p) && !s.eof {
		if err := context.Cause(ctx); err != nil {
			return filled, err
		}
		n, err := s.r.Read(p[filled:])
		s.hash.Write(p[filled : filled+n])
		filled += n
		s.size += int64(n)
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case s.size > s.limit:
			return filled, s.over
		case err == io.EOF:
			s.eof = true
		case err != nil:
			return filled, err
		case idle == 100:
			return filled, io.ErrNoProgress
		}
	}
	return filled, nil
}

// head reads the first part of the body, or all of it where it is smaller, beginning with a buffer of class and
// growing as bytes arrive, so that a small body never takes a large buffer. The caller gives the buffer back.
func (s *source) head(ctx context.Context, from *buffers, class int) (*buffer, error) {
	var filled *buffer
	for ; ; class++ {
		buf, err := from.get(ctx, class)
		if err != nil {
			from.put(filled)
			return nil, err
		}
		if filled != nil {
			buf.n = copy(buf.data, filled.data[:filled.n])
			from.put(filled)
		}
		if err := s.fill(ctx, buf); err != nil {
			from.put(buf)
			return nil, err
		}
		if s.ended() || class == partClass {
			return buf, nil
		}
		filled = buf
	}
}
