package servicestage

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/fault"
	"assetflow/jobs"
)

// codeAction is the code of the fault for an action that there is not. Invalid.
const codeAction = "servicestage.action"

// Codes of faults that other rooms make, and that this contract tells apart.
const (
	codeNoEnvironment = "catalog.environment_not_found"
	codeNameTaken     = "catalog.environment_exists"
	codeInUse         = "catalog.environment_in_use"
	codeNoAddon       = "catalog.addon_not_found"
	codeAddonExists   = "catalog.addon_exists"
	codeAddonBusy     = "catalog.addon_busy"
	codeChartNotFound = "catalog.chart_not_found"
	codeJobEnded      = "catalog.job_ended"
)

// The contract's documented error codes. Of its own it has none for failures that are not the caller's.
const (
	errParameter     = "SVCSTG.00100400"
	errSignIn        = "SVCSTG.00100401"
	errNotFound      = "SVCSTG.00100404"
	errNoEnvironment = "SVCSTG.00100411"
	errAction        = "SVCSTG.00100418"
	errNoJob         = "SVCSTG.00100429"
	errNameTaken     = "SVCSTG.00100449"
	errFailure       = "SVCSTG.00100500"
)

// contentType is that of all answers.
const contentType = "application/json;charset=utf8"

type answer struct {
	status int
	code   string
}

// answersByCode are the exact cases; what is not here goes by its kind.
var answersByCode = map[string]answer{
	codeNoEnvironment:               {http.StatusNotFound, errNoEnvironment},
	jobs.CodeNotFound:               {http.StatusNotFound, errNoJob},
	codeAction:                      {http.StatusBadRequest, errAction},
	codeNameTaken:                   {http.StatusBadRequest, errNameTaken},
	codeChartNotFound:               {http.StatusBadRequest, errParameter}, // no path names a chart
	middleware.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, errParameter},
	middleware.CodeHeadersTooLarge:  {http.StatusRequestHeaderFieldsTooLarge, errParameter},
	middleware.CodePending:          {http.StatusConflict, errParameter},
}

var answersByKind = map[fault.Kind]answer{
	fault.Internal:        {http.StatusInternalServerError, errFailure},
	fault.Invalid:         {http.StatusBadRequest, errParameter},
	fault.Unauthenticated: {http.StatusUnauthorized, errSignIn},
	fault.Forbidden:       {http.StatusForbidden, errSignIn},
	fault.NotFound:        {http.StatusNotFound, errNotFound},
	fault.Conflict:        {http.StatusBadRequest, errParameter},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, errParameter},
	fault.Unavailable:     {http.StatusServiceUnavailable, errFailure},
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
	body := Error{ErrorCode: a.code, ErrorMsg: f.Message}
	switch f.Code {
	case middleware.CodePending:
		c.Header("Retry-After", f.Details)
	case jobs.CodeRunning, codeAddonBusy:
		body.ErrorMsg = withDetails(f.Message, formatJobID(f.Details))
	case codeAddonExists, codeInUse:
		body.ErrorMsg = withDetails(f.Message, f.Details)
	}
	if f.Kind == fault.Unauthenticated {
		body.ErrorMsg = "Incorrect IAM authentication information: " + f.Message
	}
	c.Header("Content-Type", contentType)
	c.AbortWithStatusJSON(a.status, body)
}

// withDetails says what a message is about, for which this contract's errors have no field.
func withDetails(message, details string) string {
	return strings.TrimSuffix(message, ".") + " (" + details + ")."
}
