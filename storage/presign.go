package storage

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxPresign is the longest time that S3 lets a presigned URL be good for.
const maxPresign = 7 * 24 * time.Hour

// presigning gives a client that signs URLs of the endpoint, or of the client's own where it is empty.
func presigning(client *s3.Client, endpoint string) *s3.PresignClient {
	return s3.NewPresignClient(client, s3.WithPresignClientFromClientOptions(func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
		// The SDK would sign the checksum of the empty body that it has, and a request to be told one.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.APIOptions = append(o.APIOptions, untraced) // no request is made
	}))
}

// PresignUpload gives a URL to which, until it expires, one body can be PUT: that of the size in bytes and the MD5 in
// base64. The request must carry the headers Content-MD5 and Content-Length just so. Several PUTs are possible: each
// stores the same bytes, as far as MD5 tells. expires is at most 7 days.
func (s *Store) PresignUpload(ctx context.Context, key string, size int64, md5 string, expires time.Duration) (string, error) {
	if sum, err := base64.StdEncoding.DecodeString(md5); err != nil || len(sum) != 16 || size < 0 {
		return "", errors.New("presign an upload: no size and MD5")
	}
	if err := checkExpiry(expires); err != nil {
		return "", err
	}
	signed, err := s.presign.PresignPutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, ContentMD5: &md5, ContentLength: &size,
	}, s3.WithPresignExpires(expires))
	if err != nil {
		return "", failure(ctx, "presign an upload of "+key, err)
	}
	return signed.URL, nil
}

// PresignDownload gives a URL from which the object can be read until it expires, whole or in ranges. Where fileName is
// not empty, browsers save the object under it and do not show it. expires is at most 7 days. Nobody looks whether the
// object exists.
func (s *Store) PresignDownload(ctx context.Context, key, fileName string, expires time.Duration) (string, error) {
	if err := checkExpiry(expires); err != nil {
		return "", err
	}
	input := &s3.GetObjectInput{Bucket: &s.bucket, Key: &key}
	if fileName != "" {
		// Browsers guess nothing where they are told to save.
		input.ResponseContentDisposition = aws.String(mime.FormatMediaType("attachment", map[string]string{"filename": fileName}))
		input.ResponseContentType = aws.String("application/octet-stream")
	}
	signed, err := s.presign.PresignGetObject(ctx, input, s3.WithPresignExpires(expires))
	if err != nil {
		return "", failure(ctx, "presign a download of "+key, err)
	}
	return signed.URL, nil
}

func checkExpiry(expires time.Duration) error {
	if expires < time.Second || expires > maxPresign {
		return fmt.Errorf("presign: a URL cannot be good for %v", expires)
	}
	return nil
}
