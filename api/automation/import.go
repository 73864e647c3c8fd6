package automation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/api/upload"
	"assetflow/assetpackage/servicetemplate"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/storage"
)

// checkImport refuses what can be seen of an import before its body is read. What is refused here reaches a client that
// waits for 100 Continue before it has sent any of it.
func (s *server) checkImport(c *gin.Context) {
	if c.FullPath() != routeImport {
		return
	}
	if err := middleware.CheckSubmission(c.Request); err != nil {
		WriteError(c, err)
		return
	}
	if err := s.receiver().Open(c.Request); err != nil {
		WriteError(c, err)
	}
}

func (s *server) receiver() upload.Receiver {
	return upload.Receiver{Staging: s.Staging, Logger: s.Logger, MaxBytes: s.MaxUploadBytes, Part: "file", Name: checkFileName}
}

// checkFileName gives the name of an uploaded file as it is shown from here on.
func checkFileName(name string) (string, error) {
	shown := servicetemplate.ShownName(name)
	if lower := strings.ToLower(shown); !strings.HasSuffix(lower, ".st") && !strings.HasSuffix(lower, ".zip") {
		return "", fault.New(fault.Invalid, upload.CodeFileName, "Only .st and .zip files can be imported: the part needs a filename that ends so.")
	}
	return shown, nil
}

// ImportServiceTemplates streams the file into staging, starts its import and waits for its end.
func (s *server) ImportServiceTemplates(ctx context.Context, request ImportServiceTemplatesRequestObject) (ImportServiceTemplatesResponseObject, error) {
	received := ctx.(*gin.Context).Request
	body := received.Body.(*upload.Body) // checkImport put it there
	caller := callerOf(ctx)
	sub := jobs.TemplateSubmission{
		JobID: jobs.NewID(), ProjectID: projectOf(ctx), UserID: caller.UserID, UserName: caller.UserName,
		OnConflict: jobs.OnConflict(valueOf(request.Params.AssetflowOnConflict)),
	}
	key := valueOf(request.Params.IdempotencyKey)
	// Cheap, and saves a transfer that is in vain. The start decides. A request with a key may be the repetition of the
	// one whose job runs, so it is not asked; nor is one that knows what to do about a running job.
	if key == "" && sub.OnConflict == "" {
		if err := s.Jobs.CheckFree(middleware.Context(ctx), catalog.ServiceTemplateImport, sub.ProjectID, sub.UserID); err != nil {
			return nil, err
		}
	}
	var err error
	sub.FileName, sub.Staged, err = s.receiver().Receive(middleware.Context(ctx), request.Body, body, storage.StagingKey(sub.ProjectID, sub.JobID))
	if kind := fault.KindOf(err); err != nil && fault.CodeOf(err) != middleware.CodeStopping && (kind == fault.Unavailable || kind == fault.Internal) {
		return nil, fault.New(fault.Internal, codeStaging, "The file could not be put down in the temporary store; try again.").Wrap(err)
	}
	if err != nil {
		return nil, err
	}
	answer, err := s.submit(ctx, sub, key)
	if err != nil {
		return nil, err
	}
	return imported{answer}, s.renew(ctx.(*gin.Context), answer.Status)
}

// submit starts the job and waits for it, or gives the answer that an earlier request of the same key was given. ctx is
// the one that generated code hands on.
func (s *server) submit(ctx context.Context, sub jobs.TemplateSubmission, key string) (middleware.Answer, error) {
	received := ctx.(*gin.Context).Request
	// What a job was given is the job's. Where the outcome of the start is not known, the job may run all the same, and
	// a repeated submission carries it through with this file.
	given := false
	defer func() {
		if !given {
			s.receiver().Discard(middleware.Context(ctx), storage.StagingKey(sub.ProjectID, sub.JobID))
		}
	}()
	once := middleware.Submission{
		UserID: sub.UserID, Key: key, JobID: sub.JobID,
		Fingerprint: middleware.Fingerprint(received, sub.ProjectID, sub.FileName, sub.Staged.SHA256, string(sub.OnConflict)),
	}
	submissions := &middleware.Submissions{Store: s.Submissions, Logger: s.Logger, MaxWait: s.Wait + answerTime}
	return submissions.Once(middleware.Context(ctx), once, func(ctx context.Context, jobID string) (middleware.Answer, error) {
		job, err := s.start(ctx, sub, jobID)
		if jobID == sub.JobID {
			kind := fault.KindOf(err)
			given = err == nil || kind == fault.Unavailable || kind == fault.Internal
		}
		if err != nil {
			return middleware.Answer{}, err
		}
		return outcome(received, s.await(ctx, job))
	})
}

