package automation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

// jobTimeLayout is how the contract writes the times of a job.
const jobTimeLayout = "2006-01-02T15:04:05.000-07:00"

// The message of an import that has succeeded, or goes on.
const (
	messageImported = "KNAE03111-I"
	messageRunning  = "KNAE90030-I"
)

func (s *server) receiver() upload.Receiver {
	return upload.Receiver{Staging: s.Store, Logger: s.Logger, MaxBytes: s.MaxUploadBytes, Part: "file", Name: templateName}
}

// templateName gives the name of an uploaded file as it is shown. What it has to end in, the content's check says.
func templateName(name string) (string, error) {
	if shown := servicetemplate.ShownName(name); shown != "" {
		return shown, nil
	}
	return "", fault.New(fault.Invalid, upload.CodeFileName, "The part file must have a file name, which ends in .st or .zip.")
}

// checkImport refuses what can be seen of an import before its body is read, and with it the client's "100-continue".
func (s *server) checkImport(c *gin.Context) {
	if c.FullPath() != routeImport {
		return
	}
	ctx := c.Request.Context()
	if err := middleware.CheckSubmission(c.Request); err != nil {
		WriteError(c, err)
		return
	}
	if err := s.receiver().Open(c.Request); err != nil {
		WriteError(c, err)
		return
	}
	// Cheap, and saves a transfer that is in vain. A request with a key may be the repetition of the one whose job runs.
	if c.GetHeader(middleware.HeaderIdempotencyKey) != "" || c.GetHeader(middleware.HeaderOnConflict) != "" {
		return
	}
	p, _ := auth.PrincipalFrom(ctx)
	if err := s.Jobs.CheckFree(ctx, catalog.ServiceTemplateImport, c.GetString(projectKey), p.UserID); err != nil {
		WriteError(c, err)
	}
}

// ImportServiceTemplates streams the upload into staging, starts its import, and waits for its end.
func (s *server) ImportServiceTemplates(ctx context.Context, request ImportServiceTemplatesRequestObject) (ImportServiceTemplatesResponseObject, error) {
	gc := ctx.(*gin.Context)
	ctx = middleware.Context(ctx)
	received := gc.Request
	body := received.Body.(*upload.Body) // checkImport put it there
	caller, _ := auth.PrincipalFrom(ctx)
	sub := jobs.TemplateSubmission{
		JobID: jobs.NewID(), ProjectID: gc.GetString(projectKey), UserID: caller.UserID, UserName: caller.UserName,
		OnConflict: jobs.OnConflict(received.Header.Get(middleware.HeaderOnConflict)),
	}
	key := storage.StagingKey(sub.ProjectID, sub.JobID)
	var err error
	if sub.FileName, sub.Staged, err = s.receiver().Receive(ctx, request.Body, body, key); err != nil {
		return nil, err
	}
	// What a job was given is the job's, also where it is not known whether it was started.
	given := false
	defer func() {
		if !given {
			s.receiver().Discard(ctx, key)
		}
	}()
	once := middleware.Submission{
		UserID: sub.UserID, Key: received.Header.Get(middleware.HeaderIdempotencyKey), JobID: sub.JobID,
		Fingerprint: middleware.Fingerprint(received, sub.ProjectID, sub.FileName, sub.Staged.SHA256, string(sub.OnConflict)),
	}
	submissions := middleware.Submissions{Store: s.Submissions, Logger: s.Logger}
	done, err := submissions.Once(ctx, once, func(ctx context.Context, jobID string) (middleware.Answer, error) {
		sub := sub
		if jobID != sub.JobID {
			var err error
			if sub.Staged, err = s.handOver(ctx, sub.ProjectID, jobID, sub.Staged); err != nil {
				return middleware.Answer{}, err
			}
			sub.JobID = jobID
		}
		job, err := s.Jobs.StartTemplateImport(ctx, sub)
		if kind := fault.KindOf(err); jobID == once.JobID {
			given = err == nil || kind == fault.Unavailable || kind == fault.Internal
		}
		if err != nil {
			return middleware.Answer{}, err
		}
		return s.await(ctx, received, job)
	})
	if err != nil {
		return nil, err
	}
	if err := s.refresh(gc); err != nil { // the upload may have taken longer than the first one lives
		return nil, err
	}
	return imported{done}, nil
}

