package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"assetflow/fault"
)

const (
	// maxFruitless is how many connections in a row may break without bringing a byte.
	maxFruitless = 4
	firstPause   = 50 * time.Millisecond // before the next connection, doubled each time

	unknownSize = -1
)

// rangeReader streams a part of an object and goes on from the offset it has reached when the connection breaks.
type rangeReader struct {
	ctx   context.Context //nolint:containedctx // of the call that opened it: a reader has no other way to learn of its end
	store *Store
	key   string
	size  int64 // of the object; unknownSize until the first answer
	off   int64 // of the next byte
	end   int64 // where the range ends

	etag      *string // of the first answer: the object must not change between two connections
	body      io.ReadCloser
	fruitless int
	err       error // what Read answers from now on
}

// start makes the first connection, so that a missing object shows itself when it is opened.
func (r *rangeReader) start() error {
	for r.body == nil && r.err == nil {
		r.connect()
	}
	return r.err
}

// Read reads on, over as many connections as it takes.
func (r *rangeReader) Read(p []byte) (int, error) {
	for {
		switch {
		case r.err != nil:
			return 0, r.err
		case r.off == r.end:
			r.finish(io.EOF)
			continue
		case len(p) == 0:
			return 0, nil
		case r.ctx.Err() != nil: // the connection would hand out what it has buffered first
			r.finish(failure(r.ctx, "read "+r.key, r.ctx.Err()))
			continue
		case r.body == nil:
			r.connect()
			continue
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.off)])
		r.off += int64(n)
		r.store.readBytes(r.key, n)
		if n > 0 {
			r.fruitless = 0
		}
		if err != nil && r.off < r.end {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			r.broken(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Close ends the connection.
func (r *rangeReader) Close() error {
	r.finish(errors.New("read of a closed object"))
	return nil
}

func (r *rangeReader) finish(err error) {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
	if r.err == nil || errors.Is(r.err, io.EOF) {
		r.err = err
	}
}

// broken drops a connection that did not bring what was asked for, and pauses or gives up.
func (r *rangeReader) broken(err error) {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
	r.fruitless++
	if r.ctx.Err() != nil || r.fruitless > maxFruitless {
		r.finish(failure(r.ctx, fmt.Sprintf("read %s at %d", r.key, r.off), err))
		return
	}
	if r.fruitless == 1 {
		return // it had brought something, or is the first: at once
	}
	pause := time.NewTimer(firstPause << (r.fruitless - 2))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-r.ctx.Done():
		r.finish(failure(r.ctx, "read "+r.key, r.ctx.Err()))
	}
}

// connect asks for what is missing. It sets body, or err, or neither where another try is due.
func (r *rangeReader) connect() {
	input := &s3.GetObjectInput{Bucket: &r.store.bucket, Key: &r.key, IfMatch: r.etag}
	if r.end != unknownSize {
		input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r.off, r.end-1))
	}
	answer, err := r.store.client.GetObject(r.ctx, input, func(o *s3.Options) {
		// A server may send the checksum of the whole object with a part of it.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	if err != nil {
		if hasCode(err, "PreconditionFailed", "InvalidRange") {
			r.finish(fmt.Errorf("read %s: %w", r.key, errChanged.Wrap(err)))
			return
		}
		if err := failure(r.ctx, "read "+r.key, err); fault.KindOf(err) != fault.Unavailable {
			r.finish(err)
			return
		}
		r.broken(err)
		return
	}
	size := value(answer.ContentLength)
	if answer.ContentRange != nil {
		_, total, _ := strings.Cut(*answer.ContentRange, "/")
		if size, err = strconv.ParseInt(total, 10, 64); err != nil {
			size = r.size // "*": the server does not say
		}
	} else if input.Range != nil {
		_ = answer.Body.Close()
		r.finish(fmt.Errorf("read %s: the server does not answer ranged reads: %w", r.key, errRefused))
		return
	}
	if r.size == unknownSize {
		r.size, r.end = size, size
	}
	if size != r.size {
		_ = answer.Body.Close()
		r.finish(fmt.Errorf("read %s: %d bytes instead of %d: %w", r.key, size, r.size, errChanged))
		return
	}
	r.body, r.etag = answer.Body, answer.ETag
}
