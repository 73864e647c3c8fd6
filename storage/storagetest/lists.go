package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"assetflow/storage"
)

// severalPages is more than a server lists at a time.
const severalPages = 1005

func testLists(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	began := time.Now().Add(-time.Minute) // the server's clock has whole seconds, and need not be ours
	var keys []string
	var writing errgroup.Group
	writing.SetLimit(16)
	for i := range severalPages {
		key := storage.StagingKey("p", fmt.Sprintf("%04d", i))
		keys = append(keys, key)
		writing.Go(func() error {
			_, err := store.Stage(t.Context(), key, bytes.NewReader(content(int64(i%7))), 0)
			return err
		})
	}
	other := storage.StagingKey("other", "j")
	writing.Go(func() error {
		_, err := store.Stage(t.Context(), other, bytes.NewReader(content(1)), 0)
		return err
	})
	var digests []string
	for i := range 5 {
		data := content(int64(i))
		digests = append(digests, digest(data))
		writing.Go(func() error { return store.PutBlob(t.Context(), digest(data), int64(len(data)), bytes.NewReader(data)) })
	}
	require.NoError(t, writing.Wait())

	listed := collect(t, store.ListStaged(t.Context(), "staging/p/"))
	require.Len(t, listed, severalPages)
	for i, info := range listed {
		require.Equal(t, keys[i], info.Key)
		require.EqualValues(t, i%7, info.Size)
		require.WithinRange(t, info.LastModified, began, time.Now().Add(time.Minute))
	}
	require.Len(t, collect(t, store.ListStaged(t.Context(), "")), severalPages+1, "no blob among them")
	require.Empty(t, collect(t, store.ListStaged(t.Context(), "staging/nobody/")))

	slices.Sort(digests)
	blobs := collect(t, store.ListBlobs(t.Context()))
	require.Len(t, blobs, len(digests))
	for i, info := range blobs {
		require.Equal(t, storage.BlobKey(digests[i]), info.Key)
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, failed := 0, error(nil)
	for info, err := range store.ListStaged(ctx, "staging/p/") {
		if err != nil {
			failed = err
			require.Empty(t, info)
			continue // the sequence must end by itself
		}
		seen++
		cancel()
	}
	require.ErrorIs(t, failed, context.Canceled)
	require.Less(t, seen, severalPages)
	for range store.ListStaged(t.Context(), "") {
		break // must not go on
	}
}

func testUnfinished(t *testing.T, open func(*testing.T) *storage.Store) {
	store := open(t)
	bucket := store.Bucket()
	var creating errgroup.Group
	creating.SetLimit(16)
	for i := range severalPages {
		creating.Go(func() error {
			key := storage.StagingKey("p", fmt.Sprintf("%04d", i))
			_, err := store.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
			return err
		})
	}
	require.NoError(t, creating.Wait())
	key := "blobs/sha256/ab/cd/x"
	created, err := store.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	require.NoError(t, err)
	number := int32(1)
	_, err = store.Client().UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &bucket, Key: &key, UploadId: created.UploadId, PartNumber: &number, Body: bytes.NewReader(content(part)),
	})
	require.NoError(t, err)

	require.Len(t, collect(t, store.ListUnfinishedUploads(t.Context(), "")), severalPages+1)
	abandoned := collect(t, store.ListUnfinishedUploads(t.Context(), "blobs/"))
	require.Len(t, abandoned, 1)
	require.Equal(t, key, abandoned[0].Key)
	require.Equal(t, *created.UploadId, abandoned[0].UploadID)
	require.WithinRange(t, abandoned[0].Initiated, time.Now().Add(-10*time.Minute), time.Now().Add(time.Minute))

	staged := collect(t, store.ListUnfinishedUploads(t.Context(), "staging/p/"))
	require.Len(t, staged, severalPages)
	var aborting errgroup.Group
	aborting.SetLimit(16)
	for _, u := range append(staged, abandoned...) {
		aborting.Go(func() error { return store.AbortUnfinishedUpload(t.Context(), u) })
	}
	require.NoError(t, aborting.Wait())
	requireNothing(t, store)
	require.NoError(t, store.AbortUnfinishedUpload(t.Context(), abandoned[0]), "already gone")
}
