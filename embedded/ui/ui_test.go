package ui_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"assetflow/embedded/temporal"
	"assetflow/embedded/ui"
)

func TestServesPagesAndWorkflows(t *testing.T) {
	t.Parallel()
	server, err := temporal.Start(t.Context(), temporal.Options{})
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	s, err := ui.Start(t.Context(), ui.Options{TemporalAddr: server.Addr()})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	host, _, err := net.SplitHostPort(s.Addr())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", host)

	page, header := get(t, s, "/")
	require.Contains(t, header.Get("Content-Type"), "text/html")
	script := regexp.MustCompile(`/_app/[^"]+\.js`).FindString(page)
	require.NotEmpty(t, script, page)
	_, header = get(t, s, script)
	require.Contains(t, header.Get("Content-Type"), "javascript")
	page, _ = get(t, s, "/namespaces/default/workflows") // a page of the application, by its address
	require.Contains(t, page, script)

	var settings struct {
		DefaultNamespace string
		DisableNewsFetch bool
	}
	getJSON(t, s, "/api/v1/settings", &settings)
	require.Equal(t, "default", settings.DefaultNamespace)
	require.True(t, settings.DisableNewsFetch)

	c, err := client.Dial(client.Options{HostPort: server.Addr(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "shown", TaskQueue: "nobody"}, "Any")
	require.NoError(t, err)
	require.EventuallyWithT(t, func(t2 *assert.CollectT) {
		var list struct {
			Executions []struct{ Execution struct{ WorkflowID string } }
		}
		getJSON(t2, s, "/api/v1/namespaces/default/workflows", &list)
		require.Len(t2, list.Executions, 1)
		require.Equal(t2, "shown", list.Executions[0].Execution.WorkflowID)
	}, time.Minute, 20*time.Millisecond)
	var history struct{ Events []struct{ EventType string } }
	body, _ := get(t, s, "/api/v1/namespaces/default/workflows/shown/history")
	require.NoError(t, json.Unmarshal([]byte(body), &struct{ History any }{&history}))
	require.Equal(t, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", history.Events[0].EventType)
}

func TestSaysWhenTemporalIsAway(t *testing.T) {
	t.Parallel()
	s, err := ui.Start(t.Context(), ui.Options{TemporalAddr: "127.0.0.1:1"})
	require.NoError(t, err)
	t.Cleanup(s.Stop)
	res, err := http.Get("http://" + s.Addr() + "/api/v1/namespaces")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
}

func TestStopFreesTheAddress(t *testing.T) {
	t.Parallel()
	s, err := ui.Start(t.Context(), ui.Options{TemporalAddr: "127.0.0.1:1"})
	require.NoError(t, err)
	_, err = ui.Start(t.Context(), ui.Options{Addr: s.Addr(), TemporalAddr: "127.0.0.1:1"})
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	_, _ = get(t, s, "/healthz")
	s.Stop()
	s.Stop() // does nothing
	again, err := ui.Start(t.Context(), ui.Options{Addr: s.Addr(), TemporalAddr: "127.0.0.1:1"})
	require.NoError(t, err)
	again.Stop()
}

func get(t require.TestingT, s *ui.Server, path string) (string, http.Header) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr()+path, nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(body))
	return string(body), res.Header
}

func getJSON(t require.TestingT, s *ui.Server, path string, into any) {
	body, header := get(t, s, path)
	require.True(t, strings.HasPrefix(header.Get("Content-Type"), "application/json"), header)
	require.NoError(t, json.Unmarshal([]byte(body), into))
}
