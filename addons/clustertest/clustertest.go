// Package clustertest runs a real Kubernetes control plane for tests, without containers: etcd from the distribution and
// the API server, controller manager, scheduler and kwok that `make control-plane` builds. kwok plays the one node: pods
// become ready at once, but for those with NeverReadyImage; those of Jobs end, in failure with FailsImage.
//
// Tests are skipped where etcd is not installed, unless the environment has CI or ASSETFLOW_TEST_CLUSTER=require.
package clustertest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // the stages
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"

	"assetflow/freeport"
)

// Images that kwok's stages know.
const (
	NeverReadyImage = "registry.invalid/never-ready:1" // its pods cannot pull it
	FailsImage      = "registry.invalid/fails:1"       // its pods end with exit code 1
)

// adminToken is the token of who may do everything.
const adminToken = "admin-token"

// startTimeout is how long a part may take until it works.
const startTimeout = time.Minute

//go:embed stages.yaml
var stages []byte

// ControlPlane is a cluster that runs.
type ControlPlane struct {
	Client kubernetes.Interface // with all rights

	dir     string
	port    string // of the API server
	etcd    string
	certs   []byte // of the API server
	parts   map[string]*part
	address string
}

var shared struct {
	once  sync.Once
	plane *ControlPlane
	err   error
}

// Run runs the tests of a package, for its TestMain, and stops the control plane that they shared.
func Run(m *testing.M) int {
	code := m.Run()
	if shared.plane != nil {
		shared.plane.stop()
	}
	return code
}

// Shared gives the control plane that all tests of the package share. It starts with the first that asks.
func Shared(t testing.TB) *ControlPlane {
	t.Helper()
	available(t)
	shared.once.Do(func() { shared.plane, shared.err = start(true) })
	require.NoError(t, shared.err)
	return shared.plane
}

// StartAPI gives a control plane of the test's own that is only an API server: nothing becomes ready in it, and nothing
// that waits for others to go goes.
func StartAPI(t testing.TB) *ControlPlane {
	t.Helper()
	available(t)
	plane, err := start(false)
	require.NoError(t, err)
	t.Cleanup(plane.stop)
	return plane
}

// available skips the test where there is no etcd, and fails it where there should be, or where the rest is not built.
func available(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		if os.Getenv("CI") != "" || os.Getenv("ASSETFLOW_TEST_CLUSTER") == "require" {
			t.Fatal("etcd is not installed: apt-get install etcd-server")
		}
		t.Skip("needs a Kubernetes control plane, and etcd is not installed (apt-get install etcd-server; make control-plane)")
	}
	if _, err := binary("kwok"); err != nil {
		t.Fatal("the control plane is not built: make control-plane")
	}
}

// built is where `make control-plane` puts what it builds; empty outside of the repository. A test may change the working
// directory later.
var built = func() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "bin", "control-plane")
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}()

// binary finds what `make control-plane` has built.
func binary(name string) (string, error) {
	path := filepath.Join(built, name)
	_, err := os.Stat(path)
	return path, err
}

// start starts a control plane. Somebody else may have taken a port that was free, so it is tried more than once.
func start(whole bool) (c *ControlPlane, err error) {
	for range 3 {
		if c, err = tryStart(whole); err == nil {
			break
		}
	}
	return c, err
}

// tryStart starts a control plane; what has started is stopped again when the rest does not.
func tryStart(whole bool) (_ *ControlPlane, err error) {
	dir, err := os.MkdirTemp("", "assetflow-cluster-")
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{dir: dir, parts: map[string]*part{}}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	var addrs [3]string
	for i := range addrs {
		if addrs[i], err = freeport.Addr(context.Background()); err != nil {
			return nil, err
		}
	}
	c.address, c.etcd = "https://"+addrs[0], "http://"+addrs[1]
	if _, c.port, err = net.SplitHostPort(addrs[0]); err != nil {
		return nil, err
	}
	if err := c.write(); err != nil {
		return nil, err
	}
	peer := "http://" + addrs[2]
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		return nil, err
	}
	if err := c.run("etcd", etcd,
		"--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+c.etcd, "--advertise-client-urls="+c.etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer); err != nil {
		return nil, err
	}
	if err := c.await("etcd", http.DefaultClient, c.etcd+"/health"); err != nil {
		return nil, err
	}
	if err := c.startAPI(); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.file("kubeconfig"))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 1000, 1000
	if c.Client, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if !whole {
		return c, nil
	}
	return c, c.startRest()
}

func (c *ControlPlane) file(name string) string { return filepath.Join(c.dir, name) }

// Kubeconfig is the path of a kubeconfig that may do everything, with the context "admin".
func (c *ControlPlane) Kubeconfig() string { return c.file("kubeconfig") }

// KubeconfigFor writes a kubeconfig of another user, who may do what the cluster's roles say.
func (c *ControlPlane) KubeconfigFor(t testing.TB, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, c.kubeconfig(path, user, user+"-token"))
	return path
}

// User is one without any right of their own.
const User = "deployer"

