package addons_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"assetflow/addons"
	"assetflow/addons/addonstest"
	"assetflow/storage"
	"assetflow/storage/storagetest"
)

// server is the S3 server that all tests of the package share: one runs per process.
var server storage.Config

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var stop func() error
		var err error
		if server, stop, err = storagetest.Server(); err != nil {
			panic(err)
		}
		defer func() {
			if err := stop(); err != nil {
				panic(err)
			}
		}()
		return m.Run()
	}())
}

// openStore gives a store on a bucket of the test's own.
func openStore(t testing.TB) *storage.Store {
	t.Helper()
	cfg := server
	cfg.Bucket = "test-" + uuid.NewString()
	store, err := storage.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, store.EnsureBucket(t.Context()))
	return store
}

func newBucket(store *storage.Store) *addons.BucketTarget {
	return addons.NewBucket(store, "gitops/", slog.New(slog.DiscardHandler))
}

func TestBucket(t *testing.T) {
	t.Parallel()
	addonstest.Run(t, func(t *testing.T) addonstest.Subject {
		store := openStore(t)
		return addonstest.Subject{
			Target: newBucket(store),
			Holds: func(t *testing.T, r addons.Release) (version, restart string) {
				files := download(t, store, folder(r))
				if !files.Exists("/" + folder(r) + "/kustomization.yaml") {
					return "", ""
				}
				objects, err := build(files, "/"+folder(r))
				require.NoError(t, err)
				return holds(t, objects, r)
			},
		}
	})
}

func folder(r addons.Release) string { return path.Join("gitops", r.EnvironmentID, r.Name) }

// download gives what lies under a prefix as files, as a controller fetches it that lists everything first: what is
// deleted meanwhile is missing.
func download(t testing.TB, store *storage.Store, prefix string) filesys.FileSystem {
	t.Helper()
	files := filesys.MakeFsInMemory()
	bucket := store.Bucket()
	prefix += "/"
	var keys []string
	pages := s3.NewListObjectsV2Paginator(store.Client(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	for _, key := range keys {
		if data, _, err := store.Get(t.Context(), key, 16<<20); err == nil {
			require.NoError(t, files.WriteFile("/"+key, data))
		}
	}
	return files
}

// build runs kustomize.
func build(files filesys.FileSystem, folder string) (resmap.ResMap, error) {
	return krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, folder)
}

// holds reads what the suite asks for out of the objects of a chart of addonstest.
func holds(t testing.TB, objects resmap.ResMap, r addons.Release) (version, restart string) {
	t.Helper()
	for _, o := range objects.Resources() {
		text, err := o.MarshalJSON()
		require.NoError(t, err)
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Data     struct{ Version string }
			Spec     struct {
				Template struct {
					Metadata struct{ Annotations map[string]string }
				}
			}
		}
		require.NoError(t, json.Unmarshal(text, &object))
		require.Equal(t, r.Namespace(), object.Metadata.Namespace)
		switch object.Kind {
		case "ConfigMap":
			version = object.Data.Version
		case "Deployment":
			restart = object.Spec.Template.Metadata.Annotations["assetflow.dev/restarted-at"]
		}
	}
	return version, restart
}

func newRelease(name string) addons.Release {
	return addons.Release{Name: name, EnvironmentID: uuid.NewString(), ProjectID: uuid.NewString()}
}

func newDelivery(n int) addons.Delivery {
	return addons.Delivery{ID: uuid.NewString(), At: time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)}
}
