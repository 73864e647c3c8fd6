package addons

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	helm "helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/storage"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/flowcontrol"
)

// maxRetryAfter bounds how long client-go may wait because the API server asks for it: its wait knows no context of ours.
const maxRetryAfter = 3 * time.Second

// session is what one call of a target works with: Helm and clients of the cluster, all of whose requests end with the call.
type session struct {
	release   Release
	namespace string
	logger    *slog.Logger
	client    kubernetes.Interface
	dynamic   dynamic.Interface
	mapper    meta.RESTMapper
	helm      *helmClient
	config    *helm.Configuration
	records   *records
	seen      *seen
	warnings  *warnings
}

// open makes the session of a call. It makes no request.
func (t *ClusterTarget) open(ctx context.Context, r Release) (*session, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	if transport, err := rest.TransportFor(config); err == nil {
		t.transport.Store(&transport)
	}
	s := &session{release: r, namespace: r.Namespace(), logger: t.logger, seen: &seen{}, warnings: &warnings{}}
	bind := bound(ctx)
	config.UserAgent = "assetflow"
	config.RateLimiter = boundLimiter{t.limiter, bind}
	config.WarningHandler = s.warnings
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport(func(req *http.Request) (*http.Response, error) { return s.seen.note(bind.roundTrip(next, req)) })
	})

	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	cached := memory.NewMemCacheClient(disco)
	getter := &getter{config: config, namespace: s.namespace, discovery: cached, mapper: restmapper.NewDeferredDiscoveryRESTMapper(cached)}
	s.mapper = getter.mapper

	s.helm = &helmClient{Client: kube.New(getter), namespace: s.namespace}
	s.helm.Namespace = s.namespace
	s.helm.SetLogger(t.logger.Handler())
	secrets := driver.NewSecrets(s.client.CoreV1().Secrets(s.namespace))
	secrets.SetLogger(t.logger.Handler())
	s.records = &records{Secrets: secrets}
	s.config = helm.NewConfiguration(helm.ConfigurationSetLogger(t.logger.Handler()))
	s.config.RESTClientGetter = confined{getter}
	s.config.KubeClient = s.helm
	s.config.Releases = storage.Init(s.records)
	s.config.HookOutputFunc = func(_, _, _ string) io.Writer { return io.Discard }
	return s, nil
}

// getter gives Helm its clients.
type getter struct {
	config    *rest.Config
	namespace string
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return g.config, nil }
func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}
func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewDefaultClientConfig(*api.NewConfig(), &clientcmd.ConfigOverrides{Context: api.Context{Namespace: g.namespace}})
}

// confined gives templates their clients: their lookups find nothing outside the release's namespace, so that a chart does
// not read what other environments of the cluster keep.
type confined struct{ *getter }

func (c confined) ToRESTConfig() (*rest.Config, error) {
	config := rest.CopyConfig(c.config)
	base := ""
	if host, err := url.Parse(config.Host); err == nil {
		base = strings.TrimSuffix(host.Path, "/")
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return transport(func(req *http.Request) (*http.Response, error) {
			if open := lookupAllowed(strings.TrimPrefix(req.URL.Path, base), c.namespace); open {
				return next.RoundTrip(req)
			}
			return &http.Response{
				Status: "404 Not Found", StatusCode: http.StatusNotFound, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header:  http.Header{"Content-Type": {"application/json"}},
				Body:    io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)),
				Request: req,
			}, nil
		})
	})
	return config, nil
}

// lookupAllowed tells whether a template may read the path of the API: what kinds there are, and what is in the namespace.
func lookupAllowed(path, namespace string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) <= 2, parts[0] == "apis" && len(parts) <= 3:
		return true
	case parts[0] == "api":
		parts = parts[2:]
	case parts[0] == "apis":
		parts = parts[3:]
	default:
		return false
	}
	return len(parts) > 2 && parts[0] == "namespaces" && parts[1] == namespace
}

// bound derives contexts that end with that of the call. Helm makes most of its requests without a context, so it is their
// transport that must know it.
func bound(call context.Context) binder {
	return func(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
		var cancel context.CancelFunc
		if timeout > 0 {
			ctx, cancel = context.WithTimeout(ctx, timeout)
		} else {
			ctx, cancel = context.WithCancel(ctx)
		}
		if call.Err() != nil {
			cancel() // AfterFunc does so on another goroutine, and what Helm records of a call's end could get through before
		}
		stop := context.AfterFunc(call, cancel)
		return ctx, func() { stop(); cancel() }
	}
}

type binder func(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc)

func (b binder) roundTrip(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	timeout := requestTimeout
	if query := req.URL.Query(); query.Get("watch") != "" || query.Get("follow") != "" {
		timeout = 0
	}
	ctx, cancel := b(req.Context(), timeout)
	resp, err := next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	if after, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); err != nil || after > maxRetryAfter {
		resp.Header.Del("Retry-After")
	}
	resp.Body = &boundBody{resp.Body, cancel}
	return resp, nil
}

// boundBody ends a request's context when its answer has been read.
type boundBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *boundBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// boundLimiter waits no longer than the call.
type boundLimiter struct {
	flowcontrol.RateLimiter
	bind binder
}

func (l boundLimiter) Wait(ctx context.Context) error {
	ctx, cancel := l.bind(ctx, 0)
	defer cancel()
	return l.RateLimiter.Wait(ctx)
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) { return t(req) }

// seen keeps why the last request failed for a reason that may go: Helm does not wrap all errors that it gives.
type seen struct {
	mu  sync.Mutex
	why string
}

func (s *seen) note(resp *http.Response, err error) (*http.Response, error) {
	var why string
	if err != nil {
		why = unreachable(err)
	} else {
		why = unwell(resp.StatusCode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
	return resp, err
}

// trouble gives why the last request failed; empty where it did not.
func (s *seen) trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// warnings keeps what the API server warns of.
type warnings struct {
	mu    sync.Mutex
	notes notes
}

// HandleWarningHeader is called by client-go.
func (w *warnings) HandleWarningHeader(code int, _, text string) {
	if code != 299 { // the only one that Kubernetes uses
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes.add("The cluster warns: %s", text)
}

func (w *warnings) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.notes
}
