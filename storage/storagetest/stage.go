package storagetest

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
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"assetflow/fault"
	"assetflow/storage"
)

func testStage(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	// The borders of the buffers and of the parts, and one on either side.
	for _, size := range []int64{
		0, 1, 128*kib - 1, 128 * kib, 128*kib + 1, mib - 1, mib, mib + 1,
		part - 1, part, part + 1, 2 * part, 3*part + 1, 5*part + 7,
	} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			data := content(size)
			for name, reader := range map[string]io.Reader{
				"plain":       bytes.NewReader(data),
				"halves":      iotest.HalfReader(bytes.NewReader(data)),
				"eof at once": iotest.DataErrReader(bytes.NewReader(data)), // the last bytes come with io.EOF
			} {
				key := storage.StagingKey("p", fmt.Sprintf("%d-%s", size, name))
				staged, err := store.Stage(t.Context(), key, reader, size)
				require.NoError(t, err, name)
				require.Equal(t, storage.Staged{Key: key, Size: size, SHA256: digest(data)}, staged)
				requireEqual(t, data, get(t, store, key), name)
			}
			again := storage.StagingKey("p", fmt.Sprint(size, " again"))
			for _, body := range [][]byte{content(3), data} {
				_, err := store.Stage(t.Context(), again, bytes.NewReader(body), 0)
				require.NoError(t, err)
				requireEqual(t, body, get(t, store, again), "written over, and limit 0 is none")
			}
		})
	}
	t.Cleanup(func() { requireNoUploads(t, store) })
}

// testFailures breaks writes in every way and at every stage, and looks for what is left.
func testFailures(t *testing.T, open func(*testing.T) *storage.Store) {
	stages := []int64{0, 1, 100 * kib, 200 * kib, 2 * mib, part, part + 1, 3*part + 100}

	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, limit := range stages[1:] {
			for _, over := range []int64{1, 100, part + 3} {
				_, err := store.Stage(t.Context(), storage.StagingKey("p", "j"), bytes.NewReader(content(limit+over)), limit)
				require.Equal(t, fault.TooLarge, fault.KindOf(err), "limit %d: %v", limit, err)
				require.Equal(t, "storage.too_large", fault.CodeOf(err))
				requireNothing(t, store)
			}
		}
	})

	t.Run("reader", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		broken := errors.New("the client went away")
		for _, at := range stages {
			body := func() io.Reader { return io.MultiReader(bytes.NewReader(content(at)), iotest.ErrReader(broken)) }
			_, err := store.Stage(t.Context(), storage.StagingKey("p", "j"), body(), 0)
			require.ErrorIs(t, err, broken, "at %d", at)
			err = store.PutBlob(t.Context(), digest(content(at)), at, body())
			require.ErrorIs(t, err, broken, "at %d", at)
			requireNothing(t, store)
		}
	})

	t.Run("cancelled while reading", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		for _, at := range stages {
			ctx, cancel := context.WithCancel(t.Context())
			// A reader that pays no heed to the context.
			body := io.MultiReader(bytes.NewReader(content(at)), reader(func(p []byte) (int, error) {
				cancel()
				return len(p), nil
			}))
			_, err := store.Stage(ctx, storage.StagingKey("p", "j"), body, 0)
			require.ErrorIs(t, err, context.Canceled, "at %d", at)
			requireNothing(t, store)
		}
	})

	// Each request of a small and of a large write is hit: the context ends before it or right after it, it fails,
	// or its answer is lost although the server has carried it out.
	for _, op := range []struct {
		name string
		size int64
	}{{"Put", 10}, {"Put", part}, {"Create", 2*part + 1}, {"Part1", 2*part + 1}, {"Part3", 2*part + 1}, {"Complete", 2*part + 1}} {
		lost := errors.New("lost")
		for name, hit := range map[string]func(cancel func(), send func() (*http.Response, error)) (*http.Response, error){
			"cancelled before": func(cancel func(), send func() (*http.Response, error)) (*http.Response, error) {
				cancel()
				return send()
			},
			"cancelled after": func(cancel func(), send func() (*http.Response, error)) (*http.Response, error) {
				defer cancel()
				return send()
			},
			"not sent": func(func(), func() (*http.Response, error)) (*http.Response, error) { return nil, lost },
			"answer lost": func(_ func(), send func() (*http.Response, error)) (*http.Response, error) {
				if answer, err := send(); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
				}
				return nil, lost
			},
			"unavailable": func(func(), func() (*http.Response, error)) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody, Header: http.Header{}}, nil
			},
			"refused": func(func(), func() (*http.Response, error)) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Header: http.Header{}}, nil
			},
		} {
			t.Run(fmt.Sprintf("%s of %d %s", op.name, op.size, name), func(t *testing.T) {
				t.Parallel()
				plain := open(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				hits := 0
				store := through(plain, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					if operation(req) != op.name {
						return next.RoundTrip(req)
					}
					hits++ // one part has one request at a time
					return hit(cancel, func() (*http.Response, error) { return next.RoundTrip(req) })
				})
				_, err := store.Stage(ctx, storage.StagingKey("p", "j"), bytes.NewReader(content(op.size)), 0)
				require.Positive(t, hits, "the request to break was never made")
				require.Error(t, err)
				requireNothing(t, plain)
				switch {
				case ctx.Err() != nil:
					require.ErrorIs(t, err, context.Canceled)
				case name == "refused":
					require.Equal(t, "storage.refused", fault.CodeOf(err))
					require.Equal(t, fault.Internal, fault.KindOf(err))
				default:
					require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
				}
			})
		}
	}

	// The server takes its time over a request whose caller is gone by then: what it makes must not outlive the
	// clean-up.
	for _, op := range []struct {
		name string
		size int64
	}{{"Put", 10}, {"Create", 2 * part}, {"Complete", 2 * part}} {
		t.Run(op.name+" carried out late", func(t *testing.T) {
			t.Parallel()
			plain := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var carrying sync.WaitGroup
			store := through(plain, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if operation(req) != op.name {
					return next.RoundTrip(req)
				}
				late := req.Clone(context.WithoutCancel(req.Context()))
				if req.Body != nil {
					body, err := io.ReadAll(req.Body)
					require.NoError(t, err)
					late.Body = io.NopCloser(bytes.NewReader(body))
				}
				answers := make(chan *http.Response, 1)
				cancel()
				carrying.Go(func() {
					time.Sleep(100 * time.Millisecond) //nolint:forbidigo // this is how long the server takes
					if answer, err := next.RoundTrip(late); err == nil {
						answers <- answer
					}
				})
				select {
				case answer := <-answers:
					return answer, nil
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			})
			_, err := store.Stage(ctx, storage.StagingKey("p", "j"), bytes.NewReader(content(op.size)), 0)
			require.ErrorIs(t, err, context.Canceled)
			carrying.Wait()
			requireNothing(t, plain)
		})
	}

	// One broken request is repeated by itself, and nobody notices.
	t.Run("repeated", func(t *testing.T) {
		t.Parallel()
		plain := open(t)
		broken := map[string]bool{}
		var mu lock
		store := through(plain, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			op := operation(req)
			if mu.first(broken, op) {
				if req.Body != nil {
					_, _ = io.CopyN(io.Discard, req.Body, 1000)
				}
				return nil, io.ErrUnexpectedEOF
			}
			return next.RoundTrip(req)
		})
		for _, size := range []int64{10, 3*part + 5} {
			data := content(size)
			staged, err := store.Stage(t.Context(), storage.StagingKey("p", "j"), bytes.NewReader(data), 0)
			require.NoError(t, err)
			require.Equal(t, digest(data), staged.SHA256)
			requireEqual(t, data, get(t, plain, staged.Key), "after a repeated request")
		}
		require.Contains(t, broken, "Part2")
		require.Contains(t, broken, "Put")
		requireNoUploads(t, plain)
	})
}

