package storage_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	embedded "assetflow/embedded/s3"
	"assetflow/fault"
	"assetflow/storage"
	"assetflow/storage/storagetest"
)

// server is the embedded S3 server all tests of the package share: one runs per process.
var server storage.Config

func TestMain(m *testing.M) {
	// The suite proves that nothing is left, which holds when the server is done within the grace.
	storage.SetGrace(time.Minute)
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "storage-test-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		server = storage.Config{Region: "eu-test-1", AccessKey: "test-key", SecretKey: "test-secret", PathStyle: true}
		gateway, err := embedded.Start(context.Background(), embedded.Options{
			Addr: "127.0.0.1:0", DataDir: dir, Region: server.Region, AccessKey: server.AccessKey, SecretKey: server.SecretKey,
		})
		if err != nil {
			panic(err)
		}
		defer gateway.Stop()
		server.Endpoint = gateway.Endpoint()
		return m.Run()
	}())
}

// open gives a store on a bucket of the test's own, which goes with it.
func open(t testing.TB, cfg storage.Config) *storage.Store {
	t.Helper()
	cfg.Bucket = "test-" + uuid.NewString()
	store, err := storage.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, store.EnsureBucket(t.Context()))
	t.Cleanup(func() { remove(t, store) })
	return store
}

func remove(t testing.TB, store *storage.Store) {
	ctx, bucket := context.Background(), store.Bucket()
	for u, err := range store.ListUnfinishedUploads(ctx, "") {
		require.NoError(t, err)
		require.NoError(t, store.AbortUnfinishedUpload(ctx, u))
	}
	objects := s3.NewListObjectsV2Paginator(store.Client(), &s3.ListObjectsV2Input{Bucket: &bucket})
	for objects.HasMorePages() {
		page, err := objects.NextPage(ctx)
		require.NoError(t, err)
		for _, o := range page.Contents {
			_, err := store.Client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: o.Key})
			require.NoError(t, err)
		}
	}
	_, err := store.Client().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	require.NoError(t, err, "the bucket must be empty by now")
}

func TestEmbedded(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) *storage.Store { return open(t, server) })
}

// TestMinIO runs the suite on the server that the environment names, such as a MinIO as in production.
func TestMinIO(t *testing.T) {
	cfg, ok := storagetest.Named()
	if !ok {
		t.Skipf("%s is not set: set it to the URL of a running S3 server such as MinIO, with "+
			"ASSETFLOW_TEST_S3_ACCESS_KEY and ASSETFLOW_TEST_S3_SECRET_KEY, to run the suite there too", storagetest.EndpointVariable)
	}
	storagetest.Run(t, func(t *testing.T) *storage.Store { return open(t, cfg) })
}

func TestOpenRefusesHalfAConfiguration(t *testing.T) {
	for name, cfg := range map[string]storage.Config{
		"no bucket":     {Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "very-secret"},
		"no secret key": {Bucket: "b", AccessKey: "a"},
		"no access key": {Bucket: "b", SecretKey: "very-secret"},
	} {
		_, err := storage.Open(t.Context(), cfg)
		require.ErrorContains(t, err, "open storage", name)
		require.NotContains(t, err.Error(), "very-secret")
	}
}

// What a wrong key or a dead server says must not give away the key.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	wrong := server
	wrong.Bucket, wrong.SecretKey = "some-bucket", "very-secret"
	dead := wrong
	dead.Endpoint = "http://127.0.0.1:1"
	for name, try := range map[string]struct {
		cfg  storage.Config
		kind fault.Kind
	}{
		"wrong key":   {wrong, fault.Internal},
		"dead server": {dead, fault.Unavailable},
	} {
		store, err := storage.Open(t.Context(), try.cfg)
		require.NoError(t, err)
		err = store.Ping(t.Context())
		require.Equal(t, try.kind, fault.KindOf(err), "%s: %v", name, err)
		require.NotContains(t, fmt.Sprintf("%+v", err), "very-secret", name)
	}
}

// Presigned URLs name the endpoint that is for others, and everything else is done over our own.
func TestPresignEndpoint(t *testing.T) {
	t.Parallel()
	cfg := server
	cfg.PresignEndpoint = "https://s3.example.com:8443"
	store := open(t, cfg)
	key := storage.UploadKey("p", "f")
	upload, err := store.PresignUpload(t.Context(), key, 1, "1B2M2Y8AsgTpgAmY7PhCfg==", time.Hour)
	require.NoError(t, err)
	download, err := store.PresignDownload(t.Context(), key, "x", time.Hour)
	require.NoError(t, err)
	for _, signed := range []string{upload, download} {
		require.True(t, strings.HasPrefix(signed, "https://s3.example.com:8443/"+store.Bucket()+"/uploads/p/f/content?"), signed)
		require.NotContains(t, signed, cfg.SecretKey)
		require.NotContains(t, strings.ToLower(signed), "checksum")
	}
	signed, err := url.Parse(upload)
	require.NoError(t, err)
	require.Equal(t, "content-length;content-md5;host", signed.Query().Get("X-Amz-SignedHeaders"))
	require.Equal(t, "3600", signed.Query().Get("X-Amz-Expires"))
}