// answerTime is what an import may take beside the wait for its end.
const answerTime = 10 * time.Second

// start starts the job under the given id, which is the submission's own or that of an earlier request of its key.
func (s *server) start(ctx context.Context, sub jobs.TemplateSubmission, jobID string) (jobs.Job, error) {
	if jobID != sub.JobID {
		staged, err := upload.HandOver(ctx, s.Staging, s.Jobs, sub.ProjectID, jobID, sub.Staged)
		if err != nil {
			return jobs.Job{}, err
		}
		sub.JobID, sub.Staged = jobID, staged
	}
	return s.Jobs.StartTemplateImport(ctx, sub)
}

// await gives the job when it has ended, or when it was waited for long enough. The job is durable by now: that its state
// cannot be asked makes it no failure, nor that this process stops.
func (s *server) await(ctx context.Context, job jobs.Job) jobs.Job {
	ctx, stop := middleware.UntilLast(ctx)
	defer stop()
	seen, err := s.Jobs.Await(ctx, job.ProjectID, job.ID, s.Wait)
	if err != nil {
		s.Logger.WarnContext(ctx, "an import is not waited for", "job_id", job.ID, "error", err)
		return job
	}
	return seen
}

// outcome is the answer to an import as far as its job has come. That of a job that has ended is kept for requests with
// the same key, whatever it is: the job will not end otherwise.
func outcome(r *http.Request, job jobs.Job) (middleware.Answer, error) {
	var body any
	status := http.StatusOK
	switch job.State {
	case catalog.JobSucceeded:
		ended, err := succeeded(r, job)
		if err != nil {
			return middleware.Answer{}, err
		}
		body = ended
	case catalog.JobFailed, catalog.JobCancelled:
		status, body = failure(r, job)
	case catalog.JobQueued:
		body = goingOn(job, ImportStateQueued)
	default:
		body = goingOn(job, ImportStateRunning)
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return middleware.Answer{}, fmt.Errorf("encode the answer: %w", err)
	}
	return middleware.Answer{Status: status, ContentType: "application/json", Body: append(encoded, '\n')}, nil
}

func succeeded(r *http.Request, job jobs.Job) (Import, error) {
	var result catalog.TemplateImportResult
	if err := json.Unmarshal(job.Result, &result); err != nil {
		return Import{}, fmt.Errorf("read the result of job %s: %w", job.ID, err)
	}
	ended := job.CreatedAt
	if job.EndedAt != nil {
		ended = *job.EndedAt
	}
	at := formatJobTime(ended)
	answer := newImport(job, ImportStateSuccess)
	answer.Created, answer.Updated, answer.Completed = at, at, &at
	for _, item := range result.Templates {
		answer.AffectedResource = append(answer.AffectedResource, templateURL(r, item.Number))
		answer.Result = append(answer.Result, Message{
			Message: fmt.Sprintf("The service template was imported successfully (service template file name: %s).",
				servicetemplate.ShownName(item.FileName)),
			MessageID: msgImported,
		})
	}
	answer.AffectedResources = answer.AffectedResource
	return answer, nil
}

func goingOn(job jobs.Job, state ImportState) Import {
	answer := newImport(job, state)
	answer.Result = append(answer.Result, Message{
		Message:   fmt.Sprintf("The import goes on (file name: %s). Follow it by its instanceID.", servicetemplate.ShownName(job.Subject)),
		MessageID: msgRunning,
	})
	return answer
}

func newImport(job jobs.Job, state ImportState) Import {
	created := formatJobTime(job.CreatedAt)
	return Import{
		InstanceID: job.ID, Created: created, Updated: created, State: state,
		AffectedResource: []string{}, AffectedResources: []string{}, ResultType: ImportResultTypeMessage, Result: []Message{},
	}
}

func formatJobTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-07:00") }

func templateURL(r *http.Request, number int64) string {
	return baseURL(r) + routeList + "/" + strconv.FormatInt(number, 10)
}

// renew gives the caller another token: an upload may have taken longer than one lasts. An import that has failed gives
// none.
func (s *server) renew(c *gin.Context, status int) error {
	if status >= http.StatusMultipleChoices {
		c.Writer.Header().Del(headerAuthenticate)
		return nil
	}
	return s.issueToken(c)
}

// imported is the answer to an import. What else is in its header is there already.
type imported struct{ middleware.Answer }

// VisitImportServiceTemplatesResponse sends the answer.
func (a imported) VisitImportServiceTemplatesResponse(w http.ResponseWriter) error {
	return a.WriteTo(w)
}

func valueOf[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
