package automation

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/fault"
	"assetflow/jobs"
)

// Codes of the faults this package makes.
const (
	codeParameter     = "automation.parameter"      // Invalid
	codeNotAcceptable = "automation.not_acceptable" // Invalid: header Accept
	codeCrossOrigin   = "automation.cross_origin"   // Forbidden
	codeNotFound      = "automation.not_found"      // NotFound
	codeFailed        = "automation.failed"         // Internal: the import failed, by no fault of the file
	codeRejected      = "automation.rejected"       // Invalid: the import failed because of the file; see rejection
)

// The identifiers of errors that are not about the content of an upload; those are servicetemplate's.
const (
	messageNotFound      = "KNAE02102-E"
	messageSignIn        = "KNAE90020-E"
	messagePermission    = "KNAE90021-E"
	messageParameter     = "KNAE90022-E"
	messageMediaType     = "KNAE90023-E"
	messageNotAcceptable = "KNAE90024-E"
	messageUnavailable   = "KNAE90025-E"
	messageMethod        = "KNAE90026-E"
)

const (
	notFoundText = "The specified resource does not exist or you do not have access."
	application  = "Automation"
	realm        = `Basic realm="Assetflow", charset="UTF-8"`
)

type answer struct {
	status    int
	messageID string
}

// answersByCode are the exact cases; what is not here goes by its kind.
var answersByCode = map[string]answer{
	codeNotAcceptable:               {http.StatusNotAcceptable, messageNotAcceptable},
	upload.CodeMediaType:            {http.StatusUnsupportedMediaType, messageMediaType},
	upload.CodeNoBody:               {http.StatusBadRequest, servicetemplate.MessageNotATemplate},
	upload.CodeBody:                 {http.StatusBadRequest, servicetemplate.MessageNotATemplate},
	upload.CodeFileName:             {http.StatusBadRequest, servicetemplate.MessageBadFileName},
	jobs.CodeRunning:                {http.StatusConflict, servicetemplate.MessageImportRunning},
	jobs.CodeQueueFull:              {http.StatusConflict, servicetemplate.MessageImportRunning},
	middleware.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, messageMethod},
	middleware.CodeHeadersTooLarge:  {http.StatusRequestHeaderFieldsTooLarge, messageParameter},
	// Staging is this contract's temporary folder, for which it has a status of its own.
	"storage.unavailable": {http.StatusInternalServerError, servicetemplate.MessageFailed},
	// Whether the project is unknown or the user has no role in it is not told; it is not the resource that is asked for.
	"auth.project_not_found": {http.StatusForbidden, messagePermission},
}

var answersByKind = map[fault.Kind]answer{
	fault.Internal:        {http.StatusInternalServerError, servicetemplate.MessageFailed},
	fault.Invalid:         {http.StatusBadRequest, messageParameter},
	fault.Unauthenticated: {http.StatusUnauthorized, messageSignIn},
	fault.Forbidden:       {http.StatusForbidden, messagePermission},
	fault.NotFound:        {http.StatusNotFound, messageNotFound},
	fault.Conflict:        {http.StatusConflict, messageParameter},
	fault.TooLarge:        {http.StatusBadRequest, servicetemplate.MessageTooLarge},
	fault.Unavailable:     {http.StatusPreconditionFailed, messageUnavailable},
}

// rejection says that an upload cannot be imported, with the identifier of the first reason. In its chain is a fault.
type rejection struct {
	cause     *fault.Error
	messageID string
}

// Error gives the reasons.
func (r *rejection) Error() string { return r.cause.Error() }

// Unwrap gives the fault.
func (r *rejection) Unwrap() error { return r.cause }

// WriteError answers a request with an error in this contract's form. It is the one place that turns our faults into
// the contract's statuses and identifiers; the text of an error that is no fault never leaves the service.
func WriteError(c *gin.Context, err error) {
	_ = c.Error(err) // for the access log
	if c.Writer.Written() {
		c.Abort()
		return
	}
	f, ok := fault.As(err)
	if !ok {
		f = fault.New(fault.Internal, "", "An internal error occurred. The request id finds it in the service's log.")
	}
	a, ok := answersByCode[f.Code]
	if !ok {
		a = answersByKind[f.Kind]
	}
	if r, ok := asRejection(err); ok {
		a.messageID = r.messageID
	}
	shareHeaders(c) // also where the path is none of this contract's
	c.Writer.Header().Del("WWW-Authenticate")
	body := Error{ErrorSource: callURL(c.Request), Message: f.Message, MessageID: a.messageID, Application: application, MessageData: f.Details}
	switch {
	case f.Kind == fault.Unauthenticated:
		c.Header("WWW-Authenticate", realm)
	case a.messageID == messageNotFound:
		body.Message = notFoundText
	case f.Code == middleware.CodePending:
		c.Header("Retry-After", f.Details)
		body.MessageData = ""
	}
	c.AbortWithStatusJSON(a.status, body)
}

// requestFault turns what generated code says of a request into a fault.
func requestFault(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	return fault.New(fault.Invalid, codeParameter, "A parameter or header is invalid.").Wrap(err)
}

// baseURL is where the caller found this service.
func baseURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}

func callURL(r *http.Request) string { return baseURL(r) + r.URL.RequestURI() }
