package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"assetflow/addons"
	"assetflow/catalog"
	"assetflow/devstack"
	"assetflow/replication"
	"assetflow/storage"
	"assetflow/worker"
)

// workerEnv carries the workerSpec to the process that plays a worker.
const workerEnv = "ASSETFLOW_TEST_WORKER"

// workerSpec says what a worker process works on and where it kills itself.
type workerSpec struct {
	CatalogURL   string
	Storage      storage.Config
	TemporalAddr string
	KeyRing      string   // what replication infos are sealed with
	Sources      []string // where copies may fetch from
	Targets      string   // where add-ons are delivered to
	Kill         kill
}

// kill is the point at which a worker process kills itself: in a step, at its n-th request to the store (before the
// store sees it, or after it has answered), or when the step has had its effect and nobody has heard of it.
type kill struct {
	Step    string
	Request int64  // 1 is the first; 0 stands for "when the step is done"
	When    string // of a request: "sent" or "answered"
}

func (k kill) String() string {
	if k.Request == 0 {
		return k.Step + "/done"
	}
	return fmt.Sprintf("%s/request-%d-%s", k.Step, k.Request, k.When)
}

// enough are the kills that are tried: all of them; under -short, which the race detector is used with, those at the end of
// a step.
func enough(kills []kill) []kill {
	if !testing.Short() {
		return kills
	}
	return slices.DeleteFunc(slices.Clone(kills), func(k kill) bool { return k.Request > 0 })
}

// runWorker is the worker process.
func runWorker(spec string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var s workerSpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	k := &killer{kill: s.Kill}
	if s.Kill.Request > 0 {
		endpoint, err := k.proxy(ctx, s.Storage.Endpoint)
		if err != nil {
			return err
		}
		s.Storage.Endpoint = endpoint
	}
	cat, err := catalog.Open(ctx, s.CatalogURL, logger)
	if err != nil {
		return err
	}
	store, err := storage.Open(ctx, s.Storage)
	if err != nil {
		return err
	}
	c, err := client.Dial(client.Options{HostPort: s.TemporalAddr, Logger: log.NewStructuredLogger(logger)})
	if err != nil {
		return err
	}
	copies := worker.Copies{Region: "region-a"}
	if s.KeyRing != "" {
		if copies.KeyRing, err = replication.ParseKeyRing(s.KeyRing); err != nil {
			return err
		}
	}
	if copies.Fetcher, err = replication.NewFetcher(replication.FetcherOptions{Sources: s.Sources}); err != nil {
		return err
	}
	targets, err := addons.ParseTargets(s.Targets, addons.Options{Client: store.Client(), Bucket: store.Bucket(), Logger: logger})
	if err != nil {
		return err
	}
	sdkworker.SetStickyWorkflowCacheSize(0) // or the workflow's next step waits 5 s for the worker that is dead
	w := worker.New(c, worker.Options{
		Catalog: cat, Storage: store, Logger: logger, Copies: copies, Targets: targets, Interceptors: []interceptor.WorkerInterceptor{k},
	})
	if err := w.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	w.Stop()
	c.Close()
	return cat.Close()
}

// killer kills its own process.
type killer struct {
	interceptor.WorkerInterceptorBase
	kill     kill
	inStep   atomic.Bool
	requests atomic.Int64
}

func (k *killer) now() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }

func (k *killer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	a := &killActivity{killer: k}
	a.Next = next
	return a
}

// InterceptWorkflow shortens the silence after which a worker counts as dead: the tests would do little but wait for it.
func (k *killer) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	i := &impatient{}
	i.Next = next
	return i
}

// silence is many times what a step takes to tell that it lives.
const silence = 4 * time.Second

type impatient struct {
	interceptor.WorkflowInboundInterceptorBase
}

func (i *impatient) Init(out interceptor.WorkflowOutboundInterceptor) error {
	o := &impatientSteps{}
	o.Next = out
	return i.Next.Init(o)
}

type impatientSteps struct {
	interceptor.WorkflowOutboundInterceptorBase
}

func (o *impatientSteps) ExecuteActivity(ctx workflow.Context, activity string, args ...any) workflow.Future {
	if workflow.GetActivityOptions(ctx).HeartbeatTimeout > silence {
		ctx = workflow.WithHeartbeatTimeout(ctx, silence)
	}
	return o.Next.ExecuteActivity(ctx, activity, args...)
}

type killActivity struct {
	interceptor.ActivityInboundInterceptorBase
	killer *killer
}

func (a *killActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if activity.GetInfo(ctx).ActivityType.Name != a.killer.kill.Step {
		return a.Next.ExecuteActivity(ctx, in)
	}
	a.killer.inStep.Store(true)
	result, err := a.Next.ExecuteActivity(ctx, in)
	a.killer.inStep.Store(false)
	if a.killer.kill.Request == 0 {
		a.killer.now()
	}
	return result, err
}

// proxy stands before the store and counts the step's requests.
func (k *killer) proxy(ctx context.Context, endpoint string) (string, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		due := k.inStep.Load() && k.requests.Add(1) == k.kill.Request
		if due && k.kill.When == "sent" {
			k.now()
		}
		forward.ServeHTTP(w, r)
		if due {
			k.now()
		}
	})}
	go func() { _ = server.Serve(listener) }() // ends with the process
	return "http://" + listener.Addr().String(), nil
}

// startWorker starts a worker process of this test binary.
func startWorker(t *testing.T, k kill) *exec.Cmd {
	t.Helper()
	attached, err := devstack.Attach(dataDir)
	require.NoError(t, err)
	spec, err := json.Marshal(workerSpec{
		CatalogURL: attached.CatalogURL, Storage: attached.Storage, TemporalAddr: stack.TemporalAddr(), Kill: k,
		KeyRing: keyRing, Sources: []string{source.url}, Targets: targets(),
	})
	require.NoError(t, err)
	// Long enough for every job here; a worker that misses its point must not hang the test.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	process := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	process.Env = append(os.Environ(), workerEnv+"="+string(spec))
	process.Stderr = os.Stderr
	process.Cancel = func() error { return process.Process.Signal(syscall.SIGTERM) }
	process.WaitDelay = 20 * time.Second
	require.NoError(t, process.Start())
	return process
}
