package addons_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/fault"
	"assetflow/storage"
)

// connections are kept for a shorter time than servers keep them: one that the server has just closed would fail a request,
// which here nobody tries again.
var connections = http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 5 * time.Second}}

// client counts the requests of a deliverer and does with each what the test says.
type client struct {
	mu   sync.Mutex
	n    int
	does func(n int, send func() (*http.Response, error)) (*http.Response, error) // nil: sends it
}

func (c *client) Do(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.n++
	n := c.n
	c.mu.Unlock()
	send := func() (*http.Response, error) { return connections.Do(req) }
	if c.does == nil {
		return send()
	}
	return c.does(n, send)
}

func (c *client) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// through gives the store as a deliverer reaches it through a client, which does not try anything again.
func through(store *storage.Store, c *client) *storage.Store {
	return storage.New(s3.New(s3.Options{
		BaseEndpoint: &server.Endpoint, Region: server.Region, UsePathStyle: true, HTTPClient: c, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, ""),
	}), store.Bucket())
}

// wide makes a chart whose objects all tell the version, as many as the version says.
func wide(t testing.TB, version int) addons.Chart {
	options := []addonstest.Option{}
	for i := range 1 + version%3 {
		options = append(options, addonstest.File(fmt.Sprintf("templates/more-%d.yaml", i), fmt.Sprintf(
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-%d-of-%d\ndata:\n  version: {{ .Chart.Version | quote }}\n",
			i, 1+version%3)))
	}
	return addonstest.Chart(t, "web", fmt.Sprintf("1.0.%d", version), options...)
}

// state is what a controller would apply of a release, each object by its bytes.
type state map[string]string

func (s state) String() string {
	names := []string{}
	for name, text := range s {
		names = append(names, name+" "+text)
	}
	slices.Sort(names)
	return strings.Join(names, "\n")
}

// canonical gives an object of Kubernetes in one spelling, without its namespace, and what names it.
func canonical(t testing.TB, text []byte) (name, canonical string) {
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	metadata := object["metadata"].(map[string]any)
	delete(metadata, "namespace")
	text, err := json.Marshal(object)
	require.NoError(t, err)
	return fmt.Sprintf("%v/%v", object["kind"], metadata["name"]), string(text)
}

var errIncomplete = errors.New("the index lists what is not there")

// readIndex reads as a controller does that fetches the index and then what it lists.
func readIndex(t testing.TB, store *storage.Store, r addons.Release) (state, error) {
	text, _, err := store.Get(t.Context(), folder(r)+"/kustomization.yaml", 1<<20)
	if fault.KindOf(err) == fault.NotFound {
		return state{}, nil
	}
	if err != nil {
		return nil, err
	}
	var index struct{ Resources []string }
	if err := yaml.Unmarshal(text, &index); err != nil {
		return nil, err
	}
	read := state{}
	for _, name := range index.Resources {
		data, _, err := store.Get(t.Context(), folder(r)+"/"+name, 1<<20)
		if fault.KindOf(err) == fault.NotFound {
			return nil, errIncomplete
		}
		if err != nil {
			return nil, err
		}
		key, canonical := canonical(t, data)
		read[key] = canonical
	}
	return read, nil
}

// readAll reads as Flux does: it fetches everything under the environment, and builds it by an index that it makes of the
// folders with one and of the other .yaml files.
func readAll(t testing.TB, store *storage.Store, r addons.Release) (state, error) {
	root := "/" + path.Dir(folder(r))
	files := download(t, store, root[1:])
	if !files.Exists(root) {
		return state{}, nil
	}
	generate(t, files, root)
	objects, err := build(files, root)
	if err != nil {
		if strings.Contains(err.Error(), "no such file") || strings.Contains(err.Error(), "doesn't exist") {
			return nil, errIncomplete
		}
		return nil, err
	}
	read := state{}
	for _, o := range objects.Resources() {
		if o.GetKind() == "Namespace" {
			continue // the environment's
		}
		require.Equal(t, r.Namespace(), o.GetNamespace())
		text, err := o.MarshalJSON()
		require.NoError(t, err)
		key, canonical := canonical(t, text)
		read[key] = canonical
	}
	return read, nil
}