// handOver brings the upload to where the job of an earlier request of the same key expects it. Where that request got as
// far as the job's row, its own upload is there, with the same bytes.
func (s *server) handOver(ctx context.Context, projectID, jobID string, staged storage.Staged) (storage.Staged, error) {
	key := storage.StagingKey(projectID, jobID)
	switch _, err := s.Jobs.ProjectOf(ctx, jobID); {
	case err == nil:
		return storage.Staged{Key: key, Size: staged.Size, SHA256: staged.SHA256}, nil
	case fault.KindOf(err) != fault.NotFound:
		return storage.Staged{}, err
	}
	content, err := s.Store.OpenStaged(ctx, staged.Key, staged.Size).OpenRange(ctx, 0, staged.Size)
	if err != nil {
		return storage.Staged{}, err
	}
	defer func() { _ = content.Close() }()
	return s.Store.Stage(ctx, key, content, staged.Size)
}

// imported is the answer of an import.
type imported struct{ middleware.Answer }

func (a imported) VisitImportServiceTemplatesResponse(w http.ResponseWriter) error {
	return a.WriteTo(w)
}

// await waits for a job's end, and answers with it or with why it failed.
func (s *server) await(ctx context.Context, r *http.Request, job jobs.Job) (middleware.Answer, error) {
	job, err := s.Jobs.Await(ctx, job.ProjectID, job.ID, s.Wait)
	if err != nil {
		return middleware.Answer{}, err
	}
	shown := ImportJob{
		InstanceID: job.ID, Created: job.CreatedAt.Format(jobTimeLayout), Updated: job.CreatedAt.Format(jobTimeLayout),
		AffectedResource: []string{}, ResultType: ImportJobResultTypeMessage, Result: []Message{},
	}
	switch job.State {
	case catalog.JobQueued, catalog.JobRunning:
		shown.State = Running
		if job.State == catalog.JobQueued {
			shown.State = Queued
		}
		shown.Result = append(shown.Result, Message{
			Message: fmt.Sprintf("The import goes on (file name: %s). Follow it by its instanceID.", job.Subject), MessageID: messageRunning,
		})
	case catalog.JobSucceeded:
		if err := shown.succeed(r, job); err != nil {
			return middleware.Answer{}, err
		}
	default:
		return middleware.Answer{}, failure(job)
	}
	shown.AffectedResources = shown.AffectedResource
	text, err := json.Marshal(shown)
	if err != nil {
		return middleware.Answer{}, fmt.Errorf("encode the answer: %w", err)
	}
	return middleware.Answer{Status: http.StatusOK, ContentType: "application/json", Body: append(text, '\n')}, nil
}

// succeed fills in what an import has done, in the archive's order.
func (j *ImportJob) succeed(r *http.Request, job jobs.Job) error {
	var result catalog.TemplateImportResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		return fmt.Errorf("read the result of job %s: %w", job.ID, err)
	}
	ended := job.CreatedAt
	if job.EndedAt != nil {
		ended = *job.EndedAt
	}
	// The three are one in a call that waits for the end.
	at := ended.UTC().Format(jobTimeLayout)
	j.Created, j.Updated, j.Completed, j.State = at, at, &at, Success
	for _, t := range result.Templates {
		j.AffectedResource = append(j.AffectedResource, objectURL(r, t.Number))
		j.Result = append(j.Result, Message{
			Message:   fmt.Sprintf("The service template was imported successfully (service template file name: %s).", t.FileName),
			MessageID: messageImported,
		})
	}
	return nil
}

func objectURL(r *http.Request, number int64) string {
	return baseURL(r) + objects + "/" + strconv.FormatInt(number, 10)
}

// failure says why a job has failed: the file's fault, or ours.
func failure(job jobs.Job) error {
	if job.State == catalog.JobCancelled || len(job.Reasons) == 0 {
		return fault.New(fault.Internal, codeFailed, "The import was cancelled, or did not end; nothing was changed.").WithDetails(job.ID)
	}
	first := job.Reasons[0]
	messageID := servicetemplate.MessageID(first.Code)
	if first.Code == catalog.ReasonReleaseDiffers {
		messageID = servicetemplate.MessageReleaseDiffers
	}
	if messageID == servicetemplate.MessageFailed {
		return fault.New(fault.Internal, codeFailed, "%s", first.Message).WithDetails(job.ID)
	}
	texts := make([]string, len(job.Reasons))
	for i, reason := range job.Reasons {
		texts[i] = reason.Message
	}
	return &rejection{fault.New(fault.Invalid, codeRejected, "%s", strings.Join(texts, " ")).WithDetails(first.ResourceName), messageID}
}

func asRejection(err error) (*rejection, bool) {
	var r *rejection
	ok := errors.As(err, &r)
	return r, ok
}

// formatTime writes a time of a template as the contract does.
func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }
