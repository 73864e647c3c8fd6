package replication_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"assetflow/replication"
)

func TestRequestsToASourceAreTraced(t *testing.T) {
	t.Parallel()
	ended := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended))
	s := serve(t, 1000, func(n int64, w http.ResponseWriter, r *http.Request) bool {
		require.Empty(t, r.Header.Get("Traceparent"), "our ids are none of the source's business")
		if n == 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return n == 2
	})
	remote := s.remote(t, replication.FetcherOptions{Traces: provider})

	require.NoError(t, remote.ReadRange(t.Context(), make([]byte, 10), 0))
	require.Empty(t, ended.Ended(), "what nobody traces makes no span")

	ctx, parent := provider.Tracer("test").Start(context.Background(), "parent")
	require.NoError(t, remote.ReadRange(ctx, make([]byte, 100), 0))
	require.Len(t, ended.Ended(), 2, "one for each try")
	for i, span := range ended.Ended() {
		require.Equal(t, "GET from source region", span.Name())
		require.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
		set := attribute.NewSet(span.Attributes()...)
		size, _ := set.Value("http.response.body.size")
		sort, _ := set.Value("error.type")
		require.Equal(t, []int64{0, 100}[i], size.AsInt64())
		require.Equal(t, []string{"replication.source_unavailable", ""}[i], sort.AsString())
		require.Equal(t, []codes.Code{codes.Error, codes.Unset}[i], span.Status().Code)
		for _, a := range span.Attributes() {
			require.NotContains(t, a.Value.String(), "secret")
			require.NotContains(t, a.Value.String(), s.URL)
		}
	}
}
