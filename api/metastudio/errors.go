package metastudio

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/fault"
	"assetflow/jobs"
)

// Codes of the faults this package makes.
const (
	codeFileTooLarge = "metastudio.file_too_large" // TooLarge: the announced file, not the request
	codeState        = "metastudio.state"          // Conflict: not in this state of the asset or file
	codeUpload       = "metastudio.upload"         // Invalid: what was uploaded is not what was announced
	codeSource       = "metastudio.source"         // Invalid: of a region that this one does not copy from
	codeNoKeyRing    = "metastudio.no_key_ring"    // Unavailable: this region takes no part in copies
)

// Codes of faults that other rooms make, and that this contract tells apart.
const (
	codeWrongProject = "auth.project_mismatch"
	codeNoProject    = "auth.project_not_found"
	codeNoAsset      = "catalog.asset_not_found"
	codeNoFile       = "catalog.file_not_found"
	codeNameTaken    = "catalog.name_taken"
	codeMainExists   = "catalog.main_exists"
	codeJobEnded     = "catalog.job_ended"
	codeLarge        = "replication.metadata_too_large"
	codeManyFiles    = "replication.too_many_files"
)

// The contract's documented error codes.
const (
	errSignIn       = "MSS.00000001"
	errBody         = "MSS.00000002"
	errParameter    = "MSS.00000003"
	errProject      = "MSS.00010009"
	errNoAsset      = "MSS.10001001"
	errNoFile       = "MSS.10001004"
	errNameTaken    = "MSS.10001005"
	errJob          = "MSS.10001006" // failed to create the asset's job: here also every failure that is not the caller's
	errFileTooLarge = "MSS.10001007"
	errMainExists   = "MSS.10001008"
)

type answer struct {
	status int
	code   string
}

// answersByCode are the exact cases; what is not here goes by its kind.
var answersByCode = map[string]answer{
	codeWrongProject:                {http.StatusBadRequest, errProject},
	codeNoProject:                   {http.StatusBadRequest, errProject},
	middleware.CodeBody:             {http.StatusBadRequest, errBody},
	codeNoAsset:                     {http.StatusBadRequest, errNoAsset},
	codeNoFile:                      {http.StatusBadRequest, errNoFile},
	codeNameTaken:                   {http.StatusBadRequest, errNameTaken},
	codeMainExists:                  {http.StatusBadRequest, errMainExists},
	codeFileTooLarge:                {http.StatusBadRequest, errFileTooLarge},
	codeLarge:                       {http.StatusBadRequest, errParameter},
	codeManyFiles:                   {http.StatusBadRequest, errParameter},
	jobs.CodeRunning:                {http.StatusBadRequest, errJob},
	middleware.CodeBodyStalled:      {http.StatusBadRequest, errBody},
	middleware.CodeNoRoute:          {http.StatusNotFound, errParameter},
	middleware.CodeMethodNotAllowed: {http.StatusMethodNotAllowed, errParameter},
	middleware.CodeHeadersTooLarge:  {http.StatusRequestHeaderFieldsTooLarge, errParameter},
	middleware.CodePending:          {http.StatusConflict, errParameter},
}

var answersByKind = map[fault.Kind]answer{
	fault.Internal:        {http.StatusInternalServerError, errJob},
	fault.Invalid:         {http.StatusBadRequest, errParameter},
	fault.Unauthenticated: {http.StatusUnauthorized, errSignIn},
	fault.Forbidden:       {http.StatusForbidden, errSignIn},
	fault.NotFound:        {http.StatusBadRequest, errParameter},
	fault.Conflict:        {http.StatusBadRequest, errParameter},
	fault.TooLarge:        {http.StatusRequestEntityTooLarge, errBody},
	fault.Unavailable:     {http.StatusServiceUnavailable, errJob},
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
	switch {
	case f.Kind == fault.Unauthenticated:
		body.ErrorMsg = "Incorrect IAM authentication information: " + f.Message
	case f.Code == jobs.CodeRunning:
		body.ErrorMsg += " It is the job " + f.Details + "."
	case f.Code == middleware.CodePending:
		c.Header("Retry-After", f.Details)
	}
	c.AbortWithStatusJSON(a.status, body)
}
