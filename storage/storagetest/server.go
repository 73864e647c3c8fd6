package storagetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/google/uuid"

	"assetflow/embedded/s3"
	"assetflow/storage"
)

// EndpointVariable names the environment variable with the URL of an S3 server such as MinIO; those with its keys are
// ASSETFLOW_TEST_S3_ACCESS_KEY and ASSETFLOW_TEST_S3_SECRET_KEY.
const EndpointVariable = "ASSETFLOW_TEST_S3_ENDPOINT"

// Named gives the server that the environment names, without a bucket.
func Named() (cfg storage.Config, ok bool) {
	cfg = storage.Config{
		Endpoint: os.Getenv(EndpointVariable), Region: "us-east-1", PathStyle: true,
		AccessKey: os.Getenv("ASSETFLOW_TEST_S3_ACCESS_KEY"), SecretKey: os.Getenv("ASSETFLOW_TEST_S3_SECRET_KEY"),
	}
	return cfg, cfg.Endpoint != ""
}

// Server gives the server of a package's tests: the one that the environment names, and otherwise an embedded one, of which
// one runs per process, until stop is called. Whoever uses it names a bucket of its own.
func Server() (cfg storage.Config, stop func() error, err error) {
	if cfg, ok := Named(); ok {
		return cfg, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "assetflow-s3-test-")
	if err != nil {
		return storage.Config{}, nil, err
	}
	cfg = storage.Config{Region: "us-east-1", AccessKey: "test-key", SecretKey: "test-secret", PathStyle: true}
	gateway, err := s3.Start(context.Background(), s3.Options{
		Addr: "127.0.0.1:0", DataDir: dir, Region: cfg.Region, AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey,
	})
	if err != nil {
		return storage.Config{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	cfg.Endpoint = gateway.Endpoint()
	return cfg, func() error {
		gateway.Stop()
		return os.RemoveAll(dir)
	}, nil
}

// Main runs a package's tests with a bucket of their own, which *cfg then leads to, and gives the exit code.
func Main(m *testing.M, cfg *storage.Config) int {
	server, stop, err := Server()
	if err != nil {
		return failed("start an S3 server", err)
	}
	server.Bucket = "test-" + uuid.NewString()
	store, err := storage.Open(context.Background(), server)
	if err == nil {
		err = store.EnsureBucket(context.Background())
	}
	if err != nil {
		return failed("make a bucket", errors.Join(err, stop()))
	}
	*cfg = server
	code := m.Run()
	if err := stop(); err != nil {
		return failed("stop the S3 server", err)
	}
	return code
}

func failed(doing string, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", doing, err)
	return 1
}
