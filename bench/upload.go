package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	assetclient "assetflow/client"
)

// benchUpload compares the upload of a large package through the API with a plain multipart PUT of the same bytes to
// the same S3 server with the SDK's own transfer manager, and watches the process's memory meanwhile.
func benchUpload(ctx context.Context, s *stack, z sizes, out io.Writer) error {
	path := filepath.Join(s.dir, "package.zip")
	size, err := buildPackageFile(path, spec(serial.Add(1), 1, z.uploadBytes))
	if err != nil {
		return err
	}
	caller, _, err := s.caller(ctx, "uploader")
	if err != nil {
		return err
	}
	store := s.s3()
	idle, _, err := s.resident()
	if err != nil {
		return err
	}

	var ours, plain []float64
	var peak int64
	for i := range z.uploads {
		took, err := s.plainPut(ctx, store, path)
		if err != nil {
			return err
		}
		plain = append(plain, float64(size)/(1<<20)/took.Seconds())

		if err := s.resetPeak(); err != nil {
			return err
		}
		took, job, err := s.upload(ctx, caller, path, size, fmt.Sprintf("round%d-", i))
		if err != nil {
			return err
		}
		ours = append(ours, float64(size)/(1<<20)/took.Seconds())
		_, high, err := s.resident()
		if err != nil {
			return err
		}
		peak = max(peak, high)
		// The job is not part of the figure: it must only be out of the way of the next upload.
		if _, err := caller.WaitJob(ctx, job, nil); err != nil {
			return err
		}
	}
	table(out, fmt.Sprintf("(b) Upload of a %s package beside a plain multipart PUT, median of %d", mib(size), z.uploads),
		[]string{"through the API", "plain PUT", "ratio", "memory: idle", "peak", "above idle"},
		[][]string{{
			fmt.Sprintf("%.0f MiB/s", median(ours)), fmt.Sprintf("%.0f MiB/s", median(plain)),
			fmt.Sprintf("**%.2f**", median(ours)/median(plain)), mib(idle), mib(peak), fmt.Sprintf("**%s**", mib(peak-idle)),
		}})
	return nil
}

func (s *stack) upload(ctx context.Context, c *assetclient.Client, path string, size int64, prefix string) (time.Duration, string, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = file.Close() }()
	begin := time.Now()
	job, err := c.Import(ctx, "package.zip", file, size, assetclient.ImportOptions{Prefix: prefix})
	return time.Since(begin), job, err
}

// s3 is a plain client of the stack's S3 server, as anybody would make one.
func (s *stack) s3() *s3.Client {
	return s3.New(s3.Options{
		Region: s.Storage.Region, BaseEndpoint: aws.String(s.Storage.Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.Storage.AccessKey, s.Storage.SecretKey, ""),
		// An object of many parts has no checksum that a GET of the whole could be held against.
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// plainKey is the object that plainPut writes.
const plainKey = "plain"

// plainPut writes a file with the SDK's transfer manager.
func (s *stack) plainPut(ctx context.Context, store *s3.Client, path string) (time.Duration, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	begin := time.Now()
	// A reader that is no file, as the body of a request is none.
	_, err = transfermanager.New(store).UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: aws.String(s.Storage.Bucket), Key: aws.String(plainKey), Body: struct{ io.Reader }{file},
	})
	return time.Since(begin), err
}
