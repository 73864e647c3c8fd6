package addons

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"helm.sh/helm/v4/pkg/kube"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

	"assetflow/fault"
)

const (
	// What a call may take altogether. A change runs the chart's hooks and waits for each of them, up to hookTimeout.
	readTimeout   = time.Minute
	changeTimeout = 20 * time.Minute
	hookTimeout   = 5 * time.Minute

	// What one request may take, but for watches, which end with the call.
	requestTimeout = 40 * time.Second

	// What all calls of a target together may ask of the API server: requests a second, and at once.
	requestRate  = 50
	requestBurst = 100

	// How long a removal waits for everything to go, before it leaves the rest to Remains.
	removalGrace = 15 * time.Second

	// Revisions of a release that are kept, beside those that may still be rolled back to.
	maxHistory = 10

	maxNotes = 20
)

// fieldManager owns what charts set in objects. It must not depend on the name of the binary, as Helm's default does: a
// field that another manager owns is a conflict.
const fieldManager = "assetflow"

func init() { kube.ManagedFieldsManager = fieldManager }

// Keys of labels and annotations in a cluster.
const (
	labelManagedBy   = "app.kubernetes.io/managed-by"   // of a namespace that we made: fieldManager
	labelProject     = annotationPrefix + "project"     // of such a namespace
	labelEnvironment = annotationPrefix + "environment" // of such a namespace
	claimPrefix      = "release." + annotationPrefix    // annotations of such a namespace: the releases that need it
	labelDelivery    = annotationDelivery               // of a revision of Helm's: the delivery that made it
	labelChange      = annotationPrefix + "change"      // of such a revision: the kind of change that made it
	labelGood        = annotationPrefix + "good"        // of such a revision: that it was healthy, so that it is kept
)

// ClusterOptions say how to reach a cluster.
type ClusterOptions struct {
	Kubeconfig string       // the path of a kubeconfig file. It is read again in every call, so that its credentials may change
	Context    string       // of the kubeconfig; empty: its current one
	Logger     *slog.Logger // nil: nothing is logged
}

// ClusterTarget delivers to a Kubernetes cluster with Helm. Every environment has a namespace, in which a release of Helm's
// is what an add-on is; see docs/addons.md for what else it writes there. It reads nothing from the process's environment
// or home folder but what its kubeconfig names.
type ClusterTarget struct {
	options   ClusterOptions
	logger    *slog.Logger
	limiter   flowcontrol.RateLimiter
	transport atomic.Value // the connections of the last call, which client-go forgets when nobody holds them
}

var _ Target = (*ClusterTarget)(nil)

// NewCluster makes a target. It reads the kubeconfig but does not connect. CodeBadTargets.
func NewCluster(opts ClusterOptions) (*ClusterTarget, error) {
	t := &ClusterTarget{
		options: opts, logger: opts.Logger,
		limiter: flowcontrol.NewTokenBucketRateLimiter(requestRate, requestBurst),
	}
	if t.logger == nil {
		t.logger = slog.New(slog.DiscardHandler)
	}
	if _, err := t.config(); err != nil {
		return nil, fault.New(fault.Invalid, CodeBadTargets,
			"the kubeconfig cannot be used; it must be a readable kubeconfig file with the named context").Wrap(err)
	}
	return t, nil
}

