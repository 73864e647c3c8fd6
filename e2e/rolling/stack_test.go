package rolling

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/client"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/e2e/process"
	"assetflow/freeport"
)

// How the processes stop. A drain ends with its last request, so that it may take long decides nothing; steps of a worker
// are handed over soon, so that some are.
const (
	shutdownDelay = time.Second
	drainTimeout  = 2 * time.Minute
	stopTimeout   = time.Second
	// stopLimit is when a process must have ended, on a busy machine.
	stopLimit = shutdownDelay + drainTimeout + 30*time.Second
)

// stack is the service as processes, and this process's own way to what they stand on.
type stack struct {
	*serve.Backends
	t       *testing.T
	dir     string
	environ []string
	project catalog.Project
	auth    *auth.Service
	proxy   *proxy
	failed  context.Context // ends, with its cause, when a process ends by itself or a user meets what nobody should

	fail    context.CancelCauseFunc
	mu      sync.Mutex
	running map[string]*process.Process
	apis    map[string]string // address by name
}

// newStack starts Temporal and the store, and nothing that is ours. The folder is kept, with logs, when the test fails.
func newStack(t *testing.T) *stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "assetflow-rolling-")
	require.NoError(t, err)
	s := &stack{t: t, dir: dir, running: map[string]*process.Process{}, apis: map[string]string{}}
	s.failed, s.fail = context.WithCancelCause(t.Context())
	t.Cleanup(func() {
		for _, p := range s.running {
			p.Kill()
		}
		if s.Backends != nil {
			_ = s.Close()
		}
		if t.Failed() {
			t.Logf("logs and data are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	keys := [2]string{"rolling", rand.Text()}
	addr := func() string {
		a, err := freeport.Addr(t.Context())
		require.NoError(t, err)
		return a
	}
	temporal, s3 := addr(), addr()
	s.environ = []string{
		"ASSETFLOW_DATABASE_URL=sqlite:" + filepath.Join(dir, "catalog.db"),
		"ASSETFLOW_S3_ENDPOINT=http://" + s3, "ASSETFLOW_S3_ACCESS_KEY=" + keys[0], "ASSETFLOW_S3_SECRET_KEY=" + keys[1],
		"ASSETFLOW_TEMPORAL_ADDRESS=" + temporal, "ASSETFLOW_MASTER_KEY=" + auth.GenerateMasterKey(),
		"ASSETFLOW_HTTP_SHUTDOWN_DELAY=" + shutdownDelay.String(), "ASSETFLOW_HTTP_DRAIN_TIMEOUT=" + drainTimeout.String(),
		"ASSETFLOW_WORKER_STOP_TIMEOUT=" + stopTimeout.String(),
	}
	s.start(process.Spec{Role: process.Temporal, Addr: temporal})
	s.start(process.Spec{Role: process.S3, Addr: s3, Keys: keys})
	cfg, err := config.Load(config.Source{Environ: s.environ}, config.NeedDatabase|config.NeedMasterKey)
	require.NoError(t, err)
	s.Backends, err = serve.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, s.Prepare(t.Context()))
	masterKey, err := auth.ParseMasterKey(string(cfg.MasterKey))
	require.NoError(t, err)
	s.auth = auth.New(s.Catalog, masterKey)
	s.project, err = s.Catalog.CreateProject(t.Context(), "rolling", "rolling")
	require.NoError(t, err)
	return s
}

// start starts a process, which has the stack's settings and those given.
func (s *stack) start(spec process.Spec, settings ...string) {
	s.t.Helper()
	spec.Dir = s.dir
	spec.Environ = append(append([]string(nil), s.environ...), settings...)
	p, err := process.Start(s.t.Context(), spec, s.fail)
	require.NoError(s.t, err)
	name := spec.Name
	if name == "" {
		name = string(spec.Role)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[name] = p
}

// stop tells a process to end, and requires it to end well and in time.
func (s *stack) stop(name string) time.Duration {
	s.t.Helper()
	s.mu.Lock()
	p := s.running[name]
	delete(s.running, name)
	s.mu.Unlock()
	began := time.Now()
	require.NoError(s.t, p.Stop(stopLimit), "%s must end well; see %s/%s.log", name, s.dir, name)
	return time.Since(began)
}

// startAPI starts an API, always at the same address, and returns when it is ready.
func (s *stack) startAPI(name string, settings ...string) (addr string) {
	s.t.Helper()
	addr, ok := s.apis[name]
	if !ok {
		var err error
		addr, err = freeport.Addr(s.t.Context())
		require.NoError(s.t, err)
		s.apis[name] = addr
	}
	s.start(process.Spec{Role: process.API, Name: name, Addr: addr}, settings...)
	return addr
}

func (s *stack) startWorker(name string, settings ...string) {
	s.t.Helper()
	s.start(process.Spec{Role: process.Worker, Name: name}, settings...)
}

// healthy ends the test where something has gone wrong meanwhile.
func (s *stack) healthy() {
	s.t.Helper()
	require.NoError(s.t, context.Cause(s.failed))
}

// newClient makes a user with an instance of its own. A request that is made again by the client itself has failed, too.
func (s *stack) newClient(endpoint string) (*client.Client, catalog.Instance) {
	s.t.Helper()
	ctx := s.t.Context()
	instance, err := s.Catalog.CreateInstance(ctx, s.project.ID, "i-"+uuid.NewString()[:8])
	require.NoError(s.t, err)
	user, err := s.auth.AddUser(ctx, "rolling", "u-"+uuid.NewString(), rand.Text())
	require.NoError(s.t, err)
	require.NoError(s.t, s.auth.GrantRole(ctx, user.ID, s.project.ID, string(auth.RoleAdmin)))
	accessKey, secretKey, err := s.auth.AddAccessKey(ctx, user.ID)
	require.NoError(s.t, err)
	c := client.New(client.Config{
		Endpoint: endpoint, ProjectID: s.project.ID, InstanceID: instance.ID, AccessKey: accessKey, SecretKey: secretKey,
		Retrying: func(err error, _ time.Duration) { s.fail(fmt.Errorf("a read had to be made again: %w", err)) },
	})
	s.t.Cleanup(c.Close)
	return c, instance
}
