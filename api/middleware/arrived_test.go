package middleware_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/api/middleware"
)

func TestArrived(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	const size = 1 << 20 // fits into the kernel's buffers
	for name, tc := range map[string]struct {
		read    int64 // what the client reads
		closing bool  // whether it closes then
		want    bool
	}{
		"read and closed":       {size, true, true},
		"read and kept open":    {size, false, true},
		"closed in the middle":  {1000, true, false},
		"stalled in the middle": {1000, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := make(chan bool, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", fmt.Sprint(size))
				_, _ = io.WriteString(w, strings.Repeat("x", size))
				_ = http.NewResponseController(w).Flush()
				results <- middleware.Arrived(r.Context(), time.Second)
			}))
			server.Config.ConnContext = middleware.WithConnection
			server.Start()
			t.Cleanup(server.Close)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(64<<10))
			_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			head := make([]byte, 1)
			for end := ""; !strings.HasSuffix(end, "\r\n\r\n"); end += string(head) {
				_, err = conn.Read(head)
				require.NoError(t, err)
			}
			_, err = io.CopyN(io.Discard, conn, tc.read)
			require.NoError(t, err)
			if tc.closing {
				require.NoError(t, conn.Close())
			}
			require.Equal(t, tc.want, <-results)
		})
	}
	require.True(t, middleware.Arrived(t.Context(), time.Second), "no connection is known")
}
