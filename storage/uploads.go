package storage

import (
	"context"
	"crypto/md5" //nolint:gosec // the contract's clients name their files' MD5; what counts is the SHA-256
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
)

const (
	uploadPrefix   = "uploads/"
	manifestPrefix = "manifests/"
)

// UploadKey gives the key to which a client uploads a file.
func UploadKey(projectID, fileID string) string {
	return uploadPrefix + projectID + "/" + fileID + "/content"
}

// ManifestKey gives the key of a manifest; id tells those of one asset apart.
func ManifestKey(projectID, assetID, id string) string {
	return manifestPrefix + projectID + "/" + assetID + "/" + id
}

// VerifyUpload reads the upload at key once and compares it with the size in bytes and the MD5 in base64 that its client
// named; it gives the SHA-256 in lower-case hex. NotFound "storage.not_found" where nothing was uploaded, Invalid
// "storage.size_mismatch" (found out before anything is read), Invalid "storage.digest_mismatch", Conflict
// "storage.changed" where the upload was replaced meanwhile.
func (s *Store) VerifyUpload(ctx context.Context, key string, size int64, md5Base64 string) (sha256Hex string, err error) {
	r, err := s.openUpload(ctx, key, size)
	if err != nil {
		return "", fmt.Errorf("verify upload %s: %w", key, err)
	}
	defer func() { _ = r.Close() }()       // it has been read
	sum, digest := md5.New(), sha256.New() //nolint:gosec // as above
	if _, err := io.Copy(io.MultiWriter(sum, digest), r); err != nil {
		return "", fmt.Errorf("verify upload %s: %w", key, err)
	}
	if base64.StdEncoding.EncodeToString(sum.Sum(nil)) != md5Base64 {
		return "", fmt.Errorf("verify upload %s: %w", key, errMismatch)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// StoreUpload makes the upload at key the blob of the size and SHA-256 that VerifyUpload has found. The bytes are read
// again and compared on their way: the upload's URL may still be good, and two files of one MD5 can be made, so between
// the two calls another file may have taken its place; then it is Invalid "storage.digest_mismatch" or Conflict
// "storage.changed". For the same reason the server is not asked to copy: it would copy what is there then. The upload
// stays until DeleteUpload.
func (s *Store) StoreUpload(ctx context.Context, key string, size int64, sha256Hex string) error {
	if !isDigest(sha256Hex) {
		return errDigest
	}
	r, err := s.openUpload(ctx, key, size)
	if err != nil {
		return fmt.Errorf("store upload %s: %w", key, err)
	}
	defer func() { _ = r.Close() }() // it has been read
	if err := s.PutBlob(ctx, sha256Hex, size, r); err != nil {
		return fmt.Errorf("store upload %s: %w", key, err)
	}
	return nil
}

// openUpload streams an upload of which the size is known.
func (s *Store) openUpload(ctx context.Context, key string, size int64) (io.ReadCloser, error) {
	r := &rangeReader{ctx: ctx, store: s, key: key, size: unknownSize, end: unknownSize}
	if err := r.start(); err != nil {
		return nil, err
	}
	if r.size != size {
		_ = r.Close() // nothing was read
		return nil, errSize
	}
	return r, nil
}

// DeleteUpload removes the upload at key and aborts unfinished uploads of it. Where there is nothing it does nothing.
func (s *Store) DeleteUpload(ctx context.Context, key string) error { return s.DeleteStaged(ctx, key) }

// ListUploads lists the uploads whose key begins with prefix, which is a whole key prefix such as "uploads/<project>/";
// empty stands for all. The sequence ends after its first error.
func (s *Store) ListUploads(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	if prefix == "" {
		prefix = uploadPrefix
	}
	return s.objects(ctx, prefix)
}

// PutManifest streams r to key and gives its size in bytes and its SHA-256 in lower-case hex, as PutArchive does.
func (s *Store) PutManifest(ctx context.Context, key string, r io.Reader) (size int64, sha256Hex string, err error) {
	return s.PutArchive(ctx, key, r)
}

// DeleteManifest removes the manifest at key; where there is none it does nothing.
func (s *Store) DeleteManifest(ctx context.Context, key string) error {
	return s.deleteObject(ctx, key)
}

// ListManifests lists every manifest. The sequence ends after its first error.
func (s *Store) ListManifests(ctx context.Context) iter.Seq2[ObjectInfo, error] {
	return s.objects(ctx, manifestPrefix)
}
