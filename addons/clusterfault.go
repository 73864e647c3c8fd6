package addons

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"assetflow/fault"
)

// clusterAway makes the fault of a cluster that may come back. The reason is for a person: it has no address and no credentials.
func clusterAway(why string) *fault.Error {
	return fault.New(fault.Unavailable, CodeTargetAway, "the cluster cannot be reached: %s", why)
}

// fault gives the error of a call as this package's: that of its caller's context, where it has ended, or one of our
// faults. What is none of both is worth another try.
func (s *session) fault(caller, call context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case caller.Err() != nil:
		return caller.Err()
	case call.Err() != nil:
		return clusterAway("it did not answer in time").Wrap(err)
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	if f := ofCluster(err); f != nil {
		return f
	}
	if why := s.seen.trouble(); why != "" {
		return clusterAway(why).Wrap(err)
	}
	return err
}

// refusal gives an error of what was done with the chart as a fault: as a refusal, unless it is the cluster's trouble.
func (s *session) refusal(ctx context.Context, doing string, err error) error {
	if err == nil || ctx.Err() != nil || s.seen.trouble() != "" {
		return err
	}
	if _, ok := fault.As(err); ok {
		return err
	}
	if f := ofCluster(err); f != nil {
		return f
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return err // a conflict, or something that has gone meanwhile
	}
	return refused("%s: %s", doing, reason(err)).Wrap(err)
}

// ofCluster tells what the cluster says with an error: that it is away, or that it refuses something. It gives nil for
// what is worth another try and for errors that are not the cluster's.
func ofCluster(err error) error {
	var status apierrors.APIStatus
	var noKind *meta.NoKindMatchError
	switch {
	case errors.As(err, &status):
		code := int(status.Status().Code)
		switch why := unwell(code); {
		case mistyped(status.Status().Message):
			return refused("the cluster refuses it: %s", reason(err)).Wrap(err)
		case why != "":
			return clusterAway(why).Wrap(err)
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
			return clusterAway("the environment's namespace is still being removed").Wrap(err)
		case code == http.StatusConflict, code == http.StatusNotFound, code == http.StatusGone:
			return nil
		case code >= http.StatusBadRequest:
			return refused("the cluster refuses it: %s", reason(err)).Wrap(err)
		}
		return nil
	case errors.As(err, &noKind):
		return refused("the cluster does not know the kind %s of %s; install first what defines it",
			cut(noKind.GroupKind.Kind, 100), cut(apiVersion(noKind), 100)).Wrap(err)
	}
	if why := unreachable(err); why != "" {
		return clusterAway(why).Wrap(err)
	}
	return nil
}

// mistyped tells that the API server could not read what was applied. It answers so with status 500.
func mistyped(message string) bool {
	return strings.Contains(message, "failed to create typed patch object") || strings.Contains(message, "failed to convert new object")
}

func apiVersion(e *meta.NoKindMatchError) string {
	if len(e.SearchedVersions) == 0 {
		return e.GroupKind.Group
	}
	return fmt.Sprintf("%s/%s", e.GroupKind.Group, e.SearchedVersions[0])
}

// unwell says what is the matter with an API server that answers with the code; empty where it is well.
func unwell(code int) string {
	switch {
	case code == http.StatusUnauthorized:
		return "it does not accept the credentials that Assetflow has for it"
	case code == http.StatusTooManyRequests:
		return "it is busy"
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("its API server is unwell (status %d)", code)
	}
	return ""
}

// unreachable says why a request did not come through; empty where the error is not one of a connection.
func unreachable(err error) string {
	var (
		requestError *url.Error
		netError     net.Error
		dnsError     *net.DNSError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		certificate  x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	case errors.As(err, &dnsError):
		return "its host name is not known"
	case errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &certificate):
		return "its certificate is not trusted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netError) && netError.Timeout():
		return "it did not answer in time"
	case errors.As(err, &requestError), errors.As(err, &netError),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection broke off"
	}
	return ""
}

// notes are sentences for a person: each once, and at most maxNotes.
type notes []string

func (n *notes) add(format string, args ...any) {
	text := cut(fmt.Sprintf(format, args...), maxReason)
	if len(*n) < maxNotes && !slices.Contains(*n, text) {
		*n = append(*n, text)
	}
}

func isRefusal(err error) bool { return fault.CodeOf(err) == CodeRefused }

// messageOf gives the message of a fault.
func messageOf(err error) string {
	if f, ok := fault.As(err); ok {
		return f.Message
	}
	return ""
}
