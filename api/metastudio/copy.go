package metastudio

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"assetflow/api/middleware"
	"assetflow/auth"
	"assetflow/catalog"
	"assetflow/fault"
	"assetflow/jobs"
	"assetflow/replication"
	"assetflow/storage"
)

// stageTimeout bounds writing a replication info to staging.
const stageTimeout = 30 * time.Second

// copying is a request for a copy that was read and can be carried out.
type copying struct {
	caller  auth.Principal
	info    []byte // in JSON, the same for the same replication info
	payload replication.Payload
	target  catalog.CopyTarget
}

// CreateAssetByReplicationInfo starts the copy of an asset from another region.
func (s *server) CreateAssetByReplicationInfo(ctx context.Context, request CreateAssetByReplicationInfoRequestObject) (CreateAssetByReplicationInfoResponseObject, error) {
	rctx := middleware.Context(ctx)
	caller, _ := auth.PrincipalFrom(rctx)
	// What is wrong with the body is said by start: a request whose key has an answer is given that, also after the
	// replication info has expired.
	c, refusal := s.readCopy(request.ProjectID, caller, *request.Body)
	digest := sha256.Sum256(*request.Body)
	once := middleware.Submission{
		UserID: caller.UserID, Key: valueOf(request.Params.IdempotencyKey), JobID: c.target.JobID,
		Fingerprint: middleware.Fingerprint(ctx.(*gin.Context).Request, hex.EncodeToString(digest[:])),
	}
	submissions := middleware.Submissions{Store: s.Submissions, Logger: s.Logger}
	answer, err := submissions.Once(rctx, once, func(ctx context.Context, _ string) (middleware.Answer, error) {
		// The job's id follows from the body, so it is that of any earlier request of the same key.
		if refusal != nil {
			return middleware.Answer{}, refusal
		}
		return middleware.Answer{Status: http.StatusOK, JobID: c.target.JobID}, s.startCopy(ctx, c)
	})
	return copyStarted{answer}, err
}

// copyStarted is the answer to the start of a copy. The request's id is among its headers already.
type copyStarted struct{ middleware.Answer }

func (a copyStarted) VisitCreateAssetByReplicationInfoResponse(w http.ResponseWriter) error {
	return a.WriteTo(w)
}

// readCopy opens the replication info. Even with an error it gives a job id, which is then nobody's.
func (s *server) readCopy(projectID string, caller auth.Principal, body []byte) (copying, error) {
	c := copying{caller: caller, target: catalog.CopyTarget{JobID: jobs.NewID(), ProjectID: projectID, UserID: caller.UserID}}
	var info replication.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return c, middleware.BadBody().Wrap(err)
	}
	var err error
	if c.payload, err = replication.Open(s.Replication.KeyRing, info, s.Region, time.Now()); err != nil {
		return c, err
	}
	if err := s.checkSource(c.payload); err != nil {
		return c, err
	}
	if c.info, err = json.Marshal(info); err != nil {
		return c, fmt.Errorf("encode the replication info: %w", err)
	}
	c.target.JobID = copyJobID(c.payload.IssuedAt, projectID, caller.UserID, c.info)
	c.target.AssetID, c.target.Metadata = info.AssetID, catalog.DigitalMetadata(c.payload.Metadata)
	return c, nil
}

// checkSource says early what the job would find out: that this region does not copy from that one. The job looks at the
// URL of every file.
func (s *server) checkSource(p replication.Payload) error {
	if s.Replication.Trusts != nil && s.Replication.Trusts(p.ManifestURL) {
		return nil
	}
	return fault.New(fault.Invalid, codeSource,
		"This region does not copy from the region %.64q: the place of its files is not among replication.sources.", p.SourceRegion)
}

// copyJobID makes the id of the one job that this replication info is for this user in this project.
func copyJobID(issued time.Time, projectID, userID string, info []byte) string {
	return middleware.DerivedID(issued, projectID, userID, string(info)) // after 1970, says replication.Open
}

// startCopy starts the job, or finds it started by an earlier request with the same body.
func (s *server) startCopy(ctx context.Context, c copying) error {
	sum := sha256.Sum256(c.info)
	staged := storage.Staged{
		Key:  storage.StagingKey(c.target.ProjectID, c.target.JobID),
		Size: int64(len(c.info)), SHA256: hex.EncodeToString(sum[:]),
	}
	switch _, err := s.Jobs.ProjectOf(ctx, c.target.JobID); {
	case fault.KindOf(err) == fault.NotFound:
		if err := s.prepareCopy(ctx, c, staged.Key); err != nil {
			return err
		}
	case err != nil:
		return err
		// Otherwise the job has been given its replication info, and may be reading it.
	}
	job, err := s.Jobs.StartCopy(ctx, jobs.CopySubmission{
		JobID: c.target.JobID, ProjectID: c.target.ProjectID, UserID: c.caller.UserID, UserName: c.caller.UserName,
		AssetID: c.target.AssetID, AssetName: c.target.Metadata.Name, SourceRegion: c.payload.SourceRegion, Staged: staged,
	})
	if err != nil {
		return err
	}
	if job.State != catalog.JobRunning {
		return nil // an earlier request started it, and it has ended
	}
	// The job does this as well. Here it makes the asset show as CREATING from the moment of the answer.
	if err := s.Catalog.BeginCopy(ctx, c.target); err != nil && fault.CodeOf(err) != codeJobEnded {
		return err
	}
	return nil
}

// prepareCopy refuses a copy that could not begin, and stages the replication info for the job.
func (s *server) prepareCopy(ctx context.Context, c copying, key string) error {
	if err := s.Jobs.CheckFree(ctx, catalog.AssetCopy, c.target.ProjectID, c.caller.UserID); err != nil && !isJob(err, c.target.JobID) {
		return err
	}
	if err := s.Catalog.CheckCopy(ctx, c.target); err != nil {
		return err
	}
	// The same body may be on its way twice. A write that broke off would take the other one's object with it, so it goes
	// on when the caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stageTimeout)
	defer cancel()
	_, err := s.Storage.Stage(ctx, key, bytes.NewReader(c.info), int64(len(c.info)))
	return err
}

// isJob reports whether the job that an error names is this one.
func isJob(err error, jobID string) bool {
	f, ok := fault.As(err)
	return ok && f.Code == jobs.CodeRunning && f.Details == jobID
}
