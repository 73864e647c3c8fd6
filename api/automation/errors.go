package automation

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// Codes of the faults this package makes.
const (
	codeParameter     = "automation.parameter"      // Invalid
	codeNotAcceptable = "automation.not_acceptable" // Invalid: the header Accept leaves out what there is
	codeOrigin        = "automation.origin"         // Forbidden: a page of another server makes a browser do it
	codeProject       = "automation.project"        // Forbidden: which one is not clear
	codeTemplate      = "automation.template"       // NotFound
	codeStaging       = "automation.staging"        // Internal: an uploaded file could not be put down
	codeFailed        = "automation.failed"         // Internal: the import failed for a reason that is not in the file
)

// The contract's messages. docs/contracts.md lists ours, and docs/service-template.md those about a file's content.
const (
	msgImported     = "KNAE03111-I"
	msgRunning      = "KNAE90030-I"
	msgNotFound     = "KNAE02102-E"
	msgParameter    = "KNAE90022-E"
	msgBody         = "KNAE90027-E"
	msgSignIn       = "KNAE90020-E"
	msgPermission   = "KNAE90021-E"
	msgOrigin       = "KNAE90028-E"
	msgAcceptable   = "KNAE90024-E"
	msgContentType  = "KNAE90023-E"
	msgNotAvailable = "KNAE90025-E"
	msgStaging      = "KNAE90029-E"
	msgPending      = "KNAE90031-E"
	msgConflict     = "KNAE90032-E"
	msgMethod       = "KNAE90026-E"
)

type answer struct {
	status    int
	messageID string
}

// answersByCode are the exact cases; what is not here goes by its kind.
var answersByCode = map[string]answer{
	upload.CodeMediaType: {http.StatusUnsupportedMediaType, msgContentType},
	upload.CodeBody:      {http.StatusBadRequest, msgBody},
	upload.CodeNoBody:    {http.StatusBadRequest, msgBody},
	upload.CodeFileName:  {http.StatusBadRequest, servicetemplate.MessageBadFileName},
	codeNotAcceptable:    {http.StatusNotAcceptable, msgAcceptable},
	codeOrigin:           {http.StatusForbidden, msgOrigin},
	codeStaging:          {http.StatusInternalServerError, msgStaging},
	jobs.CodeRunning:     {http.StatusConflict, servicetemplate.MessageImportRunning},
	jobs.CodeQueueFull:   {http.StatusConflict, servicetemplate.MessageImportRunning},
	// Who has no role in a project may not do anything in it; the contract knows no unknown project.
	"auth.project_not_found":        {http.StatusForbidden, msgPermission},
	middleware.CodePending:          {http.StatusConflict, msgPending},
	middleware.CodeBodyStalled:      {http.StatusBadRequest, msgBody},
	middleware.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, msgMethod},
	middleware.CodeHeadersTooLarge:  {http.StatusRequestHeaderFieldsTooLarge, servicetemplate.MessageTooLarge},
}

var answersByKind = map[fault.Kind]answer{
	fault.Internal:        {http.StatusInternalServerError, servicetemplate.MessageFailed},
	fault.Invalid:         {http.StatusBadRequest, msgParameter},
	fault.Unauthenticated: {http.StatusUnauthorized, msgSignIn},
	fault.Forbidden:       {http.StatusForbidden, msgPermission},
	fault.NotFound:        {http.StatusNotFound, msgNotFound},
	fault.Conflict:        {http.StatusConflict, msgConflict},
	fault.TooLarge:        {http.StatusBadRequest, servicetemplate.MessageTooLarge}, // the contract has no status of its own,
	fault.Unavailable:     {http.StatusPreconditionFailed, msgNotAvailable},
}

// notFoundText is the contract's.
const notFoundText = "The specified resource does not exist or you do not have access."

// WriteError answers a request with an error in this contract's form. It is the one place that turns our faults into
// the contract's statuses and messages; the text of an error that is no fault never leaves the service.
func WriteError(c *gin.Context, err error) {
	if !middleware.BeginError(c, err) {
		return
	}
	announce(c) // for paths that there are none of
	status, body := refusal(c.Request, err)
	header := c.Writer.Header()
	// What a success would have had.
	for _, name := range []string{headerAuthenticate, "Content-Type", "Content-Length", "Content-Disposition", "ETag"} {
		header.Del(name)
	}
	switch f, _ := fault.As(err); {
	case status == http.StatusUnauthorized:
		header.Set(headerAuthenticate, challenge)
	case f != nil && f.Code == middleware.CodePending:
		header.Set("Retry-After", f.Details)
	}
	c.Abort()
	c.Data(status, "application/json", encodeError(body))
}

// refusal turns an error into a status and a body.
func refusal(r *http.Request, err error) (int, Error) {
	f := middleware.FaultOf(err)
	a, ok := answersByCode[f.Code]
	if !ok {
		a = answersByKind[f.Kind]
	}
	body := newError(r, a.messageID, f.Message)
	switch {
	case a.messageID == msgNotFound:
		body.Message = notFoundText
	case f.Code == jobs.CodeRunning, f.Code == codeFailed:
		body.MessageData = f.Details
	}
	return a.status, body
}

func newError(r *http.Request, messageID, message string) Error {
	return Error{ErrorSource: baseURL(r) + r.URL.RequestURI(), Message: message, MessageID: messageID, Application: Automation}
}

func encodeError(body Error) []byte {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // five texts
	}
	return append(encoded, '\n')
}

// failure is the answer to an import that has ended without success.
func failure(r *http.Request, job jobs.Job) (int, Error) {
	ours := func(message string) (int, Error) {
		return refusal(r, fault.New(fault.Internal, codeFailed, "%s", message).WithDetails(job.ID))
	}
	if job.State == catalog.JobCancelled {
		return ours("The import was cancelled; nothing was changed.")
	}
	if len(job.Reasons) == 0 {
		return ours("The import failed for an internal reason; nothing was changed.")
	}
	first := job.Reasons[0]
	messageID := servicetemplate.MessageID(first.Code)
	if messageID == servicetemplate.MessageFailed {
		return ours(first.Message)
	}
	var messages, names []string
	for _, reason := range job.Reasons {
		messages = append(messages, reason.Message)
		if reason.ResourceName != "" && !slices.Contains(names, reason.ResourceName) {
			names = append(names, reason.ResourceName)
		}
	}
	body := newError(r, messageID, strings.Join(messages, " "))
	body.MessageData = strings.Join(names, ", ")
	return http.StatusBadRequest, body
}
