package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"assetflow/fault"
	"assetflow/storage"
)

func testBlobUpload(t *testing.T, open func(*testing.T) *storage.Store) {
	const size = 3*part + 100
	data := content(size)
	sum := digest(data)
	piece := func(number int) []byte { return data[(number-1)*part : min(number*part, size)] }

	t.Run("round trip", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		begun, err := store.BeginBlobUpload(t.Context(), sum)
		require.NoError(t, err)
		var group errgroup.Group
		for _, number := range []int{4, 2} {
			group.Go(func() error {
				_, err := begun.PutPart(t.Context(), number, piece(number))
				return err
			})
		}
		require.NoError(t, group.Wait())
		has, err := store.HasBlob(t.Context(), sum)
		require.NoError(t, err)
		require.False(t, has, "nobody sees half a blob")

		// Another process goes on, which knows no more than the id.
		u, err := store.ContinueBlobUpload(sum, begun.ID())
		require.NoError(t, err)
		stored := collect(t, u.ListParts(t.Context()))
		require.Len(t, stored, 2)
		parts := make([]storage.BlobPart, 4)
		for _, p := range stored {
			require.EqualValues(t, len(piece(p.Number)), p.Size)
			parts[p.Number-1] = p
		}
		for _, number := range []int{3, 1} {
			_, err := u.PutPart(t.Context(), number, piece(2)[:storage.MinPartSize])
			require.NoError(t, err)
			parts[number-1], err = u.PutPart(t.Context(), number, piece(number)) // in place of the one before
			require.NoError(t, err)
		}
		require.Equal(t, parts, collect(t, u.ListParts(t.Context())), "what PutPart gives is what is listed")
		noted, err := json.Marshal(parts)
		require.NoError(t, err)
		parts = nil
		require.NoError(t, json.Unmarshal(noted, &parts))
		for range 2 { // the second time it is done already
			require.NoError(t, u.Complete(t.Context(), parts))
		}
		requireEqual(t, data, get(t, store, storage.BlobKey(sum)), "the blob")
		requireNoUploads(t, store)

		require.NoError(t, store.DeleteBlob(t.Context(), sum))
		require.Equal(t, "storage.not_found", fault.CodeOf(u.Complete(t.Context(), parts)))
	})

	t.Run("aborted", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		u, err := store.BeginBlobUpload(t.Context(), sum)
		require.NoError(t, err)
		first, err := u.PutPart(t.Context(), 1, piece(1))
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, u.Abort(t.Context()))
		}
		_, err = u.PutPart(t.Context(), 2, piece(2))
		require.Equal(t, "storage.not_found", fault.CodeOf(err), "%v", err)
		require.Equal(t, "storage.not_found", fault.CodeOf(u.Complete(t.Context(), []storage.BlobPart{first})))
		for _, err := range u.ListParts(t.Context()) {
			require.Equal(t, "storage.not_found", fault.CodeOf(err), "%v", err)
		}
		requireNothing(t, store)
	})

	// Whoever ends a job aborts the uploads that it has noted, and no others.
	t.Run("noted", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		var uploads []*storage.BlobUpload
		for _, job := range []string{"j1", "j1", "j1", "j2"} {
			u, err := store.BeginBlobUpload(t.Context(), sum)
			require.NoError(t, err)
			require.NoError(t, store.NoteBlobUpload(t.Context(), "p", job, u))
			uploads = append(uploads, u)
		}
		_, err := store.Stage(t.Context(), storage.StagedManifestKey("p", "j1"), bytes.NewReader(data[:10]), 0)
		require.NoError(t, err)
		require.NoError(t, store.ForgetBlobUpload(t.Context(), "p", "j1", uploads[2]))
		require.NoError(t, uploads[1].Abort(t.Context()), "it has ended otherwise")
		for range 2 {
			require.NoError(t, store.ClearStaging(t.Context(), "p", "j1"))
		}
		for o, err := range store.ListStaged(t.Context(), "staging/p/j1/") {
			require.NoError(t, err)
			require.Fail(t, "left in staging", o.Key)
		}
		alive := map[string]bool{}
		for u, err := range store.ListUnfinishedUploads(t.Context(), "blobs/") {
			require.NoError(t, err)
			alive[u.UploadID] = true
		}
		require.Equal(t, map[string]bool{uploads[2].ID(): true, uploads[3].ID(): true}, alive)
		require.NoError(t, uploads[2].Abort(t.Context()))
		require.NoError(t, store.ClearStaging(t.Context(), "p", "j2"))
		requireNothing(t, store)
	})

	// A part that a late try has stored anew, with other bytes, is found out before the blob is visible.
	t.Run("changed parts", func(t *testing.T) {
		t.Parallel()
		store := open(t)
		u, err := store.BeginBlobUpload(t.Context(), sum)
		require.NoError(t, err)
		var parts []storage.BlobPart
		for number := 1; number <= 4; number++ {
			p, err := u.PutPart(t.Context(), number, piece(number))
			require.NoError(t, err)
			parts = append(parts, p)
		}
		other := bytes.Clone(piece(2))
		other[100] ^= 1
		_, err = u.PutPart(t.Context(), 2, other)
		require.NoError(t, err)
		require.Equal(t, "storage.changed", fault.CodeOf(u.Complete(t.Context(), parts)))
		missing := append(slices.Clone(parts), storage.BlobPart{Number: 5, Size: 1, ETag: parts[0].ETag, CRC32: parts[0].CRC32})
		require.Equal(t, "storage.changed", fault.CodeOf(u.Complete(t.Context(), missing)))
		for _, wrong := range [][]storage.BlobPart{parts[1:], {parts[0], parts[2]}, {parts[0], {Number: 2}}} {
			require.Error(t, u.Complete(t.Context(), wrong))
		}
		has, err := store.HasBlob(t.Context(), sum)
		require.NoError(t, err)
		require.False(t, has)

		_, err = u.PutPart(t.Context(), 2, piece(2))
		require.NoError(t, err)
		require.NoError(t, u.Complete(t.Context(), parts), "mended")
		requireEqual(t, data, get(t, store, storage.BlobKey(sum)), "the blob")
		require.NoError(t, store.DeleteBlob(t.Context(), sum))
	})

	t.Run("failures", func(t *testing.T) {
		t.Parallel()
		direct := open(t)
		lost, once := "", ""
		store := through(direct, func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if operation(req) == lost || operation(req) == once {
				once = ""
				if err == nil {
					_ = resp.Body.Close()
				}
				return nil, errors.New("the answer is lost")
			}
			return resp, err
		})
		u, err := store.BeginBlobUpload(t.Context(), sum)
		require.NoError(t, err)
		var parts []storage.BlobPart
		for number := 1; number <= 4; number++ {
			lost = "Part" + string(rune('0'+number))
			_, err := u.PutPart(t.Context(), number, piece(number))
			require.Equal(t, fault.Unavailable, fault.KindOf(err), "%v", err)
			require.Contains(t, err.Error(), sum)
		}
		lost = ""
		parts = collect(t, u.ListParts(t.Context()))
		require.Len(t, parts, 4, "they had arrived")
		lost = "Complete"
		require.Equal(t, fault.Unavailable, fault.KindOf(u.Complete(t.Context(), parts)))
		lost = ""
		require.NoError(t, u.Complete(t.Context(), parts), "the next try finds the blob")
		requireEqual(t, data, get(t, direct, storage.BlobKey(sum)), "the blob")
		requireNoUploads(t, direct)
		again, err := store.BeginBlobUpload(t.Context(), sum)
		require.NoError(t, err)
		p, err := again.PutPart(t.Context(), 1, data[:part])
		require.NoError(t, err)
		once = "Complete"
		require.NoError(t, again.Complete(t.Context(), []storage.BlobPart{p}), "the client tries again by itself")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = store.BeginBlobUpload(ctx, sum)
		require.ErrorIs(t, err, context.Canceled)
		_, err = store.BeginBlobUpload(t.Context(), strings.ToUpper(sum))
		require.Equal(t, "storage.bad_digest", fault.CodeOf(err))
		_, err = store.ContinueBlobUpload("x", "id")
		require.Equal(t, "storage.bad_digest", fault.CodeOf(err))
		_, err = store.ContinueBlobUpload(sum, "")
		require.Error(t, err)
		for _, number := range []int{0, -1, 10_001} {
			_, err = u.PutPart(t.Context(), number, piece(1))
			require.Equal(t, fault.TooLarge, fault.KindOf(err))
		}
		require.NoError(t, direct.DeleteBlob(t.Context(), sum))
	})
}
