package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"assetflow/cmd/assetflow/serve"
	"assetflow/config"
	"assetflow/config/certtest"
	"assetflow/fault"
)

// terminate ends the TLS of connections and passes what they say on to the address behind. It gives its own address.
func terminate(t *testing.T, settings *tls.Config, behind string) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", settings)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		_ = ln.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				if conn.(*tls.Conn).HandshakeContext(ctx) != nil {
					return
				}
				to, err := net.Dial("tcp", behind)
				if err != nil {
					return
				}
				stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), to.Close() })
				defer stop()
				running.Go(func() {
					_, _ = io.Copy(to, conn)
					_ = to.Close()
				})
				_, _ = io.Copy(conn, to)
			})
		}
	})
	return ln.Addr().String()
}

// serverTLS are the settings of a server that shows the pair and, with clients, lets in whom that authority knows.
func serverTLS(t *testing.T, pair certtest.Pair, clients string) *tls.Config {
	t.Helper()
	certificate, err := tls.X509KeyPair([]byte(pair.Certificate), []byte(pair.Key))
	require.NoError(t, err)
	settings := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}}
	if clients != "" {
		settings.ClientCAs = x509.NewCertPool()
		require.True(t, settings.ClientCAs.AppendCertsFromPEM([]byte(clients)))
		settings.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return settings
}

// TestTemporalBehindTLS reaches a Temporal server that asks for certificates, and learns from each mistake which setting
// it is about.
func TestTemporalBehindTLS(t *testing.T) {
	cfg := machines(t)
	plain := cfg.Temporal.Address
	authority, stranger := certtest.Authority(t, "authority"), certtest.Authority(t, "authority")
	pair, client := authority.Issue(t, "127.0.0.1"), authority.Issue(t, "assetflow")
	mutual := terminate(t, serverTLS(t, pair, authority.Certificate), plain)
	oneWay := terminate(t, serverTLS(t, authority.Issue(t, "temporal.example.com"), ""), plain)
	prepared := open(t, cfg)
	require.NoError(t, prepared.Prepare(t.Context()))

	good := config.TLS{Enabled: true, CA: authority.Certificate, Certificate: client.Certificate, Key: config.Secret(client.Key)}
	with := func(change func(c *config.TLS)) config.TLS {
		c := good
		change(&c)
		return c
	}
	foreign := stranger.Issue(t, "assetflow")
	for name, c := range map[string]struct {
		address string
		tls     config.TLS
		want    string // of the error; empty: none
	}{
		"right":       {address: mutual, tls: good},
		"wrong CA":    {mutual, with(func(c *config.TLS) { c.CA = stranger.Certificate }), "none of the authorities in temporal.tls.ca"},
		"system's CA": {mutual, with(func(c *config.TLS) { c.CA = "" }), "name its authority in temporal.tls.ca"},
		"unchecked":   {address: mutual, tls: with(func(c *config.TLS) { c.CA, c.Insecure = "", true })},
		"no certificate": {
			mutual, with(func(c *config.TLS) { c.Certificate, c.Key = "", "" }), "it wants a certificate (tls: certificate required); see temporal.tls.certificate",
		},
		"a stranger's certificate": {
			mutual, with(func(c *config.TLS) { c.Certificate, c.Key = foreign.Certificate, config.Secret(foreign.Key) }),
			"it refuses our certificate (tls: unknown certificate authority); see temporal.tls.certificate",
		},
		"another name":          {oneWay, good, "its certificate is for another name (x509: cannot validate certificate for 127.0.0.1"},
		"another name, told so": {address: oneWay, tls: with(func(c *config.TLS) { c.ServerName = "temporal.example.com" })},
		"in clear where TLS is": {mutual, config.TLS{}, "it speaks TLS; see temporal.tls.enabled"},
		"TLS where none is":     {plain, good, "it does not speak TLS; see temporal.tls.enabled"},
		"nobody there":          {nobody(t), good, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.Temporal.Address, cfg.Temporal.TLS = c.address, c.tls
			err := open(t, cfg).Check(t.Context())
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, "temporal.unavailable", fault.CodeOf(err))
			require.ErrorContains(t, err, c.want)
			if name == "nobody there" {
				require.NotContains(t, err.Error(), "temporal.tls")
			}
		})
	}
}

// nobody gives an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	return ln.Addr().String()
}

func TestCertificatesThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tls  config.TLS
		want string
	}{
		"authority": {config.TLS{Enabled: true, CA: "hidden"}, "temporal.tls.ca is not right"},
		"pair":      {config.TLS{Enabled: true, Certificate: "hidden", Key: "hidden"}, "temporal.tls.certificate and temporal.tls.key are not right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := serve.Open(t.Context(), config.Config{
				Database: config.Database{URL: config.URL("sqlite:" + filepath.Join(t.TempDir(), "a.db"))},
				S3:       config.S3{Bucket: "b", Region: "r"}, Temporal: config.Temporal{Address: "t:7233", TLS: c.tls},
			}, slog.New(slog.DiscardHandler))
			require.Equal(t, fault.Invalid, fault.KindOf(err))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hidden")
		})
	}
}

// keyed is a Temporal server that knows its namespaces and answers those alone who have its API key.
type keyed struct {
	workflowservice.UnimplementedWorkflowServiceServer
	key  string
	code codes.Code // of the refusal
}

func (k keyed) DescribeNamespace(ctx context.Context, _ *workflowservice.DescribeNamespaceRequest) (*workflowservice.DescribeNamespaceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer "+k.key {
		return nil, status.Error(k.code, "no")
	}
	return &workflowservice.DescribeNamespaceResponse{}, nil
}

func TestAPIKeyForTemporal(t *testing.T) {
	t.Parallel()
	authority := certtest.Authority(t, "authority")
	for _, code := range []codes.Code{codes.PermissionDenied, codes.Unauthenticated} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			server := grpc.NewServer(grpc.Creds(credentials.NewTLS(serverTLS(t, authority.Issue(t, "127.0.0.1"), ""))))
			workflowservice.RegisterWorkflowServiceServer(server, keyed{key: "hidden", code: code})
			ended := make(chan error, 1)
			go func() { ended <- server.Serve(ln) }()
			t.Cleanup(func() {
				server.Stop()
				require.NoError(t, <-ended)
			})
			for key, want := range map[config.Secret]string{"hidden": "", "hidden-elsewhere": "temporal.refused", "": "temporal.refused"} {
				b := open(t, config.Config{
					Database: config.Database{URL: config.URL("sqlite:" + filepath.Join(t.TempDir(), "a.db"))},
					S3:       config.S3{Bucket: "b", Region: "r"},
					Temporal: config.Temporal{
						Address: ln.Addr().String(), Namespace: "n", APIKey: key, TLS: config.TLS{Enabled: true, CA: authority.Certificate},
					},
				})
				err := b.ReachTemporal(t.Context())
				require.Equal(t, want, fault.CodeOf(err), "%v", err)
				if want != "" {
					require.ErrorContains(t, err, "see temporal.api_key")
					require.NotContains(t, err.Error(), "hidden")
				}
			}
		})
	}
}
