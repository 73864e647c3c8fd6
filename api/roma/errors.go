package roma

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
)

// Codes of the faults this package makes.
const (
	codeParameter    = "roma.parameter"    // Invalid
	codeNoBody       = "roma.no_body"      // Invalid
	codeBody         = "roma.body"         // Invalid
	codeArchive      = "roma.archive"      // NotFound
	codeRange        = "roma.range"        // Invalid: outside the archive; header Content-Range is set
	codePrecondition = "roma.precondition" // Invalid: a condition of the request does not hold
)

// The contract's documented error codes.
const (
	errSignIn     = "APIGW.0301"
	errPermission = "ROMA.1006"
	errURL        = "ROMA.1007"
	errTask       = "ROMA.10010" // failed to create the task: here every failure that is not the caller's
	errDecompress = "ROMA.10011"
	errRunning    = "ROMA.10012"
	errFileName   = "ROMA.10013"
	errParameter  = "ROMA.13000"
	errNoBody     = "ROMA.13001"
)

type answer struct {
	status int
	code   string
}

// answersByCode are the exact cases; what is not here goes by its kind.
var answersByCode = map[string]answer{
	codeNoBody:                      {http.StatusBadRequest, errNoBody},
	upload.CodeNoBody:               {http.StatusBadRequest, errNoBody},
	upload.CodeFileName:             {http.StatusBadRequest, errFileName},
	codeRange:                       {http.StatusRequestedRangeNotSatisfiable, errParameter},
	codePrecondition:                {http.StatusPreconditionFailed, errParameter},
	jobs.CodeRunning:                {http.StatusForbidden, errRunning},
	jobs.CodeQueueFull:              {http.StatusForbidden, errRunning},
	middleware.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, errURL},
	middleware.CodeHeadersTooLarge:  {http.StatusRequestHeaderFieldsTooLarge, errParameter},
}

var answersByKind = map[fault.Kind]answer{
	fault.Internal:        {http.StatusInternalServerError, errTask},
	fault.Invalid:         {http.StatusBadRequest, errParameter},
	fault.Unauthenticated: {http.StatusUnauthorized, errSignIn},
	fault.Forbidden:       {http.StatusForbidden, errPermission},
	fault.NotFound:        {http.StatusNotFound, errURL},
	fault.Conflict:        {http.StatusConflict, errParameter},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, errParameter},
	fault.Unavailable:     {http.StatusServiceUnavailable, errTask},
}

// WriteError answers a request with an error in this contract's form. It is the one place that turns our faults into
// the contract's statuses and codes; the text of an error that is no fault never leaves the service.
func WriteError(c *gin.Context, err error) {
	if !middleware.BeginError(c, err) {
		return
	}
	f := middleware.FaultOf(err)
	a, ok := answersByCode[f.Code]
	if !ok {
		a = answersByKind[f.Kind]
	}
	body := Error{ErrorCode: a.code, ErrorMsg: f.Message, ErrorDetails: f.Details, RequestID: middleware.RequestIDOf(c)}
	switch {
	case f.Kind == fault.Unauthenticated:
		body.ErrorMsg = "Incorrect IAM authentication information: " + f.Message
	case f.Code == jobs.CodeRunning:
		body.ErrorDetails = formatJobID(f.Details)
	case f.Code == middleware.CodePending:
		c.Header("Retry-After", f.Details)
		body.ErrorDetails = ""
	}
	c.AbortWithStatusJSON(a.status, body)
}

// formatJobID gives a job's id in this contract's form, 32 hex digits.
func formatJobID(id string) string { return strings.ReplaceAll(id, "-", "") }

// reasonCodes are the codes of reasons that are not about the package's content, errParameter.
var reasonCodes = map[string]string{
	// The archive itself.
	"not_a_zip":           errDecompress,
	"truncated":           errDecompress,
	"trailing_bytes":      errDecompress,
	"bad_archive":         errDecompress,
	"encrypted":           errDecompress,
	"unknown_compression": errDecompress,
	"corrupt_file":        errDecompress,
	"bomb":                errDecompress,
	// The job itself.
	"cancelled": errTask,
	"abandoned": errTask,
	"internal":  errTask,
}

func formatReasons(job jobs.Job) []Reason {
	list := job.Reasons
	if len(list) == 0 {
		switch job.State {
		case catalog.JobCancelled:
			list = []catalog.Reason{{ResourceName: job.Subject, Code: "cancelled", Message: "The job was cancelled."}}
		case catalog.JobFailed:
			list = []catalog.Reason{{ResourceName: job.Subject, Code: "internal", Message: "The job failed for an internal reason."}}
		case catalog.JobQueued, catalog.JobRunning, catalog.JobSucceeded: // have none
		}
	}
	reasons := make([]Reason, 0, len(list)) // never null: the vendor's clients iterate it
	for _, r := range list[:min(len(list), catalog.MaxReasons)] {
		code, ok := reasonCodes[r.Code]
		if !ok {
			code = errParameter
		}
		kind := ReasonResourceType(r.ResourceType)
		if !kind.Valid() {
			kind = Application
		}
		reasons = append(reasons, Reason{ResourceType: kind, ResourceName: r.ResourceName, ErrorCode: code, ErrorMsg: r.Message})
	}
	return reasons
}
