package storage

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

const (
	smallBuffer  = 128 << 10
	mediumBuffer = 1 << 20

	// PartSize is the size in bytes of every part of a multipart upload but the last, and the largest body that is
	// written with one request. S3 takes parts of at least 5 MiB and at most 10,000 of them, which bounds an object
	// of ours to 78 GiB.
	PartSize  = 8 << 20
	maxParts  = 10_000
	maxObject = int64(PartSize) * maxParts

	// maxPartBuffers bounds the buffers of PartSize in a store.
	maxPartBuffers = 6

	// idleParts is how many of them are kept for the next writer: as many as one uses.
	idleParts = partsInFlight + 1
)

// classes are the sizes of buffers.
var classes = [...]int{smallBuffer, mediumBuffer, PartSize}

const partClass = len(classes) - 1

// buffer is lent memory; data[:n] is filled.
type buffer struct {
	data  []byte
	n     int
	class int
}

// buffers lends the memory that writers fill. Buffers of the largest size are limited in number, the others are as
// many as there are writers with so small a body.
type buffers struct {
	small [partClass]sync.Pool // of *buffer

	// Not a sync.Pool: one keeps a buffer for each processor where no other finds it, so it bounds nothing.
	parts *semaphore.Weighted
	mu    sync.Mutex
	idle  []*buffer // at most idleParts of PartSize
}

func newBuffers(parts int64) *buffers {
	b := &buffers{parts: semaphore.NewWeighted(parts)}
	for class := range b.small {
		b.small[class].New = func() any { return newBuffer(class) }
	}
	return b
}

func newBuffer(class int) *buffer { return &buffer{data: make([]byte, classes[class]), class: class} }

// get lends an empty buffer of the class, waiting for one of the largest as long as ctx lasts. A writer may wait
// for one only while every such buffer it has comes back without its doing, because its content is on its way:
// that keeps writers from waiting for each other for ever.
func (b *buffers) get(ctx context.Context, class int) (*buffer, error) {
	if class < partClass {
		buf := b.small[class].Get().(*buffer)
		buf.n = 0
		return buf, nil
	}
	if err := b.parts.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.idle) - 1
	if last < 0 {
		return newBuffer(partClass), nil
	}
	buf := b.idle[last]
	b.idle = b.idle[:last]
	buf.n = 0
	return buf, nil
}

// put takes a buffer back; nil is nothing.
func (b *buffers) put(buf *buffer) {
	if buf == nil {
		return
	}
	if buf.class < partClass {
		b.small[buf.class].Put(buf)
		return
	}
	b.mu.Lock()
	if len(b.idle) < idleParts {
		b.idle = append(b.idle, buf)
	}
	b.mu.Unlock()
	b.parts.Release(1)
}

// classFor gives the smallest class that holds size bytes; the largest where none does.
func classFor(size int64) int {
	for class, room := range classes {
		if size <= int64(room) {
			return class
		}
	}
	return partClass
}
