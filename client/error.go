package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Wrong arguments and settings.
var (
	ErrBadEndpoint = errors.New("the endpoint is not a base URL such as http://127.0.0.1:8080")
	ErrBadJobID    = errors.New("a job id is a UUID or 32 hex digits")
)

// Error is a refusal by the service.
type Error struct {
	Status    int    // HTTP status
	Code      string // the contract's code, such as "ROMA.10012" or "job.ended"; empty when the answer had none
	Message   string
	Details   string
	RequestID string // finds the request in the service's log

	retryAfter time.Duration
	foreign    bool
}

// Error gives message, details, code and request id.
func (e *Error) Error() string {
	s := e.Message
	if e.Details != "" {
		s += ": " + e.Details
	}
	var facts []string
	if e.Code != "" {
		facts = append(facts, e.Code)
	}
	facts = append(facts, fmt.Sprintf("HTTP %d", e.Status))
	if e.RequestID != "" {
		facts = append(facts, "request "+e.RequestID)
	}
	return fmt.Sprintf("%s (%s)", s, strings.Join(facts, ", "))
}

// Foreign tells whether something else than Assetflow seems to have answered: the endpoint may be wrong, or a proxy
// stands in between.
func (e *Error) Foreign() bool { return e.foreign }

var (
	jobID = regexp.MustCompile(`[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`)
	// stageJobID is how the ServiceStage contract writes a job's id: no other id looks like it.
	stageJobID = regexp.MustCompile(`\bJOB([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\b`)
)

// RunningJob gives the id of the job that is in the way, as 32 hex digits; empty for any other refusal.
func (e *Error) RunningJob() string {
	text := ""
	switch {
	case e.Code == codeRunning || e.Code == codeTemplateRunning:
		text = e.Details
	case e.Code == codeCopyRefused && e.Status == http.StatusBadRequest:
		text = e.Message
	case e.Code == CodeStageRefused && e.Status == http.StatusBadRequest:
		if found := stageJobID.FindStringSubmatch(e.Message); found != nil {
			text = found[1]
		}
	}
	return strings.ToLower(strings.ReplaceAll(jobID.FindString(text), "-", ""))
}

// Codes for a second job of a kind by the same user. MetaStudio's is that of other failures as well.
const (
	codeRunning     = "ROMA.10012"
	codeCopyRefused = "MSS.10001006"
)

// Codes of the MetaStudio contract. It answers all of them with the status 400.
const (
	CodeWrongProject = "MSS.00010009" // the project is not the token's, or the caller has no role in it
	CodeNoAsset      = "MSS.10001001" // there is no such digital asset
	CodeNoFile       = "MSS.10001004" // there is no such file
	CodeNameTaken    = "MSS.10001005" // another digital asset has the name
	CodeMainExists   = "MSS.10001008" // the asset has a main file
)

// Codes of the ServiceStage contract.
const (
	CodeStageRefused      = "SVCSTG.00100400" // a parameter is wrong, or a job of the add-on is in the way: see RunningJob
	CodeNoAddon           = "SVCSTG.00100404" // there is no such add-on, or no such project
	CodeNoEnvironment     = "SVCSTG.00100411" // there is no such environment
	CodeEnvironmentExists = "SVCSTG.00100449" // another environment has the name
)

// codeTemplateRunning is the JP1/AO API's message for a second import by the same user.
const codeTemplateRunning = "KNAE90011-E"

// UnreachableError says that there was no answer: nobody listens, the name does not resolve, the connection broke, or
// the time was up. Whether a submission took effect is then not known, unless the connection was never made.
type UnreachableError struct {
	Endpoint string
	Err      error
}

// Error names the endpoint and the cause.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.Endpoint, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

func unreachable(endpoint string, err error) error {
	var around *url.Error // says method and URL, which the caller knows
	if errors.As(err, &around) {
		err = around.Err
	}
	return &UnreachableError{Endpoint: endpoint, Err: err}
}

// refusal reads an answer that is not a good one, in whichever contract's form it is.
func refusal(resp *http.Response, now time.Time) *Error {
	e := &Error{
		Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), retryAfter: retryAfter(resp.Header, now),
	}
	var body struct {
		ROMACode    string `json:"error_code"`
		ROMAMessage string `json:"error_msg"`
		ROMADetails string `json:"error_details"`

		IAM struct {
			Message string `json:"message"`
		} `json:"error"`

		Code    string `json:"code"`
		Detail  string `json:"detail"`
		Details string `json:"details"`

		RequestID string `json:"request_id"`

		AutomationID      string `json:"messageID"`
		AutomationMessage string `json:"message"`
		AutomationData    string `json:"messageData"`
	}
	content, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if json.Unmarshal(content, &body) == nil {
		e.Code = first(body.ROMACode, body.Code, body.AutomationID)
		e.Message = first(body.ROMAMessage, body.Detail, body.IAM.Message, body.AutomationMessage)
		e.Details = first(body.ROMADetails, body.Details, body.AutomationData)
		e.RequestID = first(e.RequestID, body.RequestID)
	}
	if e.Message == "" {
		e.Message, e.foreign = "the answer was "+resp.Status, true
		if to := resp.Header.Get("Location"); to != "" {
			e.Message += ", to " + to
		}
	}
	return e
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
