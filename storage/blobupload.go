package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"assetflow/fault"
)

// MinPartSize is the least size in bytes of every part of a blob upload but the last. Larger parts mean fewer requests;
// PartSize bounds a blob to 78 GiB.
const MinPartSize = 5 << 20

// BlobUpload is a multipart upload straight to a blob's key that can be gone on with later, also by another process that
// knows its digest and id. Nobody sees the blob before Complete. It keeps no state, so its methods may be called at the
// same time.
//
// Whoever uploads must see to it that the parts have the digest, because the server compares no SHA-256 of the whole.
// PutBlob does so itself, and is for everything that one try can carry, and for what fits into one part.
type BlobUpload struct {
	store  *Store
	digest string
	id     string
}

// BlobPart is one part that is stored. It encodes as JSON, for notes of how far an upload has come.
type BlobPart struct {
	Number int    `json:"number"` // from 1 to 10,000
	Size   int64  `json:"size"`   // bytes
	ETag   string `json:"etag"`   // the server's word for its content
	CRC32  string `json:"crc32,omitempty"`
}

// BeginBlobUpload begins an upload of the blob with the digest. Invalid "storage.bad_digest" where it is none.
func (s *Store) BeginBlobUpload(ctx context.Context, sha256 string) (*BlobUpload, error) {
	if !isDigest(sha256) {
		return nil, errDigest
	}
	key := BlobKey(sha256)
	created, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: &key, ChecksumAlgorithm: s.partChecksum(),
	})
	if err == nil && value(created.UploadId) == "" {
		err = errors.New("the answer names no upload")
	}
	if err != nil {
		return nil, failure(ctx, "begin an upload of blob "+sha256, err)
	}
	return &BlobUpload{store: s, digest: sha256, id: *created.UploadId}, nil
}

// ContinueBlobUpload gives the upload of the blob that BeginBlobUpload gave the id. It makes no request: where there is
// no such upload any more, the other methods are NotFound "storage.not_found".
func (s *Store) ContinueBlobUpload(sha256, id string) (*BlobUpload, error) {
	if !isDigest(sha256) {
		return nil, errDigest
	}
	if id == "" {
		return nil, errors.New("continue an upload: no id is named")
	}
	return &BlobUpload{store: s, digest: sha256, id: id}, nil
}

// ID gives the upload's id.
func (u *BlobUpload) ID() string { return u.id }

// PutPart stores one part, in place of the one with that number if there is one. Parts may come in any order, and several
// at the same time. data must not change before PutPart returns. When ctx ends, the request may go on for two seconds
// more, so that none arrives after an abort.
func (u *BlobUpload) PutPart(ctx context.Context, number int, data []byte) (BlobPart, error) {
	if number < 1 || number > maxParts {
		return BlobPart{}, fault.New(fault.TooLarge, "storage.too_large", "a file has more than %d parts", maxParts)
	}
	requests, cancel := outlive(ctx, grace)
	defer cancel()
	to := upload{store: u.store, key: BlobKey(u.digest), id: &u.id, checksum: u.store.partChecksum()}
	part := &types.CompletedPart{PartNumber: aws.Int32(int32(number))}
	if err := to.sendPart(requests, part, data); err != nil {
		// A server that knows no such upload may close the connection without having read the part, and its answer is
		// lost with it.
		if statusOf(err) == 0 && ctx.Err() == nil {
			for _, listErr := range u.ListParts(ctx) {
				if fault.KindOf(listErr) == fault.NotFound {
					err = listErr
				}
				break
			}
		}
		return BlobPart{}, failure(ctx, fmt.Sprintf("put part %d of blob %s", number, u.digest), err)
	}
	return BlobPart{Number: number, Size: int64(len(data)), ETag: value(part.ETag), CRC32: value(part.ChecksumCRC32)}, nil
}

// ListParts lists the parts that are stored, by number. The sequence ends after its first error.
func (u *BlobUpload) ListParts(ctx context.Context) iter.Seq2[BlobPart, error] {
	return func(yield func(BlobPart, error) bool) {
		key := BlobKey(u.digest)
		pages := s3.NewListPartsPaginator(u.store.client, &s3.ListPartsInput{Bucket: &u.store.bucket, Key: &key, UploadId: &u.id})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(BlobPart{}, failure(ctx, "list the parts of blob "+u.digest, err))
				return
			}
			for _, p := range page.Parts {
				part := BlobPart{
					Number: int(value(p.PartNumber)), Size: value(p.Size), ETag: value(p.ETag), CRC32: value(p.ChecksumCRC32),
				}
				if !yield(part, nil) {
					return
				}
			}
		}
	}
}

// Complete makes the blob of the parts, which are those that PutPart gave for 1, 2, 3 and so on, and is called only when
// their bytes were seen to have the digest. The server compares each ETag with what it has: a part that somebody has
// stored anew since, with other bytes, is Conflict "storage.changed", as is one that is missing. Calling it again is
// harmless; NotFound "storage.not_found" says that the upload was aborted, or completed and the blob deleted since.
func (u *BlobUpload) Complete(ctx context.Context, parts []BlobPart) error {
	done, size := &types.CompletedMultipartUpload{}, int64(0)
	for i, p := range parts {
		if p.Number < 1 || p.Number > maxParts || p.Number != i+1 || p.ETag == "" {
			return fmt.Errorf("complete blob %s: part %d stands at place %d", u.digest, p.Number, i+1)
		}
		part := types.CompletedPart{PartNumber: aws.Int32(int32(p.Number)), ETag: aws.String(p.ETag)}
		if p.CRC32 != "" {
			part.ChecksumCRC32 = aws.String(p.CRC32)
		}
		done.Parts, size = append(done.Parts, part), size+p.Size
	}
	requests, cancel := outlive(ctx, grace)
	defer cancel()
	key := BlobKey(u.digest)
	_, err := u.store.client.CompleteMultipartUpload(requests, &s3.CompleteMultipartUploadInput{
		Bucket: &u.store.bucket, Key: &key, UploadId: &u.id, MultipartUpload: done,
	}, u.store.writing)
	switch {
	case err == nil:
		u.store.wrote(key, size)
		return nil
	case hasCode(err, "InvalidPart", "InvalidPartOrder", "BadDigest"):
		return fmt.Errorf("complete blob %s: %w", u.digest, errChanged.Wrap(err))
	case isNotFound(err) && !hasCode(err, "NoSuchBucket"):
		// The answer to an earlier call may have been lost.
		head, headErr := u.store.client.HeadObject(requests, &s3.HeadObjectInput{Bucket: &u.store.bucket, Key: &key})
		if headErr == nil && value(head.ContentLength) == size {
			return nil
		}
	}
	return failure(ctx, "complete blob "+u.digest, err)
}

// Abort removes the upload and its parts. Where it has ended already it does nothing.
func (u *BlobUpload) Abort(ctx context.Context) error {
	return u.store.AbortUnfinishedUpload(ctx, UnfinishedUpload{Key: BlobKey(u.digest), UploadID: u.id})
}

// partChecksum is what the SDK sends with each part; named at the beginning, the server checks and keeps it, and needs
// none of its own.
func (s *Store) partChecksum() types.ChecksumAlgorithm {
	if s.client.Options().RequestChecksumCalculation == aws.RequestChecksumCalculationWhenRequired {
		return ""
	}
	return types.ChecksumAlgorithmCrc32
}
