package activities

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"

	"assetflow/storage"
)

const (
	// copyWindow bounds the bytes that all copies of a worker have fetched and not stored yet.
	copyWindow = 8 * storage.PartSize
	// idleBuffers is how many of the largest buffers are kept for the next file.
	idleBuffers = 4
)

// windowSizes are the sizes of buffers.
var windowSizes = [...]int{128 << 10, 1 << 20, storage.PartSize}

// Window lends the memory that copies fetch into. Copies of one worker share it, so that the memory they take does not
// grow with them. It is not the object store's: a source that answers slowly must not keep imports from theirs.
type Window struct {
	room  *semaphore.Weighted
	small [len(windowSizes) - 1]sync.Pool // of *[]byte
	mu    sync.Mutex
	idle  [][]byte // of the largest size
}

// NewWindow makes a window of 64 MiB.
func NewWindow() *Window { return &Window{room: semaphore.NewWeighted(copyWindow)} }

// lent is a buffer of a window.
type lent struct {
	data  []byte // of the size that was asked for
	whole []byte
	class int
}

// get lends a buffer of the size, which is at most storage.PartSize, waiting for room as long as ctx lasts. Whoever has
// one may wait for nobody who still wants one.
func (w *Window) get(ctx context.Context, size int64) (*lent, error) {
	class := 0
	for size > int64(windowSizes[class]) {
		class++
	}
	if err := w.room.Acquire(ctx, int64(windowSizes[class])); err != nil {
		return nil, err
	}
	whole := w.find(class)
	if whole == nil {
		whole = make([]byte, windowSizes[class])
	}
	return &lent{data: whole[:size], whole: whole, class: class}, nil
}

func (w *Window) find(class int) []byte {
	if class < len(w.small) {
		if kept, ok := w.small[class].Get().(*[]byte); ok {
			return *kept
		}
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.idle) - 1
	if last < 0 {
		return nil
	}
	whole := w.idle[last]
	w.idle = w.idle[:last]
	return whole
}

// put takes a buffer back.
func (w *Window) put(b *lent) {
	if b.class < len(w.small) {
		w.small[b.class].Put(&b.whole)
	} else {
		w.mu.Lock()
		if len(w.idle) < idleBuffers {
			w.idle = append(w.idle, b.whole)
		}
		w.mu.Unlock()
	}
	w.room.Release(int64(windowSizes[b.class]))
}
