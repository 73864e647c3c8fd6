// Package storagetest is the conformance suite of the storage room: what must hold on every S3 server it is used
// with.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"assetflow/storage"
)

const (
	kib  = 1 << 10
	mib  = 1 << 20
	part = storage.PartSize
)

// Run runs the suite. open gives a store on an empty bucket that is the test's own.
func Run(t *testing.T, open func(t *testing.T) *storage.Store) {
	for name, test := range map[string]func(*testing.T, func(*testing.T) *storage.Store){
		"Bucket":     testBucket,
		"Stage":      testStage,
		"Failures":   testFailures,
		"Delete":     testDelete,
		"Neighbours": testNeighbours,
		"Lists":      testLists,
		"Unfinished": testUnfinished,
		"ReadAt":     testReadAt,
		"OpenRange":  testOpenRange,
		"Resume":     testResume,
		"Blobs":      testBlobs,
		"Archives":   testArchives,
		"Presign":    testPresign,
		"Uploads":    testUploads,
		"BlobUpload": testBlobUpload,
		"Small":      testSmall,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

func testBucket(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	require.NoError(t, store.Ping(t.Context()))
	require.NoError(t, store.EnsureBucket(t.Context()), "a bucket that exists is as good")

	missing := storage.New(store.Client(), store.Bucket()+"-missing")
	require.Error(t, missing.Ping(t.Context()))
	done := make(chan error)
	for range 4 {
		go func() { done <- missing.EnsureBucket(t.Context()) }()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
	require.NoError(t, missing.Ping(t.Context()))
	name := missing.Bucket()
	_, err := store.Client().DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &name})
	require.NoError(t, err)
}

// content gives n bytes that repeat nowhere and are the same each time.
func content(n int64) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(data)
	return data
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// requireNothing checks that the bucket holds neither objects nor unfinished uploads.
func requireNothing(t *testing.T, store *storage.Store) {
	t.Helper()
	require.Empty(t, collect(t, store.ListStaged(context.Background(), "")), "staged objects left behind")
	require.Empty(t, collect(t, store.ListBlobs(context.Background())), "blobs left behind")
	requireNoUploads(t, store)
}

func requireNoUploads(t *testing.T, store *storage.Store) {
	t.Helper()
	require.Empty(t, collect(t, store.ListUnfinishedUploads(context.Background(), "")), "unfinished uploads left behind")
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for one, err := range seq {
		require.NoError(t, err)
		all = append(all, one)
	}
	return all
}

// get reads a whole object past the code under test.
func get(t *testing.T, store *storage.Store, key string) []byte {
	t.Helper()
	bucket := store.Bucket()
	answer, err := store.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	require.NoError(t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return data
}

// requireEqual compares without printing megabytes.
func requireEqual(t *testing.T, want, got []byte, what string) {
	t.Helper()
	require.True(t, bytes.Equal(want, got), "%s: %d bytes differ from the %d wanted", what, len(got), len(want))
}

// through gives the same store whose requests pass fn, which may call next.
func through(store *storage.Store, fn func(req *http.Request, next http.RoundTripper) (*http.Response, error)) *storage.Store {
	next := http.DefaultTransport
	options := store.Client().Options()
	options.ExpressCredentials = nil // the new client would write into the one that the old client uses
	client := s3.New(options, func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			return fn(req, next)
		})}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { // impatient, so that failing tests are quick
			o.MaxAttempts = 2
			o.MaxBackoff = time.Millisecond
		})
	})
	return storage.New(client, store.Bucket())
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// operation names the S3 operation of a request, as far as the suite tells them apart.
func operation(req *http.Request) string {
	query := req.URL.Query()
	switch {
	case req.Method == http.MethodPost && query.Has("uploads"):
		return "Create"
	case req.Method == http.MethodPut && query.Has("partNumber"):
		return "Part" + query.Get("partNumber")
	case req.Method == http.MethodPost && query.Has("uploadId"):
		return "Complete"
	case req.Method == http.MethodDelete && query.Has("uploadId"):
		return "Abort"
	case req.Method == http.MethodPut:
		return "Put"
	case req.Method == http.MethodDelete:
		return "Delete"
	case req.Method == http.MethodGet && (query.Has("uploads") || query.Has("list-type")):
		return "List"
	}
	return req.Method
}