// write writes what the parts read.
func (c *ControlPlane) write() error {
	crt, key, err := cert.GenerateSelfSignedCertKey("localhost", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return err
	}
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	c.certs = crt
	tokens := fmt.Sprintf("%s,admin,admin,\"system:masters\"\n%s-token,%s,%s\n", adminToken, User, User, User)
	for name, data := range map[string][]byte{
		"tls.crt": crt, "tls.key": key, "tokens.csv": []byte(tokens), "stages.yaml": stages,
		"accounts.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signing)}),
	} {
		if err := os.WriteFile(c.file(name), data, 0o600); err != nil {
			return err
		}
	}
	return c.kubeconfig(c.file("kubeconfig"), "admin", adminToken)
}

func (c *ControlPlane) kubeconfig(path, user, token string) error {
	config := api.NewConfig()
	config.Clusters["test"] = &api.Cluster{Server: c.address, CertificateAuthorityData: c.certs}
	config.AuthInfos[user] = &api.AuthInfo{Token: token}
	config.Contexts[user] = &api.Context{Cluster: "test", AuthInfo: user}
	config.CurrentContext = user
	return clientcmd.WriteToFile(*config, path)
}

func (c *ControlPlane) startAPI() error {
	path, err := binary("kube-apiserver")
	if err != nil {
		return err
	}
	if err := c.run("kube-apiserver", path,
		"--bind-address=127.0.0.1", "--secure-port="+c.port, "--etcd-servers="+c.etcd,
		"--tls-cert-file="+c.file("tls.crt"), "--tls-private-key-file="+c.file("tls.key"), "--cert-dir="+c.dir,
		"--token-auth-file="+c.file("tokens.csv"), "--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+c.file("accounts.key"),
		"--service-account-signing-key-file="+c.file("accounts.key"), "--endpoint-reconciler-type=none",
		"--disable-admission-plugins=TaintNodesByCondition",
		// The distribution's etcd is too old for it, and some clients do not see that by themselves.
		"--feature-gates=WatchList=false"); err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(&rest.Config{
		Host: c.address, BearerToken: adminToken, TLSClientConfig: rest.TLSClientConfig{CAData: c.certs},
	})
	if err != nil {
		return err
	}
	return c.await("kube-apiserver", client, c.address+"/readyz")
}

// startRest starts what makes things happen in the cluster.
func (c *ControlPlane) startRest() error {
	kubeconfig := "--kubeconfig=" + c.file("kubeconfig")
	for name, args := range map[string][]string{
		"kube-controller-manager": {
			kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0",
			"--service-account-private-key-file=" + c.file("accounts.key"), "--root-ca-file=" + c.file("tls.crt"),
			// Nobody plays a node that gets lost.
			"--controllers=*,-node-lifecycle-controller,-taint-eviction-controller",
			"--kube-api-qps=200", "--kube-api-burst=400",
		},
		"kube-scheduler": {kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=0"},
		"kwok":           {kubeconfig, "--config=" + c.file("stages.yaml"), "--manage-all-nodes=true", "--server-address=127.0.0.1:0"},
	} {
		path, err := binary(name)
		if err != nil {
			return err
		}
		if err := c.run(name, path, args...); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-1", Labels: map[string]string{"kubernetes.io/os": "linux"}}}
	if _, err := c.Client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make the node: %w", err)
	}
	return nil
}

// StopAPI kills the API server.
func (c *ControlPlane) StopAPI(t testing.TB) {
	t.Helper()
	c.parts["kube-apiserver"].kill()
}

// StartAPI starts it again, with what it had.
func (c *ControlPlane) StartAPI(t testing.TB) {
	t.Helper()
	require.NoError(t, c.startAPI())
}

func (c *ControlPlane) stop() {
	for _, p := range c.parts {
		p.kill()
	}
	_ = os.RemoveAll(c.dir)
}

// part is a process of the control plane.
type part struct {
	cmd   *exec.Cmd
	alive interface{ Close() error } // while it is open the process lives
	ended chan struct{}
}

// run starts a process. It does not outlive this one, however this one ends: a shell beside it waits for the end of a pipe
// that nobody else holds, and kills it then.
func (c *ControlPlane) run(name, path string, args ...string) error {
	log, err := os.Create(c.file(name + ".log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	const guard = `exec 3<&0; "$@" 3<&- </dev/null & child=$!; (read -r _ <&3; kill -9 "$child") & exec 3<&-; wait "$child"; kill $! 2>/dev/null`
	cmd := exec.Command("/bin/sh", append([]string{"-c", guard, "sh", path}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, c.dir
	alive, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	p := &part{cmd: cmd, alive: alive, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	c.parts[name] = p
	return nil
}

// kill returns when the process has ended.
func (p *part) kill() {
	_ = p.alive.Close()
	<-p.ended
}

// await returns when the url answers with 200.
func (c *ControlPlane) await(name string, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-c.parts[name].ended:
			return fmt.Errorf("%s has ended: %s", name, c.tail(name))
		case <-ctx.Done():
			return fmt.Errorf("%s does not become ready: %s", name, c.tail(name))
		}
	}
}

// tail gives the end of a part's log.
func (c *ControlPlane) tail(name string) string {
	log, err := os.ReadFile(c.file(name + ".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
