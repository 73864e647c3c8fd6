package s3_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"assetflow/embedded/s3"
)

// None of these tests is parallel: one server per process, and it owns the working directory.

func options(dir string) s3.Options {
	return s3.Options{Addr: "127.0.0.1:0", DataDir: dir, Region: "eu-test-1", AccessKey: "test-key", SecretKey: "test-secret"}
}

func start(t *testing.T, opts s3.Options) *s3.Server {
	t.Helper()
	server, err := s3.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	return server
}

func client(endpoint string) *awss3.Client {
	return awss3.New(awss3.Options{
		BaseEndpoint: aws.String(endpoint), Region: "eu-test-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test-key", "test-secret", ""),
	})
}

func put(t *testing.T, c *awss3.Client, bucket, key, body string) {
	t.Helper()
	_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: strings.NewReader(body), ContentType: aws.String("text/x-test"),
	})
	require.NoError(t, err)
}

func requireObject(t *testing.T, c *awss3.Client, bucket, key, body string) {
	t.Helper()
	got, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	require.NoError(t, err)
	defer got.Body.Close()
	bytes, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Equal(t, body, string(bytes))
	require.Equal(t, "text/x-test", aws.ToString(got.ContentType))
}

func TestRestartKeepsData(t *testing.T) {
	wd, err := os.Getwd()
	require.NoError(t, err)
	opts := options(t.TempDir())
	first := start(t, opts)
	c := client(first.Endpoint())
	_, err = c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("kept")})
	require.NoError(t, err)
	put(t, c, "kept", "a/b", "still here")
	// A copy is refused by a gateway whose threshold was left at zero.
	_, err = c.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: aws.String("kept"), Key: aws.String("copy"), CopySource: aws.String("kept/a/b"),
	})
	require.NoError(t, err)

	_, err = s3.Start(t.Context(), options(t.TempDir()))
	require.ErrorIs(t, err, s3.ErrRunning)

	began := time.Now()
	first.Stop()
	first.Stop() // harmless
	require.Less(t, time.Since(began), 4*time.Second, "idle connections must not hold up the stop")
	now, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, wd, now, "the working directory comes back")

	opts.Addr = strings.TrimPrefix(first.Endpoint(), "http://") // the port is free again
	second := start(t, opts)
	require.Equal(t, first.Endpoint(), second.Endpoint())
	requireObject(t, client(second.Endpoint()), "kept", "a/b", "still here")
	requireObject(t, client(second.Endpoint()), "kept", "copy", "still here")
}

// Clients open connections ahead that they never use. They hold up neither the stop nor the next start.
func TestStopWithAnUnusedConnection(t *testing.T) {
	first := start(t, options(t.TempDir()))
	conn, err := net.Dial("tcp", strings.TrimPrefix(first.Endpoint(), "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	began := time.Now()
	first.Stop()
	require.Less(t, time.Since(began), 10*time.Second, "the gateway waits for so long")

	second := start(t, options(t.TempDir()))
	_, err = client(second.Endpoint()).ListBuckets(t.Context(), &awss3.ListBucketsInput{})
	require.NoError(t, err)
}

func TestRelativeDataDir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	opts := options("data")
	server := start(t, opts)
	_, err := client(server.Endpoint()).CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("relative")})
	require.NoError(t, err)
	require.DirExists(t, filepath.Join(dir, "data", "objects", "relative"))
	server.Stop()
	now, err := os.Getwd()
	require.NoError(t, err)
	require.Equal(t, dir, now)
}

// A data folder on a file system without extended attributes has a metadata folder; making it beforehand takes the
// same way here.
func TestSidecarMetadata(t *testing.T) {
	opts := options(t.TempDir())
	require.NoError(t, os.Mkdir(filepath.Join(opts.DataDir, "metadata"), 0o700))
	server := start(t, opts)
	c := client(server.Endpoint())
	_, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("sidecar")})
	require.NoError(t, err)
	put(t, c, "sidecar", "x", "body")
	requireObject(t, c, "sidecar", "x", "body")
	kept, err := os.ReadDir(filepath.Join(opts.DataDir, "metadata"))
	require.NoError(t, err)
	require.NotEmpty(t, kept)
}

func TestStartFailsAndLeavesNothing(t *testing.T) {
	wd, err := os.Getwd()
	require.NoError(t, err)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	for name, try := range map[string]struct {
		ctx    context.Context
		change func(*s3.Options)
		want   string
	}{
		"port taken":       {t.Context(), func(o *s3.Options) { o.Addr = taken.Addr().String() }, "address already in use"},
		"bad address":      {t.Context(), func(o *s3.Options) { o.Addr = "nonsense" }, `address "nonsense"`},
		"no key":           {t.Context(), func(o *s3.Options) { o.AccessKey = "" }, "AccessKey"},
		"data dir is file": {t.Context(), func(o *s3.Options) { o.DataDir = file }, "not a directory"},
		"context ended":    {ended, func(*s3.Options) {}, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t.TempDir())
			try.change(&opts)
			_, err := s3.Start(try.ctx, opts)
			require.ErrorContains(t, err, try.want)
			require.NotContains(t, err.Error(), "test-secret")
			now, err := os.Getwd()
			require.NoError(t, err)
			require.Equal(t, wd, now)
		})
	}
	start(t, options(t.TempDir())) // none of the failures kept the process's one place
}

// Neither a client that stops in the middle of its body nor one that does not read its answer holds up Stop.
func TestStopCutsOffHangingClients(t *testing.T) {
	opts := options(t.TempDir())
	server := start(t, opts)
	c := client(server.Endpoint())
	_, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("hanging")})
	require.NoError(t, err)
	// Far more than the socket buffers hold, and it takes no room on the disk.
	big := filepath.Join(opts.DataDir, "objects", "hanging", "big")
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, 1<<30))

	addr := strings.TrimPrefix(server.Endpoint(), "http://")
	hang := func(url, rest string) net.Conn {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = fmt.Fprintf(conn, rest, strings.TrimPrefix(url, server.Endpoint()), addr)
		require.NoError(t, err)
		return conn
	}
	presign := awss3.NewPresignClient(c)
	put, err := presign.PresignPutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("hanging"), Key: aws.String("x"), ContentLength: aws.Int64(1 << 20),
	})
	require.NoError(t, err)
	get, err := presign.PresignGetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("hanging"), Key: aws.String("big")})
	require.NoError(t, err)
	hang(put.URL, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1048576\r\n\r\n"+strings.Repeat("x", 600_000))
	answer := hang(get.URL, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n")
	status := make([]byte, len("HTTP/1.1 200 OK"))
	_, err = io.ReadFull(answer, status)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 OK", string(status))

	began := time.Now()
	server.Stop()
	took := time.Since(began)
	require.Greater(t, took, time.Second, "a request must be in flight, or this tests nothing")
	require.Less(t, took, 7*time.Second, "a handler that hangs is waited for so long")
	_, err = net.DialTimeout("tcp", addr, time.Second)
	require.Error(t, err, "the port is free")
	start(t, opts)
}
