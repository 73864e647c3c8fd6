package worker_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	embedded "assetflow/embedded/temporal"
	"assetflow/worker"
)

// A worker that Temporal will give no tasks any more says so, once, and polls no longer. The SDK gives the server two minutes
// to think better of it.
func TestAWorkerThatGetsNoTasks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for two minutes")
	}
	server, err := embedded.Start(t.Context(), embedded.Options{Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	var gone atomic.Bool
	c, err := client.Dial(client.Options{
		HostPort: server.Addr(), Logger: log.NewStructuredLogger(quiet),
		ConnectionOptions: client.ConnectionOptions{DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(
			func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
				if gone.Load() && strings.Contains(method, "/Poll") {
					return serviceerror.ToStatus(serviceerror.NewNamespaceNotFound("default")).Err()
				}
				return invoke(ctx, method, req, reply, cc, opts...)
			},
		)}},
	})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	gone.Store(true)
	w := worker.New(c, worker.Options{Logger: quiet})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)
	select {
	case err := <-w.Failed():
		var namespace *serviceerror.NamespaceNotFound
		require.ErrorAs(t, err, &namespace)
	case <-time.After(6 * time.Minute):
		require.Fail(t, "it waits for tasks for ever")
	}
	w.Stop()
	require.Empty(t, w.Failed(), "the first is told")
}