// config reads the kubeconfig.
func (t *ClusterTarget) config() (*rest.Config, error) {
	raw, err := clientcmd.LoadFromFile(t.options.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	if err := clientcmd.ResolveLocalPaths(raw); err != nil {
		return nil, fmt.Errorf("resolve the kubeconfig's paths: %w", err)
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*raw, t.options.Context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig: %w", err)
	}
	return config, nil
}

// Kind is Cluster.
func (t *ClusterTarget) Kind() Kind { return Cluster }

// Plan renders the chart and has the API server check every object in a dry run. It makes the environment's namespace
// where there is none, because nothing can be checked in a namespace that does not exist; a namespace that it made goes
// again with a refusal.
func (t *ClusterTarget) Plan(ctx context.Context, r Release, c Chart) (Plan, error) {
	return run(ctx, t, r, readTimeout, func(ctx context.Context, s *session) (Plan, error) { return s.plan(ctx, c) })
}

// Apply installs or upgrades the release, after a dry run, so that what the API server refuses changes nothing. It waits
// for the chart's hooks but not for its workloads.
func (t *ClusterTarget) Apply(ctx context.Context, d Delivery, r Release, c Chart) (Applied, error) {
	return run(ctx, t, r, changeTimeout, func(ctx context.Context, s *session) (Applied, error) { return s.apply(ctx, d, c) })
}

// Restart sets an annotation at the pod templates of the release's Deployments, StatefulSets and DaemonSets. Helm's revision
// stays what it is.
func (t *ClusterTarget) Restart(ctx context.Context, d Delivery, r Release, _ Chart) (Applied, error) {
	return run(ctx, t, r, readTimeout, func(ctx context.Context, s *session) (Applied, error) { return s.restart(ctx, d) })
}

// Health looks at every object of the release that takes time. The first time that it finds all of them ready it notes so
// on Helm's revision, which is then kept for as long as it is the last such.
func (t *ClusterTarget) Health(ctx context.Context, r Release) (Health, error) {
	return run(ctx, t, r, readTimeout, func(ctx context.Context, s *session) (Health, error) { return s.health(ctx) })
}

// RollBack makes a new revision of Helm's that is what the earlier one was.
func (t *ClusterTarget) RollBack(ctx context.Context, d Delivery, r Release, to string) (Applied, error) {
	return run(ctx, t, r, changeTimeout, func(ctx context.Context, s *session) (Applied, error) {
		if to == "" {
			return s.remove(ctx)
		}
		version, err := strconv.Atoi(to)
		if err != nil || version <= 0 {
			return Applied{}, noRevision(to)
		}
		return s.rollBack(ctx, d, version)
	})
}

// Remove uninstalls the release with everything that any of its revisions made, and with its history. A hook that fails
// does not keep it. The environment's namespace goes with the last release in it, unless it holds anything else.
func (t *ClusterTarget) Remove(ctx context.Context, _ Delivery, r Release) (Applied, error) {
	return run(ctx, t, r, changeTimeout, func(ctx context.Context, s *session) (Applied, error) { return s.remove(ctx) })
}

// Remains lists what is left of the release, and the environment's namespace while it goes. Where nothing is left of a
// removed release it also ends the removal: the release's history goes, and then the namespace.
func (t *ClusterTarget) Remains(ctx context.Context, r Release) ([]Object, error) {
	return run(ctx, t, r, readTimeout, func(ctx context.Context, s *session) ([]Object, error) { return s.remains(ctx) })
}

// run makes one call of a target. It returns as soon as ctx ends, whatever Helm does; from then on every request of what is
// left of f fails, so that nothing is changed behind the next call's back.
func run[T any](
	ctx context.Context, t *ClusterTarget, r Release, timeout time.Duration, f func(context.Context, *session) (T, error),
) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, err := t.open(bounded, r)
	if err != nil {
		return none, clusterAway("its kubeconfig cannot be used at the moment").Wrap(err)
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() { // Helm renders what others wrote
			if p := recover(); p != nil {
				t.logger.ErrorContext(ctx, "a call of Helm's panicked", "panic", p, "stack", string(debug.Stack()))
				done <- outcome{err: fmt.Errorf("panic: %v", p)}
			}
		}()
		value, err := f(bounded, s)
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, s.fault(ctx, bounded, o.err)
	case <-bounded.Done():
		return none, s.fault(ctx, bounded, bounded.Err())
	}
}

func noRevision(revision string) *fault.Error {
	return fault.New(fault.NotFound, CodeNoRevision, "the cluster does not have revision %s of the release", cut(revision, 20))
}
