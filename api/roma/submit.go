package roma

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/jobs"
)

// startRoutes are the routes that start a job.
var startRoutes = map[string]bool{routeImport: true, routeExport: true, routeDelete: true}

// checkSubmission refuses malformed headers of a request that starts a job.
func (s *server) checkSubmission(c *gin.Context) {
	if !startRoutes[c.FullPath()] {
		return
	}
	if err := middleware.CheckSubmission(c.Request); err != nil {
		WriteError(c, err)
	}
}

// submission is what all requests that start a job have in common.
type submission struct {
	kind       catalog.JobKind
	projectID  string
	caller     auth.Principal
	key        string // Idempotency-Key; empty: none
	onConflict jobs.OnConflict
	jobID      string // of the job that it starts, unless an earlier request of its key has named one
}

func newSubmission[C ~string](ctx context.Context, kind catalog.JobKind, projectID string, key *IdempotencyKey, onConflict *C) submission {
	sub := submission{kind: kind, projectID: projectID, jobID: jobs.NewID()}
	sub.caller, _ = auth.PrincipalFrom(middleware.Context(ctx))
	if key != nil {
		sub.key = *key
	}
	if onConflict != nil {
		sub.onConflict = jobs.OnConflict(*onConflict)
	}
	return sub
}

// checkFree refuses a request whose job could not start, before anything is done for it. The start decides. A request
// with a key may be the repetition of the one whose job runs, so it is not asked; nor is one that knows what to do
// about a running job.
func (s *server) checkFree(ctx context.Context, sub submission) error {
	if sub.key != "" || sub.onConflict != "" {
		return nil
	}
	return s.Jobs.CheckFree(middleware.Context(ctx), sub.kind, sub.projectID, sub.caller.UserID)
}

// submit starts the job, or gives the answer that an earlier request of the same key was given. content stands for the
// request's body. ctx is the one that generated code hands on.
func (s *server) submit(ctx context.Context, sub submission, content []string, start func(ctx context.Context, jobID string) (jobs.Job, error)) (started, error) {
	request := ctx.(*gin.Context).Request
	once := middleware.Submission{
		UserID: sub.caller.UserID, Key: sub.key, JobID: sub.jobID, Fingerprint: middleware.Fingerprint(request, append(content, string(sub.onConflict))...),
	}
	answer, err := s.submissions().Once(middleware.Context(ctx), once, func(ctx context.Context, jobID string) (middleware.Answer, error) {
		job, err := start(ctx, jobID)
		if err != nil {
			return middleware.Answer{}, err
		}
		body, err := json.Marshal(JobStarted{JobID: formatJobID(job.ID)})
		if err != nil {
			return middleware.Answer{}, fmt.Errorf("encode the answer: %w", err)
		}
		return middleware.Answer{Status: http.StatusOK, ContentType: "application/json", Body: append(body, '\n')}, nil
	})
	return started{answer}, err
}

func (s *server) submissions() *middleware.Submissions {
	return &middleware.Submissions{Store: s.Submissions, Logger: s.Logger}
}

// started is the answer of every operation that starts a job. The request's id is among its headers already.
type started struct{ middleware.Answer }

func (a started) VisitImportAssetResponse(w http.ResponseWriter) error { return a.WriteTo(w) }
func (a started) VisitExportAssetResponse(w http.ResponseWriter) error { return a.WriteTo(w) }
func (a started) VisitDeleteAssetResponse(w http.ResponseWriter) error { return a.WriteTo(w) }
