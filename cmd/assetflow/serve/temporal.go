package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"assetflow/config"
	"assetflow/fault"
)

// probeTimeout bounds how long it is looked for the reason why Temporal cannot be reached.
const probeTimeout = 3 * time.Second

// connect says in options how to reach Temporal. Errors: Invalid for certificates that cannot be used.
func connect(cfg config.Temporal, options client.Options) (client.Options, error) {
	options.HostPort, options.Namespace = cfg.Address, cfg.Namespace
	if cfg.APIKey != "" {
		options.Credentials = client.NewAPIKeyStaticCredentials(string(cfg.APIKey))
	}
	encryption, err := encryption(cfg.TLS)
	if err != nil {
		return client.Options{}, err
	}
	options.ConnectionOptions.TLS, options.ConnectionOptions.TLSDisabled = encryption, encryption == nil
	return options, nil
}

// encryption gives the settings of TLS as the standard library has them; nil for a connection in clear.
func encryption(cfg config.TLS) (*tls.Config, error) {
	if !cfg.Enabled {
		return nil, nil //nolint:nilnil // nil is the answer
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName,
		InsecureSkipVerify: cfg.Insecure, //nolint:gosec // temporal.tls.verify warns of it
	}
	if cfg.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(cfg.CA)) {
			return nil, fault.New(fault.Invalid, "config.tls", "temporal.tls.ca is not right: it holds no certificates.")
		}
	}
	if cfg.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(cfg.Certificate), []byte(cfg.Key))
		if err != nil {
			return nil, fault.New(fault.Invalid, "config.tls", "temporal.tls.certificate and temporal.tls.key are not right: they do not belong together.")
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// reachTemporal is checkTemporal for the start: where Temporal cannot be reached, it says which setting may be the reason.
func (b *Backends) reachTemporal(ctx context.Context) error {
	err := b.checkTemporal(ctx)
	switch {
	case fault.CodeOf(err) != "temporal.unavailable" || errors.Is(ctx.Err(), context.Canceled):
		return err
	case refused(err):
		return fault.New(fault.Forbidden, "temporal.refused",
			"Temporal refuses at %s who asks: see temporal.api_key, temporal.tls.certificate and temporal.namespace.", b.Config.Temporal.Address).Wrap(err)
	}
	probe, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	defer cancel()
	reason := whyNot(probe, b.Config.Temporal)
	if reason == "" {
		return err
	}
	return fault.New(fault.Unavailable, "temporal.unavailable", "Temporal cannot be reached at %s: %s", b.Config.Temporal.Address, reason).Wrap(err)
}

func refused(err error) bool {
	code := serviceerror.ToStatus(err).Code()
	return code == codes.PermissionDenied || code == codes.Unauthenticated
}

// whyNot makes a connection of its own and says what about TLS is in its way, and which setting that is; empty where it is
// not TLS. The errors of gRPC are texts.
func whyNot(ctx context.Context, cfg config.Temporal) string {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", cfg.Address)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	settings, err := encryption(cfg.TLS)
	if err != nil {
		return ""
	}
	if settings == nil {
		return whyNotInClear(ctx, conn)
	}
	if settings.ServerName == "" {
		settings.ServerName, _, _ = net.SplitHostPort(cfg.Address)
	}
	settings.NextProtos = []string{"h2"}
	secured := tls.Client(conn, settings)
	if err = secured.HandshakeContext(ctx); err == nil {
		_, err = secured.Read(make([]byte, 1)) // since TLS 1.3 a server refuses certificates after the handshake
	}
	return tlsReason(err, cfg.TLS)
}

// whyNotInClear tells whether the server wants TLS.
func whyNotInClear(ctx context.Context, conn net.Conn) string {
	err := tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true, NextProtos: []string{"h2"}, //nolint:gosec // nothing is said on this connection
	}).HandshakeContext(ctx)
	if _, refused := alert(err); err == nil || refused {
		return "it speaks TLS; see temporal.tls.enabled."
	}
	return ""
}

func tlsReason(err error, cfg config.TLS) string {
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		plain     tls.RecordHeaderError
	)
	said, refused := alert(err)
	switch {
	case errors.As(err, &authority) && cfg.CA == "":
		return "its certificate comes from no authority that this system trusts; name its authority in temporal.tls.ca."
	case errors.As(err, &authority):
		return "its certificate comes from none of the authorities in temporal.tls.ca."
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is for another name (%s); see temporal.tls.server_name.", name)
	case errors.As(err, &invalid):
		return fmt.Sprintf("its certificate is not good (%s); see temporal.tls.ca.", invalid)
	case errors.As(err, &plain):
		return "it does not speak TLS; see temporal.tls.enabled."
	case refused && cfg.Certificate == "":
		return fmt.Sprintf("it wants a certificate (%s); see temporal.tls.certificate.", said)
	case refused:
		return fmt.Sprintf("it refuses our certificate (%s); see temporal.tls.certificate.", said)
	}
	return ""
}

// alert gives what the other side of a TLS connection said when it ended it.
func alert(err error) (text string, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return "", false
	}
	return op.Err.Error(), true
}