func generate(t testing.TB, files filesys.FileSystem, root string) {
	resources := []string{}
	indexed := map[string]bool{}
	var all []string
	require.NoError(t, files.Walk(root, func(name string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all = append(all, name)
		}
		return err
	}))
	for _, name := range all {
		if path.Base(name) == "kustomization.yaml" {
			indexed[path.Dir(name)] = true
			resources = append(resources, strings.TrimPrefix(path.Dir(name), root+"/"))
		}
	}
	for _, name := range all {
		below := false
		for dir := range indexed {
			below = below || strings.HasPrefix(name, dir+"/")
		}
		if ext := path.Ext(name); !below && (ext == ".yaml" || ext == ".yml") {
			resources = append(resources, strings.TrimPrefix(name, root+"/"))
		}
	}
	slices.Sort(resources)
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources,
		"metadata": map[string]any{"name": "generated"},
	})
	require.NoError(t, err)
	require.NoError(t, files.WriteFile(root+"/kustomization.yaml", text))
}

// operation is one change of a release that a test kills.
type operation struct {
	name    string
	job     addons.Delivery
	prepare func(t *testing.T, target addons.Target, r addons.Release) (revision string) // before it, undisturbed
	run     func(ctx context.Context, target addons.Target, r addons.Release, revision string) (addons.Applied, error)
}

func operations(t *testing.T) []operation {
	one, two := wide(t, 1), wide(t, 2)
	first, second, third := newDelivery(1), newDelivery(2), newDelivery(3)
	nothing := func(*testing.T, addons.Target, addons.Release) string { return "" }
	installed := func(t *testing.T, target addons.Target, r addons.Release) string {
		applied, err := target.Apply(t.Context(), first, r, one)
		require.NoError(t, err)
		return applied.Revision
	}
	redeployed := func(t *testing.T, target addons.Target, r addons.Release) string {
		revision := installed(t, target, r)
		_, err := target.Apply(t.Context(), second, r, two)
		require.NoError(t, err)
		return revision
	}
	return []operation{
		{"install", first, nothing, func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
			return target.Apply(ctx, first, r, one)
		}},
		{"redeploy", second, installed, func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
			return target.Apply(ctx, second, r, two)
		}},
		{"restart", second, installed, func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
			return target.Restart(ctx, second, r, one)
		}},
		{"roll back", second, redeployed, func(ctx context.Context, target addons.Target, r addons.Release, to string) (addons.Applied, error) {
			return target.RollBack(ctx, second, r, to)
		}},
		{"roll back to nothing", first, installed, func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
			return target.RollBack(ctx, first, r, "")
		}},
		{"remove", third, redeployed, func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
			return target.Remove(ctx, third, r)
		}},
	}
}

var errKilled = errors.New("killed")

