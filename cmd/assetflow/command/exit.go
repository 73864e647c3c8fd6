package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"assetflow/assetpackage"
	"assetflow/client"
	"assetflow/config"
	"assetflow/fault"
)

// The exit codes. They are part of the interface: scripts rely on them.
const (
	ExitOK          = 0   // done
	ExitFailure     = 1   // anything without a code of its own
	ExitUsage       = 2   // the command line or the configuration is wrong
	ExitForbidden   = 3   // not signed in, or not allowed
	ExitNotFound    = 4   // it does not exist
	ExitConflict    = 5   // it contradicts what exists; a job is running
	ExitJobFailed   = 6   // the job that was waited for failed or was cancelled; a dry run says that the import would fail
	ExitUnreachable = 7   // the service, or something it needs, cannot be reached
	ExitInterrupted = 130 // Ctrl-C or SIGTERM
)

const exitCodesHelp = `Exit codes:
  0    done
  1    failed, for a reason without a code of its own
  2    the command line or the configuration is wrong
  3    not signed in, or not allowed
  4    not found
  5    it contradicts what exists, such as a running job
  6    the job that was waited for failed or was cancelled, or a dry run says that it would fail
  7    the service cannot be reached
  130  interrupted`

// usageError is a wrong command line.
type usageError struct {
	text string
	hint string
}

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{text: fmt.Sprintf(format, args...)} }

// hintError is an error with the next step to take, and a code of its own where code is not 0.
type hintError struct {
	err  error
	hint string
	code int
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// jobFailedError says that a job that was waited for did not succeed. The job has been shown already.
type jobFailedError struct {
	id, state string
}

func (e *jobFailedError) Error() string { return fmt.Sprintf("job %s %s", e.id, stateText(e.state)) }

// silentError is an error about which everything has been said.
type silentError struct{ code int }

func (e *silentError) Error() string { return "" }

// explain turns an error into what to say, what to do next, and the exit code.
func explain(ctx context.Context, ran *cobra.Command, err error) (text, hint string, code int) {
	var (
		usage    *usageError
		silent   *silentError
		hinted   *hintError
		settings *config.Error
		failed   *jobFailedError
		away     *client.UnreachableError
		refusal  *client.Error
		store    *client.StoreError
		problems *assetpackage.ProblemsError
	)
	switch {
	case errors.As(err, &silent):
		return "", "", silent.code
	case errors.As(err, &hinted):
		text, hint, code = explain(ctx, ran, hinted.err)
		if hinted.hint != "" {
			hint = hinted.hint
		}
		if hinted.code != 0 {
			code = hinted.code
		}
		return text, hint, code
	case errors.As(err, &usage):
		hint = usage.hint
		if hint == "" {
			hint = fmt.Sprintf("See `%s --help`.", ran.CommandPath())
		}
		return usage.text, hint, ExitUsage
	case errors.As(err, &settings):
		return settings.Error(), "", ExitUsage
	case errors.As(err, &failed):
		return failed.Error(), "", ExitJobFailed
	case errors.As(err, &problems):
		return problems.Error(), "", ExitFailure
	case interrupted(ctx, err):
		return "interrupted", "", ExitInterrupted
	case errors.As(err, &away):
		text, hint = explainUnreachable(away)
		return text, hint, ExitUnreachable
	case errors.As(err, &store):
		return explainStore(store)
	case errors.As(err, &refusal):
		return explainRefusal(refusal)
	case errors.Is(err, client.ErrBadEndpoint), errors.Is(err, client.ErrBadJobID):
		return err.Error(), "", ExitUsage
	}
	if f, ok := fault.As(err); ok {
		if f.Code == "storage.refused" {
			hint = "Check the settings of S3: `assetflow config` shows them."
		}
		return faultText(f, err), hint, faultCode(f)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return err.Error(), "", ExitNotFound
	}
	return err.Error(), "", ExitFailure
}

func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx)))
}

// faultText gives a fault's message with its cause: these commands work where the log would be read.
func faultText(f *fault.Error, err error) string {
	if f.Kind == fault.Internal {
		return err.Error()
	}
	text := f.Message
	if f.Details != "" {
		text += ": " + f.Details
	}
	if f.Err != nil && faultCode(f) == ExitUnreachable {
		text += fmt.Sprintf(" (%v)", f.Err)
	}
	return text
}

func faultCode(f *fault.Error) int {
	switch f.Code {
	case "catalog.not_migrated", "storage.no_bucket", "temporal.no_namespace", "temporal.not_prepared": // it answers, so it can be reached
		return ExitFailure
	}
	switch f.Kind {
	case fault.Invalid:
		return ExitUsage
	case fault.Unauthenticated, fault.Forbidden:
		return ExitForbidden
	case fault.NotFound:
		return ExitNotFound
	case fault.Conflict:
		return ExitConflict
	case fault.Unavailable:
		return ExitUnreachable
	default:
		return ExitFailure
	}
}

