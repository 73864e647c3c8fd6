package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// answering gives a store whose requests fn answers in place of a server.
func answering(endpoint string, fn func(req *http.Request) string) *Store {
	return New(s3.New(s3.Options{
		Region: "r", BaseEndpoint: &endpoint, UsePathStyle: true, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		HTTPClient: doer(func(req *http.Request) (*http.Response, error) {
			body := fn(req)
			if req.Body != nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_ = req.Body.Close()
			}
			return &http.Response{
				StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"e"`}}, Body: io.NopCloser(bytes.NewBufferString(body)),
			}, nil
		}),
	}), "bucket")
}

type doer func(*http.Request) (*http.Response, error)

func (f doer) Do(req *http.Request) (*http.Response, error) { return f(req) }

const begun = `<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>`

func TestSmallBodiesTakeSmallBuffers(t *testing.T) {
	t.Parallel()
	src := func(size int64) *source { return newSource(io.LimitReader(zeros{}, size), maxObject, nil) }
	for size, class := range map[int64]int{
		0: 0, 1: 0, smallBuffer: 0, smallBuffer + 1: 1, mediumBuffer: 1, mediumBuffer + 1: 2, PartSize: 2, PartSize + 1: 2,
	} {
		pool := newBuffers(1)
		s := src(size)
		buf, err := s.head(t.Context(), pool, 0)
		require.NoError(t, err)
		require.Equal(t, class, buf.class, "a body of %d bytes", size)
		require.EqualValues(t, min(size, PartSize), buf.n)
		require.Equal(t, size <= PartSize, s.ended())
		require.Equal(t, class, classFor(min(size, PartSize)), "when the size is known")
		pool.put(buf)
	}

	// Not one of 64 writers with bodies of up to a megabyte waits for, or takes, one of the large buffers.
	store := answering("http://127.0.0.1:1", func(*http.Request) string { return "" })
	store.buffers = newBuffers(0)
	var writing errgroup.Group
	for i := range 64 {
		writing.Go(func() error {
			_, err := store.Stage(t.Context(), StagingKey("p", fmt.Sprint(i)), io.LimitReader(zeros{}, int64(i)<<14), 0)
			return err
		})
	}
	require.NoError(t, writing.Wait())
}

// However many write large objects at the same time, the large buffers stay within their number, and with two of
// them every writer still comes to its end.
func TestLargeBuffersAreBounded(t *testing.T) {
	t.Parallel()
	const limit, writers = 2, 12
	var mu sync.Mutex
	sending, most := 0, 0
	store := answering("http://127.0.0.1:1", func(req *http.Request) string {
		if req.Method == http.MethodPost {
			return begun
		}
		mu.Lock()
		sending++
		most = max(most, sending)
		mu.Unlock()
		_, _ = io.Copy(io.Discard, req.Body)
		mu.Lock()
		sending--
		mu.Unlock()
		return ""
	})
	store.buffers = newBuffers(limit)
	var writing errgroup.Group
	for i := range writers {
		writing.Go(func() error {
			_, err := store.Stage(t.Context(), StagingKey("p", fmt.Sprint(i)), io.LimitReader(zeros{}, 3*PartSize+5), 0)
			return err
		})
	}
	require.NoError(t, writing.Wait())
	require.LessOrEqual(t, most, limit)
	require.Positive(t, most)
	require.True(t, store.buffers.parts.TryAcquire(limit), "every buffer was given back")
	require.LessOrEqual(t, len(store.buffers.idle), limit)
}

// A write that fails gives its buffers back, wherever it fails.
func TestFailuresGiveBuffersBack(t *testing.T) {
	t.Parallel()
	for _, at := range []int64{0, smallBuffer + 1, mediumBuffer + 1, PartSize, PartSize + 1, 3 * PartSize} {
		for name, fail := range map[string]io.Reader{
			"reader": iotest.ErrReader(errors.New("broken")), "no progress": stuck{}, "limit": zeros{},
		} {
			store := answering("http://127.0.0.1:1", func(req *http.Request) string {
				if req.Method == http.MethodPost {
					return begun
				}
				return ""
			})
			_, err := store.Stage(t.Context(), StagingKey("p", "j"), io.MultiReader(io.LimitReader(zeros{}, at), fail), 4*PartSize)
			require.Error(t, err)
			require.True(t, store.buffers.parts.TryAcquire(maxPartBuffers), "%s at %d", name, at)
		}
	}
	store := answering("http://127.0.0.1:1", func(*http.Request) string { return "no upload id" })
	_, err := store.Stage(t.Context(), StagingKey("p", "j"), io.LimitReader(zeros{}, 2*PartSize), 0)
	require.Error(t, err, "an upload that cannot begin")
	require.True(t, store.buffers.parts.TryAcquire(maxPartBuffers))
}

// A writer that waits for a buffer ends with its context.
func TestWaitingEndsWithContext(t *testing.T) {
	t.Parallel()
	store := answering("http://127.0.0.1:1", func(*http.Request) string { return "" })
	store.buffers = newBuffers(0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := store.Stage(ctx, StagingKey("p", "j"), io.LimitReader(zeros{}, PartSize), 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestOutlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		late, stop := outlive(ctx, time.Second)
		defer stop()
		cancel()
		time.Sleep(time.Second - 1) //nolint:forbidigo // in the bubble no time passes
		synctest.Wait()
		require.NoError(t, late.Err(), "requests in flight get their grace")
		time.Sleep(time.Nanosecond) //nolint:forbidigo // in the bubble no time passes
		synctest.Wait()
		require.Error(t, late.Err(), "and no more")

		early, stopEarly := outlive(t.Context(), time.Second)
		stopEarly()
		require.Error(t, early.Err())
	})
}

// The body is left out of the signature on the loopback interface only.
func TestBodiesAreSignedOverTheNetwork(t *testing.T) {
	t.Parallel()
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:9000":       "UNSIGNED-PAYLOAD",
		"http://[::1]:9000":           "UNSIGNED-PAYLOAD",
		"http://localhost:9000":       "UNSIGNED-PAYLOAD",
		"http://minio:9000":           empty,
		"http://10.0.0.1:9000":        empty,
		"http://localhost.example":    empty,
		"http://127.0.0.1.example:80": empty,
	} {
		var sent string
		var crc bool
		store := answering(endpoint, func(req *http.Request) string {
			sent = req.Header.Get("X-Amz-Content-Sha256")
			crc = req.Header.Get("X-Amz-Checksum-Crc32") != ""
			return ""
		})
		_, err := store.Stage(t.Context(), StagingKey("p", "j"), http.NoBody, 0)
		require.NoError(t, err)
		require.Equal(t, want, sent, endpoint)
		require.True(t, crc, endpoint)
	}
	require.False(t, overLoopback("https://localhost"), "TLS does it better")
	require.False(t, overLoopback(""), "AWS")
}

// Where the environment says that the server knows no checksums, none are sent.
func TestChecksumsOnlyWhereWanted(t *testing.T) {
	t.Parallel()
	for calculation, want := range map[aws.RequestChecksumCalculation]bool{
		aws.RequestChecksumCalculationWhenSupported: true, aws.RequestChecksumCalculationWhenRequired: false,
	} {
		checksums := 0
		store := answering("http://127.0.0.1:1", func(req *http.Request) string {
			for name := range req.Header {
				if len(name) > 15 && name[:15] == "X-Amz-Checksum-" {
					checksums++
				}
			}
			if req.Method == http.MethodPost {
				return begun
			}
			return ""
		})
		store = New(s3.New(store.client.Options(), func(o *s3.Options) { o.RequestChecksumCalculation = calculation }), "bucket")
		_, err := store.Stage(t.Context(), StagingKey("p", "j"), io.LimitReader(zeros{}, 2*PartSize), 0)
		require.NoError(t, err)
		require.Equal(t, want, checksums > 0)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// stuck never brings anything and never ends.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
