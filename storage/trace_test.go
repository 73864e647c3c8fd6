package storage_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"assetflow/storage"
)

// recorded runs do within a span, and gives the spans that have ended by then as "name status error".
func recorded(t *testing.T, provider *sdktrace.TracerProvider, ended *tracetest.SpanRecorder, do func(ctx context.Context)) []string {
	t.Helper()
	ended.Reset()
	ctx, parent := provider.Tracer("test").Start(t.Context(), "parent")
	do(ctx)
	all := []string{}
	for _, span := range ended.Ended() {
		require.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
		set := attribute.NewSet(span.Attributes()...)
		status, _ := set.Value("http.response.status_code")
		sort, _ := set.Value("error.type")
		require.Equal(t, sort.AsString() != "", span.Status().Code == codes.Error)
		require.Empty(t, span.Status().Description)
		require.Empty(t, span.Events())
		all = append(all, strings.Join(strings.Fields(span.Name()+" "+status.String()+" "+sort.AsString()), " "))
		for _, a := range span.Attributes() {
			require.NotContains(t, a.Value.String(), server.AccessKey)
		}
	}
	return all
}

func TestOperationsAreTraced(t *testing.T) {
	t.Parallel()
	ended := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
	cfg := server
	cfg.Traces = provider
	store := open(t, cfg)
	require.Empty(t, ended.Ended(), "what nobody traces makes no span")

	key := storage.StagingKey(uuid.NewString(), uuid.NewString())
	require.Equal(t, []string{"S3.PutObject 200"}, recorded(t, provider, ended, func(ctx context.Context) {
		require.NoError(t, store.Put(ctx, key, []byte("content")))
	}))
	require.Equal(t, []string{"S3.HeadObject 404"}, recorded(t, provider, ended, func(ctx context.Context) {
		there, err := store.HasBlob(ctx, strings.Repeat("0", 64))
		require.NoError(t, err)
		require.False(t, there)
	}))
	require.Empty(t, recorded(t, provider, ended, func(ctx context.Context) {
		url, err := store.PresignDownload(ctx, key, "", time.Minute)
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(url), "traceparent")
	}))

	cfg.Bucket, cfg.SecretKey = store.Bucket(), "wrong"
	wrong, err := storage.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, []string{"S3.GetObject 403 SignatureDoesNotMatch"}, recorded(t, provider, ended, func(ctx context.Context) {
		_, _, err := wrong.Get(ctx, key, 10)
		require.Error(t, err)
	}))
	require.Equal(t, []string{"S3.GetObject cancelled"}, recorded(t, provider, ended, func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, _, err := store.Get(ctx, key, 10)
		require.ErrorIs(t, err, context.Canceled)
	}))
	require.NoError(t, store.Delete(t.Context(), key))
}