// explainUnreachable names the cause in plain words.
func explainUnreachable(away *client.UnreachableError) (text, hint string) {
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		network net.Error
		cause   = away.Err.Error()
	)
	switch err := away.Err; {
	case errors.Is(err, syscall.ECONNREFUSED):
		cause = "connection refused"
		hint = "Is the service running? Start it with `assetflow api`, or everything on this machine with `assetflow-dev`."
	case errors.As(err, &dns):
		cause = fmt.Sprintf("the name %s cannot be resolved", dns.Name)
		hint = "Check the endpoint."
	case errors.As(err, &unknown):
		hint = "Add the certificate's authority to this machine, or name it in SSL_CERT_FILE."
	case errors.Is(err, http.ErrSchemeMismatch):
		cause = "it does not speak HTTPS"
		hint = "Should the endpoint begin with http:// instead of https://?"
	case errors.As(err, &network) && network.Timeout():
		cause = "it does not answer in time"
		hint = "Check the endpoint, and that nothing on the way blocks the connection."
	default:
		hint = "Try again; if it stays like this, look at the service's log."
	}
	return fmt.Sprintf("cannot reach %s: %s", away.Endpoint, cause), hint
}

// explainStore says what follows from what the object store said.
func explainStore(e *client.StoreError) (text, hint string, code int) {
	switch {
	case e.Status == http.StatusForbidden:
		hint = "The URLs of files are good for 24 hours. Check the clocks of service and object store, and s3.presign_endpoint."
	case e.Status >= http.StatusInternalServerError:
		return e.Error(), "Try again in a moment.", ExitUnreachable
	}
	return e.Error(), hint, ExitFailure
}

// explainRefusal says what the service said, and what follows from it.
func explainRefusal(e *client.Error) (text, hint string, code int) {
	text = e.Error()
	code = ExitFailure
	switch {
	case e.Foreign():
		hint = "Is the endpoint right? Assetflow does not seem to be what answers there."
		if e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout {
			hint, code = "A proxy answers in place of the service, which seems to be away.", ExitUnreachable
		}
	case e.RunningJob() != "":
		id, _ := client.CanonicalJobID(e.RunningJob())
		text = fmt.Sprintf("a job of this kind is running for you already: %s", id)
		if e.Code == client.CodeStageRefused {
			text = fmt.Sprintf("a job of this add-on is running already: %s", id)
		}
		hint = followHint(id)
		code = ExitConflict
	case e.Code == client.CodeWrongProject:
		hint = "A token is for one project: sign in for this one, or ask for a role in it."
		code = ExitForbidden
	case e.Code == client.CodeNoAsset, e.Code == client.CodeNoFile:
		hint = "See what there is with `assetflow assets list --digital`."
		code = ExitNotFound
	case e.Code == client.CodeNoEnvironment:
		hint = "See what there is with `assetflow environment list`."
		code = ExitNotFound
	case e.Code == client.CodeNoAddon:
		hint = "Check the ids, and that you have a role in the project; `assetflow addon list` shows what an environment has."
		code = ExitNotFound
	case e.Code == client.CodeNameTaken, e.Code == client.CodeEnvironmentExists:
		code = ExitConflict
	case e.Code == client.CodeMainExists:
		hint = "Upload it in another --category, or remove the main file with `assetflow assets remove-file`."
		code = ExitConflict
	case e.Status == http.StatusUnauthorized:
		hint = "Sign in with `assetflow login`."
		if strings.HasPrefix(e.Message, "signature expired") {
			hint = "The clocks of this machine and of the service differ by more than 15 minutes."
		}
		code = ExitForbidden
	case e.Status == http.StatusForbidden:
		hint = "An administrator can give you a role: `assetflow user role grant USER ROLE --project PROJECT`."
		code = ExitForbidden
	case e.Status == http.StatusNotFound:
		hint = "Check the ids, and that you have a role in the project: what you may not see does not exist for you."
		code = ExitNotFound
	case e.Status == http.StatusConflict:
		code = ExitConflict
	case e.Status == http.StatusServiceUnavailable, e.Code == "KNAE90025-E":
		hint = "Try again in a moment."
		code = ExitUnreachable
	case e.Status == http.StatusRequestEntityTooLarge:
		hint = "The service's limit is set with ASSETFLOW_MAX_UPLOAD_BYTES."
	case e.Status >= http.StatusInternalServerError:
		hint = "The request id finds the cause in the service's log."
	}
	return text, hint, code
}

// followHint says how to go on with a running job.
func followHint(id string) string {
	return fmt.Sprintf("Watch it:   assetflow job watch %s\nCancel it:  assetflow job cancel %s", id, id)
}

// isDial tells whether the connection was never made, so that nothing can have been done.
func isDial(away *client.UnreachableError) bool {
	var op *net.OpError
	return errors.As(away.Err, &op) && op.Op == "dial"
}
