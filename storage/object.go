package storage

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	// blockSize is what ReadAt fetches at a time. An object that is no larger is fetched once, as a whole.
	blockSize = 1 << 20
	// blocksKept is how many blocks an object remembers.
	blocksKept = 4
	// throughBlocks is the largest range that OpenRange takes from blocks: fetching a block costs about as much as
	// a request for a few bytes, and the ranges beside it come with it.
	throughBlocks = blockSize / 4
)

// Object gives random access to one stored object. It is safe for concurrent use and needs no closing; it keeps at
// most 4 MiB of the object in memory.
type Object struct {
	ctx   context.Context //nolint:containedctx // for ReadAt, whose signature has none
	store *Store
	key   string
	size  int64

	mu     sync.Mutex
	blocks []*block // the most recently used last
}

// block is one piece of the object, fetched by the first who needs it.
type block struct {
	number int64
	ready  chan struct{} // closed when data or err is set
	data   []byte
	err    error
}

func newObject(ctx context.Context, s *Store, key string, size int64) *Object {
	return &Object{ctx: ctx, store: s, key: key, size: size}
}

// Size gives the object's size in bytes, as it was named when the object was opened.
func (o *Object) Size() int64 { return o.size }

// ReadAt implements [io.ReaderAt] under the context the object was opened with. It fetches blocks of 1 MiB, so
// small reads near each other cost one request.
func (o *Object) ReadAt(p []byte, off int64) (int, error) { return o.readAt(o.ctx, p, off) }

func (o *Object) readAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", o.key, off)
	}
	n := 0
	for n < len(p) && off < o.size {
		number := o.blockAt(off)
		data, err := o.block(ctx, number)
		if err != nil {
			return n, err
		}
		start, _ := o.bounds(number)
		copied := copy(p[n:], data[off-start:])
		n += copied
		off += int64(copied)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Blocks are counted from the end of the object, where a zip file has its directory: the last one is then whole,
// and as much of the directory as can be comes with one request.

func (o *Object) blockAt(off int64) int64 { return (o.size - 1 - off) / blockSize }

func (o *Object) bounds(number int64) (start, end int64) {
	end = o.size - number*blockSize
	return max(0, end-blockSize), end
}

// block gives the content of a block, from memory or from the server. Several who want the same one wait for the
// first; when that one fails, perhaps because its own context ended, each tries for itself.
func (o *Object) block(ctx context.Context, number int64) ([]byte, error) {
	for {
		b, mine := o.claim(number)
		if mine {
			o.fetch(ctx, b)
			return b.data, b.err
		}
		select {
		case <-b.ready:
			if b.err == nil {
				return b.data, nil
			}
		case <-ctx.Done():
			return nil, failure(ctx, "read "+o.key, ctx.Err())
		}
	}
}

// claim finds a block, or makes it and tells the caller to fetch it.
func (o *Object) claim(number int64) (b *block, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at := slices.IndexFunc(o.blocks, func(b *block) bool { return b.number == number }); at >= 0 {
		b = o.blocks[at]
		o.blocks = append(slices.Delete(o.blocks, at, at+1), b)
		return b, false
	}
	if len(o.blocks) == blocksKept {
		o.blocks = slices.Delete(o.blocks, 0, 1)
	}
	b = &block{number: number, ready: make(chan struct{})}
	o.blocks = append(o.blocks, b)
	return b, true
}

func (o *Object) fetch(ctx context.Context, b *block) {
	defer close(b.ready)
	start, end := o.bounds(b.number)
	r, err := o.stream(ctx, start, end)
	if err == nil {
		b.data = make([]byte, end-start)
		_, err = io.ReadFull(r, b.data)
		_ = r.Close()
	}
	if b.err = err; err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.blocks = slices.DeleteFunc(o.blocks, func(other *block) bool { return other == b })
	}
}

// OpenRange streams n bytes from off, which must lie within the object. A connection that breaks is taken up again
// at the offset reached, as long as each few connections bring something; an object that changed meanwhile is
// Conflict "storage.changed". Short ranges come from the blocks ReadAt keeps. The caller closes the reader.
func (o *Object) OpenRange(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n < 0 || n > o.size-off {
		return nil, fmt.Errorf("open range of %s: %d bytes at %d lie outside its %d bytes", o.key, n, off, o.size)
	}
	if n <= throughBlocks || o.size <= blockSize {
		return io.NopCloser(io.NewSectionReader(readerAt{ctx, o}, off, n)), nil
	}
	return o.stream(ctx, off, off+n)
}

// readerAt reads from blocks under the context of one call.
type readerAt struct {
	ctx context.Context //nolint:containedctx // it lives as long as one reader
	o   *Object
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r.o.readAt(r.ctx, p, off) }

func (o *Object) stream(ctx context.Context, start, end int64) (io.ReadCloser, error) {
	r := &rangeReader{ctx: ctx, store: o.store, key: o.key, size: o.size, off: start, end: end}
	if err := r.start(); err != nil {
		return nil, err
	}
	return r, nil
}