// A deliverer may die at any of its requests: before it is sent, or after it was carried out but before the answer came.
// Controllers then see what was there before or what is to be there, and the next try of the delivery brings about what
// it would have alone, with one change of the index.
func TestKilledAtEveryRequest(t *testing.T) {
	t.Parallel()
	for _, op := range operations(t) {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			store := openStore(t)
			target := newBucket(store)

			r := newRelease("web")
			revision := op.prepare(t, target, r)
			counting := &client{}
			_, err := op.run(t.Context(), newBucket(through(store, counting)), r, revision)
			require.NoError(t, err)
			after, serial := read(t, store, r), serialOf(t, store, r)
			require.Greater(t, counting.requests(), 2)

			for _, kind := range []string{"before", "after", "cancelled"} {
				for k := 1; k <= counting.requests(); k++ {
					name := fmt.Sprintf("%s request %d", kind, k)
					r := r
					r.EnvironmentID = newRelease("web").EnvironmentID
					revision := op.prepare(t, target, r)
					before, err := readIndex(t, store, r)
					require.NoError(t, err)

					ctx, cancel := context.WithCancel(t.Context())
					killer := &client{does: func(n int, send func() (*http.Response, error)) (*http.Response, error) {
						switch {
						case n < k:
							return send()
						case kind == "cancelled":
							cancel()
						case kind == "after" && n == k:
							if answer, err := send(); err == nil {
								_ = answer.Body.Close()
							}
						}
						return nil, errKilled
					}}
					_, err = op.run(ctx, newBucket(through(store, killer)), r, revision)
					if kind == "cancelled" && err != nil {
						require.ErrorIs(t, err, context.Canceled, name)
					} else if err != nil {
						require.Equal(t, fault.Unavailable, fault.KindOf(err), "%s: %v", name, err)
					}
					cancel()
					seen := read(t, store, r)
					require.Contains(t, []string{before.String(), after.String()}, seen.String(), name)

					first, err := op.run(t.Context(), target, r, revision)
					require.NoError(t, err, name)
					whole, err := readIndex(t, store, r)
					require.NoError(t, err, name)
					require.Equal(t, after.String(), whole.String(), name)
					require.Equal(t, serial, serialOf(t, store, r), "%s: the index changed once", name)
					again, err := op.run(t.Context(), target, r, revision)
					require.NoError(t, err, name)
					require.Equal(t, first.Revision, again.Revision, name)
					require.Equal(t, serial, serialOf(t, store, r), "%s: the index changed once", name)
					requireNoneLeft(t, store, r)
				}
			}
		})
	}
}

// read reads a release both ways, when nobody changes it.
func read(t *testing.T, store *storage.Store, r addons.Release) state {
	t.Helper()
	one, err := readIndex(t, store, r)
	require.NoError(t, err)
	all, err := readAll(t, store, r)
	require.NoError(t, err)
	require.Equal(t, one.String(), all.String())
	return one
}

// annotations gives those of the index; none where there is none.
func annotations(t *testing.T, store *storage.Store, r addons.Release) map[string]string {
	t.Helper()
	text, _, err := store.Get(t.Context(), folder(r)+"/kustomization.yaml", 1<<20)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	require.NoError(t, err)
	var index struct {
		Metadata struct{ Annotations map[string]string }
	}
	require.NoError(t, yaml.Unmarshal(text, &index))
	return index.Metadata.Annotations
}

func serialOf(t *testing.T, store *storage.Store, r addons.Release) string {
	t.Helper()
	return annotations(t, store, r)["assetflow.dev/serial"]
}

// requireNoneLeft checks that there is no revision but those that the index keeps.
func requireNoneLeft(t *testing.T, store *storage.Store, r addons.Release) {
	t.Helper()
	kept := strings.Fields(annotations(t, store, r)["assetflow.dev/kept-revisions"])
	for o, err := range store.List(t.Context(), folder(r)+"/revisions/") {
		require.NoError(t, err)
		revision, _, _ := strings.Cut(strings.TrimPrefix(o.Key, folder(r)+"/revisions/"), "/")
		require.Contains(t, kept, revision)
	}
}

