package faults

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/devstack"
)

// apiEnv tells a process that it plays an API; its settings are those of the service.
const apiEnv = "ASSETFLOW_TEST_API"

// apiSocket is the descriptor of the socket that an API process is born with. It belongs to the test, so it outlives the
// process: who connects while there is none waits for the next.
const apiSocket = 3

// runAPI is the API process: the service's own, as its binary puts it together.
func runAPI() error {
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	cfg, err := config.Load(config.Source{Environ: os.Environ()}, config.NeedDatabase|config.NeedMasterKey)
	if err != nil {
		return err
	}
	b, err := serve.Open(ctx, cfg, logger)
	if err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(apiSocket, "socket"))
	if err != nil {
		return err
	}
	return b.API(ctx, listener, "faults")
}

// apiProcess is an API that can be killed and started again at the same address.
type apiProcess struct {
	endpoint string
	socket   *os.File
	settings []string
	running  *exec.Cmd
}

// newAPI makes an API that does not run yet.
func newAPI(t *testing.T) *apiProcess {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	socket, err := listener.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	attached, err := devstack.Attach(dataDir)
	require.NoError(t, err)
	a := &apiProcess{endpoint: "http://" + listener.Addr().String(), socket: socket, settings: []string{
		apiEnv + "=1", "ASSETFLOW_DATABASE_URL=" + attached.CatalogURL, "ASSETFLOW_MASTER_KEY=" + attached.MasterKey,
		"ASSETFLOW_S3_REGION=" + attached.Storage.Region, "ASSETFLOW_S3_BUCKET=" + attached.Storage.Bucket, "ASSETFLOW_S3_PATH_STYLE=true",
		"ASSETFLOW_S3_ACCESS_KEY=" + attached.Storage.AccessKey, "ASSETFLOW_S3_SECRET_KEY=" + attached.Storage.SecretKey,
	}}
	t.Cleanup(func() {
		if a.running != nil {
			a.kill(t)
		}
		require.NoError(t, socket.Close())
	})
	return a
}

// start starts a process that reaches the store and Temporal where it is told.
func (a *apiProcess) start(t *testing.T, s3Endpoint, temporalAddr string) {
	t.Helper()
	// Bounded, so that nothing is left when the test is cut off.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	process := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	process.Env = append(append(os.Environ(), a.settings...), "ASSETFLOW_S3_ENDPOINT="+s3Endpoint, "ASSETFLOW_TEMPORAL_ADDRESS="+temporalAddr)
	process.ExtraFiles = []*os.File{a.socket}
	process.Stderr = os.Stderr
	require.NoError(t, process.Start())
	a.running = process
}

// kill ends the process with SIGKILL.
func (a *apiProcess) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, a.running.Process.Kill())
	require.Error(t, a.running.Wait())
	status, ok := a.running.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal(), "the API ended by itself")
	a.running = nil
}

// gate stands before a server, the store or Temporal, and holds the first request that it is made for, until the
// process that sent it is gone.
type gate struct {
	holds func(*http.Request) bool
	when  string        // "sent": the server never sees the request; "answered": the process never sees the answer
	held  chan struct{} // closed when a request is held
	once  sync.Once
}

// open starts the gate before a server and gives its own host:port. The two speak HTTP/1 or, as gRPC does, HTTP/2.
func (g *gate) open(t *testing.T, target *url.URL) string {
	t.Helper()
	var transport http.Transport
	transport.Protocols = new(http.Protocols)
	transport.Protocols.SetHTTP1(target.Scheme == "http")
	transport.Protocols.SetUnencryptedHTTP2(target.Scheme == "grpc")
	forward := &httputil.ReverseProxy{
		Transport: &transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target.Host})
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: func(answer *http.Response) error {
			if g.when != "answered" || !g.holds(answer.Request) {
				return nil
			}
			return g.hold(answer.Request)
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.when == "sent" && g.holds(r) {
			_ = g.hold(r)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return server.Listener.Addr().String()
}

func (g *gate) hold(r *http.Request) error {
	g.once.Do(func() { close(g.held) })
	<-r.Context().Done()
	return r.Context().Err()
}
