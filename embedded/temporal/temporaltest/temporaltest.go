// Package temporaltest gives tests a real Temporal server: an embedded one, or that of production.
package temporaltest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"assetflow/embedded/temporal"
	"assetflow/worker"
	"assetflow/workflows"
)

// AddressVariable names the environment variable with the host:port of a Temporal server.
const AddressVariable = "ASSETFLOW_TEST_TEMPORAL_ADDRESS"

// Server gives the options of a client in a namespace that is the test's own and lacks search attributes: on the server
// that the environment names, and otherwise on an embedded one, which ends with the test.
func Server(t testing.TB) client.Options {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	options := client.Options{HostPort: os.Getenv(AddressVariable), Namespace: client.DefaultNamespace, Logger: log.NewStructuredLogger(quiet)}
	if options.HostPort == "" {
		server, err := temporal.Start(context.Background(), temporal.Options{Logger: quiet})
		require.NoError(t, err)
		t.Cleanup(server.Stop)
		options.HostPort = server.Addr()
		return options
	}
	options.Namespace = "test-" + uuid.NewString()
	c, err := client.Dial(options)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: options.Namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour),
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // each part of the server looks for new namespaces from time to time
		_, err := c.DescribeWorkflowExecution(t.Context(), "none", "")
		var none *serviceerror.NotFound
		return errors.As(err, &none)
	}, time.Minute, 50*time.Millisecond)
	return options
}

// Prepared is Server with the search attributes of jobs.
func Prepared(t testing.TB) client.Options {
	t.Helper()
	options := Server(t)
	c, err := client.Dial(options)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, worker.Prepare(t.Context(), c, options.Namespace))
	require.Eventually(t, func() bool {
		_, err := c.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Query: workflows.SearchAttributeNames()[0] + " = 'none'",
		})
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	return options
}
