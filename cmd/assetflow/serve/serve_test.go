package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"assetflow/assetpackage"
	"assetflow/auth"
	"assetflow/client"
	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/embedded/temporal/temporaltest"
	"assetflow/fault"
	"assetflow/storage/storagetest"
)

// machines starts a Temporal and an S3 server and gives settings that lead to them, and to an empty database.
func machines(t *testing.T) config.Config {
	t.Helper()
	workflows := temporaltest.Server(t)
	objects, stop, err := storagetest.Server()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	c, err := config.Load(config.Source{Environ: []string{
		"ASSETFLOW_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "assetflow.db"),
		"ASSETFLOW_S3_ENDPOINT=" + objects.Endpoint, "ASSETFLOW_S3_ACCESS_KEY=" + objects.AccessKey, "ASSETFLOW_S3_SECRET_KEY=" + objects.SecretKey,
		"ASSETFLOW_S3_BUCKET=test-" + uuid.NewString(),
		"ASSETFLOW_TEMPORAL_ADDRESS=" + workflows.HostPort, "ASSETFLOW_TEMPORAL_NAMESPACE=" + workflows.Namespace, "ASSETFLOW_MASTER_KEY=" + auth.GenerateMasterKey(),
	}}, config.NeedDatabase|config.NeedMasterKey)
	require.NoError(t, err)
	return c
}

func open(t *testing.T, cfg config.Config) *serve.Backends {
	t.Helper()
	b, err := serve.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// TestServiceFromEmptyMachinesToAnImport prepares, checks, runs and ends a service.
func TestServiceFromEmptyMachinesToAnImport(t *testing.T) {
	cfg := machines(t)
	b := open(t, cfg)

	require.Equal(t, "catalog.not_migrated", fault.CodeOf(b.Check(t.Context())))
	require.NoError(t, b.Catalog.Migrate(t.Context()))
	require.Equal(t, "storage.no_bucket", fault.CodeOf(b.Check(t.Context())))
	elsewhere := cfg
	elsewhere.Temporal.Namespace = "elsewhere"
	require.Equal(t, "temporal.no_namespace", fault.CodeOf(open(t, elsewhere).Prepare(t.Context())))
	require.NoError(t, b.Storage.EnsureBucket(t.Context()))
	require.Equal(t, "temporal.not_prepared", fault.CodeOf(b.Check(t.Context())))
	require.NoError(t, b.Prepare(t.Context()))
	require.NoError(t, b.Prepare(t.Context()), "again is no error")
	require.NoError(t, b.Check(t.Context()))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	b.Config.Telemetry.Metrics = config.Metrics{Addr: "127.0.0.1:0", Pprof: true}
	require.NoError(t, b.ListenForOperators(t.Context()))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := "http://" + ln.Addr().String()
	ended := make(chan error, 2)
	go func() { ended <- b.API(ctx, ln, "test") }()
	go func() { ended <- open(t, cfg).Worker(ctx) }()

	host, err := os.Hostname()
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return serve.WorkerAlive(t.Context(), cfg.Temporal, host, time.Now()) == nil
	}, 10*time.Second, 50*time.Millisecond)
	require.Equal(t, "worker.away", fault.CodeOf(serve.WorkerAlive(t.Context(), cfg.Temporal, "elsewhere", time.Now())))
	require.Equal(t, "worker.away", fault.CodeOf(serve.WorkerAlive(t.Context(), cfg.Temporal, host, time.Now().Add(time.Hour))), "its last poll is too long ago")

	c := caller(t, b, cfg, endpoint)
	pkg := samplePackage(t)
	id, err := c.Import(t.Context(), "shop.zip", bytes.NewReader(pkg), int64(len(pkg)), client.ImportOptions{})
	require.NoError(t, err)
	job, err := c.WaitJob(t.Context(), id, nil)
	require.NoError(t, err)
	require.Equal(t, client.Succeeded, job.Status, "%+v", job.Reasons)

	for _, address := range []string{
		endpoint + "/readyz", "http://" + b.OperatorsAddr() + "/readyz", "http://" + b.OperatorsAddr() + "/metrics",
		"http://" + b.OperatorsAddr() + "/debug/pprof/heap",
	} {
		resp, err := http.Get(address)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode, address)
	}

	stop()
	began := time.Now()
	require.NoError(t, <-ended)
	require.NoError(t, <-ended)
	require.Less(t, time.Since(began), 30*time.Second)
}

// caller makes a project, an instance and a user, and gives a client that signs with the user's key.
func caller(t *testing.T, b *serve.Backends, cfg config.Config, endpoint string) *client.Client {
	t.Helper()
	keys, err := auth.ParseMasterKey(string(cfg.MasterKey))
	require.NoError(t, err)
	people := auth.New(b.Catalog, keys)
	project, err := b.Catalog.CreateProject(t.Context(), "default", "shop "+t.Name())
	require.NoError(t, err)
	instance, err := b.Catalog.CreateInstance(t.Context(), project.ID, "test")
	require.NoError(t, err)
	user, err := people.AddUser(t.Context(), "default", "ada "+t.Name(), "correct horse battery")
	require.NoError(t, err)
	require.NoError(t, people.GrantRole(t.Context(), user.ID, project.ID, string(auth.RoleDevelop)))
	accessKey, secretKey, err := people.AddAccessKey(t.Context(), user.ID)
	require.NoError(t, err)
	c := client.New(client.Config{
		Endpoint: endpoint, ProjectID: project.ID, InstanceID: instance.ID, AccessKey: accessKey, SecretKey: secretKey,
	})
	t.Cleanup(c.Close)
	return c
}

// fileContent is the file of the sample package.
const fileContent = "a page"

func samplePackage(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	digest := sha256.Sum256([]byte(fileContent))
	require.NoError(t, assetpackage.Write(t.Context(), &b, &assetpackage.Manifest{
		Format: assetpackage.Format, Version: "1",
		Applications: []assetpackage.Asset{{
			ID: "a", Name: "Shop", Definition: json.RawMessage("{}"),
			Files: []assetpackage.File{{Path: "page.html", SHA256: hex.EncodeToString(digest[:]), Size: int64(len(fileContent))}},
		}},
	}, func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(fileContent)), nil
	}))
	return b.Bytes()
}

func TestAMasterKeyThatIsNone(t *testing.T) {
	t.Parallel()
	b := &serve.Backends{Config: config.Config{MasterKey: "hidden"}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	err = b.API(t.Context(), ln, "test")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.NotContains(t, err.Error(), "hidden")
	_, err = net.Dial("tcp", ln.Addr().String())
	require.Error(t, err, "the listener is closed")
}