// A deliverer that is held up at any of its requests while its job ends and others change the release does not undo what
// they did when it goes on.
func TestLateDeliverer(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	target := newBucket(store)
	for _, op := range operations(t)[:4] {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			for k := 1; ; k++ {
				r := newRelease("web")
				revision := op.prepare(t, target, r)
				held, goOn := make(chan struct{}), make(chan struct{})
				late := &client{does: func(n int, send func() (*http.Response, error)) (*http.Response, error) {
					if n == k {
						close(held)
						<-goOn
					}
					return send()
				}}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = op.run(t.Context(), newBucket(through(store, late)), r, revision)
				}()
				select {
				case <-held:
				case <-done:
					return // it makes fewer requests
				}

				// Its job is rolled back, and the next one changes the release.
				last := newDelivery(9)
				_, err := target.RollBack(t.Context(), op.job, r, revision)
				require.NoError(t, err)
				applied, err := target.Apply(t.Context(), last, r, wide(t, 9))
				require.NoError(t, err)
				want := read(t, store, r)
				close(goOn)
				<-done

				require.Equal(t, want.String(), read(t, store, r).String(), "held up at request %d", k)
				health, err := target.Health(t.Context(), r)
				require.NoError(t, err)
				require.True(t, health.Ready)
				again, err := target.Apply(t.Context(), last, r, wide(t, 9))
				require.NoError(t, err)
				require.Equal(t, applied.Revision, again.Revision)
			}
		})
	}
}

// While deliveries, restarts, roll-backs and removals go on, some of them killed, controllers of both ways never see
// anything but one of the revisions that were to be published, whole.
func TestReadersSeeWholeRevisions(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	target := newBucket(store)
	r := newRelease("web")

	var mu sync.Mutex
	meant := map[string]bool{state{}.String(): true}
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	seen := make([]map[string]bool, 2)
	for i := range seen {
		seen[i] = map[string]bool{}
		readers.Go(func() {
			for ctx.Err() == nil {
				var found state
				var err error
				if i%2 == 0 {
					found, err = readIndex(t, store, r)
				} else {
					found, err = readAll(t, store, r)
				}
				if errors.Is(err, errIncomplete) {
					continue
				}
				if err != nil {
					t.Errorf("reader %d: %v", i, err)
					return
				}
				mu.Lock()
				ok := meant[found.String()]
				mu.Unlock()
				if !ok {
					t.Errorf("reader %d saw what nobody published:\n%s", i, found)
					return
				}
				seen[i][found.String()] = true
			}
		})
	}

	// A second release, which nobody reads, has every change before the first: so it is known what is meant to come.
	type changing func(ctx context.Context, target addons.Target, r addons.Release, good string) (addons.Applied, error)
	shadow, good := newRelease("web"), map[addons.Release]string{}
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 20 {
		d, chart := newDelivery(n), wide(t, n)
		change := changing(func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
			return target.Apply(ctx, d, r, chart)
		})
		what := random.IntN(6)
		switch {
		case what == 0 && good[r] != "":
			change = func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
				return target.Restart(ctx, d, r, chart)
			}
		case what == 1:
			change = func(ctx context.Context, target addons.Target, r addons.Release, _ string) (addons.Applied, error) {
				return target.Remove(ctx, d, r)
			}
		}
		changes := []changing{change}
		if what > 1 && random.IntN(4) == 0 {
			changes = append(changes, func(ctx context.Context, target addons.Target, r addons.Release, good string) (addons.Applied, error) {
				return target.RollBack(ctx, d, r, good)
			})
		}
		before := maps.Clone(good)
		for _, change := range changes {
			applied, err := change(t.Context(), target, shadow, before[shadow])
			require.NoError(t, err)
			good[shadow] = applied.Revision
			mu.Lock()
			meant[read(t, store, shadow).String()] = true
			mu.Unlock()

			k, cancels := 1+random.IntN(16), random.IntN(2) == 0
			dying, die := context.WithCancel(t.Context())
			killer := &client{does: func(n int, send func() (*http.Response, error)) (*http.Response, error) {
				switch {
				case n < k:
					return send()
				case cancels:
					die()
				}
				return nil, errKilled
			}}
			_, _ = change(dying, newBucket(through(store, killer)), r, before[r])
			die()
			applied, err = change(t.Context(), target, r, before[r])
			require.NoError(t, err)
			good[r] = applied.Revision
			require.Equal(t, read(t, store, shadow).String(), read(t, store, r).String())
		}
	}
	cancel()
	readers.Wait()
	for i := range seen {
		require.Greater(t, len(seen[i]), 3, "reader %d read while things changed", i)
	}
}
