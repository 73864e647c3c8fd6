package storage_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/stretchr/testify/require"

	"assetflow/storage"
)

// benchSize is the size of the uploaded package in bytes: ASSETFLOW_BENCH_MIB, 256 MiB where it is not set.
func benchSize(b *testing.B) int64 {
	text := os.Getenv("ASSETFLOW_BENCH_MIB")
	if text == "" {
		return 256 << 20
	}
	mib, err := strconv.ParseInt(text, 10, 64)
	require.NoError(b, err)
	return mib << 20
}

// BenchmarkStage is the upload path: staged in parts, with the size limit and the SHA-256 of the whole.
func BenchmarkStage(b *testing.B) {
	store := open(b, server)
	benchmarkUpload(b, func(ctx context.Context, body io.Reader) error { return stage(ctx, store, body) })
}

// BenchmarkPlainPut is the SDK's multipart upload of the same bytes to the same server, for comparison.
func BenchmarkPlainPut(b *testing.B) {
	store := open(b, server)
	benchmarkUpload(b, func(ctx context.Context, body io.Reader) error { return plainPut(ctx, store, body) })
}

// BenchmarkStageOverPlainPut takes turns between the two and prints the ratio of their throughput, which noise on
// the machine disturbs less than two benchmarks one after the other.
func BenchmarkStageOverPlainPut(b *testing.B) {
	store, size := open(b, server), benchSize(b)
	var staging, plain time.Duration
	for b.Loop() {
		began := time.Now()
		require.NoError(b, stage(b.Context(), store, body(size)))
		staging += time.Since(began)
		began = time.Now()
		require.NoError(b, plainPut(b.Context(), store, body(size)))
		plain += time.Since(began)
	}
	total := float64(size) * float64(b.N) / (1 << 20)
	b.ReportMetric(total/staging.Seconds(), "stage-MiB/s")
	b.ReportMetric(total/plain.Seconds(), "plain-MiB/s")
	b.ReportMetric(plain.Seconds()/staging.Seconds(), "ratio")
}

func stage(ctx context.Context, store *storage.Store, body io.Reader) error {
	_, err := store.Stage(ctx, storage.StagingKey("bench", "stage"), body, 0)
	return err
}

func plainPut(ctx context.Context, store *storage.Store, body io.Reader) error {
	bucket, key := store.Bucket(), storage.StagingKey("bench", "plain")
	_, err := transfermanager.New(store.Client()).UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &bucket, Key: &key, Body: body,
	})
	return err
}

func benchmarkUpload(b *testing.B, upload func(context.Context, io.Reader) error) {
	size := benchSize(b)
	b.SetBytes(size)
	b.ReportAllocs()
	debug.FreeOSMemory()
	idle := resident(b)
	peak := make(chan int64)
	done := make(chan struct{})
	go func() {
		highest := int64(0)
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-tick.C:
				highest = max(highest, resident(b))
			case <-done:
				tick.Stop()
				peak <- highest
				return
			}
		}
	}()
	used := processorTime(b)
	for b.Loop() {
		require.NoError(b, upload(b.Context(), body(size)))
	}
	used = processorTime(b) - used
	close(done)
	b.ReportMetric(used.Seconds()/float64(b.N)/float64(size)*(1<<30), "cpu-s/GiB")
	b.ReportMetric(float64(<-peak-idle)/(1<<20), "peak-MiB-above-idle")
}

// body gives size bytes that cannot be read twice, as from a network.
func body(size int64) io.Reader { return io.LimitReader(&endless{}, size) }

var block = func() []byte {
	data := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	return data
}()

// endless repeats a block for ever, at next to no cost.
type endless struct{ at int }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, block[e.at:])
	e.at = (e.at + n) % len(block)
	return n, nil
}

// processorTime gives what the process has used, the S3 server's included. It says more than the clock on a machine
// that is busy with something else.
func processorTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// resident gives the process's resident memory in bytes, the S3 server's included.
func resident(tb testing.TB) int64 {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0 // no such file outside Linux: the figure is then 0
	}
	fields := strings.Fields(string(bytes.TrimSpace(status)))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		tb.Error(fmt.Errorf("read /proc/self/statm: %w", err))
	}
	return pages * int64(os.Getpagesize())
}