func testDelete(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	key, beside := storage.StagingKey("p", "j"), storage.StagingKey("p", "j")+"2"
	require.NoError(t, store.DeleteStaged(t.Context(), key), "where there is nothing")
	bucket := store.Bucket()
	for _, k := range []string{key, beside} {
		_, err := store.Stage(t.Context(), k, bytes.NewReader(content(10)), 0)
		require.NoError(t, err)
		for range 2 {
			_, err = store.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &k})
			require.NoError(t, err)
		}
	}
	for range 2 {
		require.NoError(t, store.DeleteStaged(t.Context(), key))
		left := collect(t, store.ListStaged(t.Context(), ""))
		require.Len(t, left, 1)
		require.Equal(t, beside, left[0].Key)
		uploads := collect(t, store.ListUnfinishedUploads(t.Context(), ""))
		require.Len(t, uploads, 2)
		require.Equal(t, beside, uploads[0].Key)
	}
	require.NoError(t, store.DeleteStaged(t.Context(), beside))
	requireNothing(t, store)
}

// testNeighbours lets jobs of one project come and go at the same time: a server that keeps folders must not lose
// an object to the clean-up of the one beside it.
func testNeighbours(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	var writing errgroup.Group
	for i := range 9 {
		writing.Go(func() error {
			data, rounds := content(int64(1000+i)), 60
			if i == 0 {
				data, rounds = content(part+1), 10
			}
			for round := range rounds {
				key := storage.StagingKey("p", fmt.Sprint(i))
				if _, err := store.Stage(t.Context(), key, bytes.NewReader(data), 0); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
				got := make([]byte, len(data))
				if _, err := store.OpenStaged(t.Context(), key, int64(len(data))).ReadAt(got, 0); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
				if !bytes.Equal(data, got) {
					return fmt.Errorf("round %d: the content differs", round)
				}
				if err := store.DeleteStaged(t.Context(), key); err != nil {
					return fmt.Errorf("round %d: %w", round, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, writing.Wait())
	requireNothing(t, store)
}
